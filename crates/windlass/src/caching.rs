//! The cache of an engine: a store of its own, for this process alone.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use windlass_cache::{
    CacheError, Options, OrphanPosition, OrphanReport, Position, SweepLimit, TieredCache,
    TieredReport,
};
use windlass_core::{Env, Sharing};
use windlass_store::{StoreError, StoreErrorKind};

use crate::opening::{Terms, Uses, open_store};
use crate::{OpenError, StoreFailure, StoreLocation, Windlass};

/// Which start of the machine this is, on Linux.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// Where the cache keeps its second tier, and what its tiers hold.
///
/// ```
/// use windlass::cache::Put;
/// use windlass::{CacheOptions, Options, Windlass};
///
/// # #[cfg(feature = "sqlite")]
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let at = |name: &str| windlass::StoreLocation::Sqlite(directory.path().join(name));
/// # let (cache, agents) = (at("cache.db"), at("agents.db"));
/// let options = Options {
///     cache: Some(CacheOptions::at(cache)),
///     ..Options::default()
/// };
/// let engine = Windlass::open(&agents, options).await?;
/// let (pages, key) = ("pages".parse()?, "suppliers".parse()?);
/// let cache = engine.cache().expect("it was asked for");
/// cache.put(&pages, &key, Put::with_ttl_ms("three suppliers", 60_000)).await?;
/// assert!(cache.get(&pages, &key).await?.is_some());
/// engine.close().await?;
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "sqlite"))]
/// # fn main() {}
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheOptions {
    /// A store for the cache alone, which no other process has open, and not
    /// one on PostgreSQL. What it acknowledges survives the end of the
    /// process; a power failure may take all that is in it, but never brings
    /// back what was invalidated.
    pub location: StoreLocation,
    /// What the tiers hold.
    pub settings: Options,
}

impl CacheOptions {
    /// A cache at `location` with the default settings.
    #[must_use]
    pub fn at(location: StoreLocation) -> Self {
        Self {
            location,
            settings: Options::default(),
        }
    }
}

/// An open cache, and where its upkeep goes on.
#[derive(Clone)]
pub(crate) struct Caching {
    cache: TieredCache,
    position: Arc<Mutex<Places>>,
}

#[derive(Clone, Copy, Default)]
struct Places {
    swept: Option<Position>,
    reclaimed: Option<OrphanPosition>,
}

impl fmt::Debug for Caching {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Caching").field(&self.cache).finish()
    }
}

impl Caching {
    pub(crate) fn new(cache: TieredCache) -> Self {
        Self {
            cache,
            position: Arc::default(),
        }
    }

    /// Opens the cache of an engine whose own store is at `main`.
    pub(crate) async fn open(
        options: &CacheOptions,
        main: &StoreLocation,
        env: &Arc<dyn Env>,
    ) -> Result<Self, OpenError> {
        let location = || options.location.clone();
        if options.location == *main && *main != StoreLocation::Memory {
            let location = location();
            return Err(OpenError::CacheInStore { location });
        }
        let refused = |source| OpenError::Cache {
            location: location(),
            source,
        };
        options.settings.check().map_err(refused)?;
        let boot = boot();
        let open = async |uses| {
            let terms = Terms {
                sharing: Sharing::Exclusive,
                export_time_max: None,
                uses,
            };
            let store = open_store(&options.location, terms).await?.store;
            let settings = options.settings.clone();
            let cache = TieredCache::open(store, Arc::clone(env), settings, &boot).await;
            cache.map_err(refused)
        };
        if let StoreLocation::Sqlite(_) = options.location {
            // That the cache is open must survive what its changes need not:
            // a loss of power that took the mark would find a cache that was
            // closed well, with all that was invalidated since.
            let marked = open(Uses::Everything).await?;
            let closed = marked.store().close().await;
            closed.map_err(|error| refused(error.into()))?;
        }
        let bytes_max = options.settings.l2_bytes_max;
        Ok(Self::new(open(Uses::Cache { bytes_max }).await?))
    }

    pub(crate) const fn cache(&self) -> &TieredCache {
        &self.cache
    }

    pub(crate) async fn close(&self) -> Result<(), StoreFailure> {
        self.cache.close().await.map_err(|error| {
            let kind = match &error {
                CacheError::Store(source) => source.kind(),
                _ => StoreErrorKind::Unavailable,
            };
            let failed = StoreError::new(kind, "close", "the cache did not close");
            StoreFailure::new("close", failed.with_source(error))
        })
    }

    /// Sweeps on from where the last call of this stopped.
    pub(crate) async fn sweep(&self, limit: SweepLimit) -> Result<TieredReport, CacheError> {
        let from = self.places().swept;
        let report = self.cache.sweep_expired(limit, from).await?;
        self.places().swept = report.next;
        Ok(report)
    }

    /// Looks for orphans on from where the last call of this stopped.
    pub(crate) async fn reclaim(&self, limit: SweepLimit) -> Result<OrphanReport, CacheError> {
        let from = self.places().reclaimed;
        let report = self.cache.reclaim_orphans(limit, from).await?;
        self.places().reclaimed = report.next;
        Ok(report)
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        self.position.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Windlass {
    /// The cache, if there is one: [`Options::cache`](crate::Options::cache),
    /// or [`Windlass::with_cache`].
    #[must_use]
    pub fn cache(&self) -> Option<&TieredCache> {
        self.caching().map(Caching::cache)
    }

    /// The same engine with a cache of the caller's, which is swept in its
    /// upkeep and closed with it.
    #[must_use]
    pub fn with_cache(self, cache: TieredCache) -> Self {
        self.with_caching(Caching::new(cache))
    }
}

/// Which start of the machine this is; empty where that is not known.
fn boot() -> String {
    let read = std::fs::read_to_string(BOOT_ID);
    read.map_or_else(|_| String::new(), |text| text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_of_the_machine_has_one_name() {
        let first = boot();
        assert_eq!(first, boot());
        assert!(
            first.len() <= windlass_cache::limits::BOOT_BYTES_MAX,
            "{first}"
        );
    }
}
