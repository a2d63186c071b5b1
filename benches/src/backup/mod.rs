//! The table of backups: how fast a store is copied, restored and checked,
//! beside what copies a file or a database, and what uses of sessions lose
//! while it is copied.
//!
//! A figure of bytes counts those of keys and values on every side, however
//! many each of them writes; so the sides do the same amount of work.

mod sides;

use std::path::Path;
use std::time::Instant;

use windlass::store::KeyRange;

use crate::clock::now;
use crate::error::BenchError;
use crate::harness::contest::{Durability, Rounds};
use crate::harness::report::Report;
use crate::harness::row::{Bar, Comparison, Figures, Row};
use crate::sessions::{Bench, machine_note};

use sides::Ground;

/// Rounds of each row.
const ROUNDS: usize = 5;

/// Measures the table.
///
/// # Errors
///
/// Whatever makes the figures worthless; a missed bar is no error.
pub fn run(bench: &Bench<'_>) -> Result<Report, BenchError> {
    let mut report = Report::default();
    report.notes.push(machine_note(bench)?);
    bench.say.say("filling the store");
    let ground = bench.runtime.block_on(Ground::new(bench))?;
    report.notes.push(ground.note());
    bench.say.say("backups");
    copies(bench, &ground, &mut report)?;
    bench.say.say("restores");
    restores(bench, &ground, &mut report)?;
    bench.say.say("checks");
    checks(bench, &ground, &mut report)?;
    bench.say.say("uses meanwhile");
    report.rows.push(meanwhile(bench, &ground)?);
    Ok(report)
}

/// Seconds since `start`.
fn seconds(start: Instant) -> f64 {
    start.elapsed().as_secs_f64()
}

fn rounds(bench: &Bench<'_>) -> usize {
    if bench.quick { 1 } else { ROUNDS }
}

fn copies(bench: &Bench<'_>, ground: &Ground, report: &mut Report) -> Result<(), BenchError> {
    let mut samples = Vec::new();
    for round in 0..rounds(bench) {
        let name = |side: &str| bench.directory.join(format!("{side}-{round}"));
        let plain = timed(|| {
            bench
                .runtime
                .block_on(ground.back_up(&name("plain"), false))
        })?;
        let verified = timed(|| bench.runtime.block_on(ground.back_up(&name("read"), true)))?;
        let copied = timed(|| ground.copy_file(&name("copied.db")))?;
        let vacuumed = timed(|| ground.vacuum_into(&name("vacuumed.db")))?;
        let exported = timed(|| bench.runtime.block_on(ground.read_all()).map(drop))?;
        let all = [plain, verified, copied, vacuumed, exported];
        samples.push(all.map(|took| ground.mib / took).to_vec());
        for gone in ["plain", "read"] {
            let gone = name(gone);
            std::fs::remove_dir_all(&gone).map_err(BenchError::io("remove a backup"))?;
        }
    }
    let what = ["backup", "backup --verify"];
    let others = ["fs::copy and sync", "VACUUM INTO", "export loop alone"];
    for (place, what) in what.into_iter().enumerate() {
        for (other, versus) in others.into_iter().enumerate() {
            report
                .rows
                .push(row(what, versus, "MiB/s", &samples, (place, other + 2)));
        }
    }
    Ok(())
}

fn restores(bench: &Bench<'_>, ground: &Ground, report: &mut Report) -> Result<(), BenchError> {
    let backups = bench.directory.join("to-restore");
    let path = bench.runtime.block_on(ground.back_up(&backups, false))?;
    let mut samples = Vec::new();
    for round in 0..rounds(bench) {
        let name = |side: &str| bench.directory.join(format!("{side}-{round}.db"));
        let restored = timed(|| {
            bench
                .runtime
                .block_on(sides::restore(&path, &name("restored")))
        })?;
        let copied = timed(|| ground.copy_file(&name("again")))?;
        samples.push(vec![ground.mib / restored, ground.mib / copied]);
    }
    let row = row("restore", "fs::copy and sync", "MiB/s", &samples, (0, 1));
    report.rows.push(row);
    Ok(())
}

fn checks(bench: &Bench<'_>, ground: &Ground, report: &mut Report) -> Result<(), BenchError> {
    let mut samples = Vec::new();
    for _ in 0..rounds(bench) {
        let checked = timed(|| bench.runtime.block_on(ground.check()))?;
        let exported = timed(|| bench.runtime.block_on(ground.read_all()).map(drop))?;
        samples.push(vec![ground.rows / checked, ground.rows / exported]);
    }
    let row = row("check", "export loop alone", "rows/s", &samples, (0, 1));
    report.rows.push(row);
    Ok(())
}

fn meanwhile(bench: &Bench<'_>, ground: &Ground) -> Result<Row, BenchError> {
    let mut samples = Vec::new();
    for round in 0..rounds(bench) {
        let directory = bench.directory.join(format!("beside-{round}"));
        let span = bench.effort.span * 3;
        let alone = bench.runtime.block_on(ground.uses(span, None))?;
        let beside = bench
            .runtime
            .block_on(ground.uses(span, Some(&directory)))?;
        samples.push(vec![beside, alone]);
        std::fs::remove_dir_all(&directory).map_err(BenchError::io("remove backups"))?;
    }
    let what = "uses while backups run without pause";
    Ok(row(what, "the same without", "1/s", &samples, (0, 1)))
}

fn timed<T>(work: impl FnOnce() -> Result<T, BenchError>) -> Result<f64, BenchError> {
    let start = now();
    work()?;
    Ok(seconds(start))
}

fn row(
    what: &str,
    versus: &'static str,
    unit: &'static str,
    samples: &[Vec<f64>],
    (ours, against): (usize, usize),
) -> Row {
    let rounds = Rounds {
        samples: samples.to_vec(),
        counted: samples.len(),
        dropped: Vec::new(),
        enough: true,
    };
    Comparison {
        what: what.to_owned(),
        versus,
        unit,
        number: &|sample: &f64| *sample,
        figures: &|samples| Figures::plain(samples.iter().map(|it| **it), Durability::PowerLoss),
        ours,
        against: Some(against),
        bar: Bar::Absent,
    }
    .row(&rounds)
}

/// Everything in a store.
fn everything() -> KeyRange {
    KeyRange::all()
}

/// A file's bytes, on the disk.
fn sync(path: &Path) -> Result<(), BenchError> {
    let file = std::fs::File::open(path);
    file.and_then(|file| file.sync_all())
        .map_err(BenchError::io("sync a copy"))
}
