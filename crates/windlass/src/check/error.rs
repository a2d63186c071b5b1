//! Why a check did not come to its end.

use serde::Serialize;
use windlass_access::AccessError;
use windlass_core::{Coded, ErrorKind, RandomError};
use windlass_store::StoreError;

use crate::audit::AuditError;
use crate::error::kind_of;

/// Why a part of a check did not come to its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum CheckError {
    /// The store failed, in another way than by damage.
    #[error("cannot {verb} the store")]
    Store {
        /// What was tried.
        verb: &'static str,
        /// What the store says.
        source: StoreError,
    },
    /// It cannot be read which tenants there are.
    #[error("cannot tell which tenants are being erased")]
    Tenants(#[source] AccessError),
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
            Self::Tenants(source) => source.code(),
            Self::Audit(source) => source.code(),
            Self::Random(_) => "no_randomness",
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            Self::Store { source, .. } => kind_of(source.kind()),
            Self::Tenants(source) => source.kind(),
            Self::Audit(source) => source.kind(),
            Self::Random(_) => ErrorKind::Environment,
        }
    }
}

/// Why a check did not come to its end. What it found and repaired before is in
/// its report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("the check did not come to its end: {message}")]
#[non_exhaustive]
pub struct CheckFailure {
    /// The code of the error.
    pub code: &'static str,
    /// What the error is for whoever asked.
    #[serde(skip)]
    pub kind: ErrorKind,
    /// What happened.
    pub message: String,
}

impl Coded for CheckFailure {
    fn code(&self) -> &'static str {
        self.code
    }

    fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl From<CheckError> for CheckFailure {
    fn from(error: CheckError) -> Self {
        let mut message = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(error) = cause {
            message = format!("{message}: {error}");
            cause = error.source();
        }
        Self {
            code: error.code(),
            kind: error.kind(),
            message,
        }
    }
}

/// The first failure of a check, which goes on with what else it can do.
#[derive(Debug, Default)]
pub(super) struct Failed(pub(super) Option<CheckFailure>);

impl Failed {
    /// What something came to; a failure is kept.
    pub(super) fn note<T>(&mut self, result: Result<T, CheckError>) -> Option<T> {
        match result {
            Ok(done) => Some(done),
            Err(error) => {
                self.0.get_or_insert_with(|| error.into());
                None
            }
        }
    }
}
