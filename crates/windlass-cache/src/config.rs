//! Settings of a cache, checked when it is made.

use serde::{Deserialize, Serialize};

use crate::error::{CacheError, check_range};
use crate::limits::{
    BLOB_BYTES_DEFAULT, ENTRY_BYTES, ENTRY_BYTES_GUESS_DEFAULT, L1_BYTES_DEFAULT, L1_BYTES_RANGE,
    SHARDS_MAX,
};

/// How many blobs of the largest size a shard has room for, at least.
const BLOBS_PER_SHARD: u64 = 2;

/// Settings of a cache. As JSON or TOML, every field may be left out and an
/// unknown one is refused.
///
/// ```
/// use windlass_cache::Config;
///
/// let config = Config { l1_bytes_max: 1 << 30, ..Config::default() };
/// config.check()?;
/// # Ok::<(), windlass_cache::CacheError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// What the first tier holds: 64 KiB to 1 TiB, 256 MiB unless said
    /// otherwise. Entries are charged with [`ENTRY_BYTES`] beside their own.
    pub l1_bytes_max: u64,
    /// Bytes of one blob: at least 1, and a little less than half of what the
    /// first tier holds; 8 MiB unless said otherwise.
    pub blob_bytes_max: u64,
    /// What an entry takes on average, as a guess: 384 B to 1 TiB, 4 KiB
    /// unless said otherwise. The cache remembers twice as many entries as
    /// would fit by it after they went, in some 40 B each, and holds on to
    /// those that come back.
    pub entry_bytes_guess: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            l1_bytes_max: L1_BYTES_DEFAULT,
            blob_bytes_max: BLOB_BYTES_DEFAULT,
            entry_bytes_guess: ENTRY_BYTES_GUESS_DEFAULT,
        }
    }
}

impl Config {
    /// Refuses settings outside their ranges and such as contradict each
    /// other.
    ///
    /// # Errors
    ///
    /// [`CacheError::Invalid`] naming the first setting that cannot stand.
    pub fn check(&self) -> Result<(), CacheError> {
        check_range("l1_bytes_max", self.l1_bytes_max, L1_BYTES_RANGE)?;
        let blob_most = self.l1_bytes_max / BLOBS_PER_SHARD - ENTRY_BYTES;
        check_range("blob_bytes_max", self.blob_bytes_max, (1, blob_most))?;
        let (_, most) = L1_BYTES_RANGE;
        let range = (ENTRY_BYTES, most);
        check_range("entry_bytes_guess", self.entry_bytes_guess, range)
    }

    /// Parts that are locked apart: as many as leave each of them room for
    /// the largest blobs, and a power of two.
    pub(crate) fn shards(&self) -> u64 {
        let most = (self.l1_bytes_max / self.shard_bytes_least()).clamp(1, SHARDS_MAX);
        1 << most.ilog2()
    }

    /// What each of them holds.
    pub(crate) fn shard_bytes(&self) -> u64 {
        self.l1_bytes_max / self.shards()
    }

    fn shard_bytes_least(&self) -> u64 {
        BLOBS_PER_SHARD * (self.blob_bytes_max + ENTRY_BYTES)
    }
}
