//! The names and times a replay gives: functions of source, run and step, and
//! of nothing else.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sha2::{Digest, Sha256};
use windlass::SystemEnv;
use windlass::core::{BoxFuture, Env, Millis, OperationId, RandomError, SessionId};

use crate::limits::STEP_MS;
use crate::model::Run;

/// When the first run of every source begins: 2024-01-01T00:00:00Z.
const BEGINNING: Millis = Millis::new(1_704_067_200_000);
/// How much later the next run of a source begins.
const RUN_MS: u64 = 60_000;

/// The names under which one run is stored.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    pub(crate) session: SessionId,
    base: String,
}

impl Names {
    pub(crate) fn new(run: &Run) -> Self {
        let base = run.id();
        let session = base
            .parse()
            .expect("a run's key was checked and its id is short enough");
        Self { session, base }
    }

    pub(crate) fn create(&self) -> OperationId {
        self.operation("create")
    }

    pub(crate) fn close(&self) -> OperationId {
        self.operation("close")
    }

    /// The operation of step `number`, counted from 1.
    pub(crate) fn step(&self, number: usize) -> OperationId {
        self.operation(&format!("use:{number}"))
    }

    /// The step that `operation` is the operation of.
    pub(crate) fn step_of(&self, operation: &str) -> Option<usize> {
        operation
            .strip_prefix(&self.base)?
            .strip_prefix(":use:")?
            .parse()
            .ok()
    }

    fn operation(&self, what: &str) -> OperationId {
        let name = format!("{}:{what}", self.base);
        name.parse()
            .expect("a run's id leaves room for what is appended")
    }
}

/// Time and randomness of one run.
///
/// The time is that of the step set last. The random bytes are always the
/// same: what the engine draws for a run (the name under which it writes) is
/// then the same too, in whatever process and from whatever step on it works.
/// Two writers of one name are no danger here, because all that ever write a
/// run write the same. Fit for nothing else.
#[derive(Debug)]
pub(crate) struct RunEnv {
    created: Millis,
    step: AtomicU64,
    seed: String,
    system: SystemEnv,
}

impl RunEnv {
    pub(crate) fn new(run: &Run) -> Self {
        Self {
            created: BEGINNING.plus_ms(run.index.saturating_mul(RUN_MS)),
            step: AtomicU64::new(0),
            seed: run.id(),
            system: SystemEnv::new(),
        }
    }

    /// Moves time to step `number`; 0 is the run's beginning.
    pub(crate) fn enter(&self, number: usize) {
        let number = u64::try_from(number).unwrap_or(u64::MAX);
        self.step.store(number, Ordering::Relaxed);
    }

    fn elapsed_ms(&self) -> u64 {
        self.step.load(Ordering::Relaxed).saturating_mul(STEP_MS)
    }
}

impl Env for RunEnv {
    fn now(&self) -> Millis {
        self.created.plus_ms(self.elapsed_ms())
    }

    fn monotonic(&self) -> Duration {
        self.system.monotonic()
    }

    fn random(&self, bytes: &mut [u8]) -> Result<(), RandomError> {
        for (block, chunk) in (0_u64..).zip(bytes.chunks_mut(32)) {
            let hash = Sha256::new()
                .chain_update(block.to_be_bytes())
                .chain_update(&self.seed)
                .finalize();
            chunk.copy_from_slice(&hash[..chunk.len()]);
        }
        Ok(())
    }

    /// Waits in earnest: whoever waits here lost a race with another process.
    fn sleep_until(&self, deadline: Duration) -> BoxFuture<'static, ()> {
        self.system.sleep_until(deadline)
    }
}
