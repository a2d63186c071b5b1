//! The second tier: hits that come from a store, beside files that are opened
//! and read and beside another cache on the disk; and flushes.

use std::fs;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use tokio::runtime::Runtime;
use windlass::SystemEnv;
use windlass_cache::{
    Admission, Compression, Config, Key, Namespace, Options, Policy, Presence, Put, SweepLimit,
    TieredCache,
};
use windlass_store::Store;
use windlass_store_sled::SledStore;
use windlass_store_sqlite::{Durability as Survives, SqliteStore};

use crate::clock;
use crate::error::BenchError;
use crate::harness::contest::{Durability, Rounds, Side, contest};
use crate::harness::row::{Bar, Comparison, Figures, Row};
use crate::harness::throughput::decimal;
use crate::peers::skipped;
use crate::sessions::{Bench, Measured, dropped_note};

use super::peer::Foyer;

/// Blobs of one size.
#[derive(Clone, Copy, Debug)]
struct Blobs {
    bytes: usize,
    count: usize,
    /// How much longer than a file a hit may take.
    file: Bar,
    /// How much longer than a hit of the other cache.
    peer: Bar,
}

const SIZES: [Blobs; 3] = [
    Blobs {
        bytes: 4 << 10,
        count: 512,
        file: Bar::RatioAtMost(4.0),
        peer: Bar::RatioAtMost(1.0),
    },
    Blobs {
        bytes: 64 << 10,
        count: 128,
        file: Bar::RatioAtMost(4.0),
        peer: Bar::RatioAtMost(1.0),
    },
    Blobs {
        bytes: 1 << 20,
        count: 16,
        file: Bar::RatioAtMost(6.0),
        peer: Bar::Absent,
    },
];
/// Entries that are flushed: few, many, and as many as show that it runs.
const FLUSHED: [usize; 3] = [100, 1_000_000, 10_000];
/// How often each is flushed.
const FLUSHES: usize = 7;
/// How long what was put has to settle before it is flushed: logs are copied
/// and files of the disk written behind the last acknowledged put.
const SETTLE: Duration = Duration::from_secs(2);

/// Hits and flushes of the second tier.
///
/// # Errors
///
/// Whatever makes the figures worthless.
pub fn l2(bench: &Bench<'_>) -> Result<Measured, BenchError> {
    let mut measured = Measured::default();
    for blobs in SIZES {
        hits(bench, blobs, &mut measured)?;
    }
    if bench.peer.is_none() {
        measured.notes.push(skipped("foyer's disk hit"));
    }
    flushes(bench, &mut measured)?;
    Ok(measured)
}

fn options() -> Options {
    Options {
        first: Config {
            l1_bytes_max: 1 << 30,
            entry_bytes_guess: 512,
            ..Config::default()
        },
        ..Options::default()
    }
}

/// A store that is opened as the engine opens that of a cache, but for what it
/// survives.
pub(super) async fn sqlite(path: &Path, survives: Survives) -> Result<Arc<dyn Store>, BenchError> {
    let options = windlass_store_sqlite::Options {
        sharing: windlass_store_sqlite::Sharing::Exclusive,
        durability: survives,
        reads: windlass_store_sqlite::Reads::OnCaller {
            page_cache_kib: 32 << 10,
        },
        copies: windlass_store_sqlite::Copies::Beside,
        wal_copy_bytes: 64 << 20,
        wal_empty_bytes: 256 << 20,
        ..Default::default()
    };
    Ok(Arc::new(SqliteStore::open(path, options).await?))
}

pub(super) async fn over(store: Arc<dyn Store>) -> Result<TieredCache, BenchError> {
    over_with(store, Compression::default()).await
}

pub(super) async fn over_with(
    store: Arc<dyn Store>,
    compression: Compression,
) -> Result<TieredCache, BenchError> {
    let env = Arc::new(SystemEnv::new());
    let options = Options {
        compression,
        ..options()
    };
    Ok(TieredCache::open(store, env, options, "bench").await?)
}

/// A blob that no disk can make smaller.
pub(super) fn blob(bytes: usize, seed: usize) -> Vec<u8> {
    let mut state = u64::try_from(seed).unwrap_or(1).wrapping_mul(2) + 1;
    let words = (0..bytes.div_ceil(8)).flat_map(|_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words.take(bytes).collect()
}

/// What is read over and over.
enum Held {
    Cache {
        name: &'static str,
        cache: TieredCache,
        space: Namespace,
        keys: Vec<Key>,
    },
    Files(Vec<PathBuf>),
}

/// Reads one after the other, each from below.
struct Reader<'a> {
    runtime: &'a Runtime,
    held: Held,
    bytes: usize,
    next: usize,
}

