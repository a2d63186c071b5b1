//! Settings of the session part, checked when they are set.

use windlass_core::Sharing;

use crate::error::SessionError;
use crate::limits::{
    CACHED_SESSIONS_DEFAULT, CALLS_MAX, CAP_DEFAULT, RESERVATION_MS_DEFAULT, RETENTION_MS_DEFAULT,
    RETENTION_MS_MAX, TIME_LIMIT_MS_MAX,
};
use crate::model::check_range;

/// Settings of [`crate::Sessions`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Whether other processes may write to the same store. Only a store that
    /// was itself opened exclusively allows [`Sharing::Exclusive`].
    pub sharing: Sharing,
    /// Most active sessions of an agent for creations under a cap that name
    /// none: 1 to 1,000,000.
    pub cap: u64,
    /// How long a closed or expired session stays readable: up to ten years;
    /// 0 removes it at the next sweep.
    pub retention_ms: u64,
    /// How long a reservation waits for its settlement: 1 ms to 24 h.
    pub reservation_ms: u64,
    /// Hot sessions kept in memory: 1 to 1,000,000, about 2 KiB each.
    pub cached_sessions: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            sharing: Sharing::Shared,
            cap: CAP_DEFAULT,
            retention_ms: RETENTION_MS_DEFAULT,
            reservation_ms: RESERVATION_MS_DEFAULT,
            cached_sessions: CACHED_SESSIONS_DEFAULT,
        }
    }
}

impl Config {
    /// Refuses settings outside their ranges.
    ///
    /// # Errors
    ///
    /// [`SessionError::Invalid`] naming the first setting that is.
    pub fn check(&self) -> Result<(), SessionError> {
        check_range("cap", self.cap, 1, CALLS_MAX)?;
        check_range("retention_ms", self.retention_ms, 0, RETENTION_MS_MAX)?;
        check_range("reservation_ms", self.reservation_ms, 1, TIME_LIMIT_MS_MAX)?;
        let cached = u64::try_from(self.cached_sessions).unwrap_or(u64::MAX);
        check_range("cached_sessions", cached, 1, 1_000_000)
    }
}
