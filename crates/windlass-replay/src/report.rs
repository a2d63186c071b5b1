//! What a replay reports.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use windlass::core::{AgentId, SessionId};

use crate::keeping::Kept;
use crate::observe::Outcome;
use crate::output::Written;
use crate::stashing::Stashed;

/// What a whole replay came to. Apart from the times it depends on nothing
/// but the recording and the restrictions: not on how many runs were played
/// at a time, nor on how often the replay was killed on the way.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Runs, each with a session of its own.
    pub runs: u64,
    /// Tool calls of all runs.
    pub steps: u64,
    /// Steps that were authorised.
    pub uses_allowed: u64,
    /// Steps that were refused, by error code.
    pub uses_refused: BTreeMap<&'static str, u64>,
    /// Steps that an earlier, interrupted replay had done.
    pub steps_found: u64,
    /// The median time from asking for a turn to its durable answer, in
    /// milliseconds, over the steps done now; `None` if there were none.
    pub step_ms_p50: Option<f64>,
    /// The 99th percentile of the same.
    pub step_ms_p99: Option<f64>,
    /// Outputs of tools that were put into the stashes of their sessions.
    pub stash_puts: u64,
    /// Their bytes, as JSON. Of each tool only the last output stays.
    pub stash_bytes: u64,
    /// Commits of the runs' states.
    pub commits: u64,
    /// States that began where another one was.
    pub forks: u64,
    /// Messages that were appended as nodes to the graphs of the states.
    pub nodes: u64,
    /// Rows of the runs' outputs, each run's in a stream of its own.
    pub rows: u64,
    /// Their bytes, as framed.
    pub row_bytes: u64,
    /// Contents that lie in rows of their own.
    pub blobs: u64,
    /// Keys and values in the store that belong to the states.
    pub state_bytes: u64,
    /// Keys and values in the store that belong to the caller's tenant.
    pub stored_bytes: u64,
    /// See [`Recording::full_snapshot_bytes`](crate::Recording::full_snapshot_bytes).
    pub full_snapshot_bytes: u64,
    /// See [`Recording::distinct_message_bytes`](crate::Recording::distinct_message_bytes).
    pub distinct_message_bytes: u64,
    /// What each run came to, in the recording's order.
    #[serde(skip)]
    pub by_run: Vec<RunReport>,
}

/// What one run came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RunReport {
    /// The name of its file.
    pub source: String,
    /// Its key in the file.
    pub run: String,
    /// The key of the run that delegated to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// The session that stands for it.
    pub session: SessionId,
    /// Its agent.
    pub agent: AgentId,
    /// The calls it may make; its session's budget has those of the runs it
    /// delegated to besides.
    pub budget: u64,
    /// The tool withheld from it.
    pub withheld: Option<String>,
    /// Its tool calls.
    pub steps: u64,
    /// Those that an earlier, interrupted replay had done.
    pub found: u64,
    /// Those that were authorised.
    pub allowed: u64,
    /// Those that were refused, by error code.
    pub refused: BTreeMap<&'static str, u64>,
    /// Outputs that were put into its session's stash.
    pub stash_puts: u64,
    /// Their bytes, as JSON.
    pub stash_bytes: u64,
    /// Commits of its states.
    pub commits: u64,
    /// States that its search went on with after it had gone back.
    pub forks: u64,
    /// Messages that were appended to the graphs of its states.
    pub nodes: u64,
    /// Rows of its output.
    pub rows: u64,
    /// Their bytes, as framed.
    pub row_bytes: u64,
}

impl RunReport {
    pub(crate) fn keep(&mut self, kept: Kept) {
        self.commits += kept.commits;
        self.forks += kept.forks;
        self.nodes += kept.nodes;
    }

    pub(crate) fn put_out(&mut self, written: Written) {
        self.rows += written.rows;
        self.row_bytes += written.bytes;
    }

    pub(crate) fn stash(&mut self, stashed: Stashed) {
        self.stash_puts += stashed.puts;
        self.stash_bytes += stashed.bytes;
    }

    pub(crate) fn count(&mut self, outcome: Outcome, found: bool) {
        self.steps += 1;
        self.found += u64::from(found);
        match outcome {
            Outcome::Allowed => self.allowed += 1,
            Outcome::Refused(code) => *self.refused.entry(code).or_default() += 1,
        }
    }
}

/// Refusals of all runs together.
pub(crate) fn refused(runs: &[RunReport]) -> BTreeMap<&'static str, u64> {
    let mut all = BTreeMap::new();
    for (code, count) in runs.iter().flat_map(|run| &run.refused) {
        *all.entry(*code).or_default() += count;
    }
    all
}

/// The least of `sorted` that `percent` of them do not exceed, in
/// milliseconds with three decimals.
pub(crate) fn percentile_ms(sorted: &[Duration], percent: usize) -> Option<f64> {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    let duration = sorted.get(rank - 1)?;
    Some((duration.as_secs_f64() * 1e6).round() / 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let sorted: Vec<Duration> = (1..=200).map(Duration::from_millis).collect();
        assert_eq!(percentile_ms(&sorted, 50), Some(100.0));
        assert_eq!(percentile_ms(&sorted, 99), Some(198.0));
        assert_eq!(percentile_ms(&sorted[..1], 99), Some(1.0));
        assert_eq!(percentile_ms(&[], 50), None);
    }
}
