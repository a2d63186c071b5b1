//! The rows of a use, written with plain SQLite.
//!
//! The sides that ours is compared with begin with a copy of its database and
//! write the rows that it would write, byte for byte but for the counters: so
//! they have the same tables, the same pages and the same sizes, and what
//! they leave behind can be read by the engine. The one row they leave out is
//! the header with the number of the last commit, which only a store needs.

use std::fmt;
use std::path::Path;

use bytes::Bytes;
use rusqlite::{CachedStatement, Connection, OpenFlags, OptionalExtension, params};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use windlass::store::key::Key;
use windlass::store::seal;

use crate::error::BenchError;

use super::fixture::{CHARGE, PRINCIPAL, TENANT, TOOL, session_id};

/// Memory for pages, in KiB: as much as our store takes a connection.
const PAGE_CACHE_KIB: i64 = 16 * 1_024;

/// The hot record of a session, as the engine stores it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Head {
    v: u8,
    rev: u64,
    at: u64,
    calls: (u64, u64),
    tokens: (u64, u64),
    cost: (u64, u64),
    made: u64,
    events: u64,
    due: u64,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    ops: bool,
    rate: Vec<(u64, u64)>,
    by: Vec<(String, u64)>,
}

impl Head {
    /// Whether one more call is within the budget.
    #[must_use]
    pub const fn has_budget(&self) -> bool {
        self.calls.1 < self.calls.0
    }

    /// The number of the last event.
    #[must_use]
    pub const fn events(&self) -> u64 {
        self.events
    }

    /// The number of the last call.
    #[must_use]
    pub const fn made(&self) -> u64 {
        self.made
    }

    /// Counts `calls` more calls in one change.
    pub fn count(&mut self, calls: u64, operations: bool) {
        self.rev += 1;
        self.calls.1 += calls;
        self.made += calls;
        self.events += calls;
        self.tokens.1 += calls * CHARGE.tokens;
        self.cost.1 += calls * CHARGE.cost_micros;
        self.ops |= operations;
        if let Some((_, seen)) = self.rate.last_mut() {
            *seen += calls;
        }
        // The engine forgets earlier writers after 32 revisions.
        self.by.drain(..self.by.len().saturating_sub(1));
    }

    /// The record as it is stored, before it is sealed.
    #[must_use]
    pub fn value(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("numbers and text are valid JSON")
    }

    /// The row of the events from `first` to the last; `operations` has the
    /// operation ids of all of them, or is empty.
    #[must_use]
    pub fn event_value<'a>(
        &self,
        first: u64,
        operations: impl IntoIterator<Item = &'a String>,
    ) -> Vec<u8> {
        let mut operations = operations.into_iter();
        let mut text = String::from(r#"{"v":1,"events":["#);
        for (place, call) in (first..=self.events).enumerate() {
            let comma = if place == 0 { "" } else { "," };
            let (at, tokens, cost) = (self.at, CHARGE.tokens, CHARGE.cost_micros);
            text.push_str(&format!(
                r#"{comma}{{"at":{at},"kind":"use","call":{call},"tool":"{TOOL}","charge":{{"tokens":{tokens},"cost_micros":{cost}}}"#
            ));
            if let Some(operation) = operations.next() {
                text.push_str(&format!(r#","op":"{PRINCIPAL}/{operation}""#));
            }
            text.push('}');
        }
        text.push_str("]}");
        text.into_bytes()
    }

    /// The record of the operation that made `call` in session `session`.
    #[must_use]
    pub fn operation_value(&self, session: usize, call: u64) -> Vec<u8> {
        let id = session_id(session);
        let (at, calls) = (self.at, self.calls.0 - self.calls.1);
        let (tokens, cost) = (self.tokens.0 - self.tokens.1, self.cost.0 - self.cost.1);
        let time = self.due.saturating_sub(self.at);
        let hash = format!("{call:032x}");
        format!(
            r#"{{"v":1,"hash":"{hash}","at":{at},"session":"{id}","answer":{{"receipt":{{"first_call":{call},"last_call":{call},"left":{{"calls":{calls},"tokens":{tokens},"cost_micros":{cost},"time_ms":{time}}},"low":false}}}}}}"#
        )
        .into_bytes()
    }
}

fn base(session: usize) -> Key {
    Key::new(TENANT)
        .text("session")
        .text(session_id(session).as_str())
}

/// The key of a session's hot record.
#[must_use]
pub fn head_key(session: usize) -> Bytes {
    base(session).text("head").finish()
}

/// The key of the row of events from `first` on.
#[must_use]
pub fn event_key(session: usize, first: u64) -> Bytes {
    base(session).text("event").number(first).finish()
}

/// The key of an operation's record.
#[must_use]
pub fn operation_key(operation: &str) -> Bytes {
    Key::new(TENANT)
        .text("op")
        .text(PRINCIPAL)
        .text(operation)
        .finish()
}

/// Opens a database as our store does: a write-ahead log, synced at every
/// commit.
///
/// # Errors
///
/// [`BenchError::Sqlite`].
pub fn open(path: &Path, vfs: Option<&str>) -> Result<Connection, BenchError> {
    let flags = OpenFlags::default();
    let connection = match vfs {
        Some(vfs) => Connection::open_with_flags_and_vfs(path, flags, vfs),
        None => Connection::open_with_flags(path, flags),
    }?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "extra")?;
    connection.pragma_update(None, "cache_size", -PAGE_CACHE_KIB)?;
    Ok(connection)
}

/// The statements both plain sides need, prepared once a connection.
pub struct Statements<'c> {
    begin: CachedStatement<'c>,
    commit: CachedStatement<'c>,
    select: CachedStatement<'c>,
    update: CachedStatement<'c>,
    insert: CachedStatement<'c>,
}

