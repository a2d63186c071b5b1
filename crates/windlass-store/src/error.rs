//! The one error of every store, its kinds named by the remedy.

use std::error::Error;
use std::fmt;

/// What can be done about a [`StoreError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StoreErrorKind {
    /// Nothing happened; retry.
    Unavailable,
    /// It may have happened; read first.
    Indeterminate,
    /// Nothing happened; the caller has to change the request.
    Invalid,
    /// Nothing happened; an operator must act (disk full, read-only file,
    /// unknown format version).
    Environment,
    /// Stored data is damaged.
    Corrupt,
    /// The store was closed.
    Closed,
}

impl StoreErrorKind {
    /// The stable code of errors of this kind.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Unavailable => "store_unavailable",
            Self::Indeterminate => "store_indeterminate",
            Self::Invalid => "store_invalid",
            Self::Environment => "store_environment",
            Self::Corrupt => "store_corrupt",
            Self::Closed => "store_closed",
        }
    }
}

/// A store could not do what was asked.
///
/// `Display` says what happened at this layer; the driver's own error is the
/// [`source`](Error::source).
pub struct StoreError {
    kind: StoreErrorKind,
    operation: &'static str,
    context: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl StoreError {
    /// An error of `kind` met during `operation` (a verb of the trait, or
    /// `open`); `context` says what was wrong in words an operator can use.
    #[must_use]
    pub fn new(kind: StoreErrorKind, operation: &'static str, context: impl Into<String>) -> Self {
        Self {
            kind,
            operation,
            context: context.into(),
            source: None,
        }
    }

    /// The same error with the cause below it.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What can be done about it.
    #[must_use]
    pub const fn kind(&self) -> StoreErrorKind {
        self.kind
    }

    /// The verb during which it happened.
    #[must_use]
    pub const fn operation(&self) -> &'static str {
        self.operation
    }

    /// What was wrong.
    #[must_use]
    pub fn context(&self) -> &str {
        &self.context
    }

    /// A store that was closed and is used by `operation`.
    #[must_use]
    pub fn closed(operation: &'static str) -> Self {
        Self::new(StoreErrorKind::Closed, operation, "the store is closed")
    }

    pub(crate) fn invalid(operation: &'static str, context: impl Into<String>) -> Self {
        Self::new(StoreErrorKind::Invalid, operation, context)
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` failed: {}", self.operation, self.context)
    }
}

impl fmt::Debug for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreError")
            .field("kind", &self.kind)
            .field("operation", &self.operation)
            .field("context", &self.context)
            .field("source", &self.source)
            .finish()
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source
            .as_deref()
            .map(|source| source as &(dyn Error + 'static))
    }
}
