//! How a store is opened.

use std::time::Duration;

use windlass_store::{StoreError, StoreErrorKind};

use crate::limits::{FREE_BYTES_KEPT, READERS_MAX};

/// Who else may have the file open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sharing {
    /// Any number of stores, in this process and others, on one machine.
    #[default]
    Shared,
    /// This store alone. Opening fails while another store has the file, and
    /// every other fails while this one has it; so what this one has read
    /// stays true until it writes itself.
    Exclusive,
}

/// What an acknowledged commit survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// The loss of power: every commit is on the disk before it is
    /// acknowledged.
    #[default]
    Power,
    /// The end of the process, however it ends. A loss of power takes the
    /// latest commits, back to when the log was last copied into the
    /// database; what is left is what some earlier moment had, whole. For
    /// what can be made anew, such as a cache.
    Process,
}

impl Durability {
    /// The level of `synchronous` that SQLite knows it by.
    pub(crate) const fn level(self) -> i64 {
        match self {
            Self::Power => 3,
            Self::Process => 1,
        }
    }
}

/// Where reads are done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reads {
    /// On threads of the store: whoever asks is never kept from other work,
    /// and pays for the way there and back.
    #[default]
    OnThreads,
    /// On the thread that asks, where a connection is free and nothing is in
    /// the way; otherwise on those of the store. A small read that the
    /// operating system has in memory takes a fraction of the time; one that
    /// has to wait for the disk keeps a runtime from other work meanwhile.
    /// For what is mostly in memory, such as a cache.
    OnCaller {
        /// Memory that each connection of callers may use for pages, in KiB,
        /// and the one that writes, which has 16 MiB in any case.
        /// A large value that has its pages there is read in a quarter of the
        /// time.
        page_cache_kib: u32,
    },
}

/// Where the log is copied into the database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Copies {
    /// By the thread that commits, between two commits, which wait for it.
    #[default]
    Between,
    /// The most of it on a thread of its own, beside commits; they wait for
    /// the sync of the database, and for what came meanwhile. It takes one
    /// more connection and thread, and a log that may have six times
    /// `wal_copy_bytes`; `wal_empty_bytes` should be four times as much at
    /// least. For what is written all the time.
    Beside,
}

/// How a [`crate::SqliteStore`] is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Who else may have the file open.
    pub sharing: Sharing,
    /// Most threads that read at a time, each with a connection: 1 to 64. One is
    /// there from the beginning; a further one starts when a read finds all of
    /// them at work.
    pub reader_threads: usize,
    /// Where reads are done. With [`Reads::OnCaller`] there are as many
    /// connections more as `reader_threads`, each from the first read that
    /// needs it.
    pub reads: Reads,
    /// Bytes of write-ahead log after which what is in it is copied into the
    /// database between two groups of commits, by the process that filled it
    /// or, at twice as many, by any. A page that changed often is copied once,
    /// so more bytes mean less work in all, in longer pieces, and a slower
    /// start after a crash.
    pub wal_copy_bytes: u64,
    /// Where that is done.
    pub copies: Copies,
    /// Bytes of write-ahead log after which new reads of this process are
    /// held back for a moment so that it can be emptied. It may grow to twice
    /// this while other processes read, and without bound while an export
    /// runs.
    pub wal_empty_bytes: u64,
    /// Bytes of free pages that the file keeps for what is written next, but
    /// no more than a sixteenth of what is in it. What is free beyond them is
    /// given back to the file system while no commit waits, if it is an eighth
    /// of the file or more. [`u64::MAX`] gives back nothing; nor do files that
    /// were made before this was.
    pub free_bytes_kept: u64,
    /// How long a commit waits for another process before it fails with
    /// `Unavailable`. Waiting is fair and short; only a process that was
    /// stopped in the middle of a commit keeps others waiting for so long.
    pub busy_time_max: Duration,
    /// How long an export may take before it ends with `Unavailable`.
    pub export_time_max: Duration,
    /// The database file grows no further than this many bytes: a put that
    /// needs more fails with `Environment`, as on a full disk. `None` for as
    /// far as the disk goes.
    pub database_bytes_max: Option<u64>,
    /// The name of a registered SQLite VFS to go through; `None` for the
    /// operating system's files. The lock files never go through it.
    pub vfs: Option<String>,
    /// What an acknowledged commit survives. Health shows it; every store
    /// that has the file open decides for its own commits.
    pub durability: Durability,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            sharing: Sharing::Shared,
            reader_threads: 2,
            reads: Reads::OnThreads,
            wal_copy_bytes: 24 * 1_024 * 1_024,
            copies: Copies::Between,
            wal_empty_bytes: 64 * 1_024 * 1_024,
            free_bytes_kept: FREE_BYTES_KEPT,
            busy_time_max: Duration::from_secs(10),
            export_time_max: Duration::from_secs(60),
            database_bytes_max: None,
            vfs: None,
            durability: Durability::Power,
        }
    }
}

impl Options {
    pub(crate) fn validate(&self) -> Result<(), StoreError> {
        if self.reader_threads == 0 || self.reader_threads > READERS_MAX {
            let found = self.reader_threads;
            return Err(invalid(format!(
                "{found} reader threads; 1 to {READERS_MAX} are allowed"
            )));
        }
        if self.wal_copy_bytes == 0 || self.wal_empty_bytes < self.wal_copy_bytes {
            return Err(invalid(
                "`wal_copy_bytes` must be above 0 and at most `wal_empty_bytes`".into(),
            ));
        }
        Ok(())
    }
}

fn invalid(context: String) -> StoreError {
    StoreError::new(StoreErrorKind::Invalid, "open", context)
}
