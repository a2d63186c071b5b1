//! What several tests of the store need.

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use tempfile::TempDir;
use windlass_store::{Batch, Commit, Store, StoreError, StoreErrorKind, StoreExt, Version};
use windlass_store_sled::{Options, SledStore};

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
        self.directory.path().join("store.sled")
    }

    /// The path of a file of the store.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.store().join(name)
    }

    pub(crate) async fn open(&self) -> SledStore {
        self.open_with(Options::default()).await
    }

    pub(crate) async fn open_with(&self, options: Options) -> SledStore {
        let opened = SledStore::open(self.store(), options).await;
        opened.expect("the store opens")
    }

    /// The error of a store that must not open.
    pub(crate) async fn refusal(&self) -> StoreError {
        let opened = SledStore::open(self.store(), Options::default()).await;
        opened.map(drop).expect_err("it must not open")
    }
}

/// The names in a directory, in order.
pub(crate) fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("the directory can be read");
    let name = |entry: std::io::Result<fs::DirEntry>| {
        let entry = entry.expect("an entry can be read");
        entry.file_name().to_string_lossy().into_owned()
    };
    let mut names: Vec<_> = entries.map(name).collect();
    names.sort();
    names
}

/// Copies a directory and all below it.
pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory can be made");
    for name in names(from) {
        let (from, to) = (from.join(&name), to.join(&name));
        if from.is_dir() {
            copy(&from, &to);
        } else {
            fs::copy(from, to).expect("a file can be copied");
        }
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

/// Polls a future once; its output if it is done.
pub(crate) async fn futures_poll<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    std::future::poll_fn(|context| {
        let polled = std::pin::Pin::new(&mut *future).poll(context);
        std::task::Poll::Ready(match polled {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        })
    })
    .await
}
