//! What the bench does in processes of its own: using sessions beside another
//! process, and opening a store from nothing.

use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::runtime::Builder;
use windlass::session::Sessions;

use crate::clock;
use crate::error::BenchError;
use crate::harness::machine;
use crate::harness::throughput::{Caller, Latencies, decimal, drive, no_latencies};

use super::fixture::{self, caller, one_use, session_id};
use super::ours::{Hope, Spreading, User, Work};

/// The line with which a worker says that it is ready.
pub const READY: &str = "ready";

/// What a worker is to do.
#[derive(Clone, Debug, clap::Args)]
pub struct Orders {
    /// The database.
    #[arg(long)]
    pub path: PathBuf,
    /// The first of its sessions.
    #[arg(long, default_value_t = 0)]
    pub first: usize,
    /// How many callers, each with a session of its own.
    #[arg(long, default_value_t = 1)]
    pub callers: usize,
    /// For how long, in milliseconds.
    #[arg(long, default_value_t = 1_000)]
    pub span_ms: u64,
    /// Instead of as fast as possible, one use each so many microseconds.
    #[arg(long)]
    pub every_us: Option<u64>,
}

/// What a worker did.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Waits {
    /// Uses granted.
    pub calls: u64,
    /// Half of them waited no longer, in microseconds.
    pub p50_us: f64,
    /// 99 of 100 waited no longer, in microseconds.
    pub p99_us: f64,
    /// The longest wait, in microseconds.
    pub max_us: f64,
}

/// What opening a store cost.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Opening {
    /// From the call to the answer of a first use, in milliseconds.
    pub ms: f64,
    /// Memory the process held afterwards, in bytes.
    pub resident_bytes: u64,
}

/// Does what `orders` say: opens the store, says [`READY`], waits for a line,
/// works, and says how it went as JSON.
///
/// # Errors
///
/// Whatever makes the figures worthless.
pub fn work(
    orders: &Orders,
    input: &mut dyn BufRead,
    output: &mut dyn Write,
) -> Result<(), BenchError> {
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .map_err(BenchError::io("start a runtime"))?;
    let windlass = runtime.block_on(fixture::open(&orders.path, None))?;
    let mut callers = users(windlass.sessions(), orders);
    runtime.block_on(async {
        for caller in &mut callers {
            caller.call().await?;
        }
        Ok::<_, BenchError>(())
    })?;
    tell(output, READY)?;
    let mut go = String::new();
    input
        .read_line(&mut go)
        .map_err(BenchError::io("wait for the start"))?;
    let span = Duration::from_millis(orders.span_ms);
    let waits = match orders.every_us {
        None => drive(&runtime, callers, span)?.0.latencies,
        Some(every_us) => {
            let sessions = windlass.sessions().clone();
            let every = Duration::from_micros(every_us);
            runtime.block_on(use_on_schedule(&sessions, orders.first, span, every))?
        }
    };
    let summary = serde_json::to_string(&summary(&waits)).expect("numbers are valid JSON");
    tell(output, &summary)?;
    Ok(runtime.block_on(windlass.store().close())?)
}

fn users(sessions: &Sessions, orders: &Orders) -> Vec<User> {
    let work = Work {
        callers: orders.callers,
        spreading: Spreading::OwnSession,
        operations: false,
        hope: Hope::Grants,
    };
    let numbers = orders.first..orders.first + orders.callers;
    numbers
        .map(|number| User::new(sessions, number, work))
        .collect()
}

/// Uses one session on a schedule. A wait counts from the moment the schedule
/// says, so that one long wait is seen in all uses it holds up.
async fn use_on_schedule(
    sessions: &Sessions,
    number: usize,
    span: Duration,
    every: Duration,
) -> Result<Latencies, BenchError> {
    let (who, id) = (caller(), session_id(number));
    let mut waits = no_latencies();
    let start = clock::now();
    let mut due = Duration::ZERO;
    while due < span {
        clock::sleep(due.saturating_sub(start.elapsed()));
        sessions.use_tools(&who, &id, one_use(None)).await?;
        let wait = start.elapsed().saturating_sub(due);
        waits.saturating_record(u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX));
        due += every;
    }
    Ok(waits)
}

fn summary(waits: &Latencies) -> Waits {
    let us = |nanoseconds| decimal(nanoseconds) / 1e3;
    Waits {
        calls: waits.len(),
        p50_us: us(waits.value_at_quantile(0.5)),
        p99_us: us(waits.value_at_quantile(0.99)),
        max_us: us(waits.max()),
    }
}

/// Opens the store at `path`, uses session 0 once, and says what that cost.
///
/// # Errors
///
/// Whatever makes the figures worthless.
pub fn open(path: &Path, output: &mut dyn Write) -> Result<(), BenchError> {
    let runtime = Builder::new_current_thread()
        .enable_time()
        .build()
        .map_err(BenchError::io("start a runtime"))?;
    let opening = runtime.block_on(async {
        let start = clock::now();
        let windlass = fixture::open(path, None).await?;
        let (who, id) = (caller(), session_id(0));
        windlass
            .sessions()
            .use_tools(&who, &id, one_use(None))
            .await?;
        let ms = start.elapsed().as_secs_f64() * 1e3;
        let resident_bytes = machine::resident_bytes()?;
        windlass.store().close().await?;
        Ok::<_, BenchError>(Opening { ms, resident_bytes })
    })?;
    let opening = serde_json::to_string(&opening).expect("numbers are valid JSON");
    tell(output, &opening)
}

fn tell(output: &mut dyn Write, line: &str) -> Result<(), BenchError> {
    let told = writeln!(output, "{line}").and_then(|()| output.flush());
    told.map_err(BenchError::io("answer"))
}
