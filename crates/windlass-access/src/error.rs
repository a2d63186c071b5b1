//! Every way in which keys and tenants can refuse or fail.

use std::sync::Arc;

use windlass_core::{Coded, ErrorKind, RandomError};
use windlass_store::{StoreError, StoreErrorKind};

use crate::key::KeyId;
use crate::tenant::Status;
use crate::verb::{UnknownVerb, VerbPattern};

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
    /// It has a character that is not allowed there.
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
    /// It names a verb that does not exist.
    #[error(transparent)]
    Verb(#[from] UnknownVerb),
}

/// Why an operation on keys or tenants failed. Nothing was changed, except
/// where the kind is [`ErrorKind::Indeterminate`].
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AccessError {
    /// A field of the request cannot be accepted.
    #[error("`{field}` {problem}")]
    Invalid {
        /// Which field.
        field: &'static str,
        /// What is wrong with it.
        problem: Problem,
    },
    /// A key of this scope can hold nothing of what the verb names.
    #[error("a key of this scope cannot hold `{verb}`")]
    VerbOutOfScope {
        /// The first verb or pattern that it cannot hold.
        verb: VerbPattern,
    },
    /// There is no such key, or no such tenant.
    #[error("there is no such {what}")]
    NotFound {
        /// What was looked for.
        what: &'static str,
    },
    /// There are as many keys as there may be.
    #[error("there are {max} keys already")]
    TooManyKeys {
        /// The most allowed.
        max: u64,
    },
    /// The operation has made its key; the secret was shown then.
    #[error(
        "this operation has made the key `{id}`, whose secret was shown once; \
         if it was lost, revoke that key and make another"
    )]
    KeyAlreadyCreated {
        /// The key it made.
        id: KeyId,
    },
    /// The operation has rotated the key; the secret was shown then.
    #[error(
        "this operation has rotated the key `{id}`, whose new secret was shown once; \
         if it was lost, rotate the key again"
    )]
    KeyAlreadyRotated {
        /// The key.
        id: KeyId,
    },
    /// The operation id was used for another request.
    #[error("the operation id was used for another request")]
    OperationConflict,
    /// The key was revoked or has expired: it gets no new secret.
    #[error("the key has ended")]
    KeyEnded,
    /// The tenant is being erased, or has been.
    #[error("the tenant is {status}")]
    TenantNotActive {
        /// What it is instead.
        status: Status,
    },
    /// Somebody goes on writing what is to be erased.
    #[error("the tenant was still being written to after {passes} passes")]
    TenantInUse {
        /// Whole passes made.
        passes: u64,
    },
    /// Others changed the same record first, many times in a row.
    #[error("others changed the same record first, many times in a row")]
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
    #[error("the store of keys and tenants failed")]
    Store(#[source] Arc<StoreError>),
    /// No random bytes.
    #[error("no random bytes could be drawn")]
    Random(#[from] RandomError),
}

impl From<StoreError> for AccessError {
    fn from(error: StoreError) -> Self {
        Self::Store(Arc::new(error))
    }
}

impl AccessError {
    pub(crate) const fn invalid(field: &'static str, problem: Problem) -> Self {
        Self::Invalid { field, problem }
    }
}

/// Refuses a number outside `min..=max`.
pub(crate) const fn check_range(
    field: &'static str,
    value: u64,
    min: u64,
    max: u64,
) -> Result<(), AccessError> {
    if value < min || value > max {
        let problem = Problem::Range { value, min, max };
        return Err(AccessError::invalid(field, problem));
    }
    Ok(())
}

impl Coded for AccessError {
    fn code(&self) -> &'static str {
        match self {
            Self::Invalid { .. } => "invalid_request",
            Self::VerbOutOfScope { .. } => "verb_out_of_scope",
            Self::NotFound { .. } => "not_found",
            Self::TooManyKeys { .. } => "too_many_keys",
            Self::KeyAlreadyCreated { .. } => "key_already_created",
            Self::KeyAlreadyRotated { .. } => "key_already_rotated",
            Self::OperationConflict => "operation_conflict",
            Self::KeyEnded => "key_ended",
            Self::TenantNotActive { .. } => "tenant_not_active",
            Self::TenantInUse { .. } => "tenant_in_use",
            Self::Busy => "busy",
            Self::Corrupt { .. } => "corrupt_record",
            Self::Store(error) => error.kind().code(),
            Self::Random(_) => "no_randomness",
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            Self::Invalid { .. } | Self::VerbOutOfScope { .. } => ErrorKind::Invalid,
            Self::NotFound { .. } => ErrorKind::NotFound,
            Self::TooManyKeys { .. } | Self::TenantNotActive { .. } => ErrorKind::Refused,
            Self::KeyAlreadyCreated { .. }
            | Self::KeyAlreadyRotated { .. }
            | Self::OperationConflict
            | Self::KeyEnded
            | Self::TenantInUse { .. } => ErrorKind::Conflict,
            Self::Busy => ErrorKind::Unavailable,
            Self::Corrupt { .. } => ErrorKind::Corrupt,
            Self::Store(error) => kind_of(error.kind()),
            Self::Random(_) => ErrorKind::Environment,
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
