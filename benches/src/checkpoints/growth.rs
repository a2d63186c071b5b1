//! A commit after 500,000 nodes beside one after 500.

use std::path::Path;
use std::time::Duration;

use tokio::runtime::Runtime;
use windlass::Windlass;
use windlass::checkpoint::{Changes, Payload};

use crate::error::BenchError;
use crate::harness::contest::{Durability, Side, contest};
use crate::harness::row::{Bar, Comparison};
use crate::harness::throughput::{Caller, Throughput, drive};
use crate::sessions::fixture::{open, session_id};
use crate::sessions::{Bench, Measured, dropped_note, throughput_figures};

use super::{caller, message, said};

/// Nodes before the small side's commits.
const FEW: u64 = 500;
/// Nodes before the large side's.
const MANY: u64 = 500_000;
/// Nodes before them where it only has to be shown that all runs.
const MANY_QUICK: u64 = 20_000;
/// Nodes that one commit of the filling appends.
const AT_ONCE: u64 = 500;
/// Bytes of each node.
const NODE_BYTES: usize = 300;

/// One caller that appends a node at a time, in a long and in a short history.
///
/// # Errors
///
/// Whatever makes the figures worthless.
pub fn growth(bench: &Bench<'_>) -> Result<Measured, BenchError> {
    let many = if bench.quick { MANY_QUICK } else { MANY };
    let path = |side: &str| bench.directory.join(format!("growth-{side}.db"));
    let mut sides: Vec<Box<dyn Side<Sample = Throughput>>> = vec![
        Box::new(One::open(bench.runtime, &path("many"), many)?),
        Box::new(One::open(bench.runtime, &path("few"), FEW)?),
    ];
    let rounds = contest(&mut sides, bench.effort, bench.directory)?;
    drop(sides);
    let mean_us = |sample: &Throughput| 1e6 / sample.per_second();
    let comparison = Comparison {
        what: format!("one commit after {many} nodes"),
        versus: "after 500",
        unit: "us",
        number: &mean_us,
        figures: &|samples| {
            let mut figures = throughput_figures(samples, Durability::PowerLoss);
            figures.median = 1e6 / figures.median;
            figures
        },
        ours: 0,
        against: Some(1),
        bar: Bar::RatioAtMost(1.3),
    };
    Ok(Measured {
        rows: vec![comparison.row(&rounds)],
        notes: dropped_note("growth", &rounds.dropped)
            .into_iter()
            .collect(),
    })
}

struct One<'r> {
    runtime: &'r Runtime,
    callers: Vec<User>,
}

struct User {
    windlass: Windlass,
    revision: u64,
}

impl<'r> One<'r> {
    fn open(runtime: &'r Runtime, path: &Path, nodes: u64) -> Result<Self, BenchError> {
        let windlass = runtime.block_on(open(path, None))?;
        let mut user = User {
            windlass,
            revision: 0,
        };
        runtime.block_on(user.fill(nodes))?;
        Ok(Self {
            runtime,
            callers: vec![user],
        })
    }
}

impl User {
    async fn fill(&mut self, nodes: u64) -> Result<(), BenchError> {
        let mut made = 0;
        while made < nodes {
            let mut changes = Changes::at(self.revision);
            let last = nodes.min(made + AT_ONCE);
            for number in made..last {
                changes = changes.append("message", Payload::Json(message(number, NODE_BYTES)));
            }
            self.commit(changes).await?;
            made = last;
        }
        Ok(())
    }

    async fn commit(&mut self, changes: Changes) -> Result<(), BenchError> {
        let (caller, session) = (caller(), session_id(0));
        let done = self
            .windlass
            .checkpoints()
            .commit(&caller, &session, changes);
        self.revision = done.await?.revision;
        Ok(())
    }
}

impl Side for One<'_> {
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
        let changes = said(self.revision, self.revision, NODE_BYTES);
        self.commit(changes).await
    }
}
