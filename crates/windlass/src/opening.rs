//! From a location to an open store; the only place that names the stores.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use windlass_core::Sharing;
use windlass_store::Store;

use crate::health::Probe;
use crate::{OpenError, PostgresAddress, StoreLocation};

/// An open store, seen as one and as something that can say how it is.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) probe: Arc<dyn Probe>,
}

/// Bytes of write-ahead log after which that of a cache is copied, as one in
/// so many that it may hold, and the least and most of them: each copy syncs
/// files, and pages that changed often are copied once.
#[cfg(feature = "sqlite")]
const CACHE_WAL_SHARE: u64 = 64;
#[cfg(feature = "sqlite")]
const CACHE_WAL_BYTES: (u64, u64) = (2 << 20, 64 << 20);

/// Memory that each connection through which a cache is read by its callers
/// may use for pages.
#[cfg(feature = "sqlite")]
const CACHE_PAGES_KIB: u32 = 32 << 10;

/// Threads that read a cache, and callers that do so at a time.
#[cfg(feature = "sqlite")]
const CACHE_READERS: usize = 4;

/// What a store is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Uses {
    /// State that must not be lost.
    Everything,
    /// A cache, which may lose its latest writes with the machine's power, and
    /// whose files should not grow much beyond the bytes it may hold.
    Cache { bytes_max: u64 },
}

/// What holds for any store that is opened.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    pub(crate) sharing: Sharing,
    /// How long an export may take; `None` for as long as the store allows by
    /// itself.
    #[cfg_attr(
        not(any(feature = "postgres", feature = "sqlite")),
        expect(dead_code, reason = "the other stores have no such limit")
    )]
    pub(crate) export_time_max: Option<Duration>,
    #[cfg_attr(
        not(feature = "sqlite"),
        expect(dead_code, reason = "the other stores make no difference")
    )]
    pub(crate) uses: Uses,
}

/// Opens what `location` names.
pub(crate) async fn open_store(
    location: &StoreLocation,
    terms: Terms,
) -> Result<Opened, OpenError> {
    let sharing = terms.sharing;
    match location {
        StoreLocation::Memory => memory(location),
        StoreLocation::Sqlite(path) => sqlite(location, path, terms).await,
        StoreLocation::Sled(path) => sled(location, path).await,
        StoreLocation::Postgres(_) if sharing == Sharing::Exclusive => Err(OpenError::Shared),
        StoreLocation::Postgres(address) => postgres(location, address, terms).await,
    }
}

#[cfg(any(
    feature = "memory",
    feature = "postgres",
    feature = "sled",
    feature = "sqlite"
))]
fn opened<S: Store + Probe>(
    location: &StoreLocation,
    store: Result<S, windlass_store::StoreError>,
) -> Result<Opened, OpenError> {
    match store {
        Ok(store) => {
            let store = Arc::new(store);
            Ok(Opened {
                probe: Arc::clone(&store) as Arc<dyn Probe>,
                store,
            })
        }
        Err(source) => Err(OpenError::Store {
            location: location.clone(),
            source,
        }),
    }
}

#[cfg(feature = "memory")]
fn memory(location: &StoreLocation) -> Result<Opened, OpenError> {
    opened(location, windlass_store_memory::MemoryStore::new())
}

#[cfg(not(feature = "memory"))]
fn memory(location: &StoreLocation) -> Result<Opened, OpenError> {
    Err(OpenError::NotBuilt {
        scheme: location.scheme(),
    })
}

#[cfg(feature = "sqlite")]
async fn sqlite(location: &StoreLocation, path: &Path, terms: Terms) -> Result<Opened, OpenError> {
    use windlass_store_sqlite::{self as driver, SqliteStore};

    let sharing = match terms.sharing {
        Sharing::Shared => driver::Sharing::Shared,
        Sharing::Exclusive => driver::Sharing::Exclusive,
    };
    let mut options = driver::Options {
        sharing,
        ..driver::Options::default()
    };
    if let Some(limit) = terms.export_time_max {
        options.export_time_max = limit;
    }
    if let Uses::Cache { bytes_max } = terms.uses {
        let (least, most) = CACHE_WAL_BYTES;
        options.durability = driver::Durability::Process;
        options.reads = driver::Reads::OnCaller {
            page_cache_kib: CACHE_PAGES_KIB,
        };
        options.reader_threads = CACHE_READERS;
        let copied = (bytes_max / CACHE_WAL_SHARE).clamp(least, most);
        options.wal_copy_bytes = copied;
        options.wal_empty_bytes = 2 * copied;
        // The log of a small one is to be short, whatever it costs.
        if copied > least {
            options.copies = driver::Copies::Beside;
            options.wal_empty_bytes = 4 * copied;
        }
    }
    opened(location, SqliteStore::open(path, options).await)
}

#[cfg(not(feature = "sqlite"))]
async fn sqlite(location: &StoreLocation, _: &Path, _: Terms) -> Result<Opened, OpenError> {
    Err(OpenError::NotBuilt {
        scheme: location.scheme(),
    })
}

/// sled has its files for itself, which is what both kinds of sharing allow.
#[cfg(feature = "sled")]
async fn sled(location: &StoreLocation, path: &Path) -> Result<Opened, OpenError> {
    use windlass_store_sled::{Options, SledStore};

    opened(location, SledStore::open(path, Options::default()).await)
}

#[cfg(not(feature = "sled"))]
async fn sled(location: &StoreLocation, _: &Path) -> Result<Opened, OpenError> {
    Err(OpenError::NotBuilt {
        scheme: location.scheme(),
    })
}

#[cfg(feature = "postgres")]
async fn postgres(
    location: &StoreLocation,
    address: &PostgresAddress,
    terms: Terms,
) -> Result<Opened, OpenError> {
    use windlass_store_postgres::{Options, PostgresStore};

    let store = match Options::from_url(address.secret()) {
        Ok(mut options) => {
            if let Some(limit) = terms.export_time_max {
                options.export_time_max = limit;
            }
            PostgresStore::connect(options).await
        }
        Err(refusal) => Err(refusal),
    };
    opened(location, store)
}

#[cfg(not(feature = "postgres"))]
async fn postgres(
    location: &StoreLocation,
    _: &PostgresAddress,
    _: Terms,
) -> Result<Opened, OpenError> {
    Err(OpenError::NotBuilt {
        scheme: location.scheme(),
    })
}
