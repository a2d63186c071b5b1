//! Blobs in memory, and in a store of their own, with policies per entry,
//! exact invalidation, and a sweeper that never stops the readers.
//!
//! An entry is (namespace, key) → bytes, with metadata and a policy: how long
//! it is fresh, how long it may be given out stale, whether it is held at
//! all, when it goes. Once an invalidation has returned, no read that starts
//! later sees what it took. What room is made for is decided by a library
//! (`quick_cache`); everything else is here.
//!
//! What is in a [`MemoryCache`] ends with it; a [`TieredCache`] has all of it
//! in a store of its own as well. This crate knows no concrete store. It has
//! no clock and no runtime (time comes through
//! [`windlass_core::Env`]), starts no thread, and never loads anything: a
//! miss is the caller's to fill. Nothing is taken back by itself but to make
//! room; somebody calls [`MemoryCache::sweep_expired`] now and then.
//!
//! Read first: [`MemoryCache`] and [`TieredCache`] (what can be done), [`Put`] and [`Policy`]
//! (what is said of an entry), [`SweepLimit`] (how upkeep is bounded),
//! [`CacheError`] (how it refuses).
//!
//! ```
//! use std::sync::Arc;
//! use windlass_cache::{Config, Key, MemoryCache, Namespace, Policy, Put, SweepLimit};
//! use windlass_core::{ManualEnv, Millis};
//!
//! let env = Arc::new(ManualEnv::new(1, Millis::new(1_700_000_000_000)));
//! let cache = MemoryCache::new(env.clone(), Config::default())?;
//! let pages: Namespace = "pages".parse()?;
//! let key: Key = "suppliers/1".parse()?;
//!
//! cache.put(&pages, &key, Put::with_ttl_ms("three suppliers", 60_000))?;
//! let found = cache.get(&pages, &key).expect("it was put");
//! assert_eq!(found.value(), "three suppliers");
//!
//! env.advance_ms(60_000);
//! assert!(cache.get(&pages, &key).is_none(), "its time is over");
//! let report = cache.sweep_expired(SweepLimit::Entries(1_000), None);
//! assert_eq!((report.evicted, report.is_truncated()), (1, false));
//! # Ok::<(), windlass_cache::CacheError>(())
//! ```

mod cache;
pub mod config;
mod entry;
pub mod error;
mod found;
mod index;
mod invalidate;
pub mod limits;
mod metadata;
mod micros;
mod names;
mod policy;
mod shard;
mod spaces;
mod stats;
mod sweep;
#[cfg(test)]
mod tests;
mod tiered;

pub use cache::MemoryCache;
pub use config::Config;
pub use error::{CacheError, Problem};
pub use found::{Flush, Found, Freshness, Invalidated, KeyPage, Presence, Remaining, Stored};
pub use metadata::Metadata;
pub use names::{Key, Namespace, Tag};
pub use policy::{Admission, Policy, Priority, Put};
pub use stats::{Space, Stats};
pub use sweep::{Position, SweepLimit, SweepReport, Swept};
pub use tiered::{
    BelowStats, Compression, Options, OrphanPosition, OrphanReport, Orphaned, TieredCache,
    TieredReport, TieredStats,
};

/// Compiles and runs the example that README.md shows.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

/// Compiles and runs the example that docs/cache.md shows.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/cache.md")]
mod page {}
