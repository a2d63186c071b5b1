//! Upkeep of the store, for operators.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

#[cfg(feature = "schema")]
use crate::schema::UnixMs;

/// Asks for one task now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RunTask {
    /// Entries to look at, at most: 0 to 100,000,000; as many as the time
    /// allows if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(maximum = 100_000_000))]
    pub entries: Option<u64>,
    /// Milliseconds to take, at most: 0 to 600,000; 10,000 if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(maximum = 600_000, default = 10_000))]
    pub millis: Option<u64>,
}

/// How a task failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct TaskFailure {
    /// The code of the error.
    pub code: String,
    /// What happened.
    pub message: String,
}

/// What one run of a task did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct TaskReport {
    /// Which task.
    pub task: String,
    /// When it began.
    #[cfg_attr(feature = "schema", schema(value_type = UnixMs))]
    pub at: u64,
    /// How long it took, rests between its steps included.
    pub elapsed_ms: u64,
    /// Steps it took.
    pub steps: u64,
    /// How long the longest of them took, in milliseconds.
    pub step_ms_max: u64,
    /// Entries looked at.
    pub scanned: u64,
    /// Things changed or removed.
    pub changed: u64,
    /// These by kind, without those of which there were none.
    pub counts: BTreeMap<String, u64>,
    /// Bytes taken back; null of tasks that do not know.
    #[cfg_attr(feature = "schema", schema(required))]
    pub bytes: Option<u64>,
    /// Whether work is left that was due.
    pub truncated: bool,
    /// What cannot be read and was left alone, by name, with the reason: at
    /// most 32.
    pub unreadable: BTreeMap<String, String>,
    /// Whether there was more that cannot be read.
    pub unreadable_more: bool,
    /// Why it ended early; null if it did not fail.
    #[cfg_attr(feature = "schema", schema(required))]
    pub failure: Option<TaskFailure>,
}

/// What one round of all tasks did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RoundReport {
    /// When it began.
    #[cfg_attr(feature = "schema", schema(value_type = UnixMs))]
    pub at: u64,
    /// How long it took, rests between steps included.
    pub elapsed_ms: u64,
    /// Tasks for which there was something to do.
    pub tasks: u64,
    /// Steps they took.
    pub steps: u64,
    /// How long the longest of these took, in milliseconds.
    pub step_ms_max: u64,
    /// Entries looked at.
    pub scanned: u64,
    /// Things changed or removed.
    pub changed: u64,
    /// Bytes taken back, as far as it is known.
    pub bytes: u64,
    /// Whether work is left that was due.
    pub truncated: bool,
    /// Tasks that failed.
    pub failed: BTreeMap<String, TaskFailure>,
}

/// Who does upkeep.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Holder {
    /// What it calls itself: 32 hexadecimal digits, anew with each start.
    pub id: String,
    /// The number of its process.
    pub pid: u32,
    /// How often the lease has changed hands.
    pub generation: u64,
    /// Since when it has the lease.
    #[cfg_attr(feature = "schema", schema(value_type = UnixMs))]
    pub since: u64,
    /// When the lease ends unless it is renewed.
    #[cfg_attr(feature = "schema", schema(value_type = UnixMs))]
    pub until: u64,
    /// Whether it has not ended yet, the difference of clocks allowed for.
    pub alive: bool,
    /// When it begins its next round.
    #[cfg_attr(feature = "schema", schema(value_type = UnixMs))]
    pub next_round: u64,
}

/// What is due and not done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Overdue {
    /// How many entries of the index, of the first 4,096 of all tasks.
    pub entries: u64,
    /// When the first of them came due.
    #[cfg_attr(feature = "schema", schema(required, value_type = Option<UnixMs>))]
    pub oldest_at: Option<u64>,
}

/// How one task stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct TaskStatus {
    /// What it is called.
    pub task: String,
    /// What it does.
    pub about: String,
    /// What is due and not done.
    pub overdue: Overdue,
    /// What it did last, when its turn came and there was something to do.
    #[cfg_attr(feature = "schema", schema(required))]
    pub last: Option<TaskReport>,
    /// What it did last when somebody asked for it.
    #[cfg_attr(feature = "schema", schema(required))]
    pub by_hand: Option<TaskReport>,
    /// How often in a row it has failed.
    pub failures: u32,
    /// Not before then it is tried again.
    #[cfg_attr(feature = "schema", schema(required, value_type = Option<UnixMs>))]
    pub next_try: Option<u64>,
}

/// How upkeep stands, whichever process does it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct MaintenanceStatus {
    /// What time it is.
    #[cfg_attr(feature = "schema", schema(value_type = UnixMs))]
    pub now: u64,
    /// Who does it; null if nobody does.
    #[cfg_attr(feature = "schema", schema(required))]
    pub holder: Option<Holder>,
    /// The latest time that the store has seen.
    #[cfg_attr(feature = "schema", schema(required, value_type = Option<UnixMs>))]
    pub mark: Option<u64>,
    /// Why the clock of the process that was asked is refused; null if it is
    /// not.
    #[cfg_attr(feature = "schema", schema(required))]
    pub clock_refused: Option<String>,
    /// Every task, in the order of their turns.
    pub tasks: Vec<TaskStatus>,
    /// Whether there may be more due than was counted.
    pub overdue_more: bool,
    /// The last rounds, at most 32, the newest first.
    pub rounds: Vec<RoundReport>,
    /// Records of these that cannot be read, with the reason.
    pub unreadable: BTreeMap<String, String>,
}
