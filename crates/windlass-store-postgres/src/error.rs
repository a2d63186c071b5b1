//! Failures inside the store, and the kinds they have for its callers.
//!
//! A [`Failure`] can be given to every caller of a group; it becomes a
//! [`StoreError`] at the edge, where the operation is known.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;

use deadpool_postgres::{PoolError, TimeoutType};
use tokio_postgres::error::{DbError, Severity, SqlState};
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

    /// The same failure with the cause below it.
    pub(crate) fn caused_by(mut self, cause: impl Error + Send + Sync + 'static) -> Self {
        self.cause = Some(Arc::new(cause));
        self
    }

    /// Whether it may go better next time.
    pub(crate) fn is_passing(&self) -> bool {
        self.kind == StoreErrorKind::Unavailable
    }

    /// The error for a caller of `operation`.
    pub(crate) fn error(&self, operation: &'static str) -> StoreError {
        self.with_kind(self.kind, operation, self.context.clone())
    }

    /// The error for a caller whose commit may have been applied.
    pub(crate) fn indeterminate(&self) -> StoreError {
        let context = format!("{}; the commit may have been applied", self.context);
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

/// What is certain about a commit that was sent and failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Nothing happened, and the same may succeed at once.
    Again,
    /// Nothing happened, and the same may succeed on a server that takes
    /// writes: this one no longer does.
    Elsewhere,
    /// Nothing happened.
    Refused,
    /// It may have been applied.
    Unknown,
}

/// What an error in place of the answer to a commit means.
///
/// An error of severity ERROR is the server's word that the transaction was
/// rolled back. A FATAL one ends the connection and may follow a commit; no
/// answer says nothing at all.
pub(crate) fn fate(error: &tokio_postgres::Error) -> Fate {
    let Some(said) = error.as_db_error() else {
        return Fate::Unknown;
    };
    if said.parsed_severity() != Some(Severity::Error) {
        return Fate::Unknown;
    }
    fate_of(said.code())
}

/// What an error of severity ERROR means.
fn fate_of(code: &SqlState) -> Fate {
    // A pooler says so when it has lost the server behind it. The server
    // itself ends the connection with these.
    if code.code().starts_with("08") || code.code().starts_with("57P") {
        return Fate::Unknown;
    }
    match *code {
        SqlState::T_R_STATEMENT_COMPLETION_UNKNOWN => Fate::Unknown,
        SqlState::T_R_SERIALIZATION_FAILURE
        | SqlState::T_R_DEADLOCK_DETECTED
        | SqlState::LOCK_NOT_AVAILABLE => Fate::Again,
        SqlState::READ_ONLY_SQL_TRANSACTION => Fate::Elsewhere,
        _ => Fate::Refused,
    }
}

/// Whether a notice says that a commit is not as durable as was asked for. The
/// function that commits raises none, so that any warning beside it is one.
pub(crate) fn is_warning(notice: &DbError) -> bool {
    notice.parsed_severity() == Some(Severity::Warning)
}

impl From<tokio_postgres::Error> for Failure {
    fn from(cause: tokio_postgres::Error) -> Self {
        let (kind, context) = match cause.as_db_error() {
            Some(said) => describe(said.code()),
            None => describe_silence(&cause),
        };
        Self::new(kind, context).caused_by(Said(cause))
    }
}

impl From<PoolError> for Failure {
    fn from(cause: PoolError) -> Self {
        match cause {
            PoolError::Backend(cause) => cause.into(),
            PoolError::Timeout(TimeoutType::Wait) => {
                Self::unavailable("no connection became free in time")
            }
            PoolError::Timeout(_) => Self::unavailable("the server did not answer in time"),
            PoolError::Closed => Self::new(StoreErrorKind::Closed, "the store is closed"),
            other => Self::environment("connections cannot be pooled").caused_by(other),
        }
    }
}

