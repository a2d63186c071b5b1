//! Every way in which an operation on checkpoints can fail.

use std::sync::Arc;

use windlass_core::{Abandoned, Coded, ErrorKind, RandomError};
use windlass_store::{StoreError, StoreErrorKind};

/// What is wrong with a setting or a field of a request. Never repeats its
/// text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
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
}

/// Why an operation on checkpoints failed. Nothing was changed, except where
/// the kind is [`ErrorKind::Indeterminate`].
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// A field of the request, or a setting, cannot be accepted.
    #[error("`{field}` {problem}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        problem: Problem,
    },
    /// Others changed the same session first, each time.
    #[error("lost too many races for the same session; try again")]
    Busy,
    /// A stored record or blob cannot be read as what it should be.
    #[error("the stored {what} cannot be read: {why}")]
    Corrupt {
        /// Which one, with its name.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// The store failed.
    #[error("the store of checkpoints failed")]
    Store(#[source] Arc<StoreError>),
    /// No random bytes.
    #[error("no random bytes could be drawn")]
    Random(#[from] RandomError),
    /// The commit that carried the request ended abnormally.
    #[error("the commit ended abnormally; its outcome is unknown")]
    Abandoned(#[from] Abandoned),
}

impl From<StoreError> for CheckpointError {
    fn from(error: StoreError) -> Self {
        Self::Store(Arc::new(error))
    }
}

impl Coded for CheckpointError {
    fn code(&self) -> &'static str {
        match self {
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
