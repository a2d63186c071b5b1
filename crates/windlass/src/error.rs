//! Every way in which the engine itself can fail. What a part refuses is
//! that part's own error.

use windlass_access::AccessError;
use windlass_cache::CacheError;
use windlass_checkpoint::CheckpointError;
use windlass_core::{Coded, ErrorKind};
use windlass_queue::QueueError;
use windlass_session::SessionError;
use windlass_stash::StashError;
use windlass_store::{StoreError, StoreErrorKind};
use windlass_stream::{SettingsError, StreamError};

use crate::StoreLocation;
use crate::audit::AuditError;
use crate::maintenance::{MaintenanceError, MaintenanceOptionsError};

/// Why an engine could not be opened. Nothing was left behind: a store that
/// existed is as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The build was made without the feature that brings this store.
    #[error("this build has no `{scheme}` store; it comes with the feature of that name")]
    NotBuilt {
        /// The scheme of the location, which is also the feature's name.
        scheme: &'static str,
    },
    /// The settings contradict themselves.
    #[error("{part} are set to exclusive, but the store to shared")]
    Sharing {
        /// The part whose own setting it is.
        part: &'static str,
    },
    /// The store cannot be kept from others.
    #[error("a store on PostgreSQL is shared by its nature; open it as shared")]
    Shared,
    /// The store refused.
    #[error("cannot open the store `{location}`")]
    Store {
        /// Where it is.
        location: StoreLocation,
        /// What the store says.
        source: StoreError,
    },
    /// An import into the store was interrupted.
    #[error(
        "the store `{location}` holds an unfinished import; \
         import the same file again, or remove the store"
    )]
    HalfImported {
        /// Where it is.
        location: StoreLocation,
    },
    /// The cache cannot be opened, or its settings were refused.
    #[error("cannot open the cache at `{location}`")]
    Cache {
        /// Where it is.
        location: StoreLocation,
        /// What the cache says.
        source: CacheError,
    },
    /// The cache is to be in the engine's own store.
    #[error("`{location}` is the engine's own store; give the cache another")]
    CacheInStore {
        /// Where both are to be.
        location: StoreLocation,
    },
    /// The settings of sessions were refused.
    #[error("cannot set up sessions")]
    Sessions(#[source] SessionError),
    /// The settings of stashes were refused.
    #[error("cannot set up stashes")]
    Stashes(#[source] StashError),
    /// The settings of checkpoints were refused.
    #[error("cannot set up checkpoints")]
    Checkpoints(#[source] CheckpointError),
    /// The settings of the queue were refused.
    #[error("cannot set up the queue")]
    Queue(#[source] QueueError),
    /// The settings of streams were refused.
    #[error("cannot set up streams")]
    Streams(#[source] SettingsError),
    /// The settings of the audit were refused, or there were no random bytes
    /// for it.
    #[error("cannot set up the audit")]
    Audit(#[source] AuditError),
    /// The settings of upkeep were refused.
    #[error("cannot set up maintenance")]
    Maintenance(#[source] MaintenanceOptionsError),
    /// The clock cannot be right by what the store has seen, or that cannot be
    /// read.
    #[error("cannot use the store `{location}` with this clock")]
    Clock {
        /// Where it is.
        location: StoreLocation,
        /// Why not.
        source: Box<MaintenanceError>,
    },
}

impl Coded for OpenError {
    fn code(&self) -> &'static str {
        match self {
            Self::NotBuilt { .. } => "store_not_built",
            Self::Sharing { .. } => "contradicting_settings",
            Self::Shared => "store_is_shared",
            Self::Store { source, .. } => source.kind().code(),
            Self::HalfImported { .. } => "import_unfinished",
            Self::Cache { source, .. } => source.code(),
            Self::CacheInStore { .. } => "cache_in_store",
            Self::Sessions(source) => source.code(),
            Self::Stashes(source) => source.code(),
            Self::Checkpoints(source) => source.code(),
            Self::Queue(source) => source.code(),
            Self::Streams(source) => source.code(),
            Self::Audit(source) => source.code(),
            Self::Maintenance(source) => source.code(),
            Self::Clock { source, .. } => source.code(),
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            Self::NotBuilt { .. }
            | Self::Sharing { .. }
            | Self::Shared
            | Self::CacheInStore { .. } => ErrorKind::Invalid,
            Self::Cache { source, .. } => source.kind(),
            Self::Store { source, .. } => kind_of(source.kind()),
            Self::HalfImported { .. } => ErrorKind::Environment,
            Self::Sessions(source) => source.kind(),
            Self::Stashes(source) => source.kind(),
            Self::Checkpoints(source) => source.kind(),
            Self::Queue(source) => source.kind(),
            Self::Streams(source) => source.kind(),
            Self::Audit(source) => source.kind(),
            Self::Maintenance(source) => source.kind(),
            Self::Clock { source, .. } => source.kind(),
        }
    }
}

/// The store failed while the engine used it for no part in particular.
#[derive(Debug, thiserror::Error)]
#[error("cannot {verb} the store")]
pub struct StoreFailure {
    verb: &'static str,
    source: StoreError,
}

impl StoreFailure {
    pub(crate) const fn new(verb: &'static str, source: StoreError) -> Self {
        Self { verb, source }
    }

    /// What the store says.
    #[must_use]
    pub const fn store(&self) -> &StoreError {
        &self.source
    }
}

impl Coded for StoreFailure {
    fn code(&self) -> &'static str {
        self.source.kind().code()
    }

    fn kind(&self) -> ErrorKind {
        kind_of(self.source.kind())
    }
}

/// A part's upkeep failed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MaintainError {
    /// That of sessions.
    #[error("cannot sweep sessions")]
    Sessions(#[source] SessionError),
    /// That of stashes.
    #[error("cannot reap stashes")]
    Stashes(#[source] StashError),
    /// That of checkpoints.
    #[error("cannot sweep checkpoints")]
    Checkpoints(#[source] CheckpointError),
    /// That of the queue.
    #[error("cannot sweep the queue")]
    Queue(#[source] QueueError),
    /// That of streams.
    #[error("cannot sweep streams")]
    Streams(#[source] StreamError),
    /// That of the cache.
    #[error("cannot sweep the cache")]
    Cache(#[source] CacheError),
    /// That of API keys.
    #[error("cannot sweep keys")]
    Access(#[source] AccessError),
    /// That of the audit.
    #[error("cannot trim the audit")]
    Audit(#[source] AuditError),
}

impl Coded for MaintainError {
    fn code(&self) -> &'static str {
        match self {
            Self::Sessions(source) => source.code(),
            Self::Stashes(source) => source.code(),
            Self::Checkpoints(source) => source.code(),
            Self::Queue(source) => source.code(),
            Self::Streams(source) => source.code(),
            Self::Cache(source) => source.code(),
            Self::Access(source) => source.code(),
            Self::Audit(source) => source.code(),
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            Self::Sessions(source) => source.kind(),
            Self::Stashes(source) => source.kind(),
            Self::Checkpoints(source) => source.kind(),
            Self::Queue(source) => source.kind(),
            Self::Streams(source) => source.kind(),
            Self::Cache(source) => source.kind(),
            Self::Access(source) => source.kind(),
            Self::Audit(source) => source.kind(),
        }
    }
}

/// The kind that a store's failure keeps through every layer.
pub(crate) const fn kind_of(kind: StoreErrorKind) -> ErrorKind {
    match kind {
        StoreErrorKind::Unavailable => ErrorKind::Unavailable,
        StoreErrorKind::Indeterminate => ErrorKind::Indeterminate,
        StoreErrorKind::Invalid => ErrorKind::Invalid,
        StoreErrorKind::Environment => ErrorKind::Environment,
        StoreErrorKind::Corrupt => ErrorKind::Corrupt,
        StoreErrorKind::Closed => ErrorKind::Closed,
    }
}
