//! What an operator may want to know of an open store.

use std::time::Duration;

use crate::options::{Durability, Sharing};

/// The state of an open [`crate::SqliteStore`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// Who else may have the file open.
    pub sharing: Sharing,
    /// Bytes of write-ahead log on the disk.
    pub wal_bytes: u64,
    /// Bytes of the file that were free when this store last looked, which it
    /// does once no commit has come for a moment: room for what is written
    /// next, and given back where it is much.
    pub free_bytes: u64,
    /// For how long the oldest read transaction of this process has been
    /// running, exports included. While one runs, the log cannot shrink.
    pub oldest_reader: Option<Duration>,
    /// Whether it is known what the last commit did. While it is not, reads
    /// fail with `Unavailable`.
    pub settled: bool,
    /// The version of the linked SQLite.
    pub sqlite_version: &'static str,
    /// What an acknowledged commit of this store survives.
    pub durability: Durability,
}

impl Health {
    /// Whether an acknowledged commit survives a power failure.
    #[must_use]
    pub fn survives_power_loss(&self) -> bool {
        self.durability == Durability::Power
    }
}
