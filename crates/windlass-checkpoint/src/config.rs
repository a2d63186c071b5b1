//! Settings of the part.

use crate::blob::Compression;
use crate::error::{CheckpointError, Problem};

/// Settings that hold for all states of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// What is compressed.
    pub compression: Compression,
    /// Which commits stay.
    pub retention: Retention,
    /// How long a blob that nothing points at is safe from being collected,
    /// in milliseconds; 0 collects it at the first run.
    pub grace_ms: u64,
    /// States whose heads are remembered: 1 to 1,000,000.
    pub cached_states: usize,
}

/// Which commits of a session stay: those of the last `keep_ms`, the last
/// `keep_last` whatever their age, and those with a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// How long every commit stays, in milliseconds.
    pub keep_ms: u64,
    /// How many stay however old they are; at least 1, the head.
    pub keep_last: u64,
}

impl Default for Retention {
    /// All for 7 days, then the last 100.
    fn default() -> Self {
        Self {
            keep_ms: 7 * 24 * 60 * 60 * 1_000,
            keep_last: 100,
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            compression: Compression::default(),
            retention: Retention::default(),
            grace_ms: 60 * 60 * 1_000,
            cached_states: 4_096,
        }
    }
}

impl Config {
    /// How long after a change upkeep looks at a state, in milliseconds.
    pub(crate) const fn upkeep_ms(&self) -> u64 {
        const HOUR_MS: u64 = 60 * 60 * 1_000;
        if self.retention.keep_ms < HOUR_MS {
            self.retention.keep_ms
        } else {
            HOUR_MS
        }
    }

    /// Refuses settings outside their ranges.
    ///
    /// # Errors
    ///
    /// `Invalid`, naming the setting.
    pub fn check(&self) -> Result<(), CheckpointError> {
        let cached = u64::try_from(self.cached_states).unwrap_or(u64::MAX);
        check_range("cached_states", cached, 1, 1_000_000)?;
        check_range("retention.keep_last", self.retention.keep_last, 1, u64::MAX)
    }
}

fn check_range(field: &'static str, value: u64, min: u64, max: u64) -> Result<(), CheckpointError> {
    if (min..=max).contains(&value) {
        return Ok(());
    }
    let problem = Problem::Range { value, min, max };
    Err(CheckpointError::Invalid { field, problem })
}
