//! Waiting for work: what it costs while there is none, and how soon it ends.

use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use windlass::Windlass;
use windlass::queue::{Ask, Content, Payload, Under, Work};

use crate::clock;
use crate::error::BenchError;
use crate::harness::contest::{Durability, Rounds, Side, contest};
use crate::harness::machine::CpuTime;
use crate::harness::row::{Bar, Comparison, Figures};
use crate::harness::throughput::{decimal, no_latencies};
use crate::sessions::fixture::{open, session_id};
use crate::sessions::{Bench, Measured, dropped_note};

use super::caller;

/// Sessions that have a queue.
const SESSIONS: usize = 10_000;
/// Sessions where it only has to be shown that all runs.
const SESSIONS_QUICK: usize = 500;
/// Workers that wait.
const WORKERS: usize = 16;
/// How long a claim lasts.
const TTL_MS: u64 = 60_000;

/// What one turn shows.
struct Waited {
    /// Percent of one processor while nothing came.
    idle_percent: f64,
    /// From the acknowledgement of an enqueueing to the claim, in
    /// milliseconds: 99 of 100 were sooner.
    wake_p99_ms: f64,
}

/// 16 workers that wait over 10,000 sessions.
///
/// # Errors
///
/// Whatever makes the figures worthless.
pub fn waiting(bench: &Bench<'_>) -> Result<Measured, BenchError> {
    let sessions = if bench.quick {
        SESSIONS_QUICK
    } else {
        SESSIONS
    };
    let path = bench.directory.join("waiting.db");
    let windlass = bench.runtime.block_on(open(&path, None))?;
    bench.runtime.block_on(fill(&windlass, sessions))?;
    let mut sides: Vec<Box<dyn Side<Sample = Waited>>> = vec![Box::new(Ours {
        bench,
        windlass,
        sessions,
    })];
    let rounds = contest(&mut sides, bench.effort, bench.directory)?;
    let idle = row(
        format!("16 workers waiting, {sessions} sessions: processor"),
        "%",
        |waited| waited.idle_percent,
        1.0,
        &rounds,
    );
    let wake = row(
        "from enqueued to claimed by one who waits, p99".to_owned(),
        "ms",
        |waited| waited.wake_p99_ms,
        5.0,
        &rounds,
    );
    Ok(Measured {
        rows: vec![idle, wake],
        notes: dropped_note("waiting", &rounds.dropped)
            .into_iter()
            .collect(),
    })
}

fn row(
    what: String,
    unit: &'static str,
    number: fn(&Waited) -> f64,
    at_most: f64,
    rounds: &Rounds<Waited>,
) -> crate::harness::row::Row {
    let comparison = Comparison {
        what,
        versus: "-",
        unit,
        number: &number,
        figures: &|samples| {
            Figures::plain(samples.iter().map(|it| number(it)), Durability::PowerLoss)
        },
        ours: 0,
        against: None,
        bar: Bar::OursAtMost(at_most),
    };
    comparison.row(rounds)
}

fn job() -> Work {
    Work::new(vec![Payload {
        kind: "step".into(),
        content: Content::Bytes(Bytes::from_static(b"{}")),
    }])
}

/// Gives every session a queue, with work that was done.
async fn fill(windlass: &Windlass, sessions: usize) -> Result<(), BenchError> {
    let (queue, caller) = (windlass.queue(), caller());
    let all: Vec<_> = (0..sessions).map(session_id).collect();
    for some in all.chunks(100) {
        let work = some.iter().map(|session| (session.clone(), job()));
        queue
            .enqueue_all(&caller, work.collect(), Under::NOTHING)
            .await?;
    }
    let ask = ask(0);
    while let Some(claim) = queue.claim_any(&caller, &ask, Under::NOTHING).await? {
        let done = claim.completed();
        queue
            .settle(&caller, &claim.session, done, Under::NOTHING)
            .await?;
    }
    Ok(())
}

fn ask(worker: usize) -> Ask {
    let owner = format!("worker-{worker}");
    Ask::new(owner.parse().expect("a valid owner"), TTL_MS)
}

struct Ours<'b> {
    bench: &'b Bench<'b>,
    windlass: Windlass,
    sessions: usize,
}

impl Side for Ours<'_> {
    type Sample = Waited;

    fn name(&self) -> &'static str {
        "ours"
    }

    fn run(&mut self, span: Duration) -> Result<Waited, BenchError> {
        let (windlass, sessions) = (self.windlass.clone(), self.sessions);
        self.bench.runtime.block_on(wait(windlass, sessions, span))
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "what waiting costs shows in real time only"
)]
async fn pause(span: Duration) {
    tokio::time::sleep(span).await;
}

async fn wait(windlass: Windlass, sessions: usize, span: Duration) -> Result<Waited, BenchError> {
    let (claimed, mut claims) = mpsc::unbounded_channel();
    let mut workers = tokio::task::JoinSet::new();
    for worker in 0..WORKERS {
        let (windlass, claimed) = (windlass.clone(), claimed.clone());
        workers.spawn(async move {
            let (caller, ask) = (caller(), ask(worker));
            while let Ok(claim) = windlass.queue().next(&caller, None, &ask).await {
                let at = clock::now();
                let done = claim.completed();
                let settled =
                    windlass
                        .queue()
                        .settle(&caller, &claim.session, done, Under::NOTHING);
                if settled.await.is_err() || claimed.send(at).is_err() {
                    return;
                }
            }
        });
    }
    // Until all of them wait.
    pause(span / 4).await;
    let before = CpuTime::read()?;
    let start = clock::now();
    pause(span).await;
    let cpu = CpuTime::read()?.since(before).own;
    let idle_percent = 100.0 * cpu / start.elapsed().as_secs_f64();
    let mut waits = no_latencies();
    let end = clock::now() + span;
    let mut number = 0;
    while clock::now() < end {
        number += 1;
        let session = session_id(number % sessions);
        let caller = caller();
        let one = vec![job()];
        windlass
            .queue()
            .enqueue(&caller, &session, one, Under::NOTHING)
            .await?;
        let enqueued = clock::now();
        let gone = || BenchError::Process("the workers have ended".into());
        let at = claims.recv().await.ok_or_else(gone)?;
        let wait = at.saturating_duration_since(enqueued).as_nanos();
        waits.saturating_record(u64::try_from(wait).unwrap_or(u64::MAX).max(1));
        pause(Duration::from_millis(2)).await;
    }
    workers.shutdown().await;
    Ok(Waited {
        idle_percent,
        wake_p99_ms: decimal(waits.value_at_quantile(0.99)) / 1e6,
    })
}
