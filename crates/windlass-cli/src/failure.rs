//! How a command ends that fails: one error, one exit code.

use std::error::Error;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use windlass::core::{Coded, ErrorKind, IdError};
use windlass::session::CloseAgentError;
use windlass_client::SettingsError;

use crate::figures::kind_name;
use crate::usage::UsageError;

/// Why a command did not end well.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Something was refused or went wrong.
    Error(Box<dyn Coded + Send + Sync>),
    /// A check that was asked for found what it looks for.
    Check(Box<dyn Coded + Send + Sync>),
    /// The user interrupted it.
    Interrupted,
    /// Whoever read standard output has stopped; there is nobody to tell.
    Unheard,
}

impl<E: Coded + Send + Sync + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Error(Box::new(error))
    }
}

impl Failure {
    /// A command line that cannot be understood.
    pub(crate) fn usage(error: clap::Error) -> Self {
        CommandError::Usage(UsageError::new(error)).into()
    }

    /// The stable name of what happened.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Error(error) | Self::Check(error) => error.code(),
            Self::Interrupted | Self::Unheard => "interrupted",
        }
    }

    /// What it asks of its receiver, as it is spelled in JSON.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Error(error) => kind_name(error.kind()),
            Self::Check(_) => "failed",
            Self::Interrupted | Self::Unheard => "interrupted",
        }
    }

    /// What may have been meant and how the command is used, where that is what
    /// was wrong.
    pub(crate) fn usage_hint(&self) -> Option<String> {
        let Self::Error(error) = self else {
            return None;
        };
        let error: &(dyn Error + 'static) = error.as_ref();
        match error.downcast_ref() {
            Some(CommandError::Usage(usage)) => Some(usage.hint()).filter(|hint| !hint.is_empty()),
            _ => None,
        }
    }

    /// The exit code that says what kind of failure it was.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Error(error) => Exit::of(error.kind()),
            Self::Check(_) => Exit::Failed,
            Self::Interrupted => Exit::Interrupted,
            Self::Unheard => Exit::Done,
        }
    }
}

/// The documented exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Done.
    Done = 0,
    /// Failed in a way that no other code names.
    Failed = 1,
    /// Wrong usage or input.
    Invalid = 2,
    /// Somebody else was first, or the state forbids it.
    Conflict = 3,
    /// What was named does not exist for this caller.
    NotFound = 4,
    /// A rule refused.
    Refused = 5,
    /// Not now, or the outcome is unknown.
    Unavailable = 6,
    /// Stored data is damaged.
    Corrupt = 7,
    /// An operator must act first.
    Environment = 8,
    /// Interrupted by the user.
    Interrupted = 130,
}

impl Exit {
    const fn of(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Invalid => Self::Invalid,
            ErrorKind::NotFound => Self::NotFound,
            ErrorKind::Conflict => Self::Conflict,
            ErrorKind::Refused => Self::Refused,
            ErrorKind::Unavailable | ErrorKind::Indeterminate => Self::Unavailable,
            ErrorKind::Environment => Self::Environment,
            ErrorKind::Corrupt => Self::Corrupt,
            _ => Self::Failed,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// What the command line itself can do wrong.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    /// The words make no command.
    #[error(transparent)]
    Usage(UsageError),
    /// An argument is no identifier.
    #[error(transparent)]
    Id(IdError),
    /// Some of an agent's sessions could not be closed.
    #[error(transparent)]
    CloseAgent(CloseAgentError),
    /// There is no such entry, as far as the caller may know.
    #[error("no such entry")]
    NoEntry,
    /// There is no such state or part of one, as far as the caller may know.
    #[error("the session has no such state, or it has no such part")]
    NoState,
    /// What was given for a node, or the name of a state, is not one.
    #[error("`{word}` is {meant}")]
    Word {
        word: &'static str,
        meant: &'static str,
    },
    /// Something irrevocable was asked for without saying so.
    #[error("{what}; repeat with `--yes` to do it, or with `--dry-run` to see how much it is")]
    Unconfirmed { what: &'static str },
    /// What was written to standard output did not arrive.
    #[error("cannot write to standard output; what the command changed stays changed")]
    Output(#[source] io::Error),
    /// A manual page could not be written.
    #[error("cannot write `{}`", path.display())]
    Page { path: PathBuf, source: io::Error },
    /// There is a file already.
    #[error("`{}` exists; choose another name, or repeat with `--yes` to replace it", path.display())]
    Exists { path: PathBuf },
    /// A file that was named could not be used.
    #[error("cannot use `{}`", path.display())]
    File { path: PathBuf, source: io::Error },
    /// Standard output is a terminal, which cannot take what was asked for.
    #[error("this is not for a terminal; name a file, or pass it on with `|`")]
    Terminal,
    /// Something was asked of a server that only a store in this process does.
    #[error("{what} works on a store, not on a server; name the store with `--store`")]
    NeedsStore { what: &'static str },
    /// There is no cache to work on.
    #[error("there is no cache; set `cache.store`, or name a server with `--server`")]
    NoCache,
    /// The client of the server cannot be made.
    #[error(transparent)]
    Client(SettingsError),
    /// The file with the credential cannot be read.
    #[error("cannot read the credential from `{}`", path.display())]
    KeyFile { path: PathBuf, source: io::Error },
    /// The file with the credential can be read by others too.
    #[error("`{}` can be read by others; take that permission away (chmod 600)", path.display())]
    KeyFileExposed { path: PathBuf },
    /// The process got no threads, or no signals.
    #[error("cannot start")]
    Runtime(#[source] io::Error),
}

impl Coded for CommandError {
    fn code(&self) -> &'static str {
        match self {
            Self::Usage(_) => "usage",
            Self::Id(_) => "invalid_id",
            Self::CloseAgent(error) => error.cause.code(),
            Self::NoEntry | Self::NoState => "not_found",
            Self::Word { .. } => "invalid_request",
            Self::Unconfirmed { .. } => "confirmation_required",
            Self::Output(_) => "output_failed",
            Self::Page { .. } => "page_failed",
            Self::Exists { .. } => "file_exists",
            Self::File { .. } => "file_failed",
            Self::Terminal => "terminal",
            Self::NeedsStore { .. } => "needs_store",
            Self::NoCache => "no_cache",
            Self::Client(error) => error.code(),
            Self::KeyFile { .. } => "key_file_unreadable",
            Self::KeyFileExposed { .. } => "key_file_exposed",
            Self::Runtime(_) => "start_failed",
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            Self::Client(SettingsError::Tls(_) | SettingsError::Setup(_)) => ErrorKind::Environment,
            Self::Usage(_)
            | Self::Id(_)
            | Self::Word { .. }
            | Self::Unconfirmed { .. }
            | Self::Terminal
            | Self::NeedsStore { .. }
            | Self::Client(_) => ErrorKind::Invalid,
            Self::Exists { .. } => ErrorKind::Conflict,
            Self::NoEntry | Self::NoState | Self::NoCache => ErrorKind::NotFound,
            Self::CloseAgent(error) => error.cause.kind(),
            Self::Output(_) => ErrorKind::Indeterminate,
            Self::Page { .. }
            | Self::File { .. }
            | Self::KeyFile { .. }
            | Self::KeyFileExposed { .. }
            | Self::Runtime(_) => ErrorKind::Environment,
        }
    }
}
