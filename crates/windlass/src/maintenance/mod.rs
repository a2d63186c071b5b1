//! Upkeep of everything stored, in small steps beside other work.
//!
//! A table names the [tasks](Task). A [`Keeper`] gives each of them that has
//! something to do its steps, in turns, a round every so often; between two
//! steps it rests for as long as the first took. Of several processes on a
//! store one has the lease to do so. What tasks and rounds did is kept in the
//! store, and every process can [read](Maintenance::status) it.
//!
//! Nothing here spawns: [`Maintenance::run`] is a future of the caller's.

mod clock;
mod due;
mod error;
mod keeper;
mod lease;
mod options;
mod pace;
mod parts;
mod record;
mod report;
mod run;
mod status;
mod table;
mod tally;

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use windlass_core::{Format, Millis, Sharing};
use windlass_store::{Batch, Commit, Store};

use self::clock::{Look, Watch, is_near};
use self::pace::{Left, Pace};
use self::record::{Rows, TaskRow, encode};
use self::run::{After, Run, rest};
use self::tally::{Tallies, Tally};
use crate::{OpenError, Options, Windlass};

pub use self::due::{Due, Overdue};
pub use self::error::{ClockRefused, MaintenanceError};
pub use self::keeper::{Keeper, Turned};
pub use self::options::{MaintenanceOptions, MaintenanceOptionsError};
pub use self::parts::Maintained;
pub use self::report::{RoundReport, TaskFailure, TaskReport};
pub use self::status::{Holder, MaintenanceStatus, TaskStatus};
pub use self::table::Task;
pub use self::tally::{MaintenanceCounts, TaskCounts};

/// What an engine keeps about its upkeep.
#[derive(Debug)]
pub(crate) struct Upkeep {
    pub(crate) options: MaintenanceOptions,
    pub(crate) exclusive: bool,
    pub(crate) tallies: Tallies,
    watch: Mutex<Watch>,
}

impl Upkeep {
    fn watch(&self) -> MutexGuard<'_, Watch> {
        self.watch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Judges the clock by the mark as it was just read.
    fn look(&self, look: Look) -> Result<(), ClockRefused> {
        self.watch().look(look)
    }

    /// With the settings of an engine.
    ///
    /// # Errors
    ///
    /// [`OpenError::Maintenance`] if they are out of range.
    pub(crate) fn new(options: &Options) -> Result<Arc<Self>, OpenError> {
        let checked = options.maintenance.check();
        checked.map_err(OpenError::Maintenance)?;
        Ok(Arc::new(Self {
            options: options.maintenance.clone(),
            exclusive: options.sharing == Sharing::Exclusive,
            tallies: Tallies::default(),
            watch: Mutex::default(),
        }))
    }
}

/// The longest time between two looks at whether somebody has the lease.
const LOOK_EVERY_MAX: Duration = Duration::from_secs(1);

/// How much a task that is run by hand may do; what is `None` is not bounded.
/// It ends at the bound that it meets first, and 0 does nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunLimit {
    /// Entries to look at.
    pub entries: Option<u64>,
    /// Milliseconds to take, rests between steps included.
    pub millis: Option<u64>,
}

/// Upkeep of one store.
#[derive(Clone, Debug)]
pub struct Maintenance {
    windlass: Windlass,
}

impl Windlass {
    /// Upkeep: running it, asking how it stands, and having a task done now.
    #[must_use]
    pub fn maintenance(&self) -> Maintenance {
        Maintenance {
            windlass: self.clone(),
        }
    }

    pub(crate) fn tally(&self, task: &str) -> &Tally {
        self.upkeep().tallies.of(task)
    }
}

impl Maintenance {
    /// The settings it was opened with.
    #[must_use]
    pub fn options(&self) -> &MaintenanceOptions {
        &self.windlass.upkeep().options
    }

