//! Rows about durable uses: many sessions, one hot session, a slow disk.

use std::path::PathBuf;

use crate::error::BenchError;
use crate::harness::contest::{Durability, Rounds, Side, contest};
use crate::harness::row::{Bar, Comparison, Row, figure};
use crate::harness::throughput::Throughput;
use crate::slow_disk;

use super::bare::Bare;
use super::fixture::{CALLS, Fixture};
use super::naive::Naive;
use super::ours::{Hope, Ours, Spreading, Work};
use super::rows::Sizes;
use super::{Bench, Measured, dropped_note, throughput_figures};

/// Callers where each has a session of its own.
const CALLERS: usize = 256;
/// Callers of one session.
const HOT_CALLERS: usize = 64;
/// Sessions for turns at one hot session: more than there can be turns.
const HOT_SESSIONS: usize = 64;

/// How one comparison differs from the others.
#[derive(Clone, Copy, Debug)]
struct Setting {
    what: &'static str,
    name: &'static str,
    work: Work,
    sessions: usize,
    vfs: Option<&'static str>,
    bar_naive: f64,
    bar_bare: Option<f64>,
}

const OWN: Work = Work {
    callers: CALLERS,
    spreading: Spreading::OwnSession,
    operations: false,
    hope: Hope::Grants,
};

/// 256 sessions, each with a caller.
///
/// # Errors
///
/// Whatever makes the figures worthless.
pub fn uses(bench: &Bench<'_>) -> Result<Measured, BenchError> {
    let setting = Setting {
        what: "use, 256 sessions, 256 callers",
        name: "use",
        work: OWN,
        sessions: CALLERS,
        vfs: None,
        bar_naive: 8.0,
        bar_bare: Some(0.5),
    };
    measure(bench, &setting)
}

/// The same, each use with an operation id.
///
/// Every id is random, so its record lands on a page of the index that no
/// other use of the same commit touches. The bare loop pays for that as ours
/// does and comes to less than six times the naive side; the bar is set below
/// what it reaches, and the one that matters is that against the loop itself.
///
/// # Errors
///
/// Whatever makes the figures worthless.
pub fn uses_with_operations(bench: &Bench<'_>) -> Result<Measured, BenchError> {
    let setting = Setting {
        what: "use with operation id, 256 sessions, 256 callers",
        name: "use-operations",
        work: Work {
            operations: true,
            ..OWN
        },
        sessions: CALLERS,
        vfs: None,
        bar_naive: 4.5,
        bar_bare: Some(0.5),
    };
    measure(bench, &setting)
}

/// The same without operation ids, where each sync takes a millisecond.
///
/// # Errors
///
/// Whatever makes the figures worthless.
pub fn uses_on_a_slow_disk(bench: &Bench<'_>) -> Result<Measured, BenchError> {
    slow_disk::register()?;
    let setting = Setting {
        what: "use, 256 sessions, 256 callers, syncs of 1 ms",
        name: "use-slow-disk",
        work: OWN,
        sessions: CALLERS,
        vfs: Some(slow_disk::NAME),
        bar_naive: 40.0,
        bar_bare: None,
    };
    measure(bench, &setting)
}

/// One session with 64 callers.
///
/// # Errors
///
/// Whatever makes the figures worthless.
pub fn one_hot_session(bench: &Bench<'_>) -> Result<Measured, BenchError> {
    let setting = Setting {
        what: "use, one session, 64 callers",
        name: "hot",
        work: Work {
            callers: HOT_CALLERS,
            spreading: Spreading::OneSession,
            ..OWN
        },
        sessions: HOT_SESSIONS,
        vfs: None,
        bar_naive: 15.0,
        bar_bare: Some(0.5),
    };
    measure(bench, &setting)
}

