//! Figures of what a cache did and holds.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use serde::{Deserialize, Serialize};

use crate::names::Namespace;

/// Parts that are counted apart, so that threads do not wait for each other.
const STRIPES: usize = 16;

/// What is counted.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Count {
    Hits,
    Misses,
    StaleServes,
    Insertions,
    Evictions,
    Expirations,
    Invalidations,
    Flushes,
    Sweeps,
}

const COUNTS: usize = Count::Sweeps as usize + 1;

#[derive(Debug, Default)]
#[repr(align(128))]
struct Stripe([AtomicU64; COUNTS]);

/// All counts.
#[derive(Debug, Default)]
pub(crate) struct Counters([Stripe; STRIPES]);

thread_local! {
    /// The stripe of this thread.
    static STRIPE: Cell<Option<usize>> = const { Cell::new(None) };
}

/// Threads that counted so far.
static THREADS: AtomicUsize = AtomicUsize::new(0);

fn stripe() -> usize {
    STRIPE.with(|stripe| {
        stripe.get().unwrap_or_else(|| {
            let next = THREADS.fetch_add(1, Ordering::Relaxed) % STRIPES;
            stripe.set(Some(next));
            next
        })
    })
}

impl Counters {
    #[inline]
    pub(crate) fn add(&self, count: Count, by: u64) {
        self.0[stripe()].0[count as usize].fetch_add(by, Ordering::Relaxed);
    }

    fn sum(&self, count: Count) -> u64 {
        let stripes = self.0.iter();
        stripes
            .map(|stripe| stripe.0[count as usize].load(Ordering::Relaxed))
            .sum()
    }

    /// The counts, beside what is held.
    pub(crate) fn stats(&self, entries: u64, bytes: u64) -> Stats {
        Stats {
            hits: self.sum(Count::Hits),
            misses: self.sum(Count::Misses),
            stale_serves: self.sum(Count::StaleServes),
            insertions: self.sum(Count::Insertions),
            evictions: self.sum(Count::Evictions),
            expirations: self.sum(Count::Expirations),
            invalidations: self.sum(Count::Invalidations),
            flushes: self.sum(Count::Flushes),
            sweeps: self.sum(Count::Sweeps),
            entries,
            bytes,
        }
    }
}

/// What a cache did since it was made, and what it holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// Gets that found something, stale ones included.
    pub hits: u64,
    /// Gets that found nothing.
    pub misses: u64,
    /// Hits that were stale.
    pub stale_serves: u64,
    /// Entries that came in.
    pub insertions: u64,
    /// Entries that went to make room.
    pub evictions: u64,
    /// Entries that the sweeper took because their time was over.
    pub expirations: u64,
    /// Entries that were invalidated one by one; a flush counts as one flush.
    pub invalidations: u64,
    /// Flushes that ended a generation.
    pub flushes: u64,
    /// Sweeps.
    pub sweeps: u64,
    /// Entries held, those included that nobody sees any more.
    pub entries: u64,
    /// What they are charged with.
    pub bytes: u64,
}

/// A namespace that holds something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Space {
    /// Its name.
    pub namespace: Namespace,
    /// Its generation.
    pub generation: u64,
    /// Entries of this generation that are held.
    pub entries: u64,
}