    /// Does upkeep until `stop`, wherever this is polled, and gives the lease
    /// back at the end. `tell` hears of every turn. Nothing ends it but
    /// `stop`: what fails is told and tried again.
    ///
    /// ```
    /// use windlass::maintenance::Turned;
    /// use windlass::{Options, Windlass};
    ///
    /// # #[cfg(feature = "memory")]
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let mut options = Options::default();
    /// options.maintenance.on_start = true;
    /// let windlass = Windlass::open(&"memory:".parse()?, options).await?;
    ///
    /// let (done, stop) = tokio::sync::oneshot::channel::<()>();
    /// let mut done = Some(done);
    /// let stop = async { stop.await.unwrap_or(()) };
    /// let tell = |turned: &Result<Turned, _>| {
    ///     if let Ok(Turned::Round(_)) = turned {
    ///         // One round is enough here; a service goes on until it ends.
    ///         done.take();
    ///     }
    /// };
    /// windlass.maintenance().run(stop, tell).await;
    ///
    /// let status = windlass.maintenance().status().await?;
    /// assert_eq!(status.rounds.len(), 1);
    /// assert_eq!(status.holder, None, "it was given back at the end");
    /// # Ok(())
    /// # }
    /// # #[cfg(not(feature = "memory"))]
    /// # fn main() {}
    /// ```
    pub async fn run(
        self,
        stop: impl Future<Output = ()> + Send,
        mut tell: impl FnMut(&Result<Turned, MaintenanceError>) + Send,
    ) {
        let mut stop = pin!(stop);
        let env = Arc::clone(self.windlass.env());
        loop {
            let mut keeper = match self.keeper() {
                Ok(keeper) => keeper,
                Err(error) => {
                    tell(&Err(error));
                    let again = env.monotonic() + self.options().beat();
                    match first(stop.as_mut(), env.sleep_until(again)).await {
                        Some(()) => continue,
                        None => return,
                    }
                }
            };
            while let Some(turned) = first(stop.as_mut(), keeper.turn()).await {
                tell(&turned);
                let rest = env.sleep_until(keeper.next_turn());
                if first(stop.as_mut(), rest).await.is_none() {
                    break;
                }
            }
            if let Err(error) = keeper.release().await {
                tell(&Err(error));
            }
            return;
        }
    }

    /// A candidate for upkeep, for a loop of the caller's own.
    ///
    /// # Errors
    ///
    /// [`MaintenanceError::Random`] if there are no random bytes to name it.
    pub fn keeper(&self) -> Result<Keeper, MaintenanceError> {
        Keeper::new(self.windlass.clone())
    }

    /// Has one task done now, within `limit`, whoever has the lease: steps as
    /// in a round, with rests between them. `observe` hears how far it is
    /// after each step. The report is kept.
    ///
    /// # Errors
    ///
    /// [`MaintenanceError`] naming the task; what it did before stays done,
    /// and is in the report that is kept.
    pub async fn run_now(
        &self,
        task: &'static Task,
        limit: RunLimit,
        observe: &mut (dyn FnMut(&TaskReport) + Send),
    ) -> Result<TaskReport, MaintenanceError> {
        self.watch_clock().await?;
        let env = self.windlass.env();
        let mut run = Run::new(&self.windlass, task, Pace::default());
        let mut failed = None;
        while let Some(left) = self.left(&run, limit) {
            let before = env.monotonic();
            match run.step(left).await {
                Ok(After::More) => observe(run.report()),
                Ok(After::Over) => break,
                Err(error) => {
                    run.fail(&error);
                    failed = Some(error);
                    break;
                }
            }
            rest(&**env, before).await;
        }
        let (report, _) = run.end().await;
        let kept = self.keep(task, &report).await;
        match failed {
            Some(error) => Err(error),
            None => kept.map(|()| report),
        }
    }

