//! The cache of a server, for operators.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What a cache holds and did since it was opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct CacheView {
    /// The tier in memory.
    pub first: FirstTier,
    /// The tier in a store.
    pub second: SecondTier,
    /// Namespaces that hold something, by name.
    pub namespaces: Vec<CacheSpace>,
}

/// The tier in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct FirstTier {
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
    /// Entries that were swept because their time was over.
    pub expirations: u64,
    /// Entries that were invalidated one by one.
    pub invalidations: u64,
    /// Flushes that ended a generation.
    pub flushes: u64,
    /// Sweeps.
    pub sweeps: u64,
    /// Entries held.
    pub entries: u64,
    /// What they are charged with.
    pub bytes: u64,
}

/// The tier in a store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SecondTier {
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
    /// Entries that were swept because their time was over.
    pub expirations: u64,
    /// Entries that were invalidated one by one.
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
    /// Entries held.
    pub entries: u64,
    /// What they are charged with.
    pub bytes: u64,
    /// Memory that the filters of names take.
    pub filter_bytes: u64,
}

/// A namespace that holds something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct CacheSpace {
    /// Its name.
    pub namespace: String,
    /// Its generation.
    pub generation: u64,
    /// Entries of this generation that are held.
    pub entries: u64,
}

/// How much of a sweep is done, and from where on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SweepCache {
    /// Entries to look at, at most: 0 to 1,000,000; 1,000 if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entries: Option<u64>,
    /// Milliseconds to take, at most: 0 to 10,000; 1,000 if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub millis: Option<u64>,
    /// Where another sweep stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<u64>,
}

/// What was swept of one namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct CacheSwept {
    /// Entries that were taken.
    pub evicted: u64,
    /// What they were charged with.
    pub bytes: u64,
}

/// What a sweep did in one tier.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct TierSwept {
    /// Entries that were looked at.
    pub scanned: u64,
    /// Entries that were taken.
    pub evicted: u64,
    /// What they were charged with.
    pub bytes: u64,
    /// How long it took, in microseconds.
    pub elapsed_us: u64,
    /// Where to go on, exactly if work is left.
    #[cfg_attr(feature = "schema", schema(required))]
    pub next: Option<u64>,
    /// The same by namespace.
    pub namespaces: BTreeMap<String, CacheSwept>,
}

/// What a sweep did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct CacheSweep {
    /// In memory.
    pub first: TierSwept,
    /// In the store.
    pub second: TierSwept,
    /// Where to go on, exactly if work is left in one of them.
    #[cfg_attr(feature = "schema", schema(required))]
    pub next: Option<u64>,
}

/// Where a search for orphans stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct OrphanPlace {
    /// Which opening of the cache wrote the blob.
    pub incarnation: u64,
    /// Which of its blobs it is.
    pub number: u64,
}

/// How much of a search for orphans is done, and from where on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ReclaimCache {
    /// Blobs to look at, at most: 0 to 1,000,000; 1,000 if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entries: Option<u64>,
    /// Milliseconds to take, at most: 0 to 10,000; 1,000 if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub millis: Option<u64>,
    /// Where another search stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<OrphanPlace>,
}

/// What was taken back of one namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct OrphansTaken {
    /// Blobs.
    pub chains: u64,
    /// Their pieces.
    pub pieces: u64,
}

/// What a search for orphans did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct CacheOrphans {
    /// Blobs without a record that were looked at.
    pub scanned: u64,
    /// Blobs that were taken back.
    pub chains: u64,
    /// Their pieces.
    pub pieces: u64,
    /// How long it took, in microseconds.
    pub elapsed_us: u64,
    /// Where to go on, exactly if not all were looked at.
    #[cfg_attr(feature = "schema", schema(required))]
    pub next: Option<OrphanPlace>,
    /// The same by namespace.
    pub namespaces: BTreeMap<String, OrphansTaken>,
}

/// Which namespace is flushed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct FlushCache {
    /// Its name: 1 to 128 bytes without control characters.
    pub namespace: String,
}

/// The generations of a namespace around a flush.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct CacheFlush {
    /// The one that ended; 0 for a namespace that has none.
    pub before: u64,
    /// The one that began; equal where there was nothing to flush.
    pub after: u64,
}

/// What is invalidated of a namespace: exactly one of the four.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct InvalidateCache {
    /// The namespace.
    pub namespace: String,
    /// An entry, and all that depend on its key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// All entries whose keys begin so, and all that depend on them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// All entries with one of these tags, and all that depend on them: at
    /// most 32.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
    /// All entries that depend on one of these keys, not the entries of the
    /// keys: at most 32.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dependents_of: Option<Vec<String>>,
}

/// What an invalidation took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct CacheInvalidated {
    /// Entries that were visible before.
    pub entries: u64,
    /// Bytes of their blobs.
    pub bytes: u64,
}
