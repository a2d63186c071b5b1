//! Resuming: opening the store, the head and the whole path of 300 messages,
//! beside a bare scan of the same rows.
//!
//! Both sides open the database and verify each row's checksum. Ours follows
//! the nodes from the leaf to the root besides, and gives their contents out
//! one by one, with the revision they are of; where rows are compressed, the
//! scan unpacks them too, as whoever wants to read them has to. Both end when
//! the messages are there: closing the database is not counted.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Runtime;
use windlass::checkpoint::{self, At, Changes, Config, Payload, Profile};
use windlass::{Options, SystemEnv, Windlass};
use windlass_store::key::Key;
use windlass_store::seal;
use windlass_store_sqlite::{Options as SqliteOptions, SqliteStore};

use crate::clock;
use crate::error::BenchError;
use crate::harness::contest::{Durability, Side, contest};
use crate::harness::row::{Bar, Comparison, Figures, Row};
use crate::sessions::fixture::{TENANT, session_id};
use crate::sessions::rows;
use crate::sessions::{Bench, Measured, dropped_note};

use super::{caller, message};

/// Messages on the path.
const MESSAGES: u64 = 300;
/// Bytes of each.
const MESSAGE_BYTES: usize = 1_000;

/// Resuming in the profile that compresses nothing, and in the default one.
///
/// # Errors
///
/// Whatever makes the figures worthless.
pub fn resume(bench: &Bench<'_>) -> Result<Measured, BenchError> {
    let mut measured = Measured::default();
    for (name, profile) in [
        ("low latency", Profile::LowLatency),
        ("balanced", Profile::Balanced),
    ] {
        let (row, note) = one(bench, name, profile)?;
        measured.rows.push(row);
        measured.notes.extend(note);
    }
    Ok(measured)
}

fn one(
    bench: &Bench<'_>,
    name: &str,
    profile: Profile,
) -> Result<(Row, Option<String>), BenchError> {
    let path = bench.directory.join(format!("resume-{profile:?}.db"));
    bench.runtime.block_on(fill(&path, profile))?;
    let mut sides: Vec<Box<dyn Side<Sample = f64>>> = vec![
        Box::new(Ours {
            runtime: bench.runtime,
            path: path.clone(),
            profile,
        }),
        Box::new(Scan { path }),
    ];
    let rounds = contest(&mut sides, bench.effort, bench.directory)?;
    let comparison = Comparison {
        what: format!("resume: open, head, path of {MESSAGES} messages, {name}"),
        versus: "bare scan",
        unit: "us",
        number: &|mean_us: &f64| *mean_us,
        figures: &|samples| Figures::plain(samples.iter().map(|us| **us), Durability::Reads),
        ours: 0,
        against: Some(1),
        bar: Bar::RatioAtMost(2.0),
    };
    Ok((
        comparison.row(&rounds),
        dropped_note("resume", &rounds.dropped),
    ))
}

async fn open(path: &Path, profile: Profile) -> Result<Windlass, BenchError> {
    let store = Arc::new(SqliteStore::open(path, SqliteOptions::default()).await?);
    let options = Options {
        checkpoints: Config {
            compression: profile.into(),
            ..Config::default()
        },
        ..Options::default()
    };
    Windlass::over(store, &options, Arc::new(SystemEnv::new()))
        .map_err(|cause| BenchError::Unfair(cause.to_string()))
}

/// Commits message by message.
async fn fill(path: &Path, profile: Profile) -> Result<(), BenchError> {
    let windlass = open(path, profile).await?;
    let (caller, session) = (caller(), session_id(0));
    for number in 0..MESSAGES {
        let said = Payload::Json(message(number, MESSAGE_BYTES));
        let changes = Changes::at(number).append("message", said);
        windlass
            .checkpoints()
            .commit(&caller, &session, changes)
            .await?;
    }
    Ok(windlass.store().close().await?)
}

struct Ours<'r> {
    runtime: &'r Runtime,
    path: PathBuf,
    profile: Profile,
}

impl Side for Ours<'_> {
    type Sample = f64;

    fn name(&self) -> &'static str {
        "ours"
    }

    fn run(&mut self, span: Duration) -> Result<f64, BenchError> {
        mean_us(span, || {
            self.runtime.block_on(resume_once(&self.path, self.profile))
        })
    }
}

async fn resume_once(path: &Path, profile: Profile) -> Result<Duration, BenchError> {
    let start = clock::now();
    let windlass = open(path, profile).await?;
    let (caller, session) = (caller(), session_id(0));
    let found = windlass
        .checkpoints()
        .path(&caller, &session, &At::Head, None, 1_000)
        .await?;
    let took = start.elapsed();
    let complete = |path: &checkpoint::Path| {
        path.revision == MESSAGES && u64::try_from(path.nodes.len()) == Ok(MESSAGES)
    };
    if !found.as_ref().is_some_and(complete) {
        return Err(BenchError::Unfair("messages are missing".into()));
    }
    windlass.store().close().await?;
    Ok(took)
}

struct Scan {
    path: PathBuf,
}

impl Side for Scan {
    type Sample = f64;

    fn name(&self) -> &'static str {
        "bare scan"
    }

    fn run(&mut self, span: Duration) -> Result<f64, BenchError> {
        mean_us(span, || scan_once(&self.path))
    }
}

/// Reads every row of the session, checks its seal and unpacks it.
fn scan_once(path: &Path) -> Result<Duration, BenchError> {
    let began = clock::now();
    let connection = rows::open(path, None)?;
    let below = Key::new(TENANT)
        .text("checkpoint")
        .text(session_id(0).as_str());
    let (start, mut end) = (below.clone().below(), below.below().to_vec());
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    let mut select =
        connection.prepare("SELECT key, version, value FROM entry WHERE key >= ?1 AND key < ?2")?;
    let mut rows = select.query([start.as_ref(), end.as_slice()])?;
    let mut bytes = 0;
    while let Some(row) = rows.next()? {
        let (key, version, value): (Vec<u8>, i64, Vec<u8>) =
            (row.get(0)?, row.get(1)?, row.get(2)?);
        let opened = seal::open(&key, version.cast_unsigned(), &value.into());
        let opened = opened.map_err(|cause| BenchError::Unfair(cause.to_string()))?;
        bytes += match opened.first() {
            Some(b'z') => unpacked(&opened[1..])?,
            _ => opened.len(),
        };
    }
    let took = began.elapsed();
    if bytes < MESSAGE_BYTES * 300 {
        return Err(BenchError::Unfair("rows are missing".into()));
    }
    Ok(took)
}

fn unpacked(frame: &[u8]) -> Result<usize, BenchError> {
    let size = zstd::bulk::Decompressor::upper_bound(frame).unwrap_or(1 << 20);
    let text = zstd::bulk::decompress(frame, size).map_err(BenchError::io("unpack a row"))?;
    Ok(text.len())
}

/// How long `once` says it took, on average, over and over for about `span`.
fn mean_us(
    span: Duration,
    mut once: impl FnMut() -> Result<Duration, BenchError>,
) -> Result<f64, BenchError> {
    let start = clock::now();
    let (mut times, mut took) = (0_u32, Duration::ZERO);
    while times == 0 || start.elapsed() < span {
        took += once()?;
        times += 1;
    }
    Ok(took.as_secs_f64() * 1e6 / f64::from(times))
}