fn measure(bench: &Bench<'_>, setting: &Setting) -> Result<Measured, BenchError> {
    let path = |side: &str| bench.directory.join(format!("{}-{side}.db", setting.name));
    let files = ["ours", "naive", "bare"].map(path);
    let first = Fixture::create(bench.runtime, files[0].clone(), setting.sessions, CALLS)?;
    first.copy_to(files[1].clone())?;
    first.copy_to(files[2].clone())?;
    let rounds = compete(bench, setting, &files)?;
    let mut measured = Measured {
        rows: rows(setting, &rounds),
        notes: size_notes(setting, &files)?,
    };
    measured.notes.extend(cost_notes(setting, &rounds));
    measured
        .notes
        .extend(dropped_note(setting.name, &rounds.dropped));
    Ok(measured)
}

fn compete(
    bench: &Bench<'_>,
    setting: &Setting,
    [ours, naive, bare]: &[PathBuf; 3],
) -> Result<Rounds<Throughput>, BenchError> {
    let (runtime, vfs, work) = (bench.runtime, setting.vfs, setting.work);
    let mut sides: Vec<Box<dyn Side<Sample = Throughput>>> = vec![
        Box::new(Ours::open(runtime, ours, vfs, work)?),
        Box::new(Naive::open(runtime, naive, vfs, work)?),
        Box::new(Bare::open(runtime, bare, vfs, work)?),
    ];
    contest(&mut sides, bench.effort, bench.directory)
}

fn rows(setting: &Setting, rounds: &Rounds<Throughput>) -> Vec<Row> {
    let against_naive = row(setting, rounds, ("naive", 1), setting.bar_naive);
    let against_bare = setting
        .bar_bare
        .map(|bar| row(setting, rounds, ("bare loop", 2), bar));
    [against_naive].into_iter().chain(against_bare).collect()
}

fn row(
    setting: &Setting,
    rounds: &Rounds<Throughput>,
    (versus, place): (&'static str, usize),
    bar: f64,
) -> Row {
    let comparison = Comparison {
        what: setting.what.to_owned(),
        versus,
        unit: "1/s",
        number: &Throughput::per_second,
        figures: &|samples| throughput_figures(samples, Durability::PowerLoss),
        ours: 0,
        against: Some(place),
        bar: Bar::RatioAtLeast(bar),
    };
    comparison.row(rounds)
}

/// What each side wrote a use, after asserting that it was the same. A side
/// without combining writes a row of events for each use of the hot session;
/// that is its nature, so only its hot records are compared there.
fn size_notes(setting: &Setting, files: &[PathBuf; 3]) -> Result<Vec<String>, BenchError> {
    let [ours, naive, bare] = [&files[0], &files[1], &files[2]].map(|path| Sizes::of(path));
    let (ours, mut naive, bare) = (ours?, naive?, bare?);
    let shown = [("ours", ours), ("naive", naive), ("bare", bare)].map(|(side, sizes)| {
        let Sizes {
            head,
            event,
            operation,
        } = sizes;
        format!("{side} {head:.0}+{event:.0}+{operation:.0}")
    });
    ours.assert_alike(&bare)?;
    if setting.work.spreading == Spreading::OneSession {
        naive.event = ours.event;
    }
    ours.assert_alike(&naive)?;
    let name = setting.name;
    let shown = shown.join(", ");
    Ok(vec![format!(
        "{name}: bytes a use (key and sealed value) of hot record + events + operation: {shown}"
    )])
}

fn cost_notes(setting: &Setting, rounds: &Rounds<Throughput>) -> Option<String> {
    let sides = ["ours", "naive", "bare"]
        .iter()
        .enumerate()
        .map(|(place, side)| {
            let samples: Vec<&Throughput> =
                rounds.samples.iter().map(|round| &round[place]).collect();
            let figures = throughput_figures(&samples, Durability::PowerLoss);
            let cpu = figure(figures.cpu_us.unwrap_or(f64::NAN));
            let written = figure(figures.written_bytes.unwrap_or(f64::NAN));
            format!("{side} {cpu} us and {written} B")
        });
    let shown = sides.collect::<Vec<_>>().join(", ");
    (!rounds.samples.is_empty()).then(|| {
        format!(
            "{}: processor time and bytes to disk a use: {shown}",
            setting.name
        )
    })
}

#[cfg(test)]
#[path = "durable_tests.rs"]
mod tests;
