//! Failures inside the store, and the kinds they have for its callers.
//!
//! A [`Failure`] can be given to every caller of a group; it becomes a
//! [`StoreError`] at the edge, where the operation is known.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;

use rusqlite::ErrorCode;
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
        use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
        let passing = matches!(cause.kind(), Interrupted | TimedOut | WouldBlock);
        let kind = if passing {
            StoreErrorKind::Unavailable
        } else {
            StoreErrorKind::Environment
        };
        Self::new(kind, context).caused_by(cause)
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

impl From<rusqlite::Error> for Failure {
    fn from(cause: rusqlite::Error) -> Self {
        let (kind, context) = describe(&cause);
        Self::new(kind, context).caused_by(Said(cause))
    }
}

/// What SQLite said, as one layer: the driver's own chain says it twice.
#[derive(Debug)]
struct Said(rusqlite::Error);

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.sqlite_error() {
            Some(error) => write!(f, "SQLite result {}: {}", error.extended_code, self.0),
            None => self.0.fmt(f),
        }
    }
}

impl Error for Said {}

/// Whether a commit that failed with `cause` has certainly not happened.
///
/// SQLite says that the disk is full only after a write was refused. What
/// makes a commit in a write-ahead log is its last frame, so a refused write
/// means that the commit is not in the file.
pub(crate) fn refused_a_write(cause: &rusqlite::Error) -> bool {
    cause.sqlite_error_code() == Some(ErrorCode::DiskFull)
}

fn describe(cause: &rusqlite::Error) -> (StoreErrorKind, &'static str) {
    match cause {
        rusqlite::Error::SqliteFailure(code, _)
        | rusqlite::Error::SqlInputError { error: code, .. } => describe_code(*code),
        rusqlite::Error::InvalidColumnType(..)
        | rusqlite::Error::IntegralValueOutOfRange(..)
        | rusqlite::Error::FromSqlConversionFailure(..) => (
            StoreErrorKind::Corrupt,
            "a stored row has a column of the wrong type",
        ),
        rusqlite::Error::QueryReturnedNoRows => {
            (StoreErrorKind::Corrupt, "a row that must exist is missing")
        }
        _ => (
            StoreErrorKind::Environment,
            "SQLite could not be used as expected",
        ),
    }
}

fn describe_code(code: rusqlite::ffi::Error) -> (StoreErrorKind, &'static str) {
    use StoreErrorKind::{Corrupt, Environment, Unavailable};
    if code.extended_code == rusqlite::ffi::SQLITE_IOERR_CORRUPTFS {
        return (Corrupt, "the file system says the database file is damaged");
    }
    // Growing this file is the first that fails when the disk is full, and
    // SQLite reports it as it reports a broken disk.
    if code.extended_code == rusqlite::ffi::SQLITE_IOERR_SHMSIZE {
        return (
            Environment,
            "there is no room for the file that readers share",
        );
    }
    match code.code {
        ErrorCode::DatabaseCorrupt => (Corrupt, "the database file is damaged"),
        ErrorCode::NotADatabase => (Corrupt, "the file is damaged or was never a store"),
        // Statements of this crate fit its schema, so one that SQLite cannot
        // compile means that the schema was changed by somebody else.
        ErrorCode::Unknown | ErrorCode::ConstraintViolation | ErrorCode::TypeMismatch => {
            (Corrupt, "the database does not have the expected tables")
        }
        ErrorCode::DiskFull => (Environment, "the disk is full"),
        ErrorCode::ReadOnly => (Environment, "the database file is read-only"),
        ErrorCode::CannotOpen => (Environment, "the database file cannot be opened"),
        ErrorCode::PermissionDenied | ErrorCode::AuthorizationForStatementDenied => {
            (Environment, "access to the database file is denied")
        }
        ErrorCode::NoLargeFileSupport => {
            (Environment, "the system cannot hold a file of this size")
        }
        ErrorCode::DatabaseBusy
        | ErrorCode::DatabaseLocked
        | ErrorCode::FileLockingProtocolFailed => {
            (Unavailable, "another process keeps the database locked")
        }
        ErrorCode::SystemIoFailure => (Unavailable, "the disk failed to read or write"),
        ErrorCode::OutOfMemory => (Unavailable, "there was not enough memory"),
        ErrorCode::OperationInterrupted
        | ErrorCode::OperationAborted
        | ErrorCode::SchemaChanged => (Unavailable, "SQLite interrupted the operation"),
        _ => (Environment, "SQLite could not be used as expected"),
    }
}
