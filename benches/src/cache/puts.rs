//! Puts of many callers into the second tier, beside a transaction for each:
//! with an async mutex around the one connection and a blocking thread, as a
//! service has that does no more than it must, and by one thread in a loop,
//! which nothing that serves callers can be.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rusqlite::Connection;
use tokio::runtime::Runtime;
use tokio::sync::Mutex;
use windlass_cache::{Admission, Compression, Key, Namespace, Policy, Put, TieredCache};
use windlass_replay::{ReadOptions, Recording};
use windlass_store_sqlite::Durability as Survives;

use super::l2::{blob, over_with, sqlite};
use crate::clock;
use crate::error::BenchError;
use crate::harness::contest::{Durability, Side, contest};
use crate::harness::row::{Bar, Comparison, Figures};
use crate::harness::throughput::{Caller, decimal, drive};
use crate::sessions::{Bench, Measured, dropped_note};

/// Callers that put at the same time.
const CALLERS: usize = 64;
/// Bytes that each puts.
const BYTES: usize = 4 << 10;
/// Keys that each goes through.
const KEYS: usize = 64;
/// Different blobs that are put.
const BLOBS: usize = 512;
/// When an entry ends, in milliseconds: later than the bench.
const TTL_MS: i64 = 3_600_000;
/// Recordings whose messages are put, below the folder of all.
const RECORDED: [&str; 4] = ["openhands", "swe-agent", "tau-bench", "tau2-toolorchestra"];

/// What is put, and how it is stored.
struct Blobs {
    name: &'static str,
    all: Vec<Bytes>,
    compression: Compression,
    bar: Bar,
}

/// Puts of what recorded agents read and wrote, and of noise.
///
/// # Errors
///
/// Whatever makes the figures worthless.
pub fn puts(bench: &Bench<'_>) -> Result<Measured, BenchError> {
    let mut measured = Measured::default();
    let noise = (0..BLOBS).map(|seed| blob(BYTES, seed).into());
    let bar = Bar::RatioAtLeast(5.0);
    let mut kinds = vec![Blobs {
        name: "noise",
        all: noise.collect(),
        compression: Compression::None,
        bar,
    }];
    if let Some(all) = recorded(&mut measured)? {
        kinds.push(Blobs {
            name: "recorded text",
            all: all.clone(),
            compression: Compression::None,
            bar,
        });
        kinds.push(Blobs {
            name: "the same, compressed",
            all,
            compression: Compression::Lz4,
            bar: Bar::Absent,
        });
    }
    for survives in [Survives::Power, Survives::Process] {
        for blobs in &kinds {
            measure(bench, survives, blobs, &mut measured)?;
        }
    }
    Ok(measured)
}

/// Messages of recorded agents, one after the other, cut into blobs: as many
/// of each set. None if one is not there, which is said.
fn recorded(measured: &mut Measured) -> Result<Option<Vec<Bytes>>, BenchError> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/trajectories");
    let mut all = Vec::new();
    for set in RECORDED {
        let path = data.join(set);
        if !path.exists() {
            let note = format!("SKIPPED recorded puts: {} is not there", path.display());
            measured.notes.push(note);
            return Ok(None);
        }
        let recording = Recording::read(&path, &ReadOptions::default());
        let recording = recording.map_err(|error| BenchError::Process(error.to_string()))?;
        let messages = recording.runs.iter().flat_map(|run| &run.messages);
        let bytes = messages.flat_map(|message| message.text.bytes());
        let bytes: Bytes = bytes.take(BYTES * BLOBS / RECORDED.len()).collect();
        let whole = bytes.chunks_exact(BYTES);
        all.extend(whole.map(|blob| bytes.slice_ref(blob)));
    }
    Ok(Some(all))
}

fn measure(
    bench: &Bench<'_>,
    survives: Survives,
    blobs: &Blobs,
    measured: &mut Measured,
) -> Result<(), BenchError> {
    let (word, durability) = match survives {
        Survives::Power => ("power", Durability::PowerLoss),
        Survives::Process => ("process", Durability::Process),
    };
    let kind = blobs.name.replace([' ', ','], "-");
    let path = |name: &str| bench.directory.join(format!("{name}-{word}-{kind}.db"));
    let mut sides: [Box<dyn Side<Sample = f64> + '_>; 3] = [
        ours(bench, &path("puts"), survives, blobs)?,
        naive(bench, &path("naive"), survives, blobs)?,
        Box::new(Loop {
            table: Table::open(&path("loop"), survives)?,
            blobs: blobs.all.clone(),
            next: 0,
        }),
    ];
    let rounds = contest(&mut sides, bench.effort, bench.directory)?;
    let against = [
        (1, "a transaction each", blobs.bar),
        (2, "one thread, no callers", Bar::Absent),
    ];
    for (place, versus, bar) in against {
        let comparison = Comparison {
            what: format!(
                "cache below: put of 4 KiB of {}, {CALLERS} callers",
                blobs.name
            ),
            versus,
            unit: "1/s",
            number: &|rate: &f64| *rate,
            figures: &|all| Figures::plain(all.iter().map(|it| **it), durability),
            ours: 0,
            against: Some(place),
            bar,
        };
        measured.rows.push(comparison.row(&rounds));
    }
    measured.notes.extend(dropped_note("puts", &rounds.dropped));
    Ok(())
}

fn name(caller: usize, number: usize) -> String {
    format!("page/{caller}/{}", number % KEYS)
}

