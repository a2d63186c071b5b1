//! Where a store is, as text.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use windlass_core::{Coded, ErrorKind};

/// Where a store is: `memory:`, `sqlite:PATH` or `sled:PATH`.
///
/// Every build can parse and print every location; opening one whose store
/// was left out of the build is [`OpenError::NotBuilt`](crate::OpenError).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreLocation {
    /// A new, empty store in this process's memory.
    Memory,
    /// A `SQLite` database file, created if there is none.
    Sqlite(PathBuf),
    /// A directory of sled's files, created if there is none. One process at
    /// a time has it open, whatever the sharing asked for.
    Sled(PathBuf),
}

impl StoreLocation {
    /// The schemes a location may begin with, as they are spelled.
    pub const SCHEMES: [&'static str; 3] = ["memory", "sqlite", "sled"];

    /// The scheme this location begins with.
    #[must_use]
    pub const fn scheme(&self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Sqlite(_) => "sqlite",
            Self::Sled(_) => "sled",
        }
    }
}

impl fmt::Display for StoreLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory:"),
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Sled(path) => write!(f, "sled:{}", path.display()),
        }
    }
}

impl FromStr for StoreLocation {
    type Err = LocationError;

    fn from_str(text: &str) -> Result<Self, LocationError> {
        let (scheme, rest) = text.split_once(':').ok_or(LocationError::NoScheme)?;
        match scheme {
            "memory" if rest.is_empty() => Ok(Self::Memory),
            "memory" => Err(LocationError::UnexpectedPath),
            "sqlite" => Ok(Self::Sqlite(path(rest)?)),
            "sled" => Ok(Self::Sled(path(rest)?)),
            _ => Err(LocationError::UnknownScheme),
        }
    }
}

fn path(path: &str) -> Result<PathBuf, LocationError> {
    if path.is_empty() {
        return Err(LocationError::EmptyPath);
    }
    if path.contains('\0') {
        return Err(LocationError::Nul);
    }
    Ok(path.into())
}

/// Why a text is no [`StoreLocation`]. Never repeats the text: the locations
/// of other products carry passwords.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LocationError {
    /// There is no `:` in it.
    #[error("a store location begins with its scheme: `memory:`, `sqlite:PATH` or `sled:PATH`")]
    NoScheme,
    /// It begins with a scheme that no store has.
    #[error(
        "the scheme of the store location is unknown; known are `memory:`, `sqlite:PATH` and `sled:PATH`"
    )]
    UnknownScheme,
    /// `sqlite:` or `sled:` without a path.
    #[error("`sqlite:` needs the path of a file after it, and `sled:` that of a directory")]
    EmptyPath,
    /// `memory:` with something after it.
    #[error("`memory:` takes nothing after it")]
    UnexpectedPath,
    /// No file system can name such a file.
    #[error("the path of a store location has a NUL character")]
    Nul,
}

impl Coded for LocationError {
    fn code(&self) -> &'static str {
        "invalid_location"
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_are_printed_as_they_are_parsed() {
        for text in [
            "memory:",
            "sqlite:a.db",
            "sqlite:/tmp/a:b.db",
            "sqlite:dir/ä b.db",
            "sled:agents.sled",
        ] {
            let location: StoreLocation = text.parse().unwrap();
            assert_eq!(location.to_string(), text);
            assert!(
                StoreLocation::SCHEMES.contains(&location.scheme()),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_location_is_refused_with_its_reason() {
        let table = [
            ("", LocationError::NoScheme),
            ("windlass.db", LocationError::NoScheme),
            (
                "postgres://user:secret@host/db",
                LocationError::UnknownScheme,
            ),
            ("Sqlite:a.db", LocationError::UnknownScheme),
            (":a.db", LocationError::UnknownScheme),
            ("sqlite:", LocationError::EmptyPath),
            ("sled:", LocationError::EmptyPath),
            ("sled:a\0b", LocationError::Nul),
            ("sqlite:a\0b", LocationError::Nul),
            ("memory:a", LocationError::UnexpectedPath),
        ];
        for (text, expected) in table {
            assert_eq!(text.parse::<StoreLocation>(), Err(expected), "{text:?}");
        }
    }

    #[test]
    fn an_error_names_every_scheme_and_repeats_nothing_of_the_text() {
        let error = "postgres://user:secret@host/db"
            .parse::<StoreLocation>()
            .unwrap_err();
        let shown = error.to_string();
        assert!(
            !shown.contains("secret") && !shown.contains("postgres"),
            "{shown}"
        );
        for scheme in StoreLocation::SCHEMES {
            assert!(shown.contains(&format!("`{scheme}:")), "{shown}");
        }
    }
}
