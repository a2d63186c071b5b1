//! How a store is opened.

use std::time::Duration;

use windlass_store::{StoreError, StoreErrorKind};

use crate::limits::READERS_MAX;

/// When a commit is acknowledged.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// Once it is on the disk.
    #[default]
    Synced,
    /// Once sled says so, which on Linux means that it was handed to the disk
    /// but need not be found there. Exists so that the power-loss test can
    /// prove that it would notice; never for data that matters.
    UnsafeFlushed,
}

/// How a [`crate::SledStore`] is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Memory that sled may use for pages, in bytes.
    pub cache_bytes: u64,
    /// Threads that read: 1 to 64.
    pub reader_threads: usize,
    /// How long opening waits for another store that has the directory, in
    /// this process or another, before it fails. A process that was just told
    /// to end may need a moment.
    pub open_time_max: Duration,
    /// Memory for what open exports still have to show of replaced entries,
    /// in bytes and for each. An export that would need more ends with
    /// `Unavailable`.
    pub export_kept_bytes_max: usize,
    /// When a commit is acknowledged.
    #[doc(hidden)]
    pub durability: Durability,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            cache_bytes: 64 * 1_024 * 1_024,
            reader_threads: 2,
            open_time_max: Duration::from_secs(5),
            export_kept_bytes_max: 64 * 1_024 * 1_024,
            durability: Durability::Synced,
        }
    }
}

impl Options {
    pub(crate) fn validate(&self) -> Result<(), StoreError> {
        if self.reader_threads == 0 || self.reader_threads > READERS_MAX {
            let found = self.reader_threads;
            let context = format!("{found} reader threads; 1 to {READERS_MAX} are allowed");
            return Err(StoreError::new(StoreErrorKind::Invalid, "open", context));
        }
        Ok(())
    }
}
