//! A copy of everything that is stored, for the day on which the store is lost.
//!
//! A backup is a directory: a file for each store that is in it, in the format
//! of [`transfer`](crate::transfer), and a manifest that says what they are and
//! what they hash to. It is built under a name that nobody takes for a backup,
//! everything in it is synced, the manifest last, and then it is renamed. So an
//! interrupted backup is never a backup, and one in which any bit was changed
//! is refused.
//!
//! | module | what is in it |
//! |---|---|
//! | `manifest` | what a backup says of itself, and the seal on that |
//! | `files` | directories and files that are on the disk once they are there |
//! | `writing` | stores to a backup |
//! | `verifying` | whether a backup is what was written |
//! | `keeping` | the backups of a directory: listed, and no more than wanted |
//! | `restoring` | a backup to an empty store |
//! | `record` | what a store remembers of its last backup |

mod engine;
mod error;
mod files;
mod keeping;
mod manifest;
mod record;
mod restoring;
mod verifying;
mod writing;

use std::path::PathBuf;

use windlass_store::Store;

use crate::transfer::Moved;

pub use error::BackupError;
pub use keeping::{Listed, list};
pub use manifest::{Manifest, PartFigures, Slot, StoreFigures};
pub use record::{BackupStatus, LastBackup, LastFailure};
pub use restoring::{Restored, restore};
pub use verifying::verify;
pub use writing::create;

/// A store that goes into a backup, and as what.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// As what.
    pub slot: Slot,
    /// The store.
    pub store: &'a dyn Store,
}

/// What is asked of a backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backup {
    /// The directory that holds backups; made if there is none. One store's
    /// backups belong into one directory.
    pub directory: PathBuf,
    /// Whether it is read back and held to its manifest once it is written.
    pub verify: bool,
    /// How many whole backups of this store the directory keeps, the new one
    /// included; all if `None`. The new one is verified before any goes, and
    /// it stays in any case.
    pub keep: Option<usize>,
    /// Whether the store below the cache is copied as well, at a moment of its
    /// own. What is invalidated later is in the copy.
    pub cache: bool,
}

impl Backup {
    /// A backup into `directory` that is verified, and for which no other goes.
    #[must_use]
    pub fn into(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            verify: true,
            keep: None,
            cache: false,
        }
    }
}

/// A backup that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Made {
    /// Where it is.
    pub path: PathBuf,
    /// What is in it.
    pub manifest: Manifest,
    /// Whether it was read back.
    pub verified: bool,
    /// How long that took, in milliseconds.
    pub took_ms: u64,
    /// The backups that went for it.
    pub removed: Vec<String>,
}

/// What is being done with a backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stage {
    /// A store is read and a file is written.
    Copying,
    /// A file is read and held to its manifest.
    Verifying,
    /// A file is read and a store is written.
    Restoring,
}

/// How far a backup or a restore is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// What is being done.
    pub stage: Stage,
    /// With which store.
    pub slot: Slot,
    /// How much of that is done.
    pub moved: Moved,
    /// The bytes that the file has in all, where that is known.
    pub file_bytes: Option<u64>,
}

/// Hears how far it is, after each piece of about a MiB.
pub type Observe<'a> = &'a mut (dyn FnMut(Step) + Send);
