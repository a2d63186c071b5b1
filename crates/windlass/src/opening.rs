//! From a location to an open store; the only place that names the stores.

use std::path::Path;
use std::sync::Arc;

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

/// Opens what `location` names.
pub(crate) async fn open_store(
    location: &StoreLocation,
    sharing: Sharing,
) -> Result<Opened, OpenError> {
    match location {
        StoreLocation::Memory => memory(location),
        StoreLocation::Sqlite(path) => sqlite(location, path, sharing).await,
        StoreLocation::Sled(path) => sled(location, path).await,
        StoreLocation::Postgres(_) if sharing == Sharing::Exclusive => Err(OpenError::Shared),
        StoreLocation::Postgres(address) => postgres(location, address).await,
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
async fn sqlite(
    location: &StoreLocation,
    path: &Path,
    sharing: Sharing,
) -> Result<Opened, OpenError> {
    use windlass_store_sqlite::{self as driver, SqliteStore};

    let sharing = match sharing {
        Sharing::Shared => driver::Sharing::Shared,
        Sharing::Exclusive => driver::Sharing::Exclusive,
    };
    let options = driver::Options {
        sharing,
        ..driver::Options::default()
    };
    opened(location, SqliteStore::open(path, options).await)
}

#[cfg(not(feature = "sqlite"))]
async fn sqlite(location: &StoreLocation, _: &Path, _: Sharing) -> Result<Opened, OpenError> {
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
) -> Result<Opened, OpenError> {
    use windlass_store_postgres::{Options, PostgresStore};

    let store = match Options::from_url(address.secret()) {
        Ok(options) => PostgresStore::connect(options).await,
        Err(refusal) => Err(refusal),
    };
    opened(location, store)
}

#[cfg(not(feature = "postgres"))]
async fn postgres(location: &StoreLocation, _: &PostgresAddress) -> Result<Opened, OpenError> {
    Err(OpenError::NotBuilt {
        scheme: location.scheme(),
    })
}
