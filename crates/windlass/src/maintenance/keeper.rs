//! Upkeep as one process does it: holding the lease, and a round when it is
//! time for one.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use windlass_core::{Format, Millis};
use windlass_store::{Batch, Commit, Expect, Scan, StoreError, Version};

use super::clock::{Look, is_near};
use super::due::DueWork;
use super::error::MaintenanceError;
use super::lease::{Seen, held, may_take};
use super::pace::{Left, Pace};
use super::record::{
    self, ClockRow, LeaseRow, ROUNDS_KEPT, RoundsRow, Rows, TaskRow, decode, encode, is_damage,
    read_lease,
};
use super::report::{RoundReport, TaskReport};
use super::run::{After, Run, millis, rest};
use super::table::{TASKS, Task};
use crate::Windlass;

/// Attempts to give the lease back, while renewals of it are still under way.
const RELEASES_MAX: usize = 8;
/// The longest that a failing task is left alone.
const BACK_OFF_MAX: Duration = Duration::from_secs(600);

/// What came of a turn.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Turned {
    /// Another process does upkeep.
    Elsewhere,
    /// This process has the lease, and its next round is yet to come.
    Waits,
    /// A round of every task.
    Round(Box<RoundReport>),
}

/// How often a task has failed in a row, and until when it is left alone.
#[derive(Clone, Copy, Debug, Default)]
struct Failing {
    times: u32,
    until: Duration,
}

/// The lease while it is one's own.
#[derive(Debug)]
struct Held {
    version: Version,
    renewed: Duration,
}

/// The commit of the lease that may not be over yet. One that was begun goes
/// on when the turn that began it is dropped.
#[derive(Default)]
struct UnderWay(Mutex<Option<Writing>>);

type Writing = Pin<Box<dyn Future<Output = Result<Commit, StoreError>> + Send>>;

impl fmt::Debug for UnderWay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UnderWay(..)")
    }
}

impl UnderWay {
    fn begin(&mut self, writing: Writing) {
        *self.0.get_mut().unwrap_or_else(PoisonError::into_inner) = Some(writing);
    }

    /// What came of it, once it is over; `None` if there is none. When this is
    /// dropped, it is still under way.
    async fn end(&mut self) -> Option<Result<Commit, StoreError>> {
        let place = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        let done = place.as_mut()?.as_mut().await;
        *place = None;
        Some(done)
    }
}

/// A candidate for upkeep, which does what is due whenever it is given a turn.
/// For whoever drives upkeep with a loop of their own;
/// [`Maintenance::run`](super::Maintenance::run) is such a loop.
#[derive(Debug)]
pub struct Keeper {
    windlass: Windlass,
    id: String,
    held: Option<Held>,
    seen: Option<Seen>,
    under_way: UnderWay,
    next_round: Duration,
    next_turn: Duration,
    /// When what is this process's alone is looked after, while another has
    /// the lease.
    next_own: Duration,
    paces: [Pace; TASKS.len()],
    failing: [Failing; TASKS.len()],
}

impl Keeper {
    pub(super) fn new(windlass: Windlass) -> Result<Self, MaintenanceError> {
        let mut id = [0; 16];
        windlass.env().random(&mut id)?;
        let now = windlass.env().monotonic();
        let mut keeper = Self {
            id: id.iter().map(|byte| format!("{byte:02x}")).collect(),
            held: None,
            seen: None,
            under_way: UnderWay::default(),
            next_round: now,
            next_turn: now,
            next_own: now,
            paces: Default::default(),
            failing: Default::default(),
            windlass,
        };
        if !keeper.windlass.upkeep().options.on_start {
            keeper.next_round = now + keeper.wait()?;
            keeper.next_own = keeper.next_round;
        }
        Ok(keeper)
    }

    /// When the next turn is due, on the monotonic clock.
    #[must_use]
    pub const fn next_turn(&self) -> Duration {
        self.next_turn
    }

    /// Does what is due: takes or renews the lease, and does a round. One that
    /// comes early does little. Dropping it stops upkeep where it is; what was
    /// done is done, and the next turn goes on.
    ///
    /// # Errors
    ///
    /// [`MaintenanceError::Clock`] if the clock cannot be right, and the
    /// store's failures. A task that fails is no error: it is in the report.
    pub async fn turn(&mut self) -> Result<Turned, MaintenanceError> {
        let beat = self.windlass.upkeep().options.beat();
        self.next_turn = self.monotonic() + beat;
        let turned = match self.hold().await? {
            false => {
                self.look_after_own().await?;
                Turned::Elsewhere
            }
            true if self.monotonic() < self.next_round => Turned::Waits,
            true => Turned::Round(Box::new(self.round().await?)),
        };
        if self.held.is_some() {
            let renew = self.monotonic() + beat;
            self.next_turn = renew.min(self.next_round);
        }
        Ok(turned)
    }

