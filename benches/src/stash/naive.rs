//! The other side of durable puts: an async mutex around the one connection,
//! and for each put a transaction on a blocking thread that reads the stash's
//! record and the entry, checks them, and writes both back.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rusqlite::{Connection, TransactionBehavior};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::runtime::Runtime;
use tokio::sync::Mutex;
use windlass::store::key::Key;
use windlass_core::{Env, Millis};
use windlass_stash::limits::{TOTAL_BYTES_DEFAULT, VALUE_BYTES_DEFAULT};

use crate::error::BenchError;
use crate::harness::contest::Side;
use crate::harness::throughput::{Caller, Throughput, drive};
use crate::sessions::fixture::{TENANT, session_id};
use crate::sessions::rows::{self, Statements};

use super::durable::{ENTRIES, SESSIONS, TTL_MS, value};
use super::{keys, system};

/// The record of a stash, as the engine stores it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    v: u8,
    rev: u64,
    at: Millis,
    version: u64,
    rows: u64,
    value_bytes: u64,
    charged_bytes: u64,
    digest: String,
    due: Millis,
    by: Vec<(String, u64)>,
}

/// The record of an entry, as the engine stores it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    v: u8,
    version: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    group: Option<String>,
    size: u64,
    created: Millis,
    updated: Millis,
    expires: Millis,
    value: Value,
}

fn base(session: usize) -> Key {
    Key::new(TENANT)
        .text("stash")
        .text(session_id(session).as_str())
}

/// The naive design, with callers.
#[derive(Debug)]
pub(super) struct Naive<'r> {
    runtime: &'r Runtime,
    callers: Vec<User>,
}

/// The connection behind the mutex.
#[derive(Debug)]
struct Database {
    connection: Connection,
    version: i64,
    env: Arc<dyn Env>,
}

/// One caller.
#[derive(Debug)]
struct User {
    database: Arc<Mutex<Database>>,
    head: Bytes,
    entries: Vec<Bytes>,
    puts: usize,
}

impl<'r> Naive<'r> {
    /// Opens the database at `path`.
    ///
    /// # Errors
    ///
    /// [`BenchError::Sqlite`].
    pub(super) fn open(runtime: &'r Runtime, path: &Path) -> Result<Self, BenchError> {
        let connection = rows::open(path, None)?;
        let version = rows::last_version(&connection)?;
        let database = Arc::new(Mutex::new(Database {
            connection,
            version,
            env: system(),
        }));
        let names = keys(ENTRIES);
        let user = |session| User {
            database: Arc::clone(&database),
            head: base(session).text("head").finish(),
            entries: names
                .iter()
                .map(|name| base(session).text("entry").text(name.as_str()).finish())
                .collect(),
            puts: session,
        };
        Ok(Self {
            runtime,
            callers: (0..SESSIONS).map(user).collect(),
        })
    }
}

impl Side for Naive<'_> {
    type Sample = Throughput;

    fn name(&self) -> &'static str {
        "a transaction each"
    }

    fn run(&mut self, span: Duration) -> Result<Throughput, BenchError> {
        let callers = std::mem::take(&mut self.callers);
        let (throughput, callers) = drive(self.runtime, callers, span)?;
        self.callers = callers;
        Ok(throughput)
    }
}

impl Caller for User {
    async fn call(&mut self) -> Result<(), BenchError> {
        self.puts += 1;
        let (head, entry) = (self.head.clone(), self.entries[self.puts % ENTRIES].clone());
        let value = value(self.puts);
        let mut database = Arc::clone(&self.database).lock_owned().await;
        let put = move || database.put(&head, &entry, value);
        let put = tokio::task::spawn_blocking(put).await;
        put.map_err(|cause| BenchError::Process(cause.to_string()))?
    }
}

impl Database {
    fn put(&mut self, head: &Bytes, entry: &Bytes, value: Value) -> Result<(), BenchError> {
        self.version += 1;
        let (version, now) = (self.version, self.env.now());
        let immediate = TransactionBehavior::Immediate;
        let transaction = self.connection.transaction_with_behavior(immediate)?;
        put_within(&transaction, [head, entry], value, now, version)?;
        transaction.commit()?;
        Ok(())
    }
}

