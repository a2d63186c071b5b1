//! Durable commits: 64 sessions, each with a caller that appends 2 KB.

use std::path::Path;
use std::time::Duration;

use tokio::runtime::Runtime;
use windlass::Windlass;
use windlass::checkpoint::Checkpoints;
use windlass_core::SessionId;

use crate::error::BenchError;
use crate::harness::contest::{Durability, Side, contest};
use crate::harness::row::{Bar, Comparison};
use crate::harness::throughput::{Caller, Throughput, drive};
use crate::sessions::fixture::{open, session_id};
use crate::sessions::{Bench, Measured, dropped_note, throughput_figures};

use super::bare::Bare;
use super::{caller, said};

/// Sessions, each with a caller of its own.
pub(super) const SESSIONS: usize = 64;
/// Bytes that each commit adds.
pub(super) const CHANGE_BYTES: usize = 2_048;

/// 64 sessions with a caller each, beside a loop that writes the same bytes.
///
/// # Errors
///
/// Whatever makes the figures worthless.
pub fn commits(bench: &Bench<'_>) -> Result<Measured, BenchError> {
    let files = ["ours", "bare"].map(|side| bench.directory.join(format!("commits-{side}.db")));
    bench.runtime.block_on(fill(&files[0]))?;
    std::fs::copy(&files[0], &files[1]).map_err(BenchError::io("copy a database"))?;
    let mut sides: Vec<Box<dyn Side<Sample = Throughput>>> = vec![
        Box::new(Ours::open(bench.runtime, &files[0])?),
        Box::new(Bare::open(bench.runtime, &files[1])?),
    ];
    let rounds = contest(&mut sides, bench.effort, bench.directory)?;
    drop(sides);
    let comparison = Comparison {
        what: format!(
            "durable commit of {CHANGE_BYTES} B, {SESSIONS} sessions, {SESSIONS} callers"
        ),
        versus: "bare loop",
        unit: "1/s",
        number: &Throughput::per_second,
        figures: &|samples| throughput_figures(samples, Durability::PowerLoss),
        ours: 0,
        against: Some(1),
        bar: Bar::RatioAtLeast(0.4),
    };
    Ok(Measured {
        rows: vec![comparison.row(&rounds)],
        notes: dropped_note("commits", &rounds.dropped)
            .into_iter()
            .collect(),
    })
}

/// Commits once in each session.
async fn fill(path: &Path) -> Result<(), BenchError> {
    let windlass = open(path, None).await?;
    for session in 0..SESSIONS {
        let first = said(0, 0, CHANGE_BYTES);
        let (caller, session) = (caller(), session_id(session));
        let done = windlass.checkpoints().commit(&caller, &session, first);
        done.await?;
    }
    Ok(windlass.store().close().await?)
}

struct Ours<'r> {
    runtime: &'r Runtime,
    _windlass: Windlass,
    callers: Vec<User>,
}

/// One caller of the engine.
struct User {
    checkpoints: Checkpoints,
    session: SessionId,
    seed: u64,
    revision: u64,
}

impl<'r> Ours<'r> {
    fn open(runtime: &'r Runtime, path: &Path) -> Result<Self, BenchError> {
        let windlass = runtime.block_on(open(path, None))?;
        let user = |session| User {
            checkpoints: windlass.checkpoints().clone(),
            session: session_id(session),
            seed: u64::try_from(session).unwrap_or(0) << 32,
            revision: 1,
        };
        Ok(Self {
            runtime,
            callers: (0..SESSIONS).map(user).collect(),
            _windlass: windlass,
        })
    }
}

impl Side for Ours<'_> {
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
        let changes = said(self.revision, self.seed + self.revision, CHANGE_BYTES);
        let caller = caller();
        let done = self.checkpoints.commit(&caller, &self.session, changes);
        self.revision = done.await?.revision;
        Ok(())
    }
}
