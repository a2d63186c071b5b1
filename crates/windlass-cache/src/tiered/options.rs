//! How a cache of two tiers is opened.

use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::error::{CacheError, check_range};
use crate::limits::{ENTRY_BYTES, GRACE_MS_DEFAULT, L2_BYTES_DEFAULT, L2_BYTES_RANGE};

/// How blobs are stored in the second tier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    /// As they are.
    #[default]
    None,
    /// Those of 1 KiB to 32 KiB as blocks of LZ4, if that saves an eighth of
    /// their bytes or more. Text takes half of the disk or less, for a few
    /// microseconds of each put and each hit.
    Lz4,
}

/// Settings of a cache of two tiers. As JSON or TOML, every field may be left
/// out and an unknown one is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// The first tier, and what a blob may be.
    pub first: Config,
    /// What the second tier holds: 64 KiB to 1 PiB and at least one blob of
    /// the largest size, 4 GiB unless said otherwise. Entries are charged as
    /// in the first tier, with their blobs as they were put.
    pub l2_bytes_max: u64,
    /// How blobs that are put from now on are stored. What is stored is read
    /// whatever this says.
    pub compression: Compression,
    /// How long the pieces of a blob whose put was given up may lie before
    /// [`crate::TieredCache::reclaim_orphans`] takes them: an hour unless
    /// said otherwise; 0 for not at all. Those of a process that is gone do
    /// not wait.
    pub grace_ms: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            first: Config::default(),
            l2_bytes_max: L2_BYTES_DEFAULT,
            compression: Compression::default(),
            grace_ms: GRACE_MS_DEFAULT,
        }
    }
}

impl Options {
    /// Refuses settings outside their ranges and such as contradict each
    /// other.
    ///
    /// # Errors
    ///
    /// [`CacheError::Invalid`] naming the first setting that cannot stand.
    pub fn check(&self) -> Result<(), CacheError> {
        self.first.check()?;
        let (least, most) = L2_BYTES_RANGE;
        let least = least.max(self.first.blob_bytes_max + 64 * ENTRY_BYTES);
        check_range("l2_bytes_max", self.l2_bytes_max, (least, most))
    }
}
