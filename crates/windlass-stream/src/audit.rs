//! What is told of leases to whoever watches.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::caller::Caller;
use crate::capacity::Refusal;
use crate::offset::Offset;
use crate::secret::Handle;

/// How a read ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// Everything up to the pinned tail, or to the end of a stream that was
    /// followed, was given out.
    Ok,
    /// The cursor was cancelled.
    Cancelled,
    /// The reader went away.
    Disconnected,
    /// The store failed, or what is stored is damaged.
    Error,
    /// The lease ran out while nobody read.
    SnapshotExpired,
    /// There was no slot.
    CapacityRefused,
    /// What was received was not what was sent.
    IntegrityFailed,
}

impl CloseReason {
    /// The reason's stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Cancelled => "cancelled",
            Self::Disconnected => "disconnected",
            Self::Error => "error",
            Self::SnapshotExpired => "snapshot_expired",
            Self::CapacityRefused => "capacity_refused",
            Self::IntegrityFailed => "integrity_failed",
        }
    }

    /// What an auditor files it under: `success`, `denied` or `error`.
    #[must_use]
    pub const fn outcome(self) -> &'static str {
        match self {
            Self::Ok => "success",
            Self::CapacityRefused => "denied",
            Self::Cancelled
            | Self::Disconnected
            | Self::Error
            | Self::SnapshotExpired
            | Self::IntegrityFailed => "error",
        }
    }
}

/// One event in the life of a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// `stream.opened`: somebody reads.
    Opened {
        /// Who.
        caller: Caller,
        /// The lease.
        handle: Handle,
        /// The tail that it is pinned to.
        pinned: Offset,
        /// SHA-256 of what was asked for, in lower-case hexadecimal digits.
        request: Arc<str>,
    },
    /// `stream.token_expired_during_lease`: what the reader was let in with has
    /// expired, and it reads on. At most once a lease.
    TokenExpired {
        /// Who.
        caller: Caller,
        /// The lease.
        handle: Handle,
    },
    /// `stream.closed`: the read has ended, or was refused. Exactly one for
    /// each opening that was tried: one that did not come to a lease has no
    /// handle.
    Closed {
        /// Who.
        caller: Caller,
        /// The lease; none if it was refused.
        handle: Option<Handle>,
        /// How it ended.
        reason: CloseReason,
        /// Why there was no slot, if there was none.
        refusal: Option<Refusal>,
        /// Rows that were given out.
        rows: u64,
        /// Bytes of their lines.
        bytes: u64,
    },
}

impl Event {
    /// The event's stable name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Opened { .. } => "stream.opened",
            Self::TokenExpired { .. } => "stream.token_expired_during_lease",
            Self::Closed { .. } => "stream.closed",
        }
    }
}

/// Hears of every event after it has happened.
///
/// It is called on the reader's thread, when no lock is held: a slow one delays
/// that reader and nobody else. If it panics, the read goes on without it.
pub trait Audit: Send + Sync {
    /// Hears of one event.
    fn record(&self, event: &Event);
}

/// Whoever listens, if anybody does.
#[derive(Clone, Default)]
pub(crate) struct Ear(Option<Arc<dyn Audit>>);

impl Ear {
    pub(crate) fn new(audit: Arc<dyn Audit>) -> Self {
        Self(Some(audit))
    }

    /// Tells of an event, if anybody listens.
    pub(crate) fn tell(&self, event: impl FnOnce() -> Event) {
        let Some(audit) = &self.0 else { return };
        let event = event();
        // A listener's panic is its own affair.
        let _ = catch_unwind(AssertUnwindSafe(|| audit.record(&event)));
    }
}

impl fmt::Debug for Ear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() {
            "Ear(listens)"
        } else {
            "Ear(deaf)"
        })
    }
}
