//! One run of one task: steps, until there is nothing left to do, or its
//! budget is used up, or nothing moves.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use windlass_core::{Coded, Env};

use super::due::{DueWork, Overdue, is_any_due};
use super::error::MaintenanceError;
use super::pace::{Left, Pace};
use super::report::{Done, TaskFailure, TaskReport, cut};
use super::table::Task;
use super::tally::Tally;
use crate::{MaintainError, Windlass};

/// Bites in a row that get no further before it is looked whether anything
/// moves at all.
const IDLE_BITES: u32 = 8;

/// Whether a run goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    /// There may be more to do.
    More,
    /// There is nothing left, or nothing that can be done now.
    Over,
}

/// A run that is under way.
#[derive(Debug)]
pub(super) struct Run<'a> {
    windlass: &'a Windlass,
    task: &'static Task,
    pace: Pace,
    report: TaskReport,
    began: Duration,
    idle: u32,
    left_over: Option<Overdue>,
}

impl<'a> Run<'a> {
    pub(super) fn new(windlass: &'a Windlass, task: &'static Task, pace: Pace) -> Self {
        let env = windlass.env();
        Self {
            windlass,
            task,
            pace,
            report: TaskReport::new(task.name, env.now()),
            began: env.monotonic(),
            idle: 0,
            left_over: None,
        }
    }

    pub(super) const fn report(&self) -> &TaskReport {
        &self.report
    }

    /// How long it has been under way.
    pub(super) fn elapsed(&self) -> Duration {
        self.windlass.env().monotonic().saturating_sub(self.began)
    }

    /// Takes one step within `left`.
    pub(super) async fn step(&mut self, left: Left) -> Result<After, MaintenanceError> {
        let env = self.windlass.env();
        let begun = env.monotonic();
        let stepped = self.bites(left).await;
        let took = env.monotonic().saturating_sub(begun);
        self.report.steps += 1;
        self.report.step_ms_max = self.report.step_ms_max.max(millis(took));
        self.tally().stepped(took);
        stepped
    }

    async fn bites(&mut self, mut left: Left) -> Result<After, MaintenanceError> {
        let mut last = None;
        while let Some(bite) = self.pace.bite(last, left) {
            let (done, took) = self.ask(bite).await?;
            left = left.less(done.scanned, took);
            last = Some(bite);
            let (moved, more) = (done.moved(), done.truncated);
            self.report.add(done);
            if !more {
                return Ok(After::Over);
            }
            if moved {
                (self.idle, self.left_over) = (0, None);
            } else if self.is_stuck().await? {
                return Ok(After::Over);
            }
        }
        Ok(After::More)
    }

    /// Has the part look at so many entries.
    async fn ask(&mut self, entries: u64) -> Result<(Done, Duration), MaintenanceError> {
        let env = self.windlass.env();
        let task = self.task.name;
        let begun = env.monotonic();
        let limit = usize::try_from(entries).unwrap_or(usize::MAX);
        let done = caught((self.task.step)(self.windlass, limit)).await;
        let took = env.monotonic().saturating_sub(begun);
        let done: Result<Done, MaintainError> =
            done.map_err(|message| MaintenanceError::Panicked { task, message })?;
        let done = done.map_err(|source| MaintenanceError::Task { task, source })?;
        self.pace.note(done.scanned, took);
        self.tally().did(&done);
        Ok((done, took))
    }

    /// Whether bite after bite gets no further, and nothing of the task leaves
    /// the index of due work either: what is left has to wait for others.
    async fn is_stuck(&mut self) -> Result<bool, MaintenanceError> {
        self.idle += 1;
        if !self.idle.is_multiple_of(IDLE_BITES) {
            return Ok(false);
        }
        if self.task.kinds.is_empty() {
            return Ok(true);
        }
        let (store, now) = (self.windlass.store(), self.windlass.env().now());
        let left_over = DueWork::count(&**store, now).await?.of(self.task.kinds);
        Ok(self.left_over.replace(left_over) == Some(left_over))
    }

    /// Notes how a run failed.
    pub(super) fn fail(&mut self, error: &MaintenanceError) {
        self.tally().failed();
        self.report.truncated = true;
        self.report.failure = Some(TaskFailure::new(error.code(), &said(error)));
    }

    /// Ends the run: the report, with whether work is left as the index of due
    /// work has it where the part could not say, and what was learned.
    pub(super) async fn end(mut self) -> (TaskReport, Pace) {
        self.report.elapsed_ms = millis(self.elapsed());
        if self.report.truncated && !self.task.kinds.is_empty() {
            let (store, now) = (self.windlass.store(), self.windlass.env().now());
            let left = is_any_due(&**store, now, self.task.kinds).await;
            // An index that cannot be read has nothing to say against it.
            self.report.truncated = left.unwrap_or(true);
        }
        (self.report, self.pace)
    }

    fn tally(&self) -> &Tally {
        self.windlass.tally(self.task.name)
    }
}

/// An error and its causes, in one line.
fn said(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// The shortest and the longest rest between two steps.
const REST_MIN: Duration = Duration::from_millis(1);
const REST_MAX: Duration = Duration::from_millis(250);

/// Leaves the store to others for as long as the step took that began at
/// `before`; not for long if that was because the process stood still.
pub(super) async fn rest(env: &dyn Env, before: Duration) {
    let now = env.monotonic();
    let rest = now.saturating_sub(before).clamp(REST_MIN, REST_MAX);
    env.sleep_until(now + rest).await;
}

/// Whole milliseconds.
pub(super) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Runs `work`; what it said, if it panicked.
async fn caught<T>(work: impl Future<Output = T>) -> Result<T, String> {
    let mut work = pin!(work);
    poll_fn(|context| {
        let polled = catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context)));
        match polled {
            Ok(Poll::Ready(done)) => Poll::Ready(Ok(done)),
            Ok(Poll::Pending) => Poll::Pending,
            Err(panic) => {
                let text = panic.downcast_ref::<&str>().map(ToString::to_string);
                let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
                Poll::Ready(Err(cut(&text.unwrap_or_default())))
            }
        }
    })
    .await
}