/// What a caller puts next: never what it put under the same key before.
fn pick(blobs: &[Bytes], caller: usize, number: usize) -> &Bytes {
    &blobs[(caller * 7 + number + number / KEYS) % blobs.len()]
}

fn ours<'b>(
    bench: &Bench<'b>,
    path: &Path,
    survives: Survives,
    blobs: &Blobs,
) -> Result<Box<dyn Side<Sample = f64> + 'b>, BenchError> {
    let cache = bench.runtime.block_on(async {
        let store = sqlite(path, survives).await?;
        over_with(store, blobs.compression).await
    })?;
    let putter = |caller| {
        let names = (0..KEYS).map(|number| Key::try_from(name(caller, number)));
        Ok::<_, BenchError>(Putter {
            cache: cache.clone(),
            space: "pages".parse()?,
            keys: names.collect::<Result<_, _>>()?,
            blobs: blobs.all.clone(),
            caller,
            next: 0,
        })
    };
    Ok(Box::new(Callers {
        name: "ours",
        runtime: bench.runtime,
        callers: (0..CALLERS).map(putter).collect::<Result<_, _>>()?,
    }))
}

fn naive<'b>(
    bench: &Bench<'b>,
    path: &Path,
    survives: Survives,
    blobs: &Blobs,
) -> Result<Box<dyn Side<Sample = f64> + 'b>, BenchError> {
    let table = Arc::new(Mutex::new(Table::open(path, survives)?));
    let user = |caller| User {
        table: Arc::clone(&table),
        blobs: blobs.all.clone(),
        caller,
        next: 0,
    };
    Ok(Box::new(Callers {
        name: "a transaction each",
        runtime: bench.runtime,
        callers: (0..CALLERS).map(user).collect(),
    }))
}

/// Many callers of one side.
struct Callers<'r, C> {
    name: &'static str,
    runtime: &'r Runtime,
    callers: Vec<C>,
}

impl<C: Caller> Side for Callers<'_, C> {
    type Sample = f64;

    fn name(&self) -> &'static str {
        self.name
    }

    fn run(&mut self, span: Duration) -> Result<f64, BenchError> {
        let callers = std::mem::take(&mut self.callers);
        let (throughput, callers) = drive(self.runtime, callers, span)?;
        self.callers = callers;
        Ok(throughput.per_second())
    }
}

/// One of many that put into our cache.
struct Putter {
    cache: TieredCache,
    space: Namespace,
    keys: Vec<Key>,
    blobs: Vec<Bytes>,
    caller: usize,
    next: usize,
}

impl Caller for Putter {
    async fn call(&mut self) -> Result<(), BenchError> {
        self.next += 1;
        let key = &self.keys[self.next % KEYS];
        let policy = Policy {
            admission: Admission::Never,
            ..Policy::ttl_ms(TTL_MS.cast_unsigned())
        };
        let put = Put {
            policy,
            ..Put::new(pick(&self.blobs, self.caller, self.next).clone())
        };
        self.cache.put(&self.space, key, put).await?;
        Ok(())
    }
}

/// One of many that put a row in a transaction each, on a blocking thread.
struct User {
    table: Arc<Mutex<Table>>,
    blobs: Vec<Bytes>,
    caller: usize,
    next: usize,
}

impl Caller for User {
    async fn call(&mut self) -> Result<(), BenchError> {
        self.next += 1;
        let key = name(self.caller, self.next);
        let value = pick(&self.blobs, self.caller, self.next).clone();
        let table = Arc::clone(&self.table).lock_owned().await;
        let put = tokio::task::spawn_blocking(move || table.put(key, &value)).await;
        put.map_err(|cause| BenchError::Process(cause.to_string()))?
    }
}

/// One thread that does nothing else.
struct Loop {
    table: Table,
    blobs: Vec<Bytes>,
    next: usize,
}

impl Side for Loop {
    type Sample = f64;

    fn name(&self) -> &'static str {
        "one thread, no callers"
    }

    fn run(&mut self, span: Duration) -> Result<f64, BenchError> {
        let (start, mut calls) = (clock::now(), 0_u64);
        while start.elapsed() < span {
            self.next += 1;
            let (caller, number) = (self.next % CALLERS, self.next / CALLERS);
            let value = pick(&self.blobs, caller, number);
            self.table.put(name(caller, number), value)?;
            calls += 1;
        }
        Ok(decimal(calls) / start.elapsed().as_secs_f64())
    }
}

/// A table of entries, and nothing beside it.
struct Table {
    connection: Connection,
}

impl Table {
    fn open(path: &Path, survives: Survives) -> Result<Self, BenchError> {
        let connection = Connection::open(path)?;
        connection.pragma_update(None, "journal_mode", "wal")?;
        let level = match survives {
            Survives::Power => "extra",
            Survives::Process => "normal",
        };
        connection.pragma_update(None, "synchronous", level)?;
        let table = "CREATE TABLE entry (key TEXT PRIMARY KEY, until INTEGER, value BLOB)";
        connection.execute(table, [])?;
        Ok(Self { connection })
    }

    fn put(&self, key: String, value: &Bytes) -> Result<(), BenchError> {
        let sql = "INSERT OR REPLACE INTO entry (key, until, value) VALUES (?1, ?2, ?3)";
        let mut statement = self.connection.prepare_cached(sql)?;
        statement.execute((key, TTL_MS, &value[..]))?;
        Ok(())
    }
}
