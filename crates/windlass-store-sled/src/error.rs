//! Failures inside the store, and the kinds they have for its callers.
//!
//! A [`Failure`] can be given to every caller of a group; it becomes a
//! [`StoreError`] at the edge, where the operation is known.

use std::borrow::Cow;
use std::error::Error;
use std::io;
use std::sync::Arc;

use windlass_store::{StoreError, StoreErrorKind};

/// What went wrong, whoever asked.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    kind: StoreErrorKind,
    context: Cow<'static, str>,
    cause: Option<Arc<dyn Error + Send + Sync>>,
}

impl Failure {
    pub(crate) fn new(kind: StoreErrorKind, context: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            context: context.into(),
            cause: None,
        }
    }

    /// An operator must act.
    pub(crate) fn environment(context: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StoreErrorKind::Environment, context)
    }

    /// Stored data is damaged.
    pub(crate) fn corrupt(context: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StoreErrorKind::Corrupt, context)
    }

    /// Nothing happened; it may go better next time.
    pub(crate) fn unavailable(context: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StoreErrorKind::Unavailable, context)
    }

    /// A call to the operating system failed.
    pub(crate) fn system(context: impl Into<Cow<'static, str>>, cause: io::Error) -> Self {
        Self::environment(context).caused_by(cause)
    }

    /// The same failure with the cause below it.
    pub(crate) fn caused_by(mut self, cause: impl Error + Send + Sync + 'static) -> Self {
        self.cause = Some(Arc::new(cause));
        self
    }

    /// The error for a caller of `operation`.
    pub(crate) fn error(&self, operation: &'static str) -> StoreError {
        self.with_kind(self.kind, operation, self.context.clone())
    }

    /// The error for a caller whose commit may have been applied.
    pub(crate) fn indeterminate(&self) -> StoreError {
        let context = "the commit failed half-way and may have been applied";
        self.with_kind(StoreErrorKind::Indeterminate, "commit", context.into())
    }

    fn with_kind(
        &self,
        kind: StoreErrorKind,
        operation: &'static str,
        context: Cow<'static, str>,
    ) -> StoreError {
        let error = StoreError::new(kind, operation, context);
        match &self.cause {
            Some(cause) => error.with_source(Arc::clone(cause)),
            None => error,
        }
    }
}

impl From<sled::Error> for Failure {
    fn from(cause: sled::Error) -> Self {
        use sled::Error::{CollectionNotFound, Corruption, Io, ReportableBug, Unsupported};
        let (kind, context) = match &cause {
            Corruption { .. } | CollectionNotFound(_) => {
                (StoreErrorKind::Corrupt, "sled found its files damaged")
            }
            Io(_) => (
                StoreErrorKind::Environment,
                "the system failed to read or write a file of sled",
            ),
            Unsupported(_) => (
                StoreErrorKind::Environment,
                "sled cannot use its files as they are",
            ),
            ReportableBug(_) => (StoreErrorKind::Environment, "sled failed"),
        };
        match cause {
            // sled repeats the cause in its own words; the cause is enough.
            Io(cause) => Self::new(kind, context).caused_by(cause),
            cause => Self::new(kind, context).caused_by(cause),
        }
    }
}