    /// Gives the lease back, so that nobody has to wait for its end.
    ///
    /// # Errors
    ///
    /// The store's failures, and [`MaintenanceError::StillHeld`]; the lease
    /// ends by itself then.
    pub async fn release(&mut self) -> Result<(), MaintenanceError> {
        self.windlass.upkeep().tallies.holds(false);
        self.held = None;
        // Of a turn that was dropped; the lease says what came of it.
        let _: Option<Result<Commit, StoreError>> = self.under_way.end().await;
        for _ in 0..RELEASES_MAX {
            let lease = read_lease(&**self.windlass.store()).await?;
            let Some((version, row)) = lease else {
                return Ok(());
            };
            if row.holder != self.id || row.until == Millis::new(0) {
                // Whoever took it meanwhile has it.
                return Ok(());
            }
            let free = LeaseRow {
                until: Millis::new(0),
                ..row
            };
            let batch = Batch::new()
                .check(record::lease(), Expect::Version(version))
                .put(record::lease(), encode(&free));
            if let Commit::Applied(_) = self.windlass.store().commit(batch).await? {
                return Ok(());
            }
        }
        Err(MaintenanceError::StillHeld)
    }

    fn monotonic(&self) -> Duration {
        self.windlass.env().monotonic()
    }

    fn now(&self) -> Millis {
        self.windlass.env().now()
    }

    /// The time between two rounds, give or take a tenth.
    fn wait(&self) -> Result<Duration, MaintenanceError> {
        let mut random = [0; 2];
        self.windlass.env().random(&mut random)?;
        let round = self.windlass.upkeep().options.round();
        let fifth = round / 5;
        let jitter = fifth.mul_f64(f64::from(u16::from_le_bytes(random)) / f64::from(u16::MAX));
        Ok(round - fifth / 2 + jitter)
    }

    async fn read(&self) -> Result<Rows, MaintenanceError> {
        Rows::read(&**self.windlass.store()).await
    }

    /// Whether the lease is one's own: takes it if it is free, and renews it
    /// if a third of its time is over.
    async fn hold(&mut self) -> Result<bool, MaintenanceError> {
        let held = self.held_now().await;
        self.windlass
            .upkeep()
            .tallies
            .holds(matches!(held, Ok(true)));
        if !matches!(held, Ok(true)) {
            self.held = None;
        }
        held
    }

    async fn held_now(&mut self) -> Result<bool, MaintenanceError> {
        let _: Option<Result<Commit, StoreError>> = self.under_way.end().await;
        let (now, options) = (self.monotonic(), self.windlass.upkeep().options.clone());
        let rows = self.read().await?;
        if let Some((version, clock)) = &rows.clock {
            let look = Look {
                version: *version,
                mark: clock.mark,
                now: self.now(),
                at: now,
            };
            self.windlass.upkeep().look(look)?;
        }
        let near = rows
            .clock
            .is_none_or(|(_, clock)| is_near(self.now(), clock.mark));
        if let Some((version, row)) = &rows.lease {
            let intact = rows.are_of_one_commit();
            let mine = row.holder == self.id && row.until != Millis::new(0);
            let recent = |held: &Held| {
                held.version == *version && now.saturating_sub(held.renewed) < options.beat()
            };
            if mine && intact && self.held.as_ref().is_some_and(recent) {
                return Ok(true);
            }
            // A clock that somebody else wrote since is judged like any other.
            let renews = mine && (intact || near);
            let watched = self.watched(*version, now);
            if !renews && !self.is_alone() && !may_take(row, self.now(), near, watched) {
                return Ok(false);
            }
        }
        if let Some(version) = rows.damaged {
            let watched = self.watched(version, now);
            if !self.is_alone() && watched < Duration::from_millis(options.lease_ms) {
                return Ok(false);
            }
        }
        self.write(&rows, Batch::new()).await
    }

    /// Whether no other process can have the store open.
    fn is_alone(&self) -> bool {
        self.windlass.upkeep().exclusive
    }

    /// For how long a lease has stood as it is while this process watched.
    fn watched(&mut self, version: Version, now: Duration) -> Duration {
        let seen = self.seen.filter(|seen| seen.version == version);
        let seen = seen.unwrap_or(Seen {
            version,
            since: now,
        });
        self.seen = Some(seen);
        now.saturating_sub(seen.since)
    }

