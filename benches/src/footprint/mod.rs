//! The table of footprints: how large a store becomes in which the state of
//! recorded runs is committed after every message.
//!
//! | module | what is in it |
//! |---|---|
//! | [`replayed`] | whole recordings, replayed |
//! | [`snapshots`] | a state that changes in its middle, written out again and again |
//! | [`layers`] | which kinds of rows the bytes are in |
//!
//! Replays stash what tools answered, so right after one every output is there
//! twice. The stash is for a day: after that and a round of maintenance, the
//! states and the sessions are left. Both are measured.
//!
//! Nothing here is timed, so nothing depends on the machine.

pub mod layers;
pub mod replayed;
pub mod snapshots;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use windlass::checkpoint::{self, Profile, Retention};
use windlass::core::{Env, ManualEnv, Millis};
use windlass::{Options, StoreLocation, SystemEnv, Windlass};

use crate::error::BenchError;
use crate::harness::contest::{Durability, Rounds};
use crate::harness::report::Report;
use crate::harness::row::{Bar, Comparison, Figures, Row};
use crate::sessions::Bench;
use layers::Layers;

/// Steps of upkeep that pack everything.
const SWEEP_STEPS: usize = 1_000_000;
/// A day, and an hour for runs that began later than others.
const DAY_MS: u64 = 25 * 60 * 60 * 1_000;

/// A set of recordings, and how large its store may become: so many times the
/// bytes of its distinct messages.
struct Set {
    name: &'static str,
    bar: f64,
    /// How many times smaller than full snapshots it has to be.
    snapshots: Option<f64>,
}

const SETS: [Set; 4] = [
    Set {
        name: "openhands",
        bar: 0.8,
        snapshots: Some(50.0),
    },
    Set {
        name: "swe-agent",
        bar: 1.2,
        snapshots: None,
    },
    Set {
        name: "tau2-toolorchestra",
        bar: 1.4,
        snapshots: None,
    },
    Set {
        name: "tau-bench",
        bar: 2.0,
        snapshots: None,
    },
];
/// The set whose files are snapshots, and its bar.
const SNAPSHOTS: (&str, f64) = ("reflexion-snapshots", 1.2);

/// Measures the table; sets that are not at hand are skipped, and said to be.
///
/// # Errors
///
/// Whatever makes the figures worthless; a missed bar is no error.
pub fn run(bench: &Bench<'_>) -> Result<Report, BenchError> {
    let mut report = Report::default();
    for set in &SETS {
        let Some(path) = at_hand(set.name, &mut report) else {
            continue;
        };
        bench.say.say(set.name);
        let played = replayed::replayed(bench, &path, set.name)?;
        let full = (played.snapshot_bytes, "full snapshots");
        let distinct = (played.distinct_bytes, "distinct messages");
        let layers = &played.layers;
        let bar = Bar::RatioAtMost(set.bar);
        let ours = (layers.used_bytes, "store");
        report.rows.push(compared(set.name, ours, distinct, bar));
        let later = (played.later.used_bytes, "store, a day later,");
        report.rows.push(compared(set.name, later, distinct, bar));
        let states = (layers.state_bytes(), "states");
        let disk = (layers.disk_bytes, "file");
        let disk_later = (played.later.disk_bytes, "file, a day later,");
        for looked_at in [states, disk, disk_later] {
            let row = compared(set.name, looked_at, distinct, Bar::Absent);
            report.rows.push(row);
        }
        if let Some(times) = set.snapshots {
            let bar = Bar::RatioAtMost(1.0 / times);
            report.rows.push(compared(set.name, ours, full, bar));
        }
        let smaller = float(full.0) / float(ours.0);
        report.notes.push(format!(
            "{}: {smaller:.1} times smaller than full snapshots after each message ({})",
            set.name, full.0
        ));
        report.notes.extend(played.layers.lines(set.name));
    }
    let (name, bar) = SNAPSHOTS;
    if let Some(path) = at_hand(name, &mut report) {
        bench.say.say(name);
        let (layers, distinct) = snapshots::snapshots(bench, &path, name)?;
        let bar = Bar::RatioAtMost(bar);
        let (ours, distinct) = (layers.used_bytes, (distinct, "distinct elements"));
        report
            .rows
            .push(compared(name, (ours, "store"), distinct, bar));
        report.notes.extend(layers.lines(name));
    }
    Ok(report)
}

