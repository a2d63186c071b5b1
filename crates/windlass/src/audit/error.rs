//! What can go wrong with the stored audit.

use std::sync::Arc;

use windlass_access::AccessError;
use windlass_core::{Coded, ErrorKind, RandomError};
use windlass_store::{StoreError, StoreErrorKind};

use crate::error::kind_of;

/// Why the audit could not be read, verified or trimmed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuditError {
    /// A value is outside its range.
    #[error("`{field}` is {value}; {min} to {max} are allowed")]
    Invalid {
        /// Which value.
        field: &'static str,
        /// What it is.
        value: u64,
        /// The smallest that is allowed.
        min: u64,
        /// The largest that is allowed.
        max: u64,
    },
    /// What is stored cannot be read.
    #[error("the audit's {what} cannot be read: {why}")]
    Corrupt {
        /// Which record.
        what: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// Others changed the chain each time it was to be changed.
    #[error("the audit is busy")]
    Busy,
    /// The store failed.
    #[error("the store failed under the audit")]
    Store(#[source] Arc<StoreError>),
    /// Events that were to be read are no longer kept.
    #[error("the events before number {seq} are no longer kept")]
    Trimmed {
        /// The first that is there.
        seq: u64,
    },
    /// The tenant is being erased or has been; nothing is kept of it.
    #[error("the tenant has been erased")]
    Erased,
    /// It could not be learnt whether the tenant has been erased.
    #[error("the tenant's standing cannot be read")]
    Tenant(#[source] AccessError),
    /// There were no random bytes.
    #[error("the audit needs random bytes")]
    Random(#[source] RandomError),
}

impl From<StoreError> for AuditError {
    fn from(error: StoreError) -> Self {
        Self::Store(Arc::new(error))
    }
}

impl From<RandomError> for AuditError {
    fn from(error: RandomError) -> Self {
        Self::Random(error)
    }
}

impl AuditError {
    /// Whether the store says that what it holds is damaged.
    pub(super) fn is_damage(&self) -> bool {
        matches!(self, Self::Store(error) if error.kind() == StoreErrorKind::Corrupt)
    }
}

impl Coded for AuditError {
    fn code(&self) -> &'static str {
        match self {
            Self::Invalid { .. } => "invalid_request",
            Self::Corrupt { .. } => "corrupt_record",
            Self::Busy => "busy",
            Self::Store(error) => error.kind().code(),
            Self::Trimmed { .. } => "gap",
            Self::Erased => "tenant_not_active",
            Self::Tenant(error) => error.code(),
            Self::Random(_) => "no_randomness",
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            Self::Invalid { .. } => ErrorKind::Invalid,
            Self::Corrupt { .. } => ErrorKind::Corrupt,
            Self::Busy => ErrorKind::Unavailable,
            Self::Store(error) => kind_of(error.kind()),
            Self::Trimmed { .. } => ErrorKind::Conflict,
            Self::Erased => ErrorKind::Refused,
            Self::Tenant(error) => error.kind(),
            Self::Random(_) => ErrorKind::Environment,
        }
    }
}
