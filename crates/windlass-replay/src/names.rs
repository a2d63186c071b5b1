//! The names and times a replay gives: functions of source, run and step, and
//! of nothing else.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sha2::{Digest, Sha256};
use windlass::SystemEnv;
use windlass::core::{BoxFuture, Env, Millis, OperationId, RandomError, SessionId, StreamId};

use crate::model::Run;
use crate::times::Times;

/// Random bytes in the name of a writer or of a lineage.
const NAME_BYTES: usize = 8;

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

    /// The stream of the run's output, which is called as the session is.
    pub(crate) fn stream(&self) -> StreamId {
        let name = self.base.parse();
        name.expect("what is a session's id is a stream's")
    }

    pub(crate) fn create(&self) -> OperationId {
        self.operation("create")
    }

    pub(crate) fn close(&self) -> OperationId {
        self.operation("close")
    }

    /// The operation of step `number`, counted from 1, where it has one: its
    /// state is a fork.
    pub(crate) fn step(&self, number: usize) -> OperationId {
        self.operation(&format!("use:{number}"))
    }

    /// The id under which the state is kept that a search went on with from
    /// step `number`, when it had gone back to something said before.
    pub(crate) fn fork(&self, number: usize) -> SessionId {
        let name = format!("{}:fork:{number}", self.base);
        name.parse()
            .expect("a run's id leaves room for what is appended")
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
/// The time is that of the step set last. Up to 8 random bytes are always the
/// same: what the engine draws of that length for a run (the name under which
/// it writes, and that of its lineage) is then the same too, in whatever
/// process and from whatever step on it works. Two writers of one name are no
/// danger here, because all that ever write a run write the same. What is
/// longer becomes the name of one thing, such as a commit; it follows from the
/// moment. Fit for nothing else.
#[derive(Debug)]
pub(crate) struct RunEnv {
    created: Millis,
    closed: Millis,
    steps: usize,
    times: Times,
    step: AtomicUsize,
    commit: AtomicUsize,
    seed: String,
    /// Whether time and random bytes are the system's after all.
    real: bool,
    system: SystemEnv,
}

impl RunEnv {
    /// Time of a run whose session is created and closed at the given times,
    /// which are those of its whole tree.
    pub(crate) fn new(run: &Run, created: Millis, closed: Millis) -> Self {
        Self {
            created,
            closed,
            steps: run.steps.len(),
            times: run.times.clone(),
            step: AtomicUsize::new(0),
            commit: AtomicUsize::new(0),
            seed: run.id(),
            real: false,
            system: SystemEnv::new(),
        }
    }

    /// Time as it passes and bytes that are random, for workers: who lost a
    /// claim has to find out.
    pub(crate) fn real(run: &Run) -> Self {
        let began = run.times.began();
        Self {
            real: true,
            ..Self::new(run, began, began)
        }
    }

    /// Moves time to step `number`; 0 is the creation of the run's session,
    /// and whatever comes behind the last step is its end.
    pub(crate) fn enter(&self, number: usize) {
        self.step.store(number, Ordering::Relaxed);
        self.enter_commit(0);
    }

    /// Moves on to commit `number` of the state within a step.
    pub(crate) fn enter_commit(&self, number: usize) {
        self.commit.store(number, Ordering::Relaxed);
    }

    /// Step and commit, where bytes of this length follow from them.
    fn moment(&self, length: usize) -> Option<String> {
        let numbers = [&self.step, &self.commit].map(|number| number.load(Ordering::Relaxed));
        (length > NAME_BYTES).then(|| format!("{numbers:?}"))
    }
}

impl Env for RunEnv {
    fn now(&self) -> Millis {
        if self.real {
            return self.system.now();
        }
        match self.step.load(Ordering::Relaxed) {
            0 => self.created,
            number if number <= self.steps => self.times.at(number),
            _ => self.closed,
        }
    }

    fn monotonic(&self) -> Duration {
        self.system.monotonic()
    }

    fn random(&self, bytes: &mut [u8]) -> Result<(), RandomError> {
        if self.real {
            return self.system.random(bytes);
        }
        let moment = self.moment(bytes.len()).unwrap_or_default();
        for (block, chunk) in (0_u64..).zip(bytes.chunks_mut(32)) {
            let hash = Sha256::new()
                .chain_update(block.to_be_bytes())
                .chain_update(&self.seed)
                .chain_update(&moment)
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use super::*;
    use crate::Format;
    use crate::limits::{RUN_KEY_BYTES_MAX, STEPS_MAX};
    use crate::model::Source;

    fn run(key: &str) -> Run {
        let digest = "0123456789abcdef".repeat(4);
        let (name, format) = ("a.json".to_owned(), Format::TauBench);
        Run {
            source: Arc::new(Source {
                name,
                format,
                digest,
            }),
            index: 2,
            key: key.to_owned(),
            agent: "agent".parse().unwrap(),
            parent: None,
            calls_budget: None,
            times: Times::derived(2),
            messages: Vec::new(),
            steps: Vec::new(),
            whole: None,
            rows: Vec::new(),
        }
    }

    #[test]
    fn the_longest_key_leaves_room_for_every_operation() {
        let names = Names::new(&run(&"k".repeat(RUN_KEY_BYTES_MAX)));
        let operations = [names.create(), names.close(), names.step(STEPS_MAX)];
        let numbers = operations.map(|operation| names.step_of(operation.as_str()));
        assert_eq!(numbers, [None, None, Some(STEPS_MAX)]);
        assert!(names.fork(STEPS_MAX).as_str().ends_with(":fork:1000000"));
    }

    #[test]
    fn a_step_belongs_to_its_run_only() {
        let (short, long) = (Names::new(&run("1")), Names::new(&run("1:use:1")));
        assert_eq!(short.step_of(long.step(4).as_str()), None);
        assert_eq!(long.step_of(short.step(1).as_str()), None);
    }

    #[test]
    fn random_bytes_are_the_runs_own_and_the_same_each_time() {
        let drawn = |key: &str| {
            let mut bytes = [0; 40];
            RunEnv::new(&run(key), Millis::new(1), Millis::new(2))
                .random(&mut bytes)
                .unwrap();
            bytes
        };
        assert_eq!(drawn("1"), drawn("1"));
        assert_ne!(drawn("1"), drawn("2"));
        assert_ne!(drawn("1")[..8], drawn("1")[32..]);
    }

    #[test]
    fn writers_keep_their_name_and_every_commit_has_one_of_its_own() {
        let env = RunEnv::new(&run("1"), Millis::new(1), Millis::new(2));
        let drawn = |step, commit, length| {
            env.enter(step);
            env.enter_commit(commit);
            let mut bytes = vec![0; length];
            env.random(&mut bytes).unwrap();
            bytes
        };
        assert_eq!(drawn(1, 0, 8), drawn(7, 3, 8));
        let moments = [(1, 0), (1, 1), (11, 0), (1, 11), (11, 1)];
        let names: BTreeSet<_> = moments.map(|(step, commit)| drawn(step, commit, 10)).into();
        assert_eq!(names.len(), moments.len());
        assert_eq!(drawn(1, 1, 10), drawn(1, 1, 10));
    }
}
