//! Every way in which a session operation can fail.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use windlass_core::{Abandoned, Coded, ErrorKind, Millis, RandomError};
use windlass_store::{StoreError, StoreErrorKind};

use crate::model::Sensitivity;

/// One of the quantities a budget is kept in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Meter {
    /// Authorised tool calls.
    Calls,
    /// Tokens of a model.
    Tokens,
    /// Micro-units of a currency.
    CostMicros,
}

impl fmt::Display for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Calls => "calls",
            Self::Tokens => "tokens",
            Self::CostMicros => "cost_micros",
        })
    }
}

/// What is wrong with a field of a request. Never repeats the field's value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// It is empty.
    #[error("must not be empty")]
    Empty,
    /// It is too long.
    #[error("has {length} bytes; at most {max} are allowed")]
    TooLong {
        /// Its length in bytes.
        length: usize,
        /// The longest allowed.
        max: usize,
    },
    /// It has too many elements.
    #[error("has {count} elements; at most {max} are allowed")]
    TooMany {
        /// How many it has.
        count: usize,
        /// The most allowed.
        max: usize,
    },
    /// It has a character that is not allowed there: a control character, or
    /// a `*` that is not at the end of a pattern.
    #[error("has a character that is not allowed there")]
    Character,
    /// It is a number outside its range.
    #[error("is {value}; {min} to {max} are allowed")]
    Range {
        /// The number given.
        value: u64,
        /// The least allowed.
        min: u64,
        /// The most allowed.
        max: u64,
    },
    /// The meter has no limit that could be raised.
    #[error("names a meter without a limit")]
    Unlimited,
}

/// What of a delegated session would be more than its parent has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Excess {
    /// It may call tools that its parent may not.
    #[error("its tools are not within its parent's")]
    Tools,
    /// It may use credentials that its parent may not.
    #[error("its credentials are not within its parent's")]
    Credentials,
    /// It may handle more sensitive data than its parent.
    #[error("its ceiling is above its parent's")]
    Ceiling,
    /// It would last longer than its parent, or less than a second is left.
    #[error("its time limit is not within the {max_ms} ms that its parent lasts")]
    TimeLimit {
        /// How long its parent lasts, in milliseconds.
        max_ms: u64,
    },
    /// Its limit of a meter is above its parent's, or above what its parent
    /// has left of it.
    #[error("its budget of {meter} is above the {max} that its parent can give")]
    Budget {
        /// Which meter.
        meter: Meter,
        /// The most that can be given.
        max: u64,
    },
    /// It names no limit for a meter that its parent has a limit for.
    #[error("it names no limit of {meter}, but its parent has one")]
    Unlimited {
        /// Which meter.
        meter: Meter,
    },
    /// Its parent is as deep in its tree as a session may be.
    #[error("its parent is as deep as a session may be")]
    Depth,
    /// The chain of agents would become too long.
    #[error("its chain of agents is too long")]
    Chain,
}

