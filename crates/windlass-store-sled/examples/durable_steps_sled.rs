//! Callers that write at the same time share a transaction and a disk sync;
//! what was answered is there when the directory is opened again.
//!
//! `cargo run -p windlass-store-sled --example durable_steps_sled` works in a
//! temporary directory; with a path, such as `-- ./example.sled`, the store
//! stays.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::task::JoinSet;
use windlass_store::{Batch, Commit, KeyRange, Store, StoreError, StoreExt, key::Key};
use windlass_store_sled::{Options, SledStore};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let path = std::env::args().nth(1).map(PathBuf::from);
    let path = path.unwrap_or_else(|| directory.path().join("agents.sled"));

    write_side_by_side(&path).await?;

    let store = SledStore::open(&path, Options::default()).await?;
    let steps = Key::new("acme").text("step").below();
    let found = store.scan_all(KeyRange::prefix(steps)).await?.len();
    println!("{found} steps after opening the directory again");
    println!("{:?}", store.health());
    store.close().await?;
    Ok(())
}

/// A hundred tasks, each with a commit of its own that is durable when it is
/// answered.
async fn write_side_by_side(path: &Path) -> Result<(), StoreError> {
    let store = Arc::new(SledStore::open(path, Options::default()).await?);
    let mut tasks = JoinSet::new();
    for step in 0..100 {
        let store = Arc::clone(&store);
        tasks.spawn(async move {
            let key = Key::new("acme").text("step").number(step).finish();
            store.commit(Batch::new().put(key, "done")).await
        });
    }
    for commit in tasks.join_all().await {
        assert!(matches!(commit?, Commit::Applied(_)), "nothing was checked");
    }
    store.close().await
}
