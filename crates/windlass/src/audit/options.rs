//! Settings of the audit.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use windlass_core::Detail;

use super::error::AuditError;
use super::shelf::AuditKeep;
use super::sink::AuditSink;

/// Events that may wait, for each sink, at the default.
const WAITING_DEFAULT: usize = 8_192;
/// Milliseconds that events wait for others, at the default.
const LINGER_MS_DEFAULT: u64 = 20;
/// The bounds of both.
const WAITING_MAX: usize = 1_000_000;
const LINGER_MS_MAX: u64 = 60_000;
const KEEP_MS_MAX: u64 = 10 * 366 * 24 * 60 * 60 * 1_000;

/// What is audited, where to, and how long it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditOptions {
    /// How much of what happens is told.
    pub detail: Detail,
    /// Whether events are chained in the store.
    pub in_store: bool,
    /// How long they are kept there.
    pub keep: AuditKeep,
    /// Where else events go.
    pub sinks: Vec<AuditSinkHandle>,
    /// Events that may wait to be written, for each sink: 1 to 1,000,000, about
    /// half a KiB each. Beyond these they are counted and lost.
    pub waiting_max: usize,
    /// Milliseconds that an event waits for others, so that they share a
    /// commit: up to 60,000. Events of the last so many are what a process that
    /// is killed leaves untold.
    pub linger_ms: u64,
}

impl Default for AuditOptions {
    fn default() -> Self {
        Self {
            detail: Detail::Security,
            in_store: true,
            keep: AuditKeep::default(),
            sinks: Vec::new(),
            waiting_max: WAITING_DEFAULT,
            linger_ms: LINGER_MS_DEFAULT,
        }
    }
}

impl AuditOptions {
    /// Refuses settings outside their ranges.
    ///
    /// # Errors
    ///
    /// [`AuditError::Invalid`] naming the first that is.
    pub fn check(&self) -> Result<(), AuditError> {
        let within = |field, value: u64, min, max| match (min..=max).contains(&value) {
            true => Ok(()),
            false => Err(AuditError::Invalid {
                field,
                value,
                min,
                max,
            }),
        };
        let number = |count| u64::try_from(count).unwrap_or(u64::MAX);
        let waiting = number(self.waiting_max);
        within("waiting_max", waiting, 1, number(WAITING_MAX))?;
        within("linger_ms", self.linger_ms, 0, LINGER_MS_MAX)?;
        within("keep_ms", self.keep.ms.unwrap_or(1), 1, KEEP_MS_MAX)?;
        within("keep_events", self.keep.events.unwrap_or(1), 1, u64::MAX)
    }

    pub(super) const fn linger(&self) -> Duration {
        Duration::from_millis(self.linger_ms)
    }
}

/// A sink of the caller's. Cloning shares it; two are equal if they are the
/// same sink.
#[derive(Clone)]
pub struct AuditSinkHandle(Arc<dyn AuditSink>);

impl AuditSinkHandle {
    /// Lets `sink` have every event.
    #[must_use]
    pub fn new(sink: Arc<dyn AuditSink>) -> Self {
        Self(sink)
    }

    pub(super) fn sink(&self) -> Arc<dyn AuditSink> {
        Arc::clone(&self.0)
    }
}

impl fmt::Debug for AuditSinkHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuditSinkHandle(..)")
    }
}

impl PartialEq for AuditSinkHandle {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for AuditSinkHandle {}
