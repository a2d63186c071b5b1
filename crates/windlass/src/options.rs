//! Settings of an engine, checked when it is opened.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use windlass_core::Sharing;
use windlass_session::Config;
use windlass_stash::audit::Audit;
use windlass_stash::durable;
use windlass_stream::Settings;

use crate::OpenError;
use crate::audit::AuditOptions;
use crate::caching::CacheOptions;
use crate::maintenance::MaintenanceOptions;
use crate::opening::{Terms, Uses};

/// Settings of [`Windlass`](crate::Windlass).
///
/// The defaults suit a store that several processes share.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Whether other processes may open the store as well. It holds for the
    /// store and for every part above it.
    pub sharing: Sharing,
    /// Settings of sessions. Their own `sharing` is set from the one above
    /// and may be left as it is.
    pub sessions: Config,
    /// Settings of checkpoints, which are the same whoever shares the store.
    pub checkpoints: windlass_checkpoint::Config,
    /// Settings of the queue, with the same rule for their `sharing`.
    pub queue: windlass_queue::Config,
    /// How long an export may take before it ends with `Unavailable`; `None`
    /// for a minute. While one runs, a write-ahead log cannot shrink and a
    /// server keeps old rows. Without meaning for stores in memory and on
    /// sled, which bound the memory instead.
    pub export_time_max: Option<Duration>,
    /// Settings of stashes, with the same rule for their `sharing`.
    pub stashes: durable::Options,
    /// Who hears of every operation on the stashes; nobody if `None`.
    pub stash_audit: Option<StashAudit>,
    /// The cache; none if `None`. It is opened by [`Windlass::open`] and
    /// [`Windlass::with_env`]; over a store of the caller's own,
    /// [`Windlass::with_cache`] brings one.
    ///
    /// [`Windlass::open`]: crate::Windlass::open
    /// [`Windlass::with_env`]: crate::Windlass::with_env
    /// [`Windlass::with_cache`]: crate::Windlass::with_cache
    pub cache: Option<CacheOptions>,
    /// Settings of streams, brought into range where they are not.
    pub streams: Settings,
    /// Who hears of every read of a stream; nobody if `None`.
    pub stream_audit: Option<StreamAudit>,
    /// What is audited of all parts, where to, and how long it is kept; nothing
    /// if `None`. It begins tasks on the caller's runtime while there is
    /// something to write.
    pub audit: Option<AuditOptions>,
    /// Settings of upkeep, for whoever runs it.
    pub maintenance: MaintenanceOptions,
    /// Whether to open a store also with a clock that cannot be right by what
    /// the store has seen; for whoever looks after that. No.
    pub any_clock: bool,
}

/// A listener that hears of every operation on stashes once it has ended, on
/// the caller's thread. Cloning shares it; two are equal if they are the same
/// listener.
#[derive(Clone)]
pub struct StashAudit(Arc<dyn Audit>);

impl StashAudit {
    /// Lets `audit` listen.
    #[must_use]
    pub fn new(audit: Arc<dyn Audit>) -> Self {
        Self(audit)
    }

    pub(crate) fn listener(&self) -> Arc<dyn Audit> {
        Arc::clone(&self.0)
    }
}

impl fmt::Debug for StashAudit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StashAudit(..)")
    }
}

impl PartialEq for StashAudit {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for StashAudit {}

/// A listener that hears when a stream is opened for reading and how the read
/// ended, on the reader's thread. Cloning shares it; two are equal if they are
/// the same listener.
#[derive(Clone)]
pub struct StreamAudit(Arc<dyn windlass_stream::Audit>);

impl StreamAudit {
    /// Lets `audit` listen.
    #[must_use]
    pub fn new(audit: Arc<dyn windlass_stream::Audit>) -> Self {
        Self(audit)
    }

    pub(crate) fn listener(&self) -> Arc<dyn windlass_stream::Audit> {
        Arc::clone(&self.0)
    }
}

impl fmt::Debug for StreamAudit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StreamAudit(..)")
    }
}

impl PartialEq for StreamAudit {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for StreamAudit {}

impl Options {
    /// The settings for the only process that uses the store: it is locked,
    /// and what was committed last is known without asking.
    #[must_use]
    pub fn exclusive() -> Self {
        Self {
            sharing: Sharing::Exclusive,
            ..Self::default()
        }
    }

    pub(crate) const fn terms(&self) -> Terms {
        Terms {
            sharing: self.sharing,
            export_time_max: self.export_time_max,
            uses: Uses::Everything,
        }
    }

    /// The session settings with the sharing that holds for all, checked
    /// before anything is opened.
    ///
    /// # Errors
    ///
    /// [`OpenError::Sharing`] if the session settings ask for exclusiveness
    /// that the store would not enforce, [`OpenError::Sessions`] if they are
    /// out of range.
    pub(crate) fn checked_sessions(&self) -> Result<Config, OpenError> {
        if self.sharing == Sharing::Shared && self.sessions.sharing == Sharing::Exclusive {
            return Err(OpenError::Sharing { part: "sessions" });
        }
        self.sessions.check().map_err(OpenError::Sessions)?;
        Ok(Config {
            sharing: self.sharing,
            ..self.sessions.clone()
        })
    }

    /// The settings of checkpoints.
    ///
    /// # Errors
    ///
    /// [`OpenError::Checkpoints`] if they are out of range.
    pub(crate) fn checked_checkpoints(&self) -> Result<windlass_checkpoint::Config, OpenError> {
        self.checkpoints.check().map_err(OpenError::Checkpoints)?;
        Ok(self.checkpoints.clone())
    }

    /// The settings of the queue with the sharing that holds for all.
    ///
    /// # Errors
    ///
    /// As for the sessions, with [`OpenError::Queue`].
    pub(crate) fn checked_queue(&self) -> Result<windlass_queue::Config, OpenError> {
        if self.sharing == Sharing::Shared && self.queue.sharing == Sharing::Exclusive {
            return Err(OpenError::Sharing { part: "queue" });
        }
        self.queue.check().map_err(OpenError::Queue)?;
        Ok(windlass_queue::Config {
            sharing: self.sharing,
            ..self.queue.clone()
        })
    }

    /// The settings of streams, in range.
    ///
    /// # Errors
    ///
    /// [`OpenError::Streams`] for a lease of no duration.
    pub(crate) fn checked_streams(&self) -> Result<Settings, OpenError> {
        let (settings, _) = self.streams.in_range().map_err(OpenError::Streams)?;
        Ok(settings)
    }

    /// The settings of the audit.
    ///
    /// # Errors
    ///
    /// [`OpenError::Audit`] if they are out of range.
    pub(crate) fn checked_audit(&self) -> Result<Option<AuditOptions>, OpenError> {
        if let Some(audit) = &self.audit {
            audit.check().map_err(OpenError::Audit)?;
        }
        Ok(self.audit.clone())
    }

    /// The stash settings with the sharing that holds for all.
    ///
    /// # Errors
    ///
    /// As for the sessions, with [`OpenError::Stashes`].
    pub(crate) fn checked_stashes(&self) -> Result<durable::Options, OpenError> {
        if self.sharing == Sharing::Shared && self.stashes.sharing == Sharing::Exclusive {
            return Err(OpenError::Sharing { part: "stashes" });
        }
        self.stashes.check().map_err(OpenError::Stashes)?;
        Ok(durable::Options {
            sharing: self.sharing,
            ..self.stashes.clone()
        })
    }
}