/// What the server or the driver said, as one layer: the driver's own chain
/// says part of it twice.
#[derive(Debug)]
struct Said(tokio_postgres::Error);

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_db_error() {
            Some(said) => write!(f, "{} (SQLSTATE {})", said.message(), said.code().code()),
            None => match self.0.source() {
                Some(source) => write!(f, "{}: {source}", self.0),
                None => self.0.fmt(f),
            },
        }
    }
}

impl Error for Said {}

fn describe_silence(cause: &tokio_postgres::Error) -> (StoreErrorKind, &'static str) {
    let refused = cause
        .source()
        .is_some_and(|source| source.is::<io::Error>());
    if refused || cause.is_closed() || cause.source().is_none() {
        (
            StoreErrorKind::Unavailable,
            "the server cannot be reached or went away",
        )
    } else {
        (
            StoreErrorKind::Environment,
            "the server cannot be used as configured",
        )
    }
}

fn describe(code: &SqlState) -> (StoreErrorKind, &'static str) {
    use StoreErrorKind::{Corrupt, Environment, Unavailable};
    match code.code() {
        "WL001" => (
            Environment,
            "the store was replaced, upgraded or set back; open it again",
        ),
        "25006" => (Unavailable, "the server takes no writes now"),
        "40001" | "40P01" => (Unavailable, "other writers were always faster"),
        "55P03" | "57014" => (Unavailable, "the server gave up waiting"),
        "57P01" | "57P02" | "57P03" => (Unavailable, "the server is starting or ending"),
        "53300" => (Unavailable, "the server has no connection to give"),
        "53200" => (Unavailable, "the server has not enough memory"),
        "53100" => (Environment, "the server's disk is full"),
        "58030" => (Unavailable, "the server's disk failed to read or write"),
        "3D000" => (Environment, "the database does not exist"),
        "42501" => (Environment, "the user may not do this"),
        "3F000" | "42P01" | "42703" | "42883" => (
            Environment,
            "the schema does not have the expected tables and functions",
        ),
        "XX001" | "XX002" => (Corrupt, "the server says that stored data is damaged"),
        code if code.starts_with("08") => {
            (Unavailable, "the server cannot be reached or went away")
        }
        code if code.starts_with("28") => (Environment, "the server refuses the user"),
        _ => (Environment, "the server could not be used as expected"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the function says when the schema is no longer what the store was
    /// opened on.
    const REPLACED: &str = "WL001";

    #[test]
    fn the_code_of_the_function_is_the_one_that_is_described() {
        assert!(include_str!("sql/format_1.sql").contains(REPLACED));
        let (kind, _) = describe(&SqlState::from_code(REPLACED));
        assert_eq!(kind, StoreErrorKind::Environment);
    }

    #[test]
    fn an_error_says_nothing_of_a_commit_where_a_pooler_may_have_raised_it() {
        let cases = [
            ("08006", Fate::Unknown),
            ("08007", Fate::Unknown),
            ("08P01", Fate::Unknown),
            ("57P01", Fate::Unknown),
            ("40003", Fate::Unknown),
            ("40001", Fate::Again),
            ("40P01", Fate::Again),
            ("55P03", Fate::Again),
            ("25006", Fate::Elsewhere),
            ("57014", Fate::Refused),
            ("53100", Fate::Refused),
            ("WL001", Fate::Refused),
        ];
        for (code, expected) in cases {
            assert_eq!(fate_of(&SqlState::from_code(code)), expected, "{code}");
        }
    }

    #[test]
    fn codes_have_the_kind_of_their_remedy() {
        let cases = [
            ("40P01", StoreErrorKind::Unavailable),
            ("08006", StoreErrorKind::Unavailable),
            ("25006", StoreErrorKind::Unavailable),
            ("53100", StoreErrorKind::Environment),
            ("28P01", StoreErrorKind::Environment),
            ("XX001", StoreErrorKind::Corrupt),
            ("0A000", StoreErrorKind::Environment),
        ];
        for (code, expected) in cases {
            let (kind, _) = describe(&SqlState::from_code(code));
            assert_eq!(kind, expected, "{code}");
        }
    }
}
