//! Every way in which an operation on the queue can fail.

use std::fmt;
use std::sync::Arc;

use windlass_core::{Abandoned, Coded, ErrorKind, Millis, RandomError};
use windlass_store::{StoreError, StoreErrorKind};

use crate::id::WorkId;

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
    /// It has a control character, or one that is not allowed there.
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
    /// It names the same thing twice.
    #[error("names something twice")]
    Twice,
    /// It is no identifier of work.
    #[error("is no identifier of work")]
    NoId,
    /// It cannot be written as JSON.
    #[error("cannot be written as JSON")]
    Json,
}

/// Why an operation on the queue failed. Unless it is
/// [`ErrorKind::Indeterminate`], nothing has changed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueueError {
    /// The session has no such work: it was finished, cancelled or dropped, or
    /// never was. Or it is no part of the claim that names it.
    #[error("no such work")]
    NotFound {
        /// The work that was named.
        id: WorkId,
    },
    /// The claim's time ran out, or its work is in other hands, or it was given
    /// back. What the claim stood for is no longer the caller's to do.
    #[error("the claim has ended")]
    ClaimExpired,
    /// Somebody holds the work and its claim has not run out.
    #[error("the work is claimed")]
    Claimed {
        /// When the claim runs out, in Unix milliseconds.
        until: Millis,
    },
    /// The source key names work with other content.
    #[error("the source key was used before for other work")]
    SourceKeyConflict {
        /// The work that it names.
        id: WorkId,
    },
    /// Another owner holds the session's lease.
    #[error("the session's lease is held by another owner")]
    LeaseHeld {
        /// When it runs out, in Unix milliseconds.
        until: Millis,
    },
    /// The session's lease ran out, was given back or is in other hands.
    #[error("the session's lease is lost")]
    LeaseLost,
    /// The operation id was used before, for another request.
    #[error("the operation id was used before for another request")]
    OperationConflict,
    /// A field of the request cannot be accepted.
    #[error("`{field}` {problem}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        problem: Problem,
    },
    /// Others changed the same queue each time first.
    #[error("lost too many races for the same record; try again")]
    Busy,
    /// A stored record cannot be understood, or one is missing.
    #[error("the stored {record} cannot be read: {why}")]
    Corrupt {
        /// Which record.
        record: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// The store failed.
    #[error("the queue's store failed")]
    Store(#[source] Arc<StoreError>),
    /// No random bytes for an id.
    #[error("no identifier could be drawn")]
    Random(#[from] RandomError),
    /// The commit that carried the request ended abnormally.
    #[error("the commit ended abnormally; its outcome is unknown")]
    Abandoned(#[from] Abandoned),
}

impl From<StoreError> for QueueError {
    fn from(error: StoreError) -> Self {
        Self::Store(Arc::new(error))
    }
}

impl QueueError {
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

impl Coded for QueueError {
    fn code(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "work_not_found",
            Self::ClaimExpired => "claim_expired",
            Self::Claimed { .. } => "work_claimed",
            Self::SourceKeyConflict { .. } => "source_key_conflict",
            Self::LeaseHeld { .. } => "lease_held",
            Self::LeaseLost => "lease_lost",
            Self::OperationConflict => "operation_conflict",
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
            Self::NotFound { .. } => ErrorKind::NotFound,
            Self::ClaimExpired
            | Self::Claimed { .. }
            | Self::SourceKeyConflict { .. }
            | Self::LeaseHeld { .. }
            | Self::LeaseLost
            | Self::OperationConflict => ErrorKind::Conflict,
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
