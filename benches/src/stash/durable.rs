//! A row about durable puts: many sessions, each with a caller that replaces
//! its entries in turn.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use tokio::runtime::Runtime;
use windlass::Windlass;
use windlass::stash::Key;
use windlass::stash::durable::Execution;
use windlass_core::TenantId;

use crate::error::BenchError;
use crate::harness::contest::{Durability, Side, contest};
use crate::harness::row::{Bar, Comparison};
use crate::harness::throughput::{Caller, Throughput, drive};
use crate::sessions::fixture::{TENANT, open, session_id};
use crate::sessions::{Bench, Measured, dropped_note, throughput_figures};

use super::keys;
use super::naive::{Naive, Sizes};

/// Sessions, each with a caller of its own.
pub(super) const SESSIONS: usize = 256;
/// Entries of each session.
pub(super) const ENTRIES: usize = 32;
/// Length of each value as JSON.
const VALUE_BYTES: usize = 200;
/// How long entries live: longer than the bench runs.
pub(super) const TTL_MS: u64 = 24 * 3_600_000;

/// 256 sessions, each with a caller that puts 200 bytes.
///
/// # Errors
///
/// Whatever makes the figures worthless.
pub fn durable(bench: &Bench<'_>) -> Result<Measured, BenchError> {
    let path = |side: &str| bench.directory.join(format!("stash-{side}.db"));
    let files = [path("ours"), path("naive")];
    bench.runtime.block_on(fill(&files[0]))?;
    std::fs::copy(&files[0], &files[1]).map_err(BenchError::io("copy a database"))?;
    let mut sides: Vec<Box<dyn Side<Sample = Throughput>>> = vec![
        Box::new(Ours::open(bench.runtime, &files[0])?),
        Box::new(Naive::open(bench.runtime, &files[1])?),
    ];
    let rounds = contest(&mut sides, bench.effort, bench.directory)?;
    drop(sides);
    let comparison = Comparison {
        what: format!("durable put of {VALUE_BYTES} B, {SESSIONS} sessions, {SESSIONS} callers"),
        versus: "a transaction each",
        unit: "1/s",
        number: &Throughput::per_second,
        figures: &|samples| throughput_figures(samples, Durability::PowerLoss),
        ours: 0,
        against: Some(1),
        bar: Bar::RatioAtLeast(8.0),
    };
    let mut notes = vec![size_note(&files)?];
    notes.extend(dropped_note("durable", &rounds.dropped));
    Ok(Measured {
        rows: vec![comparison.row(&rounds)],
        notes,
    })
}

/// What the rows of each side take, after asserting that it is the same.
fn size_note([ours, naive]: &[PathBuf; 2]) -> Result<String, BenchError> {
    let (ours, naive) = (Sizes::of(ours)?, Sizes::of(naive)?);
    ours.assert_alike(&naive)?;
    Ok(format!(
        "durable: bytes of a head and of an entry (key and sealed value): ours {ours}, naive {naive}"
    ))
}

/// A value of 200 bytes as JSON, another for each number.
pub(super) fn value(number: usize) -> Value {
    let text = format!("{number:08} {}", "found ".repeat(VALUE_BYTES));
    Value::from(text[..VALUE_BYTES - 2].to_owned())
}

/// Puts every entry once.
async fn fill(path: &Path) -> Result<(), BenchError> {
    let windlass = open(path, None).await?;
    let keys = keys(ENTRIES);
    for session in 0..SESSIONS {
        let execution = execution(&windlass, session);
        for (number, key) in keys.iter().enumerate() {
            execution.put(key, &value(number), Some(TTL_MS)).await?;
        }
    }
    Ok(windlass.store().close().await?)
}

fn execution(windlass: &Windlass, session: usize) -> Execution {
    let tenant: TenantId = TENANT.parse().expect("a valid tenant");
    let stash = windlass.stashes().stash(&tenant, &session_id(session));
    stash.execution(None)
}

struct Ours<'r> {
    runtime: &'r Runtime,
    callers: Vec<User>,
}

/// One caller of the engine.
struct User {
    execution: Execution,
    keys: Vec<Key>,
    puts: usize,
}

impl<'r> Ours<'r> {
    fn open(runtime: &'r Runtime, path: &Path) -> Result<Self, BenchError> {
        let windlass = runtime.block_on(open(path, None))?;
        let user = |session| User {
            execution: execution(&windlass, session),
            keys: keys(ENTRIES),
            puts: session,
        };
        Ok(Self {
            runtime,
            callers: (0..SESSIONS).map(user).collect(),
        })
    }
}

impl Side for Ours<'_> {
    type Sample = Throughput;

    fn name(&self) -> &'static str {
        "ours"
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
        let key = &self.keys[self.puts % ENTRIES];
        self.execution
            .put(key, &value(self.puts), Some(TTL_MS))
            .await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_the_length_that_is_told_and_differ() {
        let json = serde_json::to_vec(&value(7)).unwrap();
        assert_eq!(json.len(), VALUE_BYTES);
        assert_ne!(value(7), value(8));
    }
}