/// The recordings of a set, if they are on this machine.
fn at_hand(name: &str, report: &mut Report) -> Option<PathBuf> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/trajectories");
    let path = data.join(name);
    if path.exists() {
        return Some(path);
    }
    let note = format!("SKIPPED {name}: {} is not there", path.display());
    report.notes.push(note);
    None
}

/// The store of one set: compressed as small as it gets, and with every
/// commit kept.
fn open(bench: &Bench<'_>, name: &str) -> Result<(Windlass, PathBuf), BenchError> {
    let path = bench.directory.join(format!("{name}.db"));
    let windlass = reopen(bench, &path, Arc::new(SystemEnv::new()))?;
    Ok((windlass, path))
}

/// The same store, at whatever time it is in `env`.
fn reopen(bench: &Bench<'_>, path: &Path, env: Arc<dyn Env>) -> Result<Windlass, BenchError> {
    let checkpoints = checkpoint::Config {
        compression: Profile::Compact.into(),
        retention: Retention {
            keep_ms: u64::MAX,
            keep_last: u64::MAX,
        },
        ..checkpoint::Config::default()
    };
    let options = Options {
        checkpoints,
        ..Options::default()
    };
    let location = StoreLocation::Sqlite(path.to_owned());
    let opened = Windlass::with_env(&location, options, env);
    let opened = bench.runtime.block_on(opened);
    opened.map_err(|error| BenchError::Process(error.to_string()))
}

/// What is left of a store after a round of maintenance a day later, when
/// stashed outputs and the answers to operations have had their time: states,
/// sessions and their events.
fn a_day_later(bench: &Bench<'_>, path: &Path, last: Millis) -> Result<Layers, BenchError> {
    let env = Arc::new(ManualEnv::new(1, last.plus_ms(DAY_MS)));
    let windlass = reopen(bench, path, env)?;
    let maintained = bench.runtime.block_on(windlass.maintain(SWEEP_STEPS));
    let maintained = maintained.map_err(|error| BenchError::Process(error.to_string()))?;
    if maintained.sessions.removed > 0 || maintained.checkpoints.dropped > 0 {
        return Err(BenchError::Unfair(format!(
            "maintenance did {maintained:?}"
        )));
    }
    finish(bench, &windlass, path)
}

/// Packs what lies unpacked, closes the store, and looks at its file.
fn finish(bench: &Bench<'_>, windlass: &Windlass, path: &Path) -> Result<Layers, BenchError> {
    bench.runtime.block_on(async {
        let swept = windlass
            .checkpoints()
            .sweep(checkpoint::Sweep::All, SWEEP_STEPS)
            .await;
        let swept = swept.map_err(|error| BenchError::Process(error.to_string()))?;
        if swept.truncated || swept.dropped > 0 || !swept.unreadable.is_empty() {
            return Err(BenchError::Unfair(format!("upkeep did {swept:?}")));
        }
        let closed = windlass.close().await;
        closed.map_err(|error| BenchError::Process(error.to_string()))
    })?;
    layers::read(path)
}

/// The row of a set, with what our bytes and the other ones are of.
fn compared(
    name: &str,
    (ours, what): (u64, &str),
    (against, versus): (u64, &'static str),
    bar: Bar,
) -> Row {
    let rounds = Rounds {
        samples: vec![vec![float(ours), float(against)]],
        counted: 1,
        dropped: Vec::new(),
        enough: true,
    };
    Comparison {
        what: format!("{what} of {name}"),
        versus,
        unit: "bytes",
        number: &|sample: &f64| *sample,
        figures: &|samples| Figures::plain(samples.iter().map(|it| **it), Durability::PowerLoss),
        ours: 0,
        against: Some(1),
        bar,
    }
    .row(&rounds)
}

#[expect(clippy::cast_precision_loss, reason = "a figure to look at")]
fn float(bytes: u64) -> f64 {
    bytes as f64
}