impl Reader<'_> {
    fn read(&mut self) -> Result<usize, BenchError> {
        self.next += 1;
        match &self.held {
            Held::Cache {
                cache, space, keys, ..
            } => {
                let key = &keys[self.next * 7 % keys.len()];
                let found = self.runtime.block_on(cache.get(space, key))?;
                Ok(found.map_or(0, |found| black_box(found.value()).len()))
            }
            Held::Files(paths) => {
                let path = &paths[self.next * 7 % paths.len()];
                let bytes = fs::read(path).map_err(BenchError::io("read a blob"))?;
                Ok(black_box(bytes).len())
            }
        }
    }
}

impl Side for Reader<'_> {
    type Sample = f64;

    fn name(&self) -> &'static str {
        match &self.held {
            Held::Cache { name, .. } => name,
            Held::Files(_) => "a file each",
        }
    }

    /// Microseconds a read.
    fn run(&mut self, span: Duration) -> Result<f64, BenchError> {
        let (start, mut calls) = (clock::now(), 0_u64);
        while start.elapsed() < span {
            for _ in 0..8 {
                if self.read()? != self.bytes {
                    return Err(BenchError::Unfair("a blob is not there".to_owned()));
                }
            }
            calls += 8;
        }
        Ok(start.elapsed().as_secs_f64() * 1e6 / decimal(calls))
    }
}

async fn fill(
    name: &'static str,
    store: Arc<dyn Store>,
    bytes: usize,
    count: usize,
) -> Result<Held, BenchError> {
    let cache = over(store).await?;
    let space: Namespace = "pages".parse()?;
    let names = (0..count).map(|number| format!("page/{number}"));
    let keys: Vec<Key> = names.map(Key::try_from).collect::<Result<_, _>>()?;
    for (number, key) in keys.iter().enumerate() {
        // Never in memory, so that each get is one of the store.
        let policy = Policy {
            admission: Admission::Never,
            ..Policy::default()
        };
        let put = Put {
            policy,
            ..Put::new(blob(bytes, number))
        };
        cache.put(&space, key, put).await?;
    }
    Ok(Held::Cache {
        name,
        cache,
        space,
        keys,
    })
}

fn files(directory: &Path, bytes: usize, count: usize) -> Result<Held, BenchError> {
    let directory = directory.join(format!("blobs-{bytes}"));
    fs::create_dir_all(&directory).map_err(BenchError::io("make a directory"))?;
    let mut paths = Vec::with_capacity(count);
    for number in 0..count {
        let path = directory.join(number.to_string());
        fs::write(&path, blob(bytes, number)).map_err(BenchError::io("write a blob"))?;
        paths.push(path);
    }
    Ok(Held::Files(paths))
}

/// The places of the sides.
const ON_SQLITE: usize = 0;
const FILE: usize = 1;
const ON_SLED: usize = 2;
const PEER: usize = 3;

fn hits(bench: &Bench<'_>, blobs: Blobs, measured: &mut Measured) -> Result<(), BenchError> {
    let Blobs { bytes, count, .. } = blobs;
    let path = |name: &str| bench.directory.join(format!("{name}-{bytes}"));
    let held = bench.runtime.block_on(async {
        let ours = sqlite(&path("hits.db"), Survives::Process).await?;
        let ours = fill("on sqlite", ours, bytes, count).await?;
        let sled = SledStore::open(path("hits.sled"), windlass_store_sled::Options::default());
        let sled = fill("on sled", Arc::new(sled.await?), bytes, count).await?;
        Ok::<_, BenchError>([ours, sled])
    })?;
    let [ours, sled] = held;
    let side = |held| -> Box<dyn Side<Sample = f64> + '_> {
        Box::new(Reader {
            runtime: bench.runtime,
            held,
            bytes,
            next: 0,
        })
    };
    let files = files(bench.directory, bytes, count)?;
    let mut sides = vec![side(ours), side(files), side(sled)];
    if let Some(program) = bench.peer {
        let peer = Foyer::new(program, bench.directory, (bytes, count));
        sides.push(Box::new(peer));
    }
    let rounds = contest(&mut sides, bench.effort, bench.directory)?;
    measured.rows.extend(hit_rows(bench, blobs, &rounds));
    measured.notes.extend(dropped_note("hits", &rounds.dropped));
    Ok(())
}

