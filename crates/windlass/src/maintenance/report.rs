//! What upkeep says it did.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use windlass_core::Millis;

/// Records that cannot be read which a report names; beyond them it says that
/// there are more.
const UNREADABLE_NAMED_MAX: usize = 32;
/// Bytes of what an error or an unreadable record is said to be.
const TEXT_BYTES_MAX: usize = 400;

/// What one call of a part's upkeep did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Done {
    /// Entries looked at.
    pub(super) scanned: u64,
    /// What was changed or removed, by kind.
    pub(super) counts: Vec<(&'static str, u64)>,
    /// Bytes taken back, of parts that know.
    pub(super) bytes: Option<u64>,
    /// Whether there is, or may be, more to do.
    pub(super) truncated: bool,
    /// Whether it got further also where it changed nothing: what it looked at
    /// it does not look at again.
    pub(super) goes_on: bool,
    /// What could not be read, and why.
    pub(super) unreadable: Vec<(String, String)>,
}

impl Done {
    /// Things changed or removed, of whatever kind.
    pub(super) fn changed(&self) -> u64 {
        self.counts.iter().map(|(_, count)| count).sum()
    }

    /// Whether asking again may come to more.
    pub(super) fn moved(&self) -> bool {
        self.goes_on || self.changed() > 0
    }
}

/// What one run of a task did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct TaskReport {
    /// Which task.
    pub task: String,
    /// When it began.
    pub at: Millis,
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
    /// Bytes taken back; `None` of tasks that do not know.
    pub bytes: Option<u64>,
    /// Whether work is left that was due.
    pub truncated: bool,
    /// What cannot be read and was left alone, by name, with the reason: at
    /// most 32.
    pub unreadable: BTreeMap<String, String>,
    /// Whether there was more that cannot be read.
    pub unreadable_more: bool,
    /// Why it ended early, if it failed.
    pub failure: Option<TaskFailure>,
}

/// How a task failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct TaskFailure {
    /// The code of the error.
    pub code: String,
    /// What happened.
    pub message: String,
}

impl TaskFailure {
    pub(super) fn new(code: &str, message: &str) -> Self {
        Self {
            code: code.to_owned(),
            message: cut(message),
        }
    }
}

impl TaskReport {
    pub(super) fn new(task: &str, at: Millis) -> Self {
        Self {
            task: task.to_owned(),
            at,
            elapsed_ms: 0,
            steps: 0,
            step_ms_max: 0,
            scanned: 0,
            changed: 0,
            counts: BTreeMap::new(),
            bytes: None,
            // Until somebody looked, nobody can say that nothing is left.
            truncated: true,
            unreadable: BTreeMap::new(),
            unreadable_more: false,
            failure: None,
        }
    }

    /// Adds what a call did; what it says of the work that is left replaces
    /// what was said before.
    pub(super) fn add(&mut self, done: Done) {
        self.scanned += done.scanned;
        self.changed += done.changed();
        for (kind, count) in done.counts.iter().filter(|(_, count)| *count > 0) {
            *self.counts.entry((*kind).to_owned()).or_default() += count;
        }
        self.bytes = match (self.bytes, done.bytes) {
            (None, None) => None,
            (before, more) => Some(before.unwrap_or(0) + more.unwrap_or(0)),
        };
        self.truncated = done.truncated;
        for (name, why) in done.unreadable {
            if self.unreadable.len() < UNREADABLE_NAMED_MAX || self.unreadable.contains_key(&name) {
                self.unreadable.insert(name, cut(&why));
            } else {
                self.unreadable_more = true;
            }
        }
    }
}

/// What one round of all tasks did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RoundReport {
    /// When it began.
    pub at: Millis,
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

impl RoundReport {
    pub(super) const fn new(at: Millis) -> Self {
        Self {
            at,
            elapsed_ms: 0,
            tasks: 0,
            steps: 0,
            step_ms_max: 0,
            scanned: 0,
            changed: 0,
            bytes: 0,
            truncated: false,
            failed: BTreeMap::new(),
        }
    }

    pub(super) fn add(&mut self, report: &TaskReport) {
        self.tasks += 1;
        self.steps += report.steps;
        self.step_ms_max = self.step_ms_max.max(report.step_ms_max);
        self.scanned += report.scanned;
        self.changed += report.changed;
        self.bytes += report.bytes.unwrap_or(0);
        self.truncated |= report.truncated;
        if let Some(failure) = &report.failure {
            self.failed.insert(report.task.clone(), failure.clone());
        }
    }
}

/// The beginning of a text, of at most 400 bytes.
pub(super) fn cut(text: &str) -> String {
    let mut end = text.len().min(TEXT_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}
