//! Settings of the queue, checked when they are set.

use windlass_core::Sharing;

use crate::error::QueueError;
use crate::limits::{CACHED_SESSIONS_DEFAULT, CLOCK_SKEW_MS_MAX, POLL_MS_DEFAULT};
use crate::model::check_range;

/// Settings of [`crate::Queue`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Whether other processes may write to the same store. Only a store that
    /// was itself opened exclusively allows [`Sharing::Exclusive`].
    pub sharing: Sharing,
    /// How often a process that waits for work looks for what others have
    /// enqueued, should no hint come: 10 ms to an hour. One look a process and
    /// tenant, however many wait.
    pub poll_ms: u64,
    /// Sessions whose queues are kept in memory: 1 to 1,000,000, up to about 40
    /// KiB each.
    pub cached_sessions: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            sharing: Sharing::Shared,
            poll_ms: POLL_MS_DEFAULT,
            cached_sessions: CACHED_SESSIONS_DEFAULT,
        }
    }
}

impl Config {
    /// Refuses settings outside their ranges.
    ///
    /// # Errors
    ///
    /// [`QueueError::Invalid`] naming the first setting that is.
    pub fn check(&self) -> Result<(), QueueError> {
        check_range("poll_ms", self.poll_ms, 10, 3_600_000)?;
        let cached = u64::try_from(self.cached_sessions).unwrap_or(u64::MAX);
        check_range("cached_sessions", cached, 1, 1_000_000)
    }

    /// How long past its deadline a lease is left alone by others: their
    /// clocks may be ahead of its holder's.
    pub(crate) const fn skew_ms(&self) -> u64 {
        match self.sharing {
            Sharing::Shared => CLOCK_SKEW_MS_MAX,
            Sharing::Exclusive => 0,
        }
    }
}