fn hit_rows(bench: &Bench<'_>, blobs: Blobs, rounds: &Rounds<f64>) -> Vec<Row> {
    let file = (FILE, "open and read a file");
    let peer = bench.peer.map(|_| (PEER, "foyer's disk hit"));
    let rows = [
        ("sqlite", ON_SQLITE, Some(file), blobs.file),
        ("sqlite", ON_SQLITE, peer, blobs.peer),
        ("sled", ON_SLED, Some(file), Bar::Absent),
    ];
    let row = |(what, ours, against, bar)| {
        let (against, versus): (usize, &'static str) = against?;
        let comparison = Comparison {
            what: format!("cache below: hit of {} KiB on {what}", blobs.bytes >> 10),
            versus,
            unit: "us",
            number: &|us: &f64| *us,
            figures: &|all| Figures::plain(all.iter().map(|it| **it), Durability::Reads),
            ours,
            against: Some(against),
            bar,
        };
        Some(comparison.row(rounds))
    };
    rows.into_iter().filter_map(row).collect()
}

/// How long a flush took.
#[derive(Clone, Copy, Debug)]
struct Flushed {
    seen_us: f64,
    durable_us: f64,
}

async fn flush(cache: &TieredCache, entries: usize) -> Result<Flushed, BenchError> {
    let space: Namespace = "flushed".parse()?;
    let names = (0..entries).map(|number| Key::try_from(format!("page/{number}")));
    let keys: Vec<Key> = names.collect::<Result<_, _>>()?;
    let puts = keys
        .iter()
        .map(|key| (key.clone(), Put::new(&b"some value"[..])));
    for stored in cache.put_many(&space, puts).await {
        stored?;
    }
    // A reader of an entry that is held in memory.
    let key = keys[entries - 1].clone();
    let ready = Arc::new(AtomicBool::new(false));
    let watcher = {
        let (cache, space, ready) = (cache.clone(), space.clone(), Arc::clone(&ready));
        thread::spawn(move || {
            while cache.exists(&space, &key) == Presence::Present {
                ready.store(true, Ordering::Release);
            }
            clock::now()
        })
    };
    while !ready.load(Ordering::Acquire) {
        thread::yield_now();
    }
    clock::sleep(SETTLE);
    let start = clock::now();
    cache.flush_namespace(&space).await?;
    let durable = start.elapsed();
    let seen = watcher.join();
    let seen = seen.map_err(|_| BenchError::Process("a thread panicked".to_owned()))?;
    Ok(Flushed {
        seen_us: seen.saturating_duration_since(start).as_secs_f64() * 1e6,
        durable_us: durable.as_secs_f64() * 1e6,
    })
}

fn flushes(bench: &Bench<'_>, measured: &mut Measured) -> Result<(), BenchError> {
    let [few, many, quick] = FLUSHED;
    let many = if bench.quick { quick } else { many };
    let cache = bench.runtime.block_on(async {
        let path = bench.directory.join("flushes.db");
        over(sqlite(&path, Survives::Process).await?).await
    })?;
    let mut samples = Vec::new();
    for _ in 0..FLUSHES {
        let round = bench.runtime.block_on(async {
            let many = flush(&cache, many).await?;
            // What was flushed is no longer there when the next is.
            cache
                .sweep_expired(SweepLimit::Entries(u64::MAX), None)
                .await?;
            let few = flush(&cache, few).await?;
            cache
                .sweep_expired(SweepLimit::Entries(u64::MAX), None)
                .await?;
            Ok::<_, BenchError>(vec![many, few])
        })?;
        samples.push(round);
    }
    let rounds = Rounds {
        counted: samples.len(),
        samples,
        dropped: Vec::new(),
        enough: true,
    };
    let seen = |it: &Flushed| it.seen_us;
    let durable = |it: &Flushed| it.durable_us;
    let what = format!("cache below: flush of {many} entries");
    type Number<'a> = &'a dyn Fn(&Flushed) -> f64;
    let rows: [(String, Number<'_>, Option<usize>, Bar); 3] = [
        (
            format!("{what}, until seen"),
            &seen,
            Some(1),
            Bar::RatioAtMost(2.0),
        ),
        (
            format!("{what}, until seen"),
            &seen,
            None,
            Bar::OursAtMost(100.0),
        ),
        (
            format!("{what}, until durable"),
            &durable,
            Some(1),
            Bar::Absent,
        ),
    ];
    for (what, number, against, bar) in rows {
        let comparison = Comparison {
            what,
            versus: "one of 100",
            unit: "us",
            number,
            figures: &|all| Figures::plain(all.iter().map(|it| number(it)), Durability::Process),
            ours: 0,
            against,
            bar,
        };
        measured.rows.push(comparison.row(&rounds));
    }
    Ok(())
}
