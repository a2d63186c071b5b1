//! Figures of the second tier.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use crate::stats::Stats;

/// What is counted. The second tier is asked where the first has nothing, so
/// that plain counters do.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) hits: Counter,
    pub(super) misses: Counter,
    pub(super) negatives: Counter,
    pub(super) stale_serves: Counter,
    pub(super) promotions: Counter,
    pub(super) insertions: Counter,
    pub(super) evictions: Counter,
    pub(super) expirations: Counter,
    pub(super) invalidations: Counter,
    pub(super) flushes: Counter,
    pub(super) damaged: Counter,
    pub(super) orphans: Counter,
    pub(super) commits: Counter,
    pub(super) compressed: Counter,
    pub(super) compressed_from: Counter,
    pub(super) compressed_to: Counter,
    pub(super) entries: Counter,
    pub(super) bytes: Counter,
}

/// One number.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, by: u64) {
        self.0.fetch_add(by, Ordering::Relaxed);
    }

    pub(super) fn set(&self, to: u64) {
        self.0.store(to, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Counters {
    pub(super) fn stats(&self, first: Stats, filter_bytes: u64) -> TieredStats {
        let second = BelowStats {
            hits: self.hits.get(),
            misses: self.misses.get(),
            negatives: self.negatives.get(),
            stale_serves: self.stale_serves.get(),
            promotions: self.promotions.get(),
            insertions: self.insertions.get(),
            evictions: self.evictions.get(),
            expirations: self.expirations.get(),
            invalidations: self.invalidations.get(),
            flushes: self.flushes.get(),
            damaged: self.damaged.get(),
            orphans: self.orphans.get(),
            commits: self.commits.get(),
            compressed: self.compressed.get(),
            compressed_from_bytes: self.compressed_from.get(),
            compressed_to_bytes: self.compressed_to.get(),
            entries: self.entries.get(),
            bytes: self.bytes.get(),
            filter_bytes,
        };
        TieredStats { first, second }
    }
}

/// What the second tier did since the cache was opened, and what it holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BelowStats {
    /// Gets that found something here, stale ones included.
    pub hits: u64,
    /// Gets that found nothing in either tier.
    pub misses: u64,
    /// Those of them for which the store was not asked.
    pub negatives: u64,
    /// Hits that were stale.
    pub stale_serves: u64,
    /// Entries that came up into the first tier.
    pub promotions: u64,
    /// Entries that came in.
    pub insertions: u64,
    /// Entries that went to make room.
    pub evictions: u64,
    /// Entries that went because their time was over.
    pub expirations: u64,
    /// Entries that were invalidated one by one; a flush counts as one flush.
    pub invalidations: u64,
    /// Flushes that ended a generation.
    pub flushes: u64,
    /// Entries that were not what was put, and were dropped.
    pub damaged: u64,
    /// Blobs without a record that were taken back.
    pub orphans: u64,
    /// Commits that changed entries.
    pub commits: u64,
    /// Blobs that were compressed before they were stored.
    pub compressed: u64,
    /// Their bytes as they were put.
    pub compressed_from_bytes: u64,
    /// Their bytes as they were stored.
    pub compressed_to_bytes: u64,
    /// Entries held, those included that nobody sees any more.
    pub entries: u64,
    /// What they are charged with.
    pub bytes: u64,
    /// Memory that the filters of names take.
    pub filter_bytes: u64,
}

/// What both tiers did since the cache was opened, and what they hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TieredStats {
    /// The one in memory.
    pub first: Stats,
    /// The one in the store.
    pub second: BelowStats,
}
