//! Rows about opening a store: what it costs must not depend on how many
//! sessions are in it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::error::BenchError;
use crate::harness::contest::{Durability, Effort, Rounds, Side, contest};
use crate::harness::row::{Bar, Comparison, Figures, Row};
use crate::harness::throughput::decimal;

use super::worker::Opening;
use super::{Bench, Measured, dropped_note, many};

/// Sessions in the small store.
const FEW: usize = 1_000;
/// Sessions in the large one.
const MANY: usize = 1_000_000;
/// Sessions in the large one where it only has to be shown that all runs.
const MANY_QUICK: usize = 100_000;
/// Bytes in a MiB.
const MIB: f64 = 1_048_576.0;

/// Opening a large store beside a small one, each time in a process of its
/// own: until a first use is answered.
///
/// # Errors
///
/// Whatever makes the figures worthless.
pub fn opening(bench: &Bench<'_>) -> Result<Measured, BenchError> {
    let count = if bench.quick { MANY_QUICK } else { MANY };
    let path = |name: &str| bench.directory.join(format!("open-{name}.db"));
    many::create(bench.runtime, &path("few"), FEW)?;
    many::create(bench.runtime, &path("many"), count)?;
    let mut sides: Vec<Box<dyn Side<Sample = Opening>>> = vec![
        Box::new(Opener::new("many", path("many"))),
        Box::new(Opener::new("few", path("few"))),
    ];
    let effort = Effort {
        rounds: bench.effort.rounds + 2,
        ..bench.effort
    };
    let rounds = contest(&mut sides, effort, bench.directory)?;
    Ok(Measured {
        rows: vec![time_row(count, &rounds), memory_row(count, &rounds)],
        notes: dropped_note("open", &rounds.dropped).into_iter().collect(),
    })
}

fn time_row(count: usize, rounds: &Rounds<Opening>) -> Row {
    let number = |opening: &Opening| opening.ms;
    let comparison = Comparison {
        what: format!("open and use, {count} sessions stored"),
        versus: "1000 stored",
        unit: "ms",
        number: &number,
        figures: &|samples| plain(samples, number),
        ours: 0,
        against: Some(1),
        bar: Bar::RatioAtMost(2.0),
    };
    comparison.row(rounds)
}

/// The difference in memory, round by round, as a figure of its own.
fn memory_row(count: usize, rounds: &Rounds<Opening>) -> Row {
    let mib = |opening: &Opening| decimal(opening.resident_bytes) / MIB;
    let more = Rounds {
        samples: rounds
            .samples
            .iter()
            .map(|it| vec![mib(&it[0]) - mib(&it[1])])
            .collect(),
        counted: rounds.counted,
        dropped: Vec::new(),
        enough: rounds.enough,
    };
    let comparison = Comparison {
        what: format!("open and use, {count} sessions stored: more memory"),
        versus: "1000 stored",
        unit: "MiB",
        number: &|more: &f64| *more,
        figures: &|samples| {
            Figures::plain(samples.iter().map(|more| **more), Durability::PowerLoss)
        },
        ours: 0,
        against: None,
        bar: Bar::OursAtMost(10.0),
    };
    comparison.row(&more)
}

fn plain(samples: &[&Opening], number: fn(&Opening) -> f64) -> Figures {
    Figures::plain(samples.iter().map(|it| number(it)), Durability::PowerLoss)
}

/// Opens one store in new processes.
#[derive(Debug)]
struct Opener {
    name: &'static str,
    path: PathBuf,
}

impl Opener {
    const fn new(name: &'static str, path: PathBuf) -> Self {
        Self { name, path }
    }
}

impl Side for Opener {
    type Sample = Opening;

    fn name(&self) -> &'static str {
        self.name
    }

    fn run(&mut self, _: Duration) -> Result<Opening, BenchError> {
        open_in_a_process(&self.path)
    }
}

fn open_in_a_process(path: &Path) -> Result<Opening, BenchError> {
    let program = std::env::current_exe().map_err(BenchError::io("find this program"))?;
    let mut command = Command::new(program);
    command.arg("open").arg(path);
    let output = command
        .output()
        .map_err(BenchError::io("start a process"))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(BenchError::Process(text));
    }
    serde_json::from_slice(&output.stdout).map_err(|cause| BenchError::Process(cause.to_string()))
}