    /// Takes or renews the lease in one commit with `more` and the time;
    /// whether nobody else has changed it since it was read.
    async fn write(&mut self, rows: &Rows, more: Batch) -> Result<bool, MaintenanceError> {
        let expect = |version: Option<Version>| version.map_or(Expect::Absent, Expect::Version);
        let (renewed, now) = (self.monotonic(), self.now());
        let ttl_ms = self.windlass.upkeep().options.lease_ms;
        let wait = self.next_round.saturating_sub(renewed);
        let before = rows.lease.as_ref().map(|(_, row)| row);
        let row = held(&self.id, before, now, ttl_ms, now.plus_ms(millis(wait)));
        let lease = rows.lease.as_ref().map(|(version, _)| *version);
        let mark = rows.clock.map_or(now, |(_, clock)| clock.mark.max(now));
        let mut batch = Batch::new()
            .check(record::lease(), expect(lease.or(rows.damaged)))
            .check(
                record::clock(),
                expect(rows.clock.map(|(version, _)| version)),
            )
            .put(record::lease(), encode(&row))
            .put(record::clock(), encode(&ClockRow { v: Format, mark }));
        batch.append(more);
        let store = Arc::clone(self.windlass.store());
        self.under_way
            .begin(Box::pin(async move { store.commit(batch).await }));
        let done = self.under_way.end().await.transpose()?;
        match done {
            Some(Commit::Applied(version)) => {
                self.held = Some(Held { version, renewed });
                self.windlass.upkeep().watch().wrote(version, renewed);
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Sweeps the cache of a process that has not the lease, for as long as a
    /// turn may take.
    async fn look_after_own(&mut self) -> Result<(), MaintenanceError> {
        let (begun, options) = (self.monotonic(), self.windlass.upkeep().options.clone());
        if self.windlass.caching().is_none() || begun < self.next_own {
            return Ok(());
        }
        let windlass = self.windlass.clone();
        let whole = Left {
            entries: options.step_entries,
            time: options.step(),
        };
        let has_turn = |place: &usize| TASKS[*place].own && self.failing[*place].until <= begun;
        let places: Vec<usize> = (0..TASKS.len()).filter(has_turn).collect();
        let mut cut = false;
        for place in places {
            let mut run = Run::new(&windlass, &TASKS[place], self.paces[place]);
            loop {
                let before = self.monotonic();
                let after = run.step(whole).await;
                self.note(place, &mut run, &after);
                rest(&**windlass.env(), before).await;
                if !matches!(after, Ok(After::More)) {
                    break;
                }
                if self.monotonic().saturating_sub(begun) >= options.beat() {
                    cut = true;
                    break;
                }
            }
            // It is told in this process's figures; the store has those of
            // whoever has the lease.
            let _ = self.end(place, run).await;
        }
        self.next_own = self.monotonic();
        if !cut {
            self.next_own += self.wait()?;
        }
        Ok(())
    }

    /// Gives every task that has something to do its steps, in turns, until
    /// all are done or the time between two rounds has gone by.
    async fn round(&mut self) -> Result<RoundReport, MaintenanceError> {
        let windlass = self.windlass.clone();
        let (begun, at) = (self.monotonic(), self.now());
        let due = DueWork::count(&**windlass.store(), at).await?;
        let has_turn = |place: usize| {
            let Task { kinds, own, .. } = TASKS[place];
            if own && windlass.caching().is_none() {
                return false;
            }
            self.failing[place].until <= begun && (kinds.is_empty() || due.may_hold(kinds))
        };
        let places = (0..TASKS.len()).filter(|place| has_turn(*place));
        let runs = places.map(|place| {
            let run = Run::new(&windlass, &TASKS[place], self.paces[place]);
            (place, run)
        });
        let (reports, cut) = self.take_turns(runs.collect(), begun).await;
        let mut round = RoundReport::new(at);
        for report in &reports {
            round.add(report);
        }
        let left = match reports.is_empty() {
            true => due,
            false => DueWork::count(&**windlass.store(), self.now()).await?,
        };
        for task in &TASKS {
            windlass.tally(task.name).overdue(left.of(task.kinds));
        }
        round.elapsed_ms = millis(self.monotonic().saturating_sub(begun));
        windlass.upkeep().tallies.round(&round);
        self.next_round = self.monotonic();
        if !cut {
            self.next_round += self.wait()?;
        }
        self.remember(&round, &reports).await?;
        Ok(round)
    }

    /// The reports of all runs, and whether time ran out before their end.
    async fn take_turns(
        &mut self,
        mut runs: Vec<(usize, Run<'_>)>,
        begun: Duration,
    ) -> (Vec<TaskReport>, bool) {
        let options = self.windlass.upkeep().options.clone();
        let whole = Left {
            entries: options.step_entries,
            time: options.step(),
        };
        let (mut reports, mut holds) = (Vec::new(), true);
        loop {
            let mut going = Vec::new();
            for (place, mut run) in runs {
                if !holds {
                    going.push((place, run));
                    continue;
                }
                let before = self.monotonic();
                let after = run.step(whole).await;
                self.note(place, &mut run, &after);
                match after {
                    Ok(After::More) => going.push((place, run)),
                    Ok(After::Over) | Err(_) => reports.push(self.end(place, run).await),
                }
                rest(&**self.windlass.env(), before).await;
                holds = self.still_holds().await;
            }
            runs = going;
            let late = self.monotonic().saturating_sub(begun) >= options.round();
            if runs.is_empty() || late || !holds {
                break;
            }
        }
        let cut = !runs.is_empty();
        for (place, run) in runs {
            reports.push(self.end(place, run).await);
        }
        (reports, cut)
    }

    /// Notes whether a task failed, and for how long it is left alone if so:
    /// for a round, and twice as long with each further failure.
    fn note(&mut self, place: usize, run: &mut Run<'_>, after: &Result<After, MaintenanceError>) {
        let Err(error) = after else {
            self.failing[place] = Failing::default();
            return;
        };
        run.fail(error);
        let round = self.windlass.upkeep().options.round();
        let times = self.failing[place].times.saturating_add(1);
        let doubled = round.saturating_mul(2_u32.saturating_pow(times.min(16) - 1));
        self.failing[place] = Failing {
            times,
            until: self.monotonic() + doubled.min(BACK_OFF_MAX.max(round)),
        };
    }

    async fn end(&mut self, place: usize, run: Run<'_>) -> TaskReport {
        let (report, pace) = run.end().await;
        self.paces[place] = pace;
        report
    }

    /// Whether the lease is still one's own, renewed if it is time to.
    async fn still_holds(&mut self) -> bool {
        let beat = self.windlass.upkeep().options.beat();
        let now = self.monotonic();
        let recent = |held: &Held| now.saturating_sub(held.renewed) < beat;
        if self.held.as_ref().is_some_and(recent) {
            return true;
        }
        // One that cannot be asked for is not held; the next turn says why.
        matches!(self.hold().await, Ok(true))
    }

    /// Stores the reports, if the lease is still one's own.
    async fn remember(
        &mut self,
        round: &RoundReport,
        reports: &[TaskReport],
    ) -> Result<(), MaintenanceError> {
        if !self.still_holds().await {
            return Ok(());
        }
        let rows = self.read().await?;
        let mine = |(version, _): &(Version, LeaseRow)| {
            self.held
                .as_ref()
                .is_some_and(|held| held.version == *version)
        };
        if !rows.are_of_one_commit() || !rows.lease.as_ref().is_some_and(mine) {
            // The next turn judges the clock that somebody else wrote.
            self.held = None;
            return Ok(());
        }
        let more = self.reports(round, reports).await?;
        if !self.write(&rows, more).await? {
            self.held = None;
        }
        Ok(())
    }

    /// The rows in which reports are kept.
    async fn reports(
        &self,
        round: &RoundReport,
        reports: &[TaskReport],
    ) -> Result<Batch, MaintenanceError> {
        let pages = self.windlass.store();
        let pages = match pages.read(&[Scan::point(record::rounds())]).await {
            Err(error) if is_damage(&error) => Vec::new(),
            pages => pages?,
        };
        let row = pages.iter().flat_map(|page| &page.entries).next();
        // Rounds that cannot be read are forgotten: they are only told.
        let kept = row.and_then(|row| decode::<RoundsRow>("rounds", row).ok());
        let mut rounds = kept.map(|row| row.rounds).unwrap_or_default();
        rounds.push(round.clone());
        let surplus = rounds.len().saturating_sub(ROUNDS_KEPT);
        rounds.drain(..surplus);
        let rounds = RoundsRow { v: Format, rounds };
        let mut batch = Batch::new().put(record::rounds(), encode(&rounds));
        let now = self.monotonic();
        for report in reports {
            let place = TASKS.iter().position(|task| task.name == report.task);
            let failing = place.map(|place| self.failing[place]).unwrap_or_default();
            let wait = millis(failing.until.saturating_sub(now));
            let row = TaskRow {
                v: Format,
                report: report.clone(),
                failures: failing.times,
                next_try: (failing.times > 0).then(|| self.now().plus_ms(wait)),
            };
            batch = batch.put(record::task(&report.task), encode(&row));
        }
        Ok(batch)
    }
}
