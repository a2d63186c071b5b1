//! Where a store is, as text.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use windlass_core::{Coded, ErrorKind};

/// Where a store is: `memory:`, `sqlite:PATH`, `sled:PATH` or
/// `postgres://USER@HOST/DATABASE`.
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
    /// A schema of a PostgreSQL database, made if there is none.
    Postgres(PostgresAddress),
}

/// The address of a PostgreSQL database, as libpq spells it, with the schema
/// as a parameter of ours: `postgres://user@first,second:5433/database?schema=agents`.
///
/// It may hold a password, which is never shown.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PostgresAddress(String);

impl PostgresAddress {
    /// The whole address, password included: for whoever connects.
    #[must_use]
    pub fn secret(&self) -> &str {
        &self.0
    }

    /// The address without what stands between user and host. A password may
    /// have any character, so it ends at the last `@`.
    fn without_password(&self) -> String {
        let start = self.0.find("//").map_or(0, |at| at + 2);
        let (scheme, rest) = self.0.split_at(start);
        let parts = rest.rsplit_once('@');
        let parts = parts.and_then(|(user, place)| Some((user.split_once(':')?.0, place)));
        match parts {
            Some((user, place)) => format!("{scheme}{user}:***@{place}"),
            None => self.0.clone(),
        }
    }
}

impl fmt::Display for PostgresAddress {
    /// The address with `***` for a password. One that is not encoded as it
    /// should be may hide what stands behind it as well.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.without_password();
        let (before, parameters) = match shown.split_once('?') {
            Some((before, parameters)) => (before, Some(parameters)),
            None => (&shown[..], None),
        };
        f.write_str(before)?;
        let pairs = parameters.into_iter().flat_map(|it| it.split('&'));
        for (place, pair) in pairs.enumerate() {
            f.write_str(if place == 0 { "?" } else { "&" })?;
            match pair.split_once('=') {
                Some((name, _)) if name.contains("password") => write!(f, "{name}=***")?,
                _ => f.write_str(pair)?,
            }
        }
        Ok(())
    }
}

impl fmt::Debug for PostgresAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresAddress({self})")
    }
}

impl StoreLocation {
    /// The schemes a location may begin with, as they are spelled.
    pub const SCHEMES: [&'static str; 4] = ["memory", "sqlite", "sled", "postgres"];

    /// The scheme this location begins with.
    #[must_use]
    pub const fn scheme(&self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Sqlite(_) => "sqlite",
            Self::Sled(_) => "sled",
            Self::Postgres(_) => "postgres",
        }
    }
}

impl fmt::Display for StoreLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory => f.write_str("memory:"),
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Sled(path) => write!(f, "sled:{}", path.display()),
            Self::Postgres(address) => address.fmt(f),
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
            "postgres" | "postgresql" => postgres(text, rest),
            _ => Err(LocationError::UnknownScheme),
        }
    }
}

fn postgres(text: &str, rest: &str) -> Result<StoreLocation, LocationError> {
    if rest.contains('\0') {
        return Err(LocationError::Nul);
    }
    let address = rest.strip_prefix("//").unwrap_or_default();
    if address.is_empty() {
        return Err(LocationError::NoServer);
    }
    Ok(StoreLocation::Postgres(PostgresAddress(text.to_owned())))
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
    #[error(
        "a store location begins with its scheme: `memory:`, `sqlite:PATH`, `sled:PATH` or \
         `postgres://USER@HOST/DATABASE`"
    )]
    NoScheme,
    /// It begins with a scheme that no store has.
    #[error(
        "the scheme of the store location is unknown; known are `memory:`, `sqlite:PATH`, \
         `sled:PATH` and `postgres://USER@HOST/DATABASE`"
    )]
    UnknownScheme,
    /// `sqlite:` or `sled:` without a path.
    #[error("`sqlite:` needs the path of a file after it, and `sled:` that of a directory")]
    EmptyPath,
    /// `postgres:` without a server.
    #[error("`postgres:` needs an address after it: `postgres://USER@HOST/DATABASE`")]
    NoServer,
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
    fn the_address_of_a_server_is_shown_without_its_password() {
        let table = [
            ("postgres://h/d", "postgres://h/d"),
            ("postgres://me@h/d", "postgres://me@h/d"),
            ("postgresql://me:x@h/d", "postgresql://me:***@h/d"),
            (
                "postgres://me:p@ss:w@h,i:2/d?a=b",
                "postgres://me:***@h,i:2/d?a=b",
            ),
            (
                "postgres://h/d?password=x&schema=s",
                "postgres://h/d?password=***&schema=s",
            ),
            ("postgres://me:p?w@h/d?a=b", "postgres://me:***@h/d?a=b"),
            ("postgres://me:p@s?s@h/d", "postgres://me:***@h/d"),
            ("postgres://me:p/w?x&y@h", "postgres://me:***@h"),
            (
                "postgres://h/d?a=b&password=p:w@x",
                "postgres://h/d?a=b&password=***",
            ),
            ("postgres://me@h/d?a=b@c", "postgres://me@h/d?a=b@c"),
        ];
        for (text, shown) in table {
            let location: StoreLocation = text.parse().unwrap();
            assert_eq!(location.to_string(), shown);
            let debug = format!("{location:?}");
            assert!(debug.contains(shown), "{debug}");
            let StoreLocation::Postgres(address) = location else {
                panic!("{text} is the address of a server");
            };
            assert_eq!(address.secret(), text);
        }
    }

    #[test]
    fn what_is_no_location_is_refused_with_its_reason() {
        let table = [
            ("", LocationError::NoScheme),
            ("windlass.db", LocationError::NoScheme),
            ("mysql://user:secret@host/db", LocationError::UnknownScheme),
            ("Sqlite:a.db", LocationError::UnknownScheme),
            (":a.db", LocationError::UnknownScheme),
            ("sqlite:", LocationError::EmptyPath),
            ("sled:", LocationError::EmptyPath),
            ("sled:a\0b", LocationError::Nul),
            ("sqlite:a\0b", LocationError::Nul),
            ("memory:a", LocationError::UnexpectedPath),
            ("postgres:", LocationError::NoServer),
            ("postgres://", LocationError::NoServer),
            ("postgres:host/db", LocationError::NoServer),
            ("postgres://h\0/d", LocationError::Nul),
        ];
        for (text, expected) in table {
            assert_eq!(text.parse::<StoreLocation>(), Err(expected), "{text:?}");
        }
    }

    #[test]
    fn an_error_names_every_scheme_and_repeats_nothing_of_the_text() {
        let error = "mysql://user:secret@host/db"
            .parse::<StoreLocation>()
            .unwrap_err();
        let shown = error.to_string();
        assert!(
            !shown.contains("secret") && !shown.contains("mysql"),
            "{shown}"
        );
        for scheme in StoreLocation::SCHEMES {
            assert!(shown.contains(&format!("`{scheme}:")), "{shown}");
        }
    }
}
