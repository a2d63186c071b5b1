//! A stash in memory alone: synchronous, for a sandbox's hot path.
//!
//! Writers decide one after another over the index; readers never wait for
//! them longer than it takes to exchange a pointer. Values are written to JSON
//! before any lock is taken, shared when they are read, and freed after the
//! locks are let go.

mod execution;
mod shards;
#[cfg(test)]
mod tests;

use std::fmt;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use windlass_core::{Env, GroupId, Millis};

use crate::audit::{Audit, Ear, Event, Outcome, Verb};
use crate::config::Config;
use crate::error::StashError;
use crate::metadata::Usage;
use crate::operations::Operations;
use crate::request::Removed;
use crate::rules::{Call, Change, Index};
use crate::sync::{Mutex, MutexGuard, PoisonError};

pub use execution::Execution;

use shards::{Leftovers, Shards};

/// Most entries that are reaped under one lock.
const REAP_STEP: u64 = 256;
/// Longest list of changes whose memory is kept for the next.
const CHANGES_KEPT_MAX: usize = 1_024;

/// The stash of one session, in memory alone.
///
/// Cloning gives another handle of the same stash; it ends with the last of
/// them. What is done in it is done through an [`Execution`], which says in
/// which group. Blocks for the length of one decision at most, never on
/// anything outside the process.
#[derive(Clone)]
pub struct MemoryStash {
    inner: Arc<Inner>,
}

struct Inner {
    env: Arc<dyn Env>,
    ear: Ear,
    state: Mutex<State>,
    shards: Shards,
    /// The setting of that name, for values that are written before the state
    /// is locked.
    value_bytes_max: AtomicU64,
}

/// What writers share.
#[derive(Debug)]
struct State {
    config: Arc<Config>,
    index: Index,
    /// When the last decision was made: time never runs backwards for a
    /// stash, whichever thread read the clock first.
    at: Millis,
    /// Empty; kept for its memory.
    changes: Vec<Change>,
}

impl fmt::Debug for MemoryStash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let held = self.lock().index.held();
        f.debug_struct("MemoryStash")
            .field("held", &held)
            .field("audit", &self.inner.ear)
            .finish_non_exhaustive()
    }
}

impl MemoryStash {
    /// An empty stash.
    ///
    /// # Errors
    ///
    /// [`StashError::Invalid`] if a setting cannot stand.
    pub fn new(env: Arc<dyn Env>, config: Config) -> Result<Self, StashError> {
        Self::build(env, config, Ear::default())
    }

    /// An empty stash of whose operations `audit` hears.
    ///
    /// # Errors
    ///
    /// Those of [`MemoryStash::new`].
    pub fn with_audit(
        env: Arc<dyn Env>,
        config: Config,
        audit: Arc<dyn Audit>,
    ) -> Result<Self, StashError> {
        Self::build(env, config, Ear::new(audit))
    }

    fn build(env: Arc<dyn Env>, config: Config, ear: Ear) -> Result<Self, StashError> {
        config.check()?;
        let value_bytes_max = AtomicU64::new(config.value_bytes_max);
        let state = State {
            config: Arc::new(config),
            index: Index::default(),
            at: Millis::default(),
            changes: Vec::new(),
        };
        Ok(Self {
            inner: Arc::new(Inner {
                env,
                ear,
                state: Mutex::new(state),
                shards: Shards::new(),
                value_bytes_max,
            }),
        })
    }

    /// The settings in force.
    #[must_use]
    pub fn config(&self) -> Arc<Config> {
        Arc::clone(&self.lock().config)
    }

    /// Puts other settings in force, for what is asked from now on. Entries
    /// that are there stay, whatever they say; executions keep the number of
    /// operations they began with.
    ///
    /// # Errors
    ///
    /// [`StashError::Invalid`] if a setting cannot stand; the old ones stay
    /// in force.
    pub fn configure(&self, config: Config) -> Result<(), StashError> {
        config.check()?;
        let mut state = self.lock();
        let value_bytes_max = &self.inner.value_bytes_max;
        value_bytes_max.store(config.value_bytes_max, Ordering::Relaxed);
        state.config = Arc::new(config);
        Ok(())
    }

    /// Begins an execution in a group, or in none.
    #[must_use]
    pub fn execution(&self, group: Option<GroupId>) -> Execution {
        let operations = Operations::new(self.lock().config.operations_max);
        Execution::new(self.clone(), group, operations)
    }

    /// The figures at this moment. O(log n) for each entry that expired since
    /// they were last asked for.
    #[must_use]
    pub fn usage(&self) -> Usage {
        let now = self.inner.env.now();
        let mut state = self.lock();
        let now = state.advance(now);
        state.index.usage(now)
    }

    /// Takes back the space of expired entries, of all or of at most `limit`,
    /// the first to expire first. They are invisible before, and their space
    /// is taken back without this when it is needed.
    ///
    /// Others get their turn after each 256 entries.
    pub fn reap_expired(&self, limit: Option<u64>) -> Removed {
        let started = self.inner.ear.start(&*self.inner.env);
        let now = self.inner.env.now();
        let mut report = Removed::default();
        loop {
            let left = limit.map_or(u64::MAX, |limit| limit - report.removed);
            let step = left.min(REAP_STEP);
            let reaped = self.change(now, None, |index, call, changes| {
                index.reap_expired(call.now, Some(step), changes)
            });
            report.removed += reaped.removed;
            report.bytes += reaped.bytes;
            report.truncated = reaped.truncated;
            if !reaped.truncated || left == step {
                break;
            }
        }
        self.tell_of_removal(Verb::Reap, None, started, &report);
        report
    }

    /// Deletes all live entries of a group, or all public ones, at once. O(n)
    /// over all entries.
    pub fn clear(&self, group: Option<&GroupId>) -> Removed {
        let started = self.inner.ear.start(&*self.inner.env);
        let now = self.inner.env.now();
        let report = self.change(now, group, |index, call, changes| {
            index.clear(call.caller, call.now, None, changes)
        });
        self.tell_of_removal(Verb::Clear, group, started, &report);
        report
    }

    fn tell_of_removal(
        &self,
        verb: Verb,
        group: Option<&GroupId>,
        started: crate::audit::Started,
        report: &Removed,
    ) {
        let ear = &self.inner.ear;
        let Some(duration) = ear.elapsed(&*self.inner.env, started) else {
            return;
        };
        ear.tell(&Event {
            verb,
            tenant: None,
            session: None,
            key: None,
            group,
            size: Some(report.bytes),
            duration,
            outcome: Outcome::Done,
        });
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        let state = self.inner.state.lock();
        state.unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a rule decide, and applies the changes it made before anybody
    /// else decides. What is left over is dropped after the lock is let go.
    fn change<T>(
        &self,
        now: Millis,
        caller: Option<&GroupId>,
        rule: impl FnOnce(&mut Index, &Call<'_>, &mut Vec<Change>) -> T,
    ) -> T {
        let (answer, _leftovers): (T, Leftovers);
        let mut guard = self.lock();
        let now = guard.advance(now);
        let state = &mut *guard;
        let call = Call {
            config: &state.config,
            caller,
            now,
        };
        let mut changes = mem::take(&mut state.changes);
        answer = rule(&mut state.index, &call, &mut changes);
        _leftovers = self.inner.shards.apply(&mut changes);
        if changes.capacity() <= CHANGES_KEPT_MAX {
            state.changes = changes;
        }
        drop(guard);
        answer
    }
}

impl State {
    /// The time of a decision made now.
    fn advance(&mut self, now: Millis) -> Millis {
        self.at = self.at.max(now);
        self.at
    }
}
