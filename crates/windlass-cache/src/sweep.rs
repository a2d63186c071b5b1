//! The sweeper: takes back what nobody sees any more, in small bites.
//!
//! It keeps nothing between two calls. What is over is found by an index of
//! deadlines, what was flushed by its era, so a sweep costs what it finds and
//! not what there is.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use windlass_core::{Env, Millis};

use crate::cache::{Inner, MemoryCache};
use crate::entry::{Entry, Life};
use crate::limits::{BITE_BYTES_MAX, BITE_ENTRIES_MAX};
use crate::names::Namespace;
use crate::shard::{Locked, Shard};
use crate::spaces::Era;
use crate::stats::Count;

/// How much a sweep may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SweepLimit {
    /// So many entries are looked at; 0 does nothing.
    Entries(u64),
    /// It begins nothing after so many milliseconds; 0 does nothing.
    Millis(u64),
    /// Whichever comes first.
    Either {
        /// Entries that are looked at.
        entries: u64,
        /// Milliseconds.
        millis: u64,
    },
}

impl SweepLimit {
    const fn entries(self) -> u64 {
        match self {
            Self::Entries(entries) | Self::Either { entries, .. } => entries,
            Self::Millis(_) => u64::MAX,
        }
    }

    const fn millis(self) -> Option<u64> {
        match self {
            Self::Millis(millis) | Self::Either { millis, .. } => Some(millis),
            Self::Entries(_) => None,
        }
    }
}

/// Where a sweep stopped, for the next to go on from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Position(pub(crate) usize);

/// What a sweep did in one namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Swept {
    /// Entries that were taken.
    pub evicted: u64,
    /// What they were charged with.
    pub bytes: u64,
}

/// What a sweep did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SweepReport {
    /// Entries that were looked at: those that were taken, and those that
    /// were used since they came to be looked at.
    pub scanned: u64,
    /// Entries that were taken.
    pub evicted: u64,
    /// What they were charged with.
    pub bytes: u64,
    /// How long it took; whole microseconds where it is serialised.
    #[serde(rename = "elapsed_us", with = "crate::micros")]
    pub elapsed: Duration,
    /// Where to go on, exactly if there is work left.
    pub next: Option<Position>,
    /// The same by namespace.
    pub namespaces: BTreeMap<Namespace, Swept>,
}

impl SweepReport {
    /// Whether work is left.
    #[must_use]
    pub const fn is_truncated(&self) -> bool {
        self.next.is_some()
    }
}

impl MemoryCache {
    /// Takes back entries whose time is over, and what flushed namespaces
    /// left, within `limit`, from the first shard on or from where another
    /// sweep stopped.
    ///
    /// Holds one shard's lock for at most 64 entries at a time, and no lock
    /// that readers take for more than one. The limit in milliseconds is
    /// looked at between such bites.
    pub fn sweep_expired(&self, limit: SweepLimit, from: Option<Position>) -> SweepReport {
        let inner = &*self.inner;
        inner.counters.add(Count::Sweeps, 1);
        let mut sweep = Sweep {
            inner,
            now: inner.env.now(),
            ended: inner.spaces.ended(),
            budget: Budget::new(limit, &*inner.env),
            report: SweepReport::default(),
        };
        let start = from.map_or(0, |Position(shard)| shard % inner.shards.len());
        let stopped = sweep.run(start);
        let mut report = sweep.report;
        report.next = inner.find_work(stopped).map(Position);
        report.elapsed = sweep.budget.elapsed(&*inner.env);
        report
    }
}

/// What is left of a limit.
#[derive(Debug)]
pub(crate) struct Budget {
    pub(crate) entries: u64,
    began: Duration,
    pub(crate) span: Option<Duration>,
}

impl Budget {
    pub(crate) fn new(limit: SweepLimit, env: &dyn Env) -> Self {
        Self {
            entries: limit.entries(),
            began: env.monotonic(),
            span: limit.millis().map(Duration::from_millis),
        }
    }

