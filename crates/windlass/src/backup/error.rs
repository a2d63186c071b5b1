//! Every way in which a backup or a restore can fail.

use std::io;
use std::path::{Path, PathBuf};

use windlass_cache::CacheError;
use windlass_core::{Coded, ErrorKind, RandomError};
use windlass_store::StoreError;

use crate::error::kind_of;
use crate::transfer::TransferError;

/// Why a backup was not made, is none, or was not restored. What failed half
/// way left no backup, and no store that could be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// A file or a directory could not be written.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file or a directory could not be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// Which one.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is no manifest, so nobody has finished a backup there.
    #[error("`{}` is no backup: it has no manifest", path.display())]
    NoBackup {
        /// What was named.
        path: PathBuf,
    },
    /// It was made by a later release.
    #[error("the backup has {what} of format {found}; this version reads format {expected}")]
    UnknownFormat {
        /// What has that format.
        what: String,
        /// What this version reads.
        expected: u32,
        /// What is there.
        found: u32,
    },
    /// A file is not what was written.
    #[error("`{file}` of the backup is damaged: {why}; take another backup")]
    Damaged {
        /// Its name within the backup.
        file: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The entries in a file are not what was written.
    #[error("`{file}` of the backup is damaged; take another backup")]
    Content {
        /// Its name within the backup.
        file: String,
        /// Where it is damaged.
        source: Box<TransferError>,
    },
    /// There is no copy of that store in the backup.
    #[error("the backup has no store `{slot}`")]
    NoSlot {
        /// What was asked for.
        slot: &'static str,
    },
    /// The cache was to be copied, and there is none.
    #[error("the engine has no cache to copy")]
    NoCache,
    /// The copy of a cache cannot be marked as whole.
    #[error("the copy of the cache was restored, but cannot be opened")]
    Settle(#[source] CacheError),
    /// Somebody else makes a backup into the directory.
    #[error("another backup into `{}` is running", directory.display())]
    Running {
        /// The directory.
        directory: PathBuf,
    },
    /// As many backups were to be kept as is none.
    #[error("at least one backup has to be kept")]
    KeepsNone,
    /// There were no random bytes for a name.
    #[error("cannot name the backup")]
    Random(#[from] RandomError),
    /// The store could not be copied, or not be restored.
    #[error(transparent)]
    Transfer(Box<TransferError>),
    /// The note about the backup could not be read or written.
    #[error("cannot {verb} the store's note about its last backup")]
    Note {
        /// What was tried.
        verb: &'static str,
        /// What the store says.
        source: StoreError,
    },
    /// The note cannot be understood.
    #[error("the store's note about its last backup is damaged; the next backup replaces it")]
    NoteDamaged,
}

impl From<TransferError> for BackupError {
    fn from(source: TransferError) -> Self {
        Self::Transfer(Box::new(source))
    }
}

impl BackupError {
    pub(super) fn write(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Write {
            path: path.to_owned(),
            source,
        }
    }

    pub(super) fn read(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Read {
            path: path.to_owned(),
            source,
        }
    }

    pub(super) fn damaged(file: &str, why: &'static str) -> Self {
        Self::Damaged {
            file: file.to_owned(),
            why,
        }
    }
}

impl Coded for BackupError {
    fn code(&self) -> &'static str {
        match self {
            Self::Write { .. } => "backup_unwritable",
            Self::Read { .. } => "backup_unreadable",
            Self::NoBackup { .. } => "no_backup",
            Self::UnknownFormat { .. } => "unknown_format",
            Self::Damaged { .. } | Self::Content { .. } => "backup_damaged",
            Self::NoSlot { .. } => "not_in_backup",
            Self::NoCache => "no_cache",
            Self::Settle(source) => source.code(),
            Self::Running { .. } => "backup_running",
            Self::KeepsNone => "invalid_request",
            Self::Random(_) => "no_randomness",
            Self::Transfer(source) => source.code(),
            Self::Note { source, .. } => source.kind().code(),
            Self::NoteDamaged => "corrupt_record",
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            Self::Write { .. } | Self::Read { .. } | Self::Random(_) => ErrorKind::Environment,
            Self::NoBackup { .. } | Self::UnknownFormat { .. } | Self::KeepsNone => {
                ErrorKind::Invalid
            }
            Self::Damaged { .. } | Self::Content { .. } | Self::NoteDamaged => ErrorKind::Corrupt,
            Self::NoSlot { .. } | Self::NoCache => ErrorKind::NotFound,
            Self::Settle(source) => source.kind(),
            Self::Running { .. } => ErrorKind::Conflict,
            Self::Transfer(source) => source.kind(),
            Self::Note { source, .. } => kind_of(source.kind()),
        }
    }
}
