//! Why a check did not come to its end.

use windlass_core::{Coded, ErrorKind, RandomError};
use windlass_store::StoreError;

use crate::audit::AuditError;
use crate::error::kind_of;

/// Why a check did not come to its end. What was repaired before stays so.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckError {
    /// The store failed, in another way than by damage.
    #[error("cannot {verb} the store")]
    Store {
        /// What was tried.
        verb: &'static str,
        /// What the store says.
        source: StoreError,
    },
    /// A chain of the audit could not be read.
    #[error("cannot verify the audit")]
    Audit(#[source] AuditError),
    /// There were no random bytes.
    #[error("cannot name the rows of a probe")]
    Random(#[from] RandomError),
}

impl CheckError {
    pub(super) fn store(verb: &'static str) -> impl FnOnce(StoreError) -> Self {
        move |source| Self::Store { verb, source }
    }
}

impl Coded for CheckError {
    fn code(&self) -> &'static str {
        match self {
            Self::Store { source, .. } => source.kind().code(),
            Self::Audit(source) => source.code(),
            Self::Random(_) => "no_randomness",
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            Self::Store { source, .. } => kind_of(source.kind()),
            Self::Audit(source) => source.kind(),
            Self::Random(_) => ErrorKind::Environment,
        }
    }
}
