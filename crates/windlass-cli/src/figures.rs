//! The figures of an error as JSON, so that programs need not read prose.

use std::error::Error;

use serde_json::{Value, json};
use windlass::access::{AccessError, Problem as AccessProblem};
use windlass::cache::CacheError;
use windlass::checkpoint::{CheckpointError, Problem as StateProblem};
use windlass::core::{Coded, ErrorKind};
use windlass::queue::{Problem as QueueProblem, QueueError};
use windlass::session::{Problem, SessionError};
use windlass::stash::{Problem as StashProblem, StashError};
use windlass::stream::{Refusal, StreamError};

use crate::engine::ServerError;
use crate::failure::CommandError;
use crate::usage::UsageError;

/// The kind as it is spelled in JSON.
pub(crate) const fn kind_name(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Invalid => "invalid",
        ErrorKind::NotFound => "not_found",
        ErrorKind::Conflict => "conflict",
        ErrorKind::Refused => "refused",
        ErrorKind::Unavailable => "unavailable",
        ErrorKind::Indeterminate => "indeterminate",
        ErrorKind::Environment => "environment",
        ErrorKind::Corrupt => "corrupt",
        ErrorKind::Closed => "closed",
        _ => "failed",
    }
}

/// The figures of the outermost error of the chain that has any; null if
/// none has.
pub(crate) fn figures(error: &(dyn Coded + Send + Sync + 'static)) -> Value {
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(CommandError::CloseAgent(error)) = error.downcast_ref() {
            return json!({ "closed": error.closed });
        }
        if let Some(CommandError::Usage(error)) = error.downcast_ref() {
            return tips(error);
        }
        if let Some(error) = error.downcast_ref::<ServerError>() {
            return error.figures();
        }
        if let Some(error) = error.downcast_ref::<SessionError>() {
            return session(error);
        }
        if let Some(error) = error.downcast_ref::<StashError>() {
            return stash(error);
        }
        if let Some(error) = error.downcast_ref::<AccessError>() {
            return access(error);
        }
        if let Some(error) = error.downcast_ref::<CheckpointError>() {
            return state(error);
        }
        if let Some(CacheError::Invalid { field, .. }) = error.downcast_ref() {
            return json!({ "field": field });
        }
        if let Some(error) = error.downcast_ref::<QueueError>() {
            return queue(error);
        }
        if let Some(error) = error.downcast_ref::<StreamError>() {
            return stream(error);
        }
        next = error.source();
    }
    Value::Null
}

fn tips(error: &UsageError) -> Value {
    match error.tips() {
        tips if tips.is_empty() => Value::Null,
        tips => json!({ "tips": tips }),
    }
}

fn session(error: &SessionError) -> Value {
    match error {
        SessionError::Expired { at } => json!({ "at": at }),
        SessionError::BudgetExceeded { meter, limit, used } => {
            json!({ "meter": meter, "limit": limit, "used": used })
        }
        SessionError::DelegationRefused { why } => json!({ "why": why.to_string() }),
        SessionError::SensitivityExceeded { ceiling } => json!({ "ceiling": ceiling }),
        SessionError::RateLimited {
            limit,
            retry_after_ms,
        } => {
            json!({ "limit": limit, "retry_after_ms": retry_after_ms })
        }
        SessionError::TooManySessions { max, current } => json!({ "max": max, "current": current }),
        SessionError::TooManyReservations { max } => json!({ "max": max }),
        SessionError::ReservationNotFound { call } => json!({ "call": call }),
        SessionError::Invalid { field, problem } => invalid(field, problem),
        SessionError::Corrupt { record, .. } => json!({ "record": record }),
        _ => Value::Null,
    }
}

fn invalid(field: &str, problem: &Problem) -> Value {
    match problem {
        Problem::TooLong { length, max } => json!({ "field": field, "length": length, "max": max }),
        Problem::TooMany { count, max } => json!({ "field": field, "count": count, "max": max }),
        Problem::Range { value, min, max } => {
            json!({ "field": field, "value": value, "min": min, "max": max })
        }
        _ => json!({ "field": field }),
    }
}

fn stash(error: &StashError) -> Value {
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
        StashError::KeyLimitExceeded { max } => json!({ "max": max }),
        StashError::GroupQuotaExceeded { meter, total, max } => {
            json!({ "meter": meter, "total": total, "max": max })
        }
        StashError::TotalSizeExceeded { total, max } => json!({ "total": total, "max": max }),
        StashError::OperationLimit { max } => json!({ "max": max }),
        StashError::Invalid { field, problem } => invalid_setting(field, problem),
        StashError::Corrupt { record, .. } => json!({ "record": record }),
        _ => Value::Null,
    }
}

fn invalid_setting(field: &str, problem: &StashProblem) -> Value {
    match problem {
        StashProblem::Range { value, min, max } => {
            json!({ "field": field, "value": value, "min": min, "max": max })
        }
        _ => json!({ "field": field }),
    }
}

fn state(error: &CheckpointError) -> Value {
    match error {
        CheckpointError::Invalid { field, problem } => invalid_state(field, problem),
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
        CheckpointError::Corrupt { what, .. } => json!({ "what": what }),
        _ => Value::Null,
    }
}

fn invalid_state(field: &str, problem: &StateProblem) -> Value {
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

fn queue(error: &QueueError) -> Value {
    match error {
        QueueError::NotFound { id } | QueueError::SourceKeyConflict { id } => {
            json!({ "work": id })
        }
        QueueError::Claimed { until } | QueueError::LeaseHeld { until } => {
            json!({ "until": until })
        }
        QueueError::Invalid { field, problem } => invalid_work(field, problem),
        QueueError::Corrupt { record, .. } => json!({ "record": record }),
        _ => Value::Null,
    }
}

fn invalid_work(field: &str, problem: &QueueProblem) -> Value {
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

fn stream(error: &StreamError) -> Value {
    match error {
        StreamError::Gap { earliest } => json!({ "earliest": earliest }),
        StreamError::BeyondTail { tail } => json!({ "tail": tail }),
        StreamError::Capacity(
            Refusal::Server { limit, current } | Refusal::Principal { limit, current },
        ) => json!({ "limit": limit, "current": current }),
        StreamError::Invalid { field, .. } => json!({ "field": field }),
        StreamError::Corrupt { record, .. } => json!({ "record": record }),
        _ => Value::Null,
    }
}

fn access(error: &AccessError) -> Value {
    match error {
        AccessError::VerbOutOfScope { verb } => json!({ "verb": verb }),
        AccessError::TooManyKeys { max } => json!({ "max": max }),
        AccessError::KeyAlreadyCreated { id } | AccessError::KeyAlreadyRotated { id } => {
            json!({ "id": id })
        }
        AccessError::TenantNotActive { status } => json!({ "status": status }),
        AccessError::TenantInUse { passes } => json!({ "passes": passes }),
        AccessError::Invalid { field, problem } => invalid_access(field, problem),
        AccessError::Corrupt { record, .. } => json!({ "record": record }),
        _ => Value::Null,
    }
}

fn invalid_access(field: &str, problem: &AccessProblem) -> Value {
    match problem {
        AccessProblem::TooLong { length, max } => {
            json!({ "field": field, "length": length, "max": max })
        }
        AccessProblem::TooMany { count, max } => {
            json!({ "field": field, "count": count, "max": max })
        }
        AccessProblem::Range { value, min, max } => {
            json!({ "field": field, "value": value, "min": min, "max": max })
        }
        _ => json!({ "field": field }),
    }
}
