//! Upkeep, of a store or of a server.

use async_trait::async_trait;
use windlass::maintenance::{RunLimit, Task};
use windlass_client::maintenance::{MaintenanceStatus, RunTask, TaskReport};

use super::error::ask;
use super::{Here, Remote, alike};
use crate::failure::Failure;

/// How long a server is asked to work at a time, so that it can be said how far
/// it is.
const SLICE_MS: u64 = 2_000;

/// Told how far a task is.
pub(crate) type Follow<'a> = &'a mut (dyn FnMut(&TaskReport) + Send);

/// The operations that commands about upkeep need.
#[async_trait]
pub(crate) trait Upkeep: Send + Sync {
    /// How upkeep stands.
    async fn status(&self) -> Result<MaintenanceStatus, Failure>;
    /// Has a task done within bounds.
    async fn run_task(
        &self,
        task: &'static Task,
        limit: RunLimit,
        follow: Follow<'_>,
    ) -> Result<TaskReport, Failure>;
}

#[async_trait]
impl Upkeep for Here {
    async fn status(&self) -> Result<MaintenanceStatus, Failure> {
        Ok(alike(&self.windlass().maintenance().status().await?))
    }

    async fn run_task(
        &self,
        task: &'static Task,
        limit: RunLimit,
        follow: Follow<'_>,
    ) -> Result<TaskReport, Failure> {
        let maintenance = self.windlass().maintenance();
        let mut observe = |report: &windlass::maintenance::TaskReport| follow(&alike(report));
        let done = maintenance.run_now(task, limit, &mut observe).await?;
        Ok(alike(&done))
    }
}

#[async_trait]
impl Upkeep for Remote {
    async fn status(&self) -> Result<MaintenanceStatus, Failure> {
        ask(self.client().maintenance()).await
    }

    /// In slices, added up, until nothing is left, or a bound is met, or a
    /// slice changes nothing.
    async fn run_task(
        &self,
        task: &'static Task,
        limit: RunLimit,
        follow: Follow<'_>,
    ) -> Result<TaskReport, Failure> {
        let mut whole: Option<TaskReport> = None;
        loop {
            let done = whole.as_ref();
            let (scanned, elapsed) = done.map_or((0, 0), |done| (done.scanned, done.elapsed_ms));
            let left = limit.millis.map(|most| most.saturating_sub(elapsed));
            let request = RunTask {
                entries: limit.entries.map(|most| most.saturating_sub(scanned)),
                millis: Some(left.unwrap_or(SLICE_MS).min(SLICE_MS)),
            };
            let over = request.entries == Some(0) || request.millis == Some(0);
            if let Some(whole) = whole.take_if(|_| over) {
                return Ok(whole);
            }
            let slice = ask(self.client().run_task(task.name(), &request)).await?;
            let goes_on = slice.truncated && slice.changed > 0 && !over;
            let added = match whole.take() {
                Some(before) => add(before, slice),
                None => slice,
            };
            if !goes_on {
                return Ok(added);
            }
            follow(&added);
            whole = Some(added);
        }
    }
}

/// Adds a slice to what came before it.
fn add(mut whole: TaskReport, slice: TaskReport) -> TaskReport {
    whole.elapsed_ms += slice.elapsed_ms;
    whole.steps += slice.steps;
    whole.step_ms_max = whole.step_ms_max.max(slice.step_ms_max);
    whole.scanned += slice.scanned;
    whole.changed += slice.changed;
    for (kind, count) in slice.counts {
        *whole.counts.entry(kind).or_default() += count;
    }
    whole.bytes = match (whole.bytes, slice.bytes) {
        (None, None) => None,
        (before, more) => Some(before.unwrap_or(0) + more.unwrap_or(0)),
    };
    whole.truncated = slice.truncated;
    whole.unreadable.extend(slice.unreadable);
    whole.unreadable_more |= slice.unreadable_more;
    whole.failure = slice.failure;
    whole
}
