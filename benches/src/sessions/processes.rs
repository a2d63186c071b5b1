//! Rows about two processes on one file, each with sessions of its own.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use crate::error::BenchError;
use crate::harness::contest::{Durability, Side, contest};
use crate::harness::row::{Bar, Comparison, Figures, Row};
use crate::harness::spread::Spread;
use crate::harness::throughput::decimal;

use super::fixture::{CALLS, Fixture};
use super::worker::{READY, Waits};
use super::{Bench, Measured, dropped_note};

/// Callers of a process that does all it can.
const CALLERS: usize = 256;
/// How often the light process calls: 200 times a second.
const EVERY_US: u64 = 5_000;

/// What both processes did.
type Pair = [Waits; 2];

/// A light process beside a saturated one, and two saturated ones.
///
/// # Errors
///
/// Whatever makes the figures worthless.
pub fn two_processes(bench: &Bench<'_>) -> Result<Measured, BenchError> {
    let path = bench.directory.join("processes.db");
    let fixture = Fixture::create(bench.runtime, path, 2 * CALLERS, CALLS)?;
    let both = |light| Both {
        path: fixture.path.clone(),
        light,
    };
    let mut sides: Vec<Box<dyn Side<Sample = Pair>>> =
        vec![Box::new(both(true)), Box::new(both(false))];
    let rounds = contest(&mut sides, bench.effort, bench.directory)?;
    let light = Comparison {
        what: "use by a light process, p99".to_owned(),
        versus: "beside a saturated one",
        unit: "ms",
        number: &|[light, _]: &Pair| light.p99_us / 1e3,
        figures: &|samples| figures(samples, |[light, _]| light.p99_us / 1e3),
        ours: 0,
        against: None,
        bar: Bar::OursAtMost(20.0),
    };
    let share = Comparison {
        what: "share of the lesser of two saturated processes".to_owned(),
        versus: "an equal half",
        unit: "%",
        number: &lesser_percent,
        figures: &|samples| figures(samples, lesser_percent),
        ours: 1,
        against: None,
        bar: Bar::OursAtLeast(35.0),
    };
    let rows: Vec<Row> = vec![light.row(&rounds), share.row(&rounds)];
    let notes = dropped_note("processes", &rounds.dropped).into_iter();
    Ok(Measured {
        rows,
        notes: notes.chain(rates_note(&rounds.samples)).collect(),
    })
}

fn lesser_percent([one, other]: &Pair) -> f64 {
    let (one, other) = (decimal(one.calls), decimal(other.calls));
    one.min(other) / (one + other) * 100.0
}

fn figures(samples: &[&Pair], number: fn(&Pair) -> f64) -> Figures {
    let median = |number: fn(&Pair) -> f64| {
        Spread::of(samples.iter().map(|pair| number(pair))).map(|spread| spread.median)
    };
    Figures {
        median: median(number).unwrap_or(f64::NAN),
        p50_us: median(|[first, _]| first.p50_us),
        p99_us: median(|[first, _]| first.p99_us),
        durability: Some(Durability::PowerLoss.as_str()),
        ..Figures::default()
    }
}

fn rates_note(samples: &[Vec<Pair>]) -> Option<String> {
    let median = |number: fn(&[Pair]) -> u64| {
        let numbers = samples.iter().map(|round| decimal(number(round)));
        Spread::of(numbers).map(|spread| spread.median)
    };
    let alone = median(|round| round[0][1].calls)?;
    let together = median(|round| round[1][0].calls + round[1][1].calls)?;
    Some(format!(
        "processes: uses a turn: {alone:.0} by the saturated beside the light one, \
         {together:.0} by two saturated ones together"
    ))
}

/// Two processes that work at the same time.
#[derive(Debug)]
struct Both {
    path: PathBuf,
    /// Whether the first is a light one.
    light: bool,
}

impl Side for Both {
    type Sample = Pair;

    fn name(&self) -> &'static str {
        if self.light {
            "light and saturated"
        } else {
            "both saturated"
        }
    }

    fn run(&mut self, span: Duration) -> Result<Pair, BenchError> {
        let mut first = Worker::start(&self.path, 0, self.light, span)?;
        let mut second = Worker::start(&self.path, CALLERS, false, span)?;
        first.go()?;
        second.go()?;
        Ok([first.finish()?, second.finish()?])
    }
}

/// A process that works.
#[derive(Debug)]
struct Worker {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Worker {
    /// Starts a process and waits until it is ready.
    fn start(path: &Path, first: usize, light: bool, span: Duration) -> Result<Self, BenchError> {
        let program = std::env::current_exe().map_err(BenchError::io("find this program"))?;
        let mut command = Command::new(program);
        command.arg("worker").arg("--path").arg(path);
        command.arg("--first").arg(first.to_string());
        command.arg("--span-ms").arg(span.as_millis().to_string());
        if light {
            command.arg("--every-us").arg(EVERY_US.to_string());
        } else {
            command.arg("--callers").arg(CALLERS.to_string());
        }
        let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = spawned.map_err(BenchError::io("start a process"))?;
        let input = child.stdin.take().expect("it was asked for");
        let output = BufReader::new(child.stdout.take().expect("it was asked for"));
        let mut worker = Self {
            child,
            input,
            output,
        };
        let said = worker.line()?;
        if said.trim_end() == READY {
            Ok(worker)
        } else {
            Err(BenchError::Process(format!("it began with `{said}`")))
        }
    }

    fn go(&mut self) -> Result<(), BenchError> {
        self.input
            .write_all(b"go\n")
            .map_err(BenchError::io("start a worker"))
    }

    fn finish(mut self) -> Result<Waits, BenchError> {
        let line = self.line()?;
        let waits = serde_json::from_str(&line);
        let status = self
            .child
            .wait()
            .map_err(BenchError::io("wait for a worker"))?;
        match waits {
            Ok(waits) if status.success() => Ok(waits),
            _ => Err(BenchError::Process(format!("{status} after `{line}`"))),
        }
    }

    fn line(&mut self) -> Result<String, BenchError> {
        let mut line = String::new();
        self.output
            .read_line(&mut line)
            .map_err(BenchError::io("listen to a worker"))?;
        Ok(line)
    }
}

impl Drop for Worker {
    /// A worker whose turn failed half-way would wait for its start for ever.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