impl fmt::Debug for Statements<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Statements").finish_non_exhaustive()
    }
}

impl<'c> Statements<'c> {
    /// Prepares them, or takes those that were.
    ///
    /// # Errors
    ///
    /// [`BenchError::Sqlite`].
    pub fn prepare(connection: &'c Connection) -> Result<Self, BenchError> {
        Ok(Self {
            begin: connection.prepare_cached("BEGIN IMMEDIATE")?,
            commit: connection.prepare_cached("COMMIT")?,
            select: connection.prepare_cached("SELECT value, version FROM entry WHERE key = ?1")?,
            update: connection.prepare_cached(
                "UPDATE entry SET version = ?2, key_crc = ?3, value = ?4 WHERE key = ?1 AND version = ?5",
            )?,
            insert: connection
                .prepare_cached("INSERT INTO entry (key, version, key_crc, value) VALUES (?1, ?2, ?3, ?4)")?,
        })
    }

    /// Begins a transaction that writes.
    ///
    /// # Errors
    ///
    /// [`BenchError::Sqlite`].
    pub fn begin(&mut self) -> Result<(), BenchError> {
        self.begin.execute([])?;
        Ok(())
    }

    /// Commits it.
    ///
    /// # Errors
    ///
    /// [`BenchError::Sqlite`].
    pub fn commit(&mut self) -> Result<(), BenchError> {
        self.commit.execute([])?;
        Ok(())
    }

    /// The hot record under `key`, with its version.
    ///
    /// # Errors
    ///
    /// [`BenchError::Unfair`] if there is none.
    pub fn head(&mut self, key: &Bytes) -> Result<(Head, i64), BenchError> {
        self.record(key)
    }

    /// The record under `key`, with its version.
    ///
    /// # Errors
    ///
    /// [`BenchError::Unfair`] if there is none, or it is another than the
    /// engine writes.
    pub fn record<T: DeserializeOwned>(&mut self, key: &Bytes) -> Result<(T, i64), BenchError> {
        let found = self.row(key)?;
        let (sealed, version) =
            found.ok_or_else(|| BenchError::Unfair("a record is missing".into()))?;
        let length = sealed.len().saturating_sub(seal::SEAL_BYTES);
        let record = serde_json::from_slice(&sealed[..length])
            .map_err(|cause| BenchError::Unfair(format!("a record differs from ours: {cause}")))?;
        Ok((record, version))
    }

    /// Whether a row is there.
    ///
    /// # Errors
    ///
    /// [`BenchError::Sqlite`].
    pub fn has(&mut self, key: &Bytes) -> Result<bool, BenchError> {
        Ok(self.row(key)?.is_some())
    }

    fn row(&mut self, key: &Bytes) -> Result<Option<(Vec<u8>, i64)>, BenchError> {
        let row = self
            .select
            .query_row([key.as_ref()], |row| Ok((row.get(0)?, row.get(1)?)));
        Ok(row.optional()?)
    }

    /// Replaces the row under `key` if its version is still `expected`;
    /// whether it was.
    ///
    /// # Errors
    ///
    /// [`BenchError::Sqlite`].
    pub fn update(
        &mut self,
        key: &Bytes,
        value: &[u8],
        expected: i64,
        version: i64,
    ) -> Result<bool, BenchError> {
        let (crc, sealed) = sealed(key, value, version);
        let changed = self
            .update
            .execute(params![key.as_ref(), version, crc, sealed, expected])?;
        Ok(changed == 1)
    }

