//! A fork of a state of 10 MB beside one of 10 KB.

use std::path::Path;
use std::time::Duration;

use tokio::runtime::Runtime;
use windlass::Windlass;
use windlass::checkpoint::Changes;

use crate::error::BenchError;
use crate::harness::contest::{Durability, Side, contest};
use crate::harness::row::{Bar, Comparison};
use crate::harness::throughput::{Caller, Throughput, drive};
use crate::sessions::fixture::{open, session_id};
use crate::sessions::{Bench, Measured, dropped_note, throughput_figures};

use super::{caller, message};

/// Bytes of the small state.
const SMALL: usize = 10_000;
/// Bytes of the large one.
const LARGE: usize = 10_000_000;

/// One caller that forks the same state over and over.
///
/// # Errors
///
/// Whatever makes the figures worthless.
pub fn forks(bench: &Bench<'_>) -> Result<Measured, BenchError> {
    let path = |side: &str| bench.directory.join(format!("forks-{side}.db"));
    let mut sides: Vec<Box<dyn Side<Sample = Throughput>>> = vec![
        Box::new(Forker::open(bench.runtime, &path("large"), LARGE)?),
        Box::new(Forker::open(bench.runtime, &path("small"), SMALL)?),
    ];
    let rounds = contest(&mut sides, bench.effort, bench.directory)?;
    drop(sides);
    let mean_us = |sample: &Throughput| 1e6 / sample.per_second();
    let comparison = Comparison {
        what: "fork of a state of 10 MB".to_owned(),
        versus: "of 10 KB",
        unit: "us",
        number: &mean_us,
        figures: &|samples| {
            let mut figures = throughput_figures(samples, Durability::PowerLoss);
            figures.median = 1e6 / figures.median;
            figures
        },
        ours: 0,
        against: Some(1),
        bar: Bar::RatioAtMost(1.5),
    };
    Ok(Measured {
        rows: vec![comparison.row(&rounds)],
        notes: dropped_note("forks", &rounds.dropped).into_iter().collect(),
    })
}

struct Forker<'r> {
    runtime: &'r Runtime,
    callers: Vec<User>,
}

struct User {
    windlass: Windlass,
    forks: usize,
}

impl<'r> Forker<'r> {
    fn open(runtime: &'r Runtime, path: &Path, size: usize) -> Result<Self, BenchError> {
        let windlass = runtime.block_on(open(path, None))?;
        runtime.block_on(fill(&windlass, size))?;
        let user = User { windlass, forks: 0 };
        Ok(Self {
            runtime,
            callers: vec![user],
        })
    }
}

/// Commits a state of that size: a list of messages.
async fn fill(windlass: &Windlass, size: usize) -> Result<(), BenchError> {
    let mut state = Vec::with_capacity(size + 1_024);
    let mut number = 0;
    while state.len() < size {
        state.push(if number == 0 { b'[' } else { b',' });
        state.extend_from_slice(&message(number, 700));
        number += 1;
    }
    state.push(b']');
    let part = "messages".parse().expect("a valid name");
    let changes = Changes::at(0).json(part, state);
    let (caller, session) = (caller(), session_id(0));
    let done = windlass.checkpoints().commit(&caller, &session, changes);
    done.await?;
    Ok(())
}

impl Side for Forker<'_> {
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
        self.forks += 1;
        let (caller, from, to) = (caller(), session_id(0), session_id(self.forks));
        let checkpoints = self.windlass.checkpoints();
        checkpoints.fork(&caller, &from, None, &to, None).await?;
        Ok(())
    }
}
