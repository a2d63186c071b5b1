//! From a location to an open store; the only place that names the stores.

use std::path::Path;
use std::sync::Arc;

use windlass_core::Sharing;
use windlass_store::Store;

use crate::{OpenError, StoreLocation};

type Opened = Result<Arc<dyn Store>, OpenError>;

/// Opens what `location` names.
pub(crate) async fn open_store(location: &StoreLocation, sharing: Sharing) -> Opened {
    match location {
        StoreLocation::Memory => memory(location),
        StoreLocation::Sqlite(path) => sqlite(location, path, sharing).await,
    }
}

#[cfg(feature = "memory")]
fn memory(location: &StoreLocation) -> Opened {
    match windlass_store_memory::MemoryStore::new() {
        Ok(store) => Ok(Arc::new(store)),
        Err(source) => Err(OpenError::Store {
            location: location.clone(),
            source,
        }),
    }
}

#[cfg(not(feature = "memory"))]
fn memory(location: &StoreLocation) -> Opened {
    Err(OpenError::NotBuilt {
        scheme: location.scheme(),
    })
}

#[cfg(feature = "sqlite")]
async fn sqlite(location: &StoreLocation, path: &Path, sharing: Sharing) -> Opened {
    use windlass_store_sqlite::{self as driver, SqliteStore};

    let sharing = match sharing {
        Sharing::Shared => driver::Sharing::Shared,
        Sharing::Exclusive => driver::Sharing::Exclusive,
    };
    let options = driver::Options {
        sharing,
        ..driver::Options::default()
    };
    match SqliteStore::open(path, options).await {
        Ok(store) => Ok(Arc::new(store)),
        Err(source) => Err(OpenError::Store {
            location: location.clone(),
            source,
        }),
    }
}

#[cfg(not(feature = "sqlite"))]
async fn sqlite(location: &StoreLocation, _: &Path, _: Sharing) -> Opened {
    Err(OpenError::NotBuilt {
        scheme: location.scheme(),
    })
}
