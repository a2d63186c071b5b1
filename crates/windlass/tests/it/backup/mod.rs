//! Backups: whole or none, and what comes out is what went in.

mod caches;
mod damage;
mod keeping;
mod moving;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;
use windlass::backup::{Backup, Made, Slot, Source, create};
use windlass::core::{ManualEnv, Millis};
use windlass::store::{Batch, Commit, Store};
use windlass_store_memory::MemoryStore;

/// Time that stands still until a test moves it.
fn env() -> ManualEnv {
    ManualEnv::new(3, Millis::new(1_700_000_000_000))
}

fn memory() -> Arc<dyn Store> {
    Arc::new(MemoryStore::new().unwrap())
}

async fn put(store: &dyn Store, key: &str, value: &str) {
    let batch = Batch::new().put(key.to_owned(), value.to_owned());
    let commit = store.commit(batch).await.unwrap();
    assert!(matches!(commit, Commit::Applied(_)), "{commit:?}");
}

/// A store with a little of several parts.
async fn small() -> Arc<dyn Store> {
    let store = memory();
    for key in ["acme/session/s1/head", "acme/stash/s1/head", "system/seal"] {
        put(&*store, key, "value").await;
    }
    store
}

/// What is asked of a backup that is read back.
fn asked(directory: &TempDir) -> Backup {
    Backup::into(directory.path().join("backups"))
}

async fn backed_up(store: &dyn Store, asked: &Backup, env: &ManualEnv) -> Made {
    let sources = [Source {
        slot: Slot::Main,
        store,
    }];
    create(&sources, asked, env, &mut |_| ()).await.unwrap()
}

/// The files of a backup.
fn files(path: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(path)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
}
