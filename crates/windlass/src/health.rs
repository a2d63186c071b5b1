//! How an open store is, in words that fit every store.

use std::fmt;
use std::time::Duration;

/// The state of an open store, for operators.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// The database behind the store and its version.
    pub database: String,
    /// Whether an acknowledged change survives a power failure.
    pub survives_power_loss: bool,
    /// Whether it is known what the last commit did; while it is not, reads
    /// fail with kind `Unavailable`.
    pub settled: bool,
    /// Bytes of write-ahead log on the disk, where the store has one.
    pub wal_bytes: Option<u64>,
    /// For how long the oldest read of this process has been running. While
    /// one runs, a write-ahead log cannot shrink.
    pub oldest_reader: Option<Duration>,
}

/// What can say how a store is. Apart from the storage trait, which promises
/// nothing about databases.
pub(crate) trait Probe: fmt::Debug + Send + Sync {
    /// The store's state now.
    fn health(&self) -> Health;
}

#[cfg(feature = "memory")]
impl Probe for windlass_store_memory::MemoryStore {
    fn health(&self) -> Health {
        Health {
            database: "memory".to_owned(),
            survives_power_loss: false,
            settled: true,
            wal_bytes: None,
            oldest_reader: None,
        }
    }
}

#[cfg(feature = "sqlite")]
impl Probe for windlass_store_sqlite::SqliteStore {
    fn health(&self) -> Health {
        let health = Self::health(self);
        Health {
            database: format!("SQLite {}", health.sqlite_version),
            survives_power_loss: health.survives_power_loss(),
            settled: health.settled,
            wal_bytes: Some(health.wal_bytes),
            oldest_reader: health.oldest_reader,
        }
    }
}

#[cfg(feature = "sled")]
impl Probe for windlass_store_sled::SledStore {
    fn health(&self) -> Health {
        let health = Self::health(self);
        Health {
            database: "sled 0.34".to_owned(),
            survives_power_loss: health.survives_power_loss,
            settled: !health.failed,
            wal_bytes: None,
            oldest_reader: None,
        }
    }
}

#[cfg(feature = "postgres")]
impl Probe for windlass_store_postgres::PostgresStore {
    fn health(&self) -> Health {
        let health = Self::health(self);
        Health {
            database: format!("PostgreSQL {}", health.server_version),
            survives_power_loss: health.survives_power_loss,
            settled: true,
            wal_bytes: None,
            oldest_reader: None,
        }
    }
}
