//! Every way in which settings can be refused.

use std::io;
use std::path::PathBuf;

use windlass::cache::CacheError;
use windlass::core::{Coded, ErrorKind};
use windlass::stash::StashError;

use super::setting::{Origin, ValueError};
use super::shown;

/// Longest part of an unknown name that an error repeats, in characters.
const ECHO_CHARACTERS_MAX: usize = 64;

/// Why the settings cannot be used. Nothing was opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("cannot read the configuration file `{}`", shown(path))]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("the configuration file `{}` has more than {max} bytes", shown(path))]
    TooLarge { path: PathBuf, max: u64 },
    #[error(
        "the configuration file `{}` is not TOML at line {line}: {why}",
        shown(path)
    )]
    Syntax {
        path: PathBuf,
        line: usize,
        why: String,
    },
    #[error(
        "there is no setting `{name}`{}; the nearest is `{nearest}`",
        place(origin)
    )]
    Unknown {
        name: String,
        origin: Origin,
        nearest: String,
    },
    #[error("`{setting}` ({origin}) must be {expected}")]
    Type {
        setting: &'static str,
        origin: Origin,
        expected: &'static str,
    },
    #[error("`{setting}` ({origin}) cannot be accepted")]
    Value {
        setting: &'static str,
        origin: Origin,
        source: ValueError,
    },
    #[error("the settings of the stash contradict each other")]
    Stash(#[source] StashError),
    #[error("the settings of the cache contradict each other")]
    Cache(#[source] CacheError),
    #[error("`{setting}` is needed beside the other settings of an issuer of tokens")]
    Missing { setting: &'static str },
    #[error("the value of {origin} is not UTF-8")]
    NotText { origin: Origin },
}

impl Coded for ConfigError {
    fn code(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "config_unreadable",
            Self::TooLarge { .. } => "config_too_large",
            Self::Syntax { .. } => "config_syntax",
            Self::Unknown { .. } => "unknown_setting",
            Self::Type { .. }
            | Self::Value { .. }
            | Self::Stash(_)
            | Self::Cache(_)
            | Self::Missing { .. }
            | Self::NotText { .. } => "invalid_setting",
        }
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }
}

/// As much of `name` as an error repeats.
pub(crate) fn cut(name: &str) -> String {
    if name.chars().count() <= ECHO_CHARACTERS_MAX {
        return name.to_owned();
    }
    let beginning: String = name.chars().take(ECHO_CHARACTERS_MAX).collect();
    format!("{beginning}...")
}

/// Where an unknown name stands, if the name does not say so itself.
fn place(origin: &Origin) -> String {
    match origin {
        Origin::File(_) => format!(" ({origin})"),
        Origin::Default | Origin::Variable(_) | Origin::Flag(_) => String::new(),
    }
}
