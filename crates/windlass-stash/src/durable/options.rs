//! Settings of the durable form, checked when it is opened.

use serde::{Deserialize, Serialize};
use windlass_core::Sharing;

use super::limits::{CACHED_STASHES_DEFAULT, CACHED_VALUE_BYTES_DEFAULT};
use crate::config::Config;
use crate::error::{StashError, check_range};

/// Settings of [`Stashes`](super::Stashes). As JSON or TOML, every field may
/// be left out and an unknown one is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// What holds for each stash.
    pub stash: Config,
    /// Whether other processes may change the store meanwhile. Set by whoever
    /// opens the store, not read from a file.
    #[serde(skip)]
    pub sharing: Sharing,
    /// Stashes whose index is kept in memory: 1 to 1,000,000. An index holds
    /// what is known of each entry but its value, about half a kilobyte a
    /// key.
    pub cached_stashes: usize,
    /// Bytes of values kept in memory, of all stashes together: 0 to 1 TiB.
    pub cached_value_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            stash: Config::default(),
            sharing: Sharing::default(),
            cached_stashes: CACHED_STASHES_DEFAULT,
            cached_value_bytes: CACHED_VALUE_BYTES_DEFAULT,
        }
    }
}

impl Options {
    /// Refuses settings outside their ranges.
    ///
    /// # Errors
    ///
    /// [`StashError::Invalid`] naming the first setting that cannot stand.
    pub fn check(&self) -> Result<(), StashError> {
        self.stash.check()?;
        let stashes = u64::try_from(self.cached_stashes).unwrap_or(u64::MAX);
        check_range("cached_stashes", stashes, 1, 1_000_000)?;
        check_range("cached_value_bytes", self.cached_value_bytes, 0, 1 << 40)
    }
}
