//! Every way in which a stash operation can fail.

use std::fmt;
#[cfg(feature = "durable")]
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use windlass_core::{Abandoned, Coded, ErrorKind, GroupId, RandomError};
#[cfg(feature = "durable")]
use windlass_store::{StoreError, StoreErrorKind};

use crate::limits::KEY_CHARS_MAX;

/// One of the quantities a group's quota limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QuotaMeter {
    /// Live keys of the group.
    Keys,
    /// Value bytes of the group.
    Bytes,
}

impl fmt::Display for QuotaMeter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Keys => "keys",
            Self::Bytes => "bytes",
        })
    }
}

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
    /// It contradicts another setting.
    #[error("is {value}, which is more than `{other}` allows: {max}")]
    Exceeds {
        /// The number given.
        value: u64,
        /// The setting it must not exceed.
        other: &'static str,
        /// What that one is set to.
        max: u64,
    },
}

/// Why a stash operation failed. Nothing was changed, except where the kind
/// is [`ErrorKind::Indeterminate`].
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StashError {
    /// A key is empty or has a character that keys do not have.
    #[error("a key has 1 to {KEY_CHARS_MAX} characters of A-Z a-z 0-9 _ - . :")]
    InvalidKey,
    /// A key has only allowed characters, but too many.
    #[error("the key has {length} characters; at most {KEY_CHARS_MAX} are allowed")]
    KeyTooLong {
        /// Its length in characters.
        length: usize,
    },
    /// The value cannot be written as JSON, or the text given is none.
    #[error("the value is no JSON: {why}")]
    InvalidValue {
        /// What is wrong with it.
        why: String,
    },
    /// The value is larger than one may be.
    #[error("the value has {size} bytes; at most {max} are allowed")]
    ValueTooLarge {
        /// Its length as compact JSON.
        size: u64,
        /// The largest allowed.
        max: u64,
    },
    /// A time to live of nothing.
    #[error("the time to live must not be 0")]
    TtlZero,
    /// The time to live is longer than one may be.
    #[error("the time to live is {requested_ms} ms; at most {max_ms} ms are allowed")]
    TtlTooLong {
        /// The time asked for.
        requested_ms: u64,
        /// The longest allowed.
        max_ms: u64,
    },
    /// The entry belongs to another group. Says nothing about it.
    #[error("the entry belongs to another group")]
    CrossGroupAccess {
        /// The caller's own group, if it has one.
        group: Option<GroupId>,
    },
    /// The key cannot be used; foreign entries are hidden, so there is no
    /// reason to be had.
    #[error("the key is not available")]
    KeyUnavailable,
    /// The entry is not at the version that was expected.
    #[error("the entry is not at the version that was expected")]
    VersionMismatch {
        /// The version expected; `None` where no entry was.
        expected: Option<u64>,
        /// The version of the live entry; `None` if there is none.
        actual: Option<u64>,
    },
    /// There are as many live keys as there may be.
    #[error("there are {max} keys already")]
    KeyLimitExceeded {
        /// The most allowed.
        max: u64,
    },
    /// The group has as much as its quota allows.
    #[error("the group would have {total} {meter}; its quota is {max}")]
    GroupQuotaExceeded {
        /// Which quantity.
        meter: QuotaMeter,
        /// What the group would have.
        total: u64,
        /// The most it may have.
        max: u64,
    },
    /// All entries together would be larger than they may be.
    #[error("the entries would have {total} bytes together; at most {max} are allowed")]
    TotalSizeExceeded {
        /// The bytes there would be: of values, or charged where that is the
        /// limit that was met.
        total: u64,
        /// The most allowed.
        max: u64,
    },
    /// The value to be incremented is no whole number.
    #[error("the value is no whole number")]
    NotANumber,
    /// The number, or what it would become, does not fit into 64 bits.
    #[error("the number does not fit into 64 bits")]
    Overflow,
    /// The execution has made as many operations as it may.
    #[error("the execution has made its {max} operations")]
    OperationLimit {
        /// The most allowed.
        max: u64,
    },
    /// A field of the request, or a setting, cannot be accepted.
    #[error("`{field}` {problem}")]
    Invalid {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        problem: Problem,
    },
    /// The operation id was used before, for another request.
    #[error("the operation id was used before for another request")]
    OperationConflict,
    /// The operation was done before, and a value that it read is neither
    /// kept nor there any more.
    #[error("the operation was done before; what it read is gone")]
    AnswerLost,
    /// The stash remembers as many operation ids as it may.
    #[error("the operation ids of the last day would take {total} bytes; at most {max} are kept")]
    TooManyOperations {
        /// The bytes there would be.
        total: u64,
        /// The most kept.
        max: u64,
    },
    /// Others changed the same stash first, each time.
    #[error("lost too many races for the same stash; try again")]
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
    #[cfg(feature = "durable")]
    #[error("the stash's store failed")]
    Store(#[source] Arc<StoreError>),
    /// No random bytes.
    #[error("no random bytes could be drawn")]
    Random(#[from] RandomError),
    /// The commit that carried the request ended abnormally.
    #[error("the commit ended abnormally; its outcome is unknown")]
    Abandoned(#[from] Abandoned),
}

#[cfg(feature = "durable")]
impl From<StoreError> for StashError {
    fn from(error: StoreError) -> Self {
        Self::Store(Arc::new(error))
    }
}

impl StashError {
    pub(crate) const fn invalid(field: &'static str, problem: Problem) -> Self {
        Self::Invalid { field, problem }
    }
}

/// Why an atomic step failed. None of its operations took effect.
#[derive(Clone, Debug, thiserror::Error)]
#[error("operation {position} of the step was refused")]
pub struct StepError {
    /// Which operation was the first to be refused, counted from 0.
    pub position: usize,
    /// Why.
    #[source]
    pub error: StashError,
}

impl Coded for StepError {
    fn code(&self) -> &'static str {
        self.error.code()
    }

    fn kind(&self) -> ErrorKind {
        self.error.kind()
    }
}

/// Refuses a number outside `min..=max`.
pub(crate) const fn check_range(
    field: &'static str,
    value: u64,
    min: u64,
    max: u64,
) -> Result<(), StashError> {
    if value < min || value > max {
        let problem = Problem::Range { value, min, max };
        return Err(StashError::invalid(field, problem));
    }
    Ok(())
}

impl Coded for StashError {
    fn code(&self) -> &'static str {
        match self {
            Self::InvalidKey => "invalid_key",
            Self::KeyTooLong { .. } => "key_too_long",
            Self::InvalidValue { .. } => "invalid_value",
            Self::ValueTooLarge { .. } => "value_too_large",
            Self::TtlZero => "ttl_zero",
            Self::TtlTooLong { .. } => "ttl_too_long",
            Self::CrossGroupAccess { .. } => "cross_group_access",
            Self::KeyUnavailable => "key_unavailable",
            Self::VersionMismatch { .. } => "version_mismatch",
            Self::KeyLimitExceeded { .. } => "key_limit_exceeded",
            Self::GroupQuotaExceeded { .. } => "group_quota_exceeded",
            Self::TotalSizeExceeded { .. } => "total_size_exceeded",
            Self::NotANumber => "not_a_number",
            Self::Overflow => "overflow",
            Self::OperationLimit { .. } => "operation_limit",
            Self::Invalid { .. } => "invalid_request",
            Self::OperationConflict => "operation_conflict",
            Self::AnswerLost => "operation_answer_lost",
            Self::TooManyOperations { .. } => "too_many_operations",
            Self::Busy => "busy",
            Self::Corrupt { .. } => "corrupt_record",
            #[cfg(feature = "durable")]
            Self::Store(error) => error.kind().code(),
            Self::Random(_) => "no_randomness",
            Self::Abandoned(_) => "abandoned",
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            Self::InvalidKey
            | Self::KeyTooLong { .. }
            | Self::InvalidValue { .. }
            | Self::ValueTooLarge { .. }
            | Self::TtlZero
            | Self::TtlTooLong { .. }
            | Self::Invalid { .. } => ErrorKind::Invalid,
            Self::VersionMismatch { .. }
            | Self::NotANumber
            | Self::Overflow
            | Self::OperationConflict
            | Self::AnswerLost => ErrorKind::Conflict,
            Self::CrossGroupAccess { .. }
            | Self::KeyUnavailable
            | Self::KeyLimitExceeded { .. }
            | Self::GroupQuotaExceeded { .. }
            | Self::TotalSizeExceeded { .. }
            | Self::OperationLimit { .. }
            | Self::TooManyOperations { .. } => ErrorKind::Refused,
            Self::Busy => ErrorKind::Unavailable,
            Self::Corrupt { .. } => ErrorKind::Corrupt,
            #[cfg(feature = "durable")]
            Self::Store(error) => kind_of(error.kind()),
            Self::Random(_) => ErrorKind::Environment,
            Self::Abandoned(_) => ErrorKind::Indeterminate,
        }
    }
}

#[cfg(feature = "durable")]
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
