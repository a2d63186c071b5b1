//! What the upkeep of one process came to, for whoever watches it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::due::Overdue;
use super::report::{Done, RoundReport};
use super::table::TASKS;

/// What is counted of a task.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    steps: AtomicU64,
    busy_us: AtomicU64,
    scanned: AtomicU64,
    changed: AtomicU64,
    failures: AtomicU64,
    overdue: AtomicU64,
    oldest_at: AtomicU64,
}

impl Tally {
    pub(super) fn stepped(&self, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.steps.fetch_add(1, Ordering::Relaxed);
        self.busy_us.fetch_add(us, Ordering::Relaxed);
    }

    pub(super) fn did(&self, done: &Done) {
        self.scanned.fetch_add(done.scanned, Ordering::Relaxed);
        self.changed.fetch_add(done.changed(), Ordering::Relaxed);
    }

    pub(super) fn failed(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn overdue(&self, overdue: Overdue) {
        let oldest = overdue.oldest_at.map_or(0, |at| at.get());
        self.overdue.store(overdue.entries, Ordering::Relaxed);
        self.oldest_at.store(oldest, Ordering::Relaxed);
    }
}

/// What is counted of all of them.
#[derive(Debug, Default)]
pub(crate) struct Tallies {
    tasks: [Tally; TASKS.len()],
    rounds: AtomicU64,
    rounds_failed: AtomicU64,
    holds: AtomicBool,
}

impl Tallies {
    /// That of a task; of the first, if there is none of that name.
    pub(crate) fn of(&self, task: &str) -> &Tally {
        let place = TASKS.iter().position(|it| it.name == task);
        &self.tasks[place.unwrap_or(0)]
    }

    pub(super) fn round(&self, report: &RoundReport) {
        match report.failed.is_empty() {
            true => &self.rounds,
            false => &self.rounds_failed,
        }
        .fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn holds(&self, holds: bool) {
        self.holds.store(holds, Ordering::Relaxed);
    }

    pub(super) fn counts(&self) -> MaintenanceCounts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let tasks = TASKS.iter().zip(&self.tasks);
        MaintenanceCounts {
            rounds: read(&self.rounds),
            rounds_failed: read(&self.rounds_failed),
            holds: self.holds.load(Ordering::Relaxed),
            tasks: tasks
                .map(|(task, tally)| TaskCounts {
                    task: task.name,
                    steps: read(&tally.steps),
                    busy: Duration::from_micros(read(&tally.busy_us)),
                    scanned: read(&tally.scanned),
                    changed: read(&tally.changed),
                    failures: read(&tally.failures),
                    overdue: read(&tally.overdue),
                    oldest_at_ms: read(&tally.oldest_at),
                })
                .collect(),
        }
    }
}

/// What upkeep came to in this process, since it opened the store.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MaintenanceCounts {
    /// Rounds in which no task failed.
    pub rounds: u64,
    /// Rounds in which one did.
    pub rounds_failed: u64,
    /// Whether this process has the lease.
    pub holds: bool,
    /// Of each task.
    pub tasks: Vec<TaskCounts>,
}

/// What one task came to in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TaskCounts {
    /// Which.
    pub task: &'static str,
    /// Steps taken.
    pub steps: u64,
    /// How long they took.
    pub busy: Duration,
    /// Entries looked at.
    pub scanned: u64,
    /// Things changed or removed.
    pub changed: u64,
    /// Times it failed.
    pub failures: u64,
    /// Rows of the index that were due and left at the end of the last round,
    /// of the first 4,096 of all tasks.
    pub overdue: u64,
    /// When the first of these came due, in Unix milliseconds; 0 if there is
    /// none.
    pub oldest_at_ms: u64,
}