    /// Adds a row.
    ///
    /// # Errors
    ///
    /// [`BenchError::Sqlite`].
    pub fn insert(&mut self, key: &Bytes, value: &[u8], version: i64) -> Result<(), BenchError> {
        let (crc, sealed) = sealed(key, value, version);
        self.insert
            .execute(params![key.as_ref(), version, crc, sealed])?;
        Ok(())
    }
}

/// The checksum of key and version, and the sealed value.
fn sealed(key: &[u8], value: &[u8], version: i64) -> (i64, Vec<u8>) {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&version.to_le_bytes());
    hasher.update(key);
    (
        hasher.finalize().into(),
        seal::seal(key, version.cast_unsigned(), value),
    )
}

/// The number of the last commit in a database.
///
/// # Errors
///
/// [`BenchError::Sqlite`].
pub fn last_version(connection: &Connection) -> Result<i64, BenchError> {
    Ok(connection.query_row("SELECT max(version) FROM entry", [], |row| row.get(0))?)
}

/// What a side wrote for each use, in bytes of keys and sealed values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sizes {
    /// A hot record as it is now.
    pub head: f64,
    /// Rows of events, shared out over the uses in them.
    pub event: f64,
    /// A record of an operation id; zero where there are none.
    pub operation: f64,
}

impl Sizes {
    /// Measures the database at `path`, which nobody has open.
    ///
    /// # Errors
    ///
    /// [`BenchError::Sqlite`].
    pub fn of(path: &Path) -> Result<Self, BenchError> {
        let connection = Connection::open(path)?;
        let sum = |part: &str, condition: &str| -> Result<(f64, f64), BenchError> {
            let range = [format!("{TENANT}/{part}/"), format!("{TENANT}/{part}0")];
            let sql = format!(
                "SELECT total(1), total(length(key) + length(value)) FROM entry \
                 WHERE key >= ?1 AND key < ?2 AND {condition}"
            );
            let range = range.each_ref().map(String::as_bytes);
            Ok(connection.query_row(&sql, range, |row| Ok((row.get(0)?, row.get(1)?)))?)
        };
        let (heads, head_bytes) = sum("session", "substr(key, -5) = CAST('/head' AS BLOB)")?;
        let (_, event_bytes) = sum("session", "instr(key, CAST('/event/' AS BLOB)) > 0")?;
        let (operations, operation_bytes) = sum("op", "1")?;
        let uses = uses(&connection)?;
        Ok(Self {
            head: head_bytes / heads,
            event: event_bytes / uses,
            operation: if operations == 0.0 {
                0.0
            } else {
                operation_bytes / operations
            },
        })
    }

    /// Refuses a comparison with a side whose rows are more than five in a
    /// hundred larger, or ten smaller: a side that is faster gets to higher
    /// numbers, and writes a digit more for each of its counters.
    ///
    /// # Errors
    ///
    /// [`BenchError::Unfair`] naming the row.
    pub fn assert_alike(&self, other: &Self) -> Result<(), BenchError> {
        let pairs = [
            ("hot records", self.head, other.head),
            ("rows of events", self.event, other.event),
            ("records of operations", self.operation, other.operation),
        ];
        for (what, ours, other) in pairs {
            if other > ours * 1.05 || other < ours * 0.9 {
                let text = format!("{what} differ: {ours:.0} and {other:.0} bytes a use");
                return Err(BenchError::Unfair(text));
            }
        }
        Ok(())
    }
}

fn uses(connection: &Connection) -> Result<f64, BenchError> {
    let range = [format!("{TENANT}/session/"), format!("{TENANT}/session0")];
    Ok(connection.query_row(
        "SELECT total(json_extract(CAST(substr(value, 1, length(value) - 9) AS TEXT), '$.made')) \
         FROM entry WHERE key >= ?1 AND key < ?2 AND substr(key, -5) = CAST('/head' AS BLOB)",
        range.each_ref().map(String::as_bytes),
        |row| row.get(0),
    )?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_that_differ_by_more_than_some_digits_are_unfair() {
        let ours = Sizes {
            head: 300.0,
            event: 200.0,
            operation: 0.0,
        };
        let refusal = |head, event| {
            let other = Sizes {
                head,
                event,
                ..ours
            };
            ours.assert_alike(&other).map_err(|it| it.to_string())
        };
        assert_eq!(refusal(310.0, 200.0), Ok(()));
        assert_eq!(refusal(280.0, 200.0), Ok(()));
        let expected = "hot records differ: 300 and 320 bytes a use";
        assert_eq!(refusal(320.0, 200.0), Err(expected.to_owned()));
        let expected = "rows of events differ: 200 and 100 bytes a use";
        assert_eq!(refusal(300.0, 100.0), Err(expected.to_owned()));
    }
}