    pub(crate) fn elapsed(&self, env: &dyn Env) -> Duration {
        env.monotonic().saturating_sub(self.began)
    }

    /// How many entries the next bite may have; 0 where the limit is met.
    pub(crate) fn bite(&self, env: &dyn Env) -> u64 {
        let late = self.span.is_some_and(|span| self.elapsed(env) >= span);
        if late {
            0
        } else {
            self.entries.min(BITE_ENTRIES_MAX)
        }
    }
}

/// One sweep.
struct Sweep<'a> {
    inner: &'a Inner,
    now: Millis,
    ended: Vec<Arc<Era>>,
    budget: Budget,
    report: SweepReport,
}

impl Sweep<'_> {
    /// Sweeps all shards, from one on; gives the one at which it stopped.
    fn run(&mut self, start: usize) -> usize {
        let count = self.inner.shards.len();
        for step in 0..count {
            let place = (start + step) % count;
            if !self.sweep_shard(&self.inner.shards[place]) {
                return place;
            }
        }
        start
    }

    /// Sweeps a shard; false if the limit was met before the end.
    fn sweep_shard(&mut self, shard: &Shard) -> bool {
        // Ended eras of which nothing is left here; nothing comes to them.
        let mut past = 0;
        loop {
            let most = self.budget.bite(&*self.inner.env);
            if most == 0 {
                return false;
            }
            let bite = self.take_bite(shard.lock(), most, &mut past);
            let finished = bite.finished;
            self.budget.entries -= bite.scanned;
            self.note(bite);
            if finished {
                return true;
            }
        }
    }

    /// Takes a few entries: first those whose time is over, then those of
    /// ended eras. An era of which nothing is left counts as a look as well.
    fn take_bite(&self, mut shard: Locked<'_>, most: u64, past: &mut usize) -> Bite {
        let mut bite = Bite::default();
        for _ in 0..BITE_ENTRIES_MAX {
            if bite.scanned >= most || bite.bytes >= BITE_BYTES_MAX {
                break;
            }
            let due = shard.index.first_due(self.now).map(Arc::clone);
            let entry = match (due, self.ended.get(*past)) {
                (Some(entry), _) => entry,
                (None, Some(era)) => {
                    let Some(entry) = shard.first_of(era) else {
                        *past += 1;
                        continue;
                    };
                    entry
                }
                (None, None) => {
                    bite.finished = true;
                    break;
                }
            };
            bite.scanned += 1;
            if entry.era.is_live() && entry.life(self.now) != Life::Gone {
                shard.index.reschedule(&entry);
                continue;
            }
            shard.remove(&entry);
            bite.bytes += entry.charge;
            bite.taken.push(entry);
        }
        bite
    }

    /// Adds a bite to the report, and frees what it took.
    fn note(&mut self, bite: Bite) {
        let report = &mut self.report;
        report.scanned += bite.scanned;
        let mut expired = 0;
        for entry in bite.taken {
            expired += u64::from(entry.era.is_live());
            let namespace = entry.era.namespace.clone();
            let swept = report.namespaces.entry(namespace).or_default();
            swept.evicted += 1;
            swept.bytes += entry.charge;
            report.evicted += 1;
            report.bytes += entry.charge;
        }
        self.inner.counters.add(Count::Expirations, expired);
    }
}

/// What was done under one lock.
#[derive(Debug, Default)]
struct Bite {
    scanned: u64,
    bytes: u64,
    taken: Vec<Arc<Entry>>,
    /// Whether there was nothing more.
    finished: bool,
}

impl Inner {
    /// The first shard with something to sweep, from one on. Where an ended
    /// era has anything left, that is said to be the one.
    fn find_work(&self, start: usize) -> Option<usize> {
        if self.spaces.ended().iter().any(|era| era.held() > 0) {
            return Some(start);
        }
        let (now, count) = (self.env.now(), self.shards.len());
        let mut places = (0..count).map(|step| (start + step) % count);
        places.find(|place| self.shards[*place].lock().index.first_due(now).is_some())
    }
}