fn put_within(
    connection: &Connection,
    [head_key, entry_key]: [&Bytes; 2],
    value: Value,
    now: Millis,
    version: i64,
) -> Result<(), BenchError> {
    let mut statements = Statements::prepare(connection)?;
    let (mut head, head_version) = statements.record::<Head>(head_key)?;
    let (old, old_version) = statements.record::<Entry>(entry_key)?;
    let json = to_json(&value)?;
    let size = u64::try_from(json.len()).unwrap_or(u64::MAX);
    let total = head.value_bytes - old.size + size;
    let refused = old.group.is_some() || size > VALUE_BYTES_DEFAULT || total > TOTAL_BYTES_DEFAULT;
    if refused || old.expires.has_passed(now) {
        return Err(BenchError::Unfair("a put is refused".into()));
    }
    head.rev += 1;
    head.version += 1;
    head.at = now;
    head.value_bytes = total;
    head.charged_bytes = head.charged_bytes - old.size + size;
    // The engine forgets earlier writers after 32 revisions.
    head.by.drain(..head.by.len().saturating_sub(1));
    let entry = Entry {
        version: head.version,
        size,
        updated: now,
        expires: now.plus_ms(TTL_MS),
        value,
        ..old
    };
    let written = statements.update(head_key, &to_json(&head)?, head_version, version)?
        && statements.update(entry_key, &to_json(&entry)?, old_version, version)?;
    let raced = || BenchError::Unfair("a stash changed under the mutex".into());
    written.then_some(()).ok_or_else(raced)
}

fn to_json<T: Serialize>(value: &T) -> Result<Vec<u8>, BenchError> {
    serde_json::to_vec(value).map_err(|cause| BenchError::Unfair(cause.to_string()))
}

/// How long the rows of a side are, in bytes of keys and sealed values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sizes {
    head: f64,
    entry: f64,
}

impl fmt::Display for Sizes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.0}+{:.0}", self.head, self.entry)
    }
}

impl Sizes {
    /// Measures the database at `path`.
    ///
    /// # Errors
    ///
    /// [`BenchError::Sqlite`].
    pub(super) fn of(path: &Path) -> Result<Self, BenchError> {
        let connection = Connection::open(path)?;
        let mean = |condition: &str| -> Result<f64, BenchError> {
            let range = [format!("{TENANT}/stash/"), format!("{TENANT}/stash0")];
            let sql = format!(
                "SELECT avg(length(key) + length(value)) FROM entry \
                 WHERE key >= ?1 AND key < ?2 AND {condition}"
            );
            let range = range.each_ref().map(String::as_bytes);
            Ok(connection.query_row(&sql, range, |row| row.get(0))?)
        };
        Ok(Self {
            head: mean("substr(key, -5) = CAST('/head' AS BLOB)")?,
            entry: mean("instr(key, CAST('/entry/' AS BLOB)) > 0")?,
        })
    }

    /// Refuses a comparison with a side whose rows are more than five in a
    /// hundred longer or shorter.
    ///
    /// # Errors
    ///
    /// [`BenchError::Unfair`] with both.
    pub(super) fn assert_alike(&self, other: &Self) -> Result<(), BenchError> {
        let far = |ours: f64, other: f64| (other / ours - 1.0).abs() > 0.05;
        if far(self.head, other.head) || far(self.entry, other.entry) {
            let text = format!("rows differ: {self} and {other} bytes");
            return Err(BenchError::Unfair(text));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_other_lengths_are_unfair() {
        let ours = Sizes {
            head: 300.0,
            entry: 400.0,
        };
        let told = |head, entry| {
            let other = Sizes { head, entry };
            ours.assert_alike(&other).map_err(|it| it.to_string())
        };
        assert_eq!(told(310.0, 390.0), Ok(()));
        assert!(told(330.0, 400.0).is_err(), "a longer head");
        assert!(told(300.0, 350.0).is_err(), "a shorter entry");
    }
}
