//! The figures of the parts' errors, as members of a problem.

use serde_json::{Map, Value, json};
use windlass::access::AccessError;
use windlass::audit::AuditError;
use windlass::checkpoint::{CheckpointError, Problem as StateProblem};
use windlass::queue::{Problem as QueueProblem, QueueError};
use windlass::session::{Excess, Problem as SessionProblem, SessionError};
use windlass::stash::{Problem as StashProblem, StashError, StepError};
use windlass::stream::subscription::SubscriptionError;
use windlass::stream::{Refusal, StreamError};
use windlass::{AdmitError, TurnError};

use crate::problem::{Problem, Refused};

fn members(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

fn of_session(error: &SessionError) -> Value {
    match error {
        SessionError::Expired { at } => json!({ "at": at }),
        SessionError::BudgetExceeded { meter, limit, used } => {
            json!({ "meter": meter, "limit": limit, "used": used })
        }
        SessionError::SensitivityExceeded { ceiling } => json!({ "ceiling": ceiling }),
        SessionError::RateLimited {
            limit,
            retry_after_ms,
        } => json!({ "limit": limit, "retry_after_ms": retry_after_ms }),
        SessionError::TooManySessions { max, current } => json!({ "max": max, "current": current }),
        SessionError::DelegationRefused { why } => {
            let mut figures = members(of_excess(*why));
            figures.insert("why".to_owned(), why.to_string().into());
            Value::Object(figures)
        }
        SessionError::TooManyReservations { max } => json!({ "max": max }),
        SessionError::ReservationNotFound { call } => json!({ "call": call }),
        SessionError::Invalid { field, problem } => of_problem(field, problem),
        _ => Value::Null,
    }
}

fn of_problem(field: &str, problem: &SessionProblem) -> Value {
    match problem {
        SessionProblem::TooLong { length, max } => {
            json!({ "field": field, "length": length, "max": max })
        }
        SessionProblem::TooMany { count, max } => {
            json!({ "field": field, "count": count, "max": max })
        }
        SessionProblem::Range { value, min, max } => {
            json!({ "field": field, "value": value, "min": min, "max": max })
        }
        _ => json!({ "field": field }),
    }
}

fn of_excess(why: Excess) -> Value {
    match why {
        Excess::TimeLimit { max_ms } => json!({ "of": "time_limit_ms", "max": max_ms }),
        Excess::Budget { meter, max } => json!({ "of": "budget", "meter": meter, "max": max }),
        Excess::Unlimited { meter } => json!({ "of": "budget", "meter": meter }),
        Excess::Tools => json!({ "of": "tools" }),
        Excess::Credentials => json!({ "of": "credentials" }),
        Excess::Ceiling => json!({ "of": "ceiling" }),
        Excess::Depth => json!({ "of": "depth" }),
        Excess::Chain => json!({ "of": "chain" }),
        _ => Value::Null,
    }
}

fn of_stash(error: &StashError) -> Value {
    match error {
        StashError::KeyTooLong { length } => json!({ "length": length }),
        StashError::ValueTooLarge { size, max } => json!({ "size": size, "max": max }),
        StashError::TtlTooLong {
            requested_ms,
            max_ms,
        } => json!({ "requested_ms": requested_ms, "max_ms": max_ms }),
        StashError::CrossGroupAccess { group } => json!({ "group": group }),
        StashError::VersionMismatch { expected, actual } => {
            json!({ "expected": expected, "actual": actual })
        }
        StashError::KeyLimitExceeded { max } | StashError::OperationLimit { max } => {
            json!({ "max": max })
        }
        StashError::GroupQuotaExceeded { meter, total, max } => {
            json!({ "meter": meter.to_string(), "total": total, "max": max })
        }
        StashError::TotalSizeExceeded { total, max } => json!({ "total": total, "max": max }),
        StashError::Invalid {
            field,
            problem: StashProblem::Range { value, min, max },
        } => json!({ "field": field, "value": value, "min": min, "max": max }),
        StashError::Invalid { field, .. } => json!({ "field": field }),
        _ => Value::Null,
    }
}

fn of_state(error: &CheckpointError) -> Value {
    match error {
        CheckpointError::Invalid { field, problem } => of_state_problem(field, problem),
        CheckpointError::HeadRevisionConflict { expected, actual } => {
            json!({ "expected": expected, "actual": actual })
        }
        CheckpointError::NodeNotFound { node } => json!({ "node": node }),
        CheckpointError::BlobNotFound { blob } => json!({ "blob": blob }),
        CheckpointError::AttachmentOffset { size } => json!({ "size": size }),
        CheckpointError::DigestMismatch { expected, actual } => {
            json!({ "expected": expected, "actual": actual })
        }
        CheckpointError::RevisionNotFound { revision } => json!({ "revision": revision }),
        CheckpointError::Full { what, max } => json!({ "what": what, "max": max }),
        _ => Value::Null,
    }
}

fn of_state_problem(field: &str, problem: &StateProblem) -> Value {
    match problem {
        StateProblem::TooLong { length, max } => {
            json!({ "field": field, "length": length, "max": max })
        }
        StateProblem::TooMany { count, max } => {
            json!({ "field": field, "count": count, "max": max })
        }
        StateProblem::Range { value, min, max } => {
            json!({ "field": field, "value": value, "min": min, "max": max })
        }
        _ => json!({ "field": field }),
    }
}

fn of_queue(error: &QueueError) -> Value {
    match error {
        QueueError::NotFound { id } | QueueError::SourceKeyConflict { id } => {
            json!({ "work": id.to_string() })
        }
        QueueError::Claimed { until } | QueueError::LeaseHeld { until } => {
            json!({ "until": until.get() })
        }
        QueueError::Invalid { field, problem } => of_queue_problem(field, problem),
        _ => Value::Null,
    }
}

fn of_queue_problem(field: &str, problem: &QueueProblem) -> Value {
    match problem {
        QueueProblem::TooLong { length, max } => {
            json!({ "field": field, "length": length, "max": max })
        }
        QueueProblem::TooMany { count, max } => {
            json!({ "field": field, "count": count, "max": max })
        }
        QueueProblem::Range { value, min, max } => {
            json!({ "field": field, "value": value, "min": min, "max": max })
        }
        _ => json!({ "field": field }),
    }
}

/// How many streams all others read is nobody's business.
fn of_stream(error: &StreamError) -> Value {
    match error {
        StreamError::Gap { earliest } => json!({ "earliest": earliest }),
        StreamError::BeyondTail { tail } => json!({ "tail": tail }),
        StreamError::Capacity(Refusal::Server { limit, .. }) => {
            json!({ "limit": limit, "retry_after_ms": STREAMS_RETRY_MS })
        }
        StreamError::Capacity(Refusal::Principal { limit, current }) => {
            json!({ "limit": limit, "current": current, "retry_after_ms": STREAMS_RETRY_MS })
        }
        StreamError::StaleEpoch { current } => json!({ "current": current }),
        StreamError::SequenceGap { expected, received } => {
            json!({ "expected": expected, "received": received })
        }
        StreamError::IntegrityFailed {
            expected,
            actual,
            first,
            tail,
        } => json!({ "expected": expected, "actual": actual, "first": first, "tail": tail }),
        StreamError::TooManyProducers { limit } => json!({ "limit": limit }),
        StreamError::Row(why) => json!({ "why": why.to_string() }),
        StreamError::Invalid { field, .. } => json!({ "field": field }),
        _ => Value::Null,
    }
}

fn of_subscription(error: &SubscriptionError) -> Value {
    match error {
        SubscriptionError::AlreadyClaimed { holder, generation } => {
            json!({ "current_holder": holder, "generation": generation })
        }
        SubscriptionError::Invalid { field, .. } => json!({ "field": field }),
        _ => Value::Null,
    }
}

/// When to come again for a slot.
const STREAMS_RETRY_MS: u64 = 1_000;

fn of_access(error: &AccessError) -> Value {
    match error {
        AccessError::Invalid { field, .. } => json!({ "field": field }),
        AccessError::VerbOutOfScope { verb } => json!({ "verb": verb.to_string() }),
        AccessError::TooManyKeys { max } => json!({ "max": max }),
        AccessError::KeyAlreadyCreated { id } | AccessError::KeyAlreadyRotated { id } => {
            json!({ "key": id.as_str() })
        }
        AccessError::TenantNotActive { status } => json!({ "tenant_status": status.as_str() }),
        AccessError::TenantInUse { passes } => json!({ "passes": passes }),
        _ => Value::Null,
    }
}

impl From<SessionError> for Refused {
    fn from(error: SessionError) -> Self {
        Self::new(Problem::of(&error, members(of_session(&error))))
    }
}

impl From<CheckpointError> for Refused {
    fn from(error: CheckpointError) -> Self {
        Self::new(Problem::of(&error, members(of_state(&error))))
    }
}

impl From<QueueError> for Refused {
    fn from(error: QueueError) -> Self {
        Self::new(Problem::of(&error, members(of_queue(&error))))
    }
}

impl From<StreamError> for Refused {
    fn from(error: StreamError) -> Self {
        if matches!(error, StreamError::NotFound) {
            return Self::new(Problem::not_found());
        }
        Self::new(Problem::of(&error, members(of_stream(&error))))
    }
}

impl From<SubscriptionError> for Refused {
    fn from(error: SubscriptionError) -> Self {
        match error {
            SubscriptionError::Stream(error) => error.into(),
            other => Self::new(Problem::of(&other, members(of_subscription(&other)))),
        }
    }
}

impl From<TurnError> for Refused {
    /// The refusal of a part is told as that part tells it.
    fn from(error: TurnError) -> Self {
        match error {
            TurnError::State(error) => error.into(),
            TurnError::Session(error) => error.into(),
            TurnError::Queue(error) => error.into(),
            TurnError::Stream(error) => error.into(),
            other => Self::new(Problem::of(&other, Map::new())),
        }
    }
}

impl From<StashError> for Refused {
    fn from(error: StashError) -> Self {
        Self::new(Problem::of(&error, members(of_stash(&error))))
    }
}

impl From<StepError> for Refused {
    fn from(step: StepError) -> Self {
        let problem = Problem::of(&step.error, members(of_stash(&step.error)));
        Self::new(problem.with("position", step.position))
    }
}

impl From<AdmitError> for Refused {
    fn from(error: AdmitError) -> Self {
        let figures = match &error {
            AdmitError::TenantQuotaExceeded { meter, limit, used } => {
                json!({ "meter": meter.as_str(), "limit": limit, "used": used })
            }
            _ => Value::Null,
        };
        Self::new(Problem::of(&error, members(figures)))
    }
}

impl From<AuditError> for Refused {
    fn from(error: AuditError) -> Self {
        let figures = match &error {
            AuditError::Invalid {
                field,
                value,
                min,
                max,
            } => json!({ "field": field, "value": value, "min": min, "max": max }),
            _ => Value::Null,
        };
        Self::new(Problem::of(&error, members(figures)))
    }
}

impl From<AccessError> for Refused {
    fn from(error: AccessError) -> Self {
        Self::new(Problem::of(&error, members(of_access(&error))))
    }
}
