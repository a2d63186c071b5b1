//! Upkeep in simulated time: who does it, how much at a time, and what it says.

mod bounds;
mod caches;
mod clocks;
mod damaged;
mod failures;
mod holders;
mod reports;
mod starving;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use windlass::core::{Env, ManualEnv, Millis};
use windlass::maintenance::{
    Keeper, MaintenanceError, MaintenanceOptions, RoundReport, RunLimit, Task, TaskReport,
    TaskStatus, Turned,
};
use windlass::session::{Allow, Caller, Config, Create};
use windlass::store::{Batch, Changes, Commit, Export, KeyRange, Page, Scan, Store, StoreError};
use windlass::{Options, StoreLocation, Windlass};

const START: Millis = Millis::new(1_700_000_000_000);

/// What a store is asked for.
enum Asked<'a> {
    Read(&'a [Scan]),
    Commit(&'a Batch),
}

impl Asked<'_> {
    /// Whether it is about a key that has this in it.
    fn is_about(&self, text: &str) -> bool {
        let has = |key: &[u8]| String::from_utf8_lossy(key).contains(text);
        match self {
            Self::Read(scans) => scans.iter().any(|scan| has(&scan.range.start)),
            Self::Commit(batch) => batch.checks.iter().any(|check| has(&check.key)),
        }
    }
}

type Hook = Box<dyn Fn(&Asked<'_>) -> Result<(), StoreError> + Send + Sync>;

/// A store that asks a hook before it does anything.
struct Hooked {
    inner: Arc<dyn Store>,
    hook: Hook,
}

impl fmt::Debug for Hooked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hooked(..)")
    }
}

#[async_trait]
impl Store for Hooked {
    async fn read(&self, scans: &[Scan]) -> Result<Vec<Page>, StoreError> {
        (self.hook)(&Asked::Read(scans))?;
        self.inner.read(scans).await
    }

    async fn commit(&self, batch: Batch) -> Result<Commit, StoreError> {
        (self.hook)(&Asked::Commit(&batch))?;
        self.inner.commit(batch).await
    }

    async fn export(&self, range: KeyRange) -> Result<Export, StoreError> {
        self.inner.export(range).await
    }

    fn subscribe(&self, prefix: &[u8]) -> Changes {
        self.inner.subscribe(prefix)
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.inner.close().await
    }
}

/// Settings under which the first round begins at once.
fn options() -> Options {
    Options {
        maintenance: MaintenanceOptions {
            on_start: true,
            ..MaintenanceOptions::default()
        },
        sessions: Config {
            retention_ms: 0,
            cap: 1_000_000,
            ..Config::default()
        },
        ..Options::default()
    }
}

/// One engine of several over a store, with a clock of its own.
struct Engine {
    windlass: Windlass,
    env: Arc<ManualEnv>,
}

impl Engine {
    async fn new() -> Self {
        let env = Arc::new(ManualEnv::new(1, START));
        let windlass = Windlass::with_env(&StoreLocation::Memory, options(), env.clone());
        Self {
            windlass: windlass.await.unwrap(),
            env,
        }
    }

    /// Another one over the same store, `seed` drawing what it draws.
    fn another(&self, seed: u64, options: &Options) -> Self {
        self.over(
            seed,
            self.env.now(),
            Arc::clone(self.windlass.store()),
            options,
        )
    }

    /// Another one over `store`, whose clock says `now`.
    fn over(&self, seed: u64, now: Millis, store: Arc<dyn Store>, options: &Options) -> Self {
        let env = Arc::new(ManualEnv::new(seed, now));
        let windlass = Windlass::over(store, options, env.clone()).unwrap();
        Self { windlass, env }
    }

    /// Another one whose store asks `hook` first.
    fn hooked(
        &self,
        options: &Options,
        hook: impl Fn(&Asked<'_>) -> Result<(), StoreError> + Send + Sync + 'static,
    ) -> Self {
        let inner = Arc::clone(self.windlass.store());
        let hook = Box::new(hook);
        self.over(7, self.env.now(), Arc::new(Hooked { inner, hook }), options)
    }

    fn keeper(&self) -> Keeper {
        self.windlass.maintenance().keeper().unwrap()
    }

    /// Makes sessions that last for a minute.
    async fn sessions(&self, count: usize) {
        let caller = Caller::new("acme".parse().unwrap(), "tests".parse().unwrap());
        for number in 0..count {
            let mut request = Create::new("scout".parse().unwrap(), "look around");
            request.id = Some(format!("session-{count}-{number}").parse().unwrap());
            request.tools = Allow::All;
            request.time_limit_ms = 60_000;
            self.windlass
                .sessions()
                .create(&caller, request)
                .await
                .unwrap();
        }
    }

    /// Puts rows of due work that point at nothing.
    async fn due_rows(&self, kind: &str, count: usize) {
        self.due_rows_at(Millis::new(START.get() - 10_000), kind, count)
            .await;
    }

    /// The same, due since `at`.
    async fn due_rows_at(&self, at: Millis, kind: &str, count: usize) {
        for first in (0..count).step_by(500) {
            let mut batch = Batch::new();
            for number in first..count.min(first + 500) {
                // 16 hexadecimal digits are an id of a key, too.
                let key = format!("due/{:020}/{kind}/acme/{number:016x}", at.get());
                batch = batch.put(key.into_bytes(), &b""[..]);
            }
            let commit = self.windlass.store().commit(batch).await.unwrap();
            assert!(matches!(commit, Commit::Applied(_)), "{commit:?}");
        }
    }

    /// Has a task done by hand.
    async fn by_hand(&self, name: &str) -> Result<TaskReport, MaintenanceError> {
        let task = Task::named(name).unwrap();
        let maintenance = self.windlass.maintenance();
        maintenance
            .run_now(task, RunLimit::default(), &mut |_| ())
            .await
    }

    async fn task(&self, name: &str) -> TaskStatus {
        let status = self.windlass.maintenance().status().await.unwrap();
        let mut tasks = status.tasks.into_iter();
        tasks.find(|task| task.task == name).unwrap()
    }
}

/// The report of a turn that was a round.
fn round(turned: Turned) -> RoundReport {
    match turned {
        Turned::Round(report) => *report,
        other => panic!("no round: {other:?}"),
    }
}