    /// Refuses a clock that cannot be right. One that is more than an hour
    /// ahead is watched until whoever has the lease has either written the
    /// time down or let the lease go: 30 s, unless it is set otherwise, and
    /// two more at most.
    async fn watch_clock(&self) -> Result<(), MaintenanceError> {
        let (upkeep, env) = (self.windlass.upkeep(), self.windlass.env());
        let began = env.monotonic();
        loop {
            let rows = Rows::read(&**self.windlass.store()).await?;
            let Some((version, clock)) = rows.clock else {
                return Ok(());
            };
            let (now, at) = (env.now(), env.monotonic());
            upkeep.look(Look {
                version,
                mark: clock.mark,
                now,
                at,
            })?;
            let held = rows.lease.filter(|(_, row)| row.until != Millis::new(0));
            let held = held.map(|(_, row)| row.ttl_ms);
            let held = held.or(rows.damaged.map(|_| upkeep.options.lease_ms));
            let Some(ttl_ms) = held.filter(|_| !upkeep.exclusive) else {
                return Ok(());
            };
            let (stood, ttl) = (upkeep.watch().stood(at), Duration::from_millis(ttl_ms));
            if is_near(now, clock.mark) || stood >= ttl {
                return Ok(());
            }
            let look_every = upkeep.options.beat().min(LOOK_EVERY_MAX);
            if at.saturating_sub(began) > ttl + 2 * LOOK_EVERY_MAX {
                // The mark goes on changing, and is never near.
                let mark = clock.mark;
                return Err(ClockRefused { now, mark }.into());
            }
            env.sleep_until(at + look_every).await;
        }
    }

    /// What the next step may use up; `None` if a bound is met.
    fn left(&self, run: &Run<'_>, limit: RunLimit) -> Option<Left> {
        let options = self.options();
        let time = Duration::from_millis(limit.millis.unwrap_or(u64::MAX));
        let left = Left {
            entries: limit.entries.unwrap_or(u64::MAX),
            time,
        };
        let left = left.less(run.report().scanned, run.elapsed());
        let step = Left {
            entries: options.step_entries,
            time: options.step(),
        };
        (!left.is_over()).then(|| left.at_most(step))
    }

    async fn keep(&self, task: &Task, report: &TaskReport) -> Result<(), MaintenanceError> {
        let row = encode(&TaskRow {
            v: Format,
            report: report.clone(),
            failures: 0,
            next_try: None,
        });
        let key = record::by_hand(task.name());
        let batch = Batch::new().put(key, row);
        let _: Commit = self.windlass.store().commit(batch).await?;
        Ok(())
    }

    /// How upkeep stands, whichever process does it.
    ///
    /// # Errors
    ///
    /// The store's failures.
    pub async fn status(&self) -> Result<MaintenanceStatus, MaintenanceError> {
        status::read(&self.windlass).await
    }

    /// What upkeep came to in this process.
    #[must_use]
    pub fn counts(&self) -> MaintenanceCounts {
        self.windlass.upkeep().tallies.counts()
    }

    /// Takes the time that this machine has for the right one, also if the
    /// store has seen a later one; which one it had seen. From then on all
    /// clocks are measured by this: a process that has upkeep and whose clock
    /// is more than an hour off does no more until that is set.
    ///
    /// # Errors
    ///
    /// The store's failures.
    pub async fn accept_clock(&self) -> Result<Option<Millis>, MaintenanceError> {
        let store = self.windlass.store();
        let before = clock::accept(&**store, self.windlass.env().now()).await;
        *self.windlass.upkeep().watch() = Watch::default();
        before
    }
}

/// Refuses a clock that cannot be right by the time that a store has seen.
///
/// # Errors
///
/// [`MaintenanceError::Clock`], and the store's failures.
pub(crate) async fn check_clock(store: &dyn Store, now: Millis) -> Result<(), MaintenanceError> {
    match clock::mark(store).await? {
        Some(mark) => Ok(clock::judge(now, mark)?),
        None => Ok(()),
    }
}

/// What `work` came to; `None` if `stop` came first.
async fn first<T>(
    mut stop: std::pin::Pin<&mut (impl Future<Output = ()> + Send)>,
    work: impl Future<Output = T>,
) -> Option<T> {
    let mut work = pin!(work);
    poll_fn(|context| {
        if stop.as_mut().poll(context).is_ready() {
            return Poll::Ready(None);
        }
        work.as_mut().poll(context).map(Some)
    })
    .await
}
