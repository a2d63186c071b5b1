//! What several tests of the store need.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use tempfile::TempDir;
use windlass_store::{Batch, Commit, Store, StoreError, StoreErrorKind, StoreExt, Version};
use windlass_store_sqlite::{Options, SqliteStore};

/// A directory of its own, and the path of a store in it.
pub(crate) struct Place {
    directory: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self {
            directory: TempDir::new().expect("a temporary directory can be made"),
        }
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.directory.path().join("store.db")
    }

    /// The path of the file beside the store with this suffix.
    pub(crate) fn beside(&self, suffix: &str) -> PathBuf {
        self.directory.path().join(format!("store.db{suffix}"))
    }

    pub(crate) async fn open(&self) -> SqliteStore {
        self.open_with(Options::default()).await
    }

    pub(crate) async fn open_with(&self, options: Options) -> SqliteStore {
        SqliteStore::open(self.store(), options)
            .await
            .expect("the store opens")
    }

    /// The names in the directory.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.directory()).expect("the directory can be read");
        let mut names: Vec<_> = entries
            .map(|entry| {
                entry
                    .expect("an entry can be read")
                    .file_name()
                    .to_string_lossy()
                    .into_owned()
            })
            .collect();
        names.sort();
        names
    }
}

/// Holds the writers' turn: commits wait and gather until it is dropped.
pub(crate) struct Turn {
    file: File,
}

impl Turn {
    pub(crate) fn hold(place: &Place) -> Self {
        let file = OpenOptions::new()
            .write(true)
            .open(place.beside("-turn"))
            .expect("the lock file is there once a store is open");
        file.lock().expect("the lock file can be locked");
        Self { file }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.file.unlock().expect("the lock file can be unlocked");
    }
}

/// Commits, and expects it to apply.
pub(crate) async fn apply(store: &dyn Store, batch: Batch) -> Version {
    match store.commit(batch).await {
        Ok(Commit::Applied(version)) => version,
        other => panic!("expected the batch to apply, got {other:?}"),
    }
}

/// The value of a key.
pub(crate) async fn value(store: &dyn Store, key: &str) -> Option<Bytes> {
    let entry = store.get(Bytes::copy_from_slice(key.as_bytes())).await;
    entry.expect("the key can be read").map(|entry| entry.value)
}

/// The kind of an error that was expected.
pub(crate) fn kind<T: std::fmt::Debug>(answer: Result<T, StoreError>) -> StoreErrorKind {
    match answer {
        Ok(value) => panic!("expected an error, got {value:?}"),
        Err(error) => error.kind(),
    }
}
