//! Why a bench could not be run.

use std::io;

use windlass::checkpoint::CheckpointError;
use windlass::queue::QueueError;
use windlass::session::SessionError;
use windlass::store::StoreError;
use windlass::stream::StreamError;
use windlass_cache::CacheError;
use windlass_stash::StashError;

/// A bench failed before it could say anything about speed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BenchError {
    /// A file of the machine or of the bench could not be used.
    #[error("cannot {verb}")]
    Io {
        /// What was tried.
        verb: String,
        /// What the system says.
        source: io::Error,
    },
    /// One of the plain SQLite sides failed.
    #[error("plain sqlite failed")]
    Sqlite(#[from] rusqlite::Error),
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] StoreError),
    /// A session refused what the bench asked.
    #[error("a session refused")]
    Session(#[from] SessionError),
    /// A stash refused what the bench asked.
    #[error("a stash refused")]
    Stash(#[from] StashError),
    /// The cache refused what the bench asked.
    #[error("the cache refused")]
    Cache(#[from] CacheError),
    /// A state refused what the bench asked.
    #[error("a state refused")]
    Checkpoint(#[from] CheckpointError),
    /// The queue refused what the bench asked.
    #[error("the queue refused")]
    Queue(#[from] QueueError),
    /// A stream refused what the bench asked.
    #[error("a stream refused")]
    Stream(#[from] StreamError),
    /// Something that must hold for a fair comparison does not.
    #[error("{0}")]
    Unfair(String),
    /// A process of the bench ended badly or said something unexpected.
    #[error("a process of the bench failed: {0}")]
    Process(String),
}

impl BenchError {
    /// Wraps what the system says about an attempt to `verb`.
    pub fn io(verb: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let verb = verb.into();
        move |source| Self::Io { verb, source }
    }
}