/// Why a session operation failed. Unless it is
/// [`ErrorKind::Indeterminate`], nothing has changed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// There is no such session for this tenant.
    #[error("no such session")]
    NotFound,
    /// The session runs on behalf of another agent.
    #[error("the session belongs to another agent")]
    AgentMismatch,
    /// The session was closed, or one above it.
    #[error("the session is closed")]
    AlreadyClosed,
    /// The session's time is over.
    #[error("the session expired at {at}")]
    Expired {
        /// When, in Unix milliseconds.
        at: Millis,
    },
    /// A meter of the budget has not enough left.
    #[error("the budget of {meter} is exceeded: {used} of {limit} used")]
    BudgetExceeded {
        /// Which meter.
        meter: Meter,
        /// What it allows in all.
        limit: u64,
        /// What is used already.
        used: u64,
    },
    /// The tool is not among those the session may call.
    #[error("the tool is not allowed in this session")]
    ToolNotAllowed,
    /// A credential is not among those the session may use.
    #[error("the credential is not allowed in this session")]
    CredentialNotAllowed,
    /// The data is more sensitive than the session may handle.
    #[error("the sensitivity is above the session's ceiling `{ceiling}`")]
    SensitivityExceeded {
        /// The session's ceiling.
        ceiling: Sensitivity,
    },
    /// Too many calls in the rate window.
    #[error("more than {limit} calls in the rate window")]
    RateLimited {
        /// Calls the window admits.
        limit: u64,
        /// When to try again, in milliseconds from now; `None` if so many
        /// calls never fit.
        retry_after_ms: Option<u64>,
    },
    /// The agent has as many active sessions as it may.
    #[error("the agent has {current} active sessions; at most {max} are allowed")]
    TooManySessions {
        /// The cap.
        max: u64,
        /// How many there are.
        current: u64,
    },
    /// The session asked for would be wider than its parent.
    #[error("the delegation is refused: {why}")]
    DelegationRefused {
        /// What of it.
        why: Excess,
    },
    /// A session with this id exists already.
    #[error("a session with this id exists already")]
    AlreadyExists,
    /// The operation id was used before, for another request.
    #[error("the operation id was used before for another request")]
    OperationConflict,
    /// As many reservations are open as may be.
    #[error("{max} reservations are open already; settle or refund one first")]
    TooManyReservations {
        /// The most that may be open.
        max: usize,
    },
    /// No open reservation has this call number: it was settled, refunded,
    /// has expired, or never was.
    #[error("call {call} has no open reservation")]
    ReservationNotFound {
        /// The call number given.
        call: u64,
    },
    /// A field of the request cannot be accepted.
    #[error("`{field}` {problem}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        problem: Problem,
    },
    /// Others changed the same session, or the same agent's sessions, each
    /// time first.
    #[error("lost too many races for the same record; try again")]
    Busy,
    /// A stored record cannot be understood.
    #[error("the stored {record} cannot be read: {why}")]
    Corrupt {
        /// Which record.
        record: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// The store failed.
    #[error("the session store failed")]
    Store(#[source] Arc<StoreError>),
    /// No random bytes for an id.
    #[error("no identifier could be drawn")]
    Random(#[from] RandomError),
    /// The commit that carried the request ended abnormally.
    #[error("the commit ended abnormally; its outcome is unknown")]
    Abandoned(#[from] Abandoned),
}

impl From<StoreError> for SessionError {
    fn from(error: StoreError) -> Self {
        Self::Store(Arc::new(error))
    }
}

impl SessionError {
    /// Whether more budget would have changed the answer.
    pub(crate) const fn is_of_budget(&self) -> bool {
        matches!(
            self,
            Self::BudgetExceeded { .. }
                | Self::DelegationRefused {
                    why: Excess::Budget { .. }
                }
        )
    }

    pub(crate) const fn invalid(field: &'static str, problem: Problem) -> Self {
        Self::Invalid { field, problem }
    }

    pub(crate) fn corrupt(record: &'static str, why: impl fmt::Display) -> Self {
        Self::Corrupt {
            record,
            why: why.to_string(),
        }
    }
}

impl Coded for SessionError {
    fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::AgentMismatch => "agent_mismatch",
            Self::AlreadyClosed => "already_closed",
            Self::Expired { .. } => "expired",
            Self::BudgetExceeded { .. } => "budget_exceeded",
            Self::ToolNotAllowed => "tool_not_allowed",
            Self::CredentialNotAllowed => "credential_not_allowed",
            Self::SensitivityExceeded { .. } => "sensitivity_exceeded",
            Self::RateLimited { .. } => "rate_limited",
            Self::TooManySessions { .. } => "too_many_sessions",
            Self::DelegationRefused { .. } => "delegation_refused",
            Self::AlreadyExists => "already_exists",
            Self::OperationConflict => "operation_conflict",
            Self::TooManyReservations { .. } => "too_many_reservations",
            Self::ReservationNotFound { .. } => "reservation_not_found",
            Self::Invalid { .. } => "invalid_request",
            Self::Busy => "busy",
            Self::Corrupt { .. } => "corrupt_record",
            Self::Store(error) => error.kind().code(),
            Self::Random(_) => "no_randomness",
            Self::Abandoned(_) => "abandoned",
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            Self::NotFound | Self::ReservationNotFound { .. } => ErrorKind::NotFound,
            Self::AlreadyClosed | Self::AlreadyExists | Self::OperationConflict => {
                ErrorKind::Conflict
            }
            Self::AgentMismatch
            | Self::Expired { .. }
            | Self::BudgetExceeded { .. }
            | Self::ToolNotAllowed
            | Self::CredentialNotAllowed
            | Self::SensitivityExceeded { .. }
            | Self::RateLimited { .. }
            | Self::TooManySessions { .. }
            | Self::DelegationRefused { .. }
            | Self::TooManyReservations { .. } => ErrorKind::Refused,
            Self::Invalid { .. } => ErrorKind::Invalid,
            Self::Busy => ErrorKind::Unavailable,
            Self::Corrupt { .. } => ErrorKind::Corrupt,
            Self::Store(error) => kind_of(error.kind()),
            Self::Random(_) => ErrorKind::Environment,
            Self::Abandoned(_) => ErrorKind::Indeterminate,
        }
    }
}

/// A store's failure keeps its kind through every layer.
const fn kind_of(kind: StoreErrorKind) -> ErrorKind {
    match kind {
        StoreErrorKind::Unavailable => ErrorKind::Unavailable,
        StoreErrorKind::Indeterminate => ErrorKind::Indeterminate,
        StoreErrorKind::Invalid => ErrorKind::Invalid,
        StoreErrorKind::Environment => ErrorKind::Environment,
        StoreErrorKind::Corrupt => ErrorKind::Corrupt,
        StoreErrorKind::Closed => ErrorKind::Closed,
    }
}
