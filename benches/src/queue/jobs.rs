//! Jobs a second: enqueue, claim, complete.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::Runtime;
use windlass::Windlass;
use windlass::queue::{Ask, Content, Payload, Under, Work};

use crate::error::BenchError;
use crate::harness::contest::{Durability, Rounds, Side, contest};
use crate::harness::row::{Bar, Comparison, Figures, Row};
use crate::harness::throughput::{Caller, drive};
use crate::peers::skipped;
use crate::sessions::fixture::{open, session_id};
use crate::sessions::{Bench, Measured, dropped_note};

use super::caller;
use super::peer::Apalis;

/// Workers of the large sides.
const WORKERS: usize = 16;
/// Jobs that a large claim takes.
const MANY: usize = 32;
/// How long a claim lasts: longer than the bench runs.
const TTL_MS: u64 = 3_600_000;
/// What a job carries.
const PAYLOAD: &str =
    "{\"step\":12,\"tool\":\"search_documents\",\"query\":\"bearings, three suppliers\"}";

/// The places of the sides.
const ONE: usize = 0;
const ALONE: usize = 1;
const THIRTY_TWO: usize = 2;
const PEER: usize = 3;
const PEER_ALONE: usize = 4;

/// Claims of one and of 32 by 16 workers, and of one by a single worker.
///
/// # Errors
///
/// Whatever makes the figures worthless.
pub fn jobs(bench: &Bench<'_>) -> Result<Measured, BenchError> {
    let path = |side: &str| bench.directory.join(format!("jobs-{side}.db"));
    let ours =
        |name: &str, workers, at_once| Ours::open(bench.runtime, &path(name), workers, at_once);
    let mut sides: Vec<Box<dyn Side<Sample = f64>>> = vec![
        Box::new(ours("one", WORKERS, 1)?),
        Box::new(ours("alone", 1, 1)?),
        Box::new(ours("many", WORKERS, MANY)?),
    ];
    let mut notes = Vec::new();
    match bench.peer {
        Some(program) => {
            let peer = |workers| Apalis::new(program, bench.directory, workers);
            sides.push(Box::new(peer(WORKERS)));
            sides.push(Box::new(peer(1)));
        }
        None => notes.push(skipped("apalis-sqlite")),
    }
    let rounds = contest(&mut sides, bench.effort, bench.directory)?;
    let mut rows = Vec::new();
    if bench.peer.is_some() {
        let bar = Bar::RatioAtLeast;
        rows.push(row(
            "claims of one, 16 workers",
            "apalis-sqlite",
            ONE,
            PEER,
            bar(1.5),
            &rounds,
        ));
        rows.push(row(
            "claims of one, 1 worker",
            "apalis-sqlite",
            ALONE,
            PEER_ALONE,
            bar(0.7),
            &rounds,
        ));
        rows.push(row(
            "claims of 32, 16 workers",
            "apalis-sqlite",
            THIRTY_TWO,
            PEER,
            bar(8.0),
            &rounds,
        ));
    }
    rows.push(row(
        "claims of 32, 16 workers",
        "our claims of one",
        THIRTY_TWO,
        ONE,
        Bar::RatioAtLeast(5.0),
        &rounds,
    ));
    notes.extend(dropped_note("jobs", &rounds.dropped));
    Ok(Measured { rows, notes })
}

fn row(
    what: &str,
    versus: &'static str,
    ours: usize,
    against: usize,
    bar: Bar,
    rounds: &Rounds<f64>,
) -> Row {
    let comparison = Comparison {
        what: format!("jobs: {what}"),
        versus,
        unit: "1/s",
        number: &|jobs: &f64| *jobs,
        figures: &|samples| {
            Figures::plain(samples.iter().map(|jobs| **jobs), Durability::PowerLoss)
        },
        ours,
        against: Some(against),
        bar,
    };
    comparison.row(rounds)
}

/// Workers that enqueue for a session of their own, claim whatever is there,
/// and complete it.
struct Ours<'r> {
    runtime: &'r Runtime,
    workers: Vec<Worker>,
    at_once: usize,
}

struct Worker {
    windlass: Windlass,
    number: usize,
    at_once: usize,
}

impl<'r> Ours<'r> {
    fn open(
        runtime: &'r Runtime,
        path: &Path,
        workers: usize,
        at_once: usize,
    ) -> Result<Self, BenchError> {
        let windlass = runtime.block_on(open(path, None))?;
        let worker = |number| Worker {
            windlass: windlass.clone(),
            number,
            at_once,
        };
        Ok(Self {
            runtime,
            workers: (0..workers).map(worker).collect(),
            at_once,
        })
    }
}

impl Side for Ours<'_> {
    type Sample = f64;

    fn name(&self) -> &'static str {
        "ours"
    }

    fn run(&mut self, span: Duration) -> Result<f64, BenchError> {
        let workers = std::mem::take(&mut self.workers);
        let (throughput, workers) = drive(self.runtime, workers, span)?;
        self.workers = workers;
        let at_once = u32::try_from(self.at_once).unwrap_or(1);
        Ok(throughput.per_second() * f64::from(at_once))
    }
}

fn job() -> Work {
    Work::new(vec![Payload {
        kind: "step".into(),
        content: Content::Bytes(Bytes::from_static(PAYLOAD.as_bytes())),
    }])
}

impl Caller for Worker {
    async fn call(&mut self) -> Result<(), BenchError> {
        let (queue, caller) = (self.windlass.queue(), caller());
        let session = session_id(self.number);
        let jobs = vec![job(); self.at_once];
        queue
            .enqueue(&caller, &session, jobs, Under::NOTHING)
            .await?;
        let owner = format!("worker-{}", self.number);
        let mut ask = Ask::new(owner.parse().expect("a valid owner"), TTL_MS);
        ask.max = self.at_once;
        let mut left = self.at_once;
        while left > 0 {
            // Others may have taken ours; then there is some of theirs.
            let Some(claim) = queue.claim_any(&caller, &ask, Under::NOTHING).await? else {
                return Ok(());
            };
            left = left.saturating_sub(claim.work.len());
            let done = claim.completed();
            queue
                .settle(&caller, &claim.session, done, Under::NOTHING)
                .await?;
        }
        Ok(())
    }
}
