//! The wrappers do what they say, and nothing else.

mod counting;
mod faulty;
mod pausing;
mod strict;

use std::sync::Arc;

use bytes::Bytes;
use windlass_store::{Batch, Commit, Store, StoreError, StoreErrorKind, StoreExt, Version};

use crate::sim::SimStore;

/// A sound store to wrap.
fn below() -> Arc<SimStore> {
    Arc::new(SimStore::alone().expect("the machine has random bytes"))
}

/// Puts a key and gives its version.
async fn put(store: &dyn Store, key: &'static str, value: &'static str) -> Version {
    let answer = store.commit(Batch::new().put(key, value)).await;
    match answer.expect("nothing stands in the way of this put") {
        Commit::Applied(version) => version,
        Commit::Conflict { key } => panic!("a put without a check conflicted at {key:?}"),
    }
}

/// The value of a key.
async fn value(store: &dyn Store, key: &'static str) -> Option<Bytes> {
    let found = store
        .get(key.into())
        .await
        .expect("nothing stands in the way of this read");
    found.map(|entry| entry.value)
}

/// The kind of error an answer has, if it is one.
fn kind<T>(answer: &Result<T, StoreError>) -> Option<StoreErrorKind> {
    answer.as_ref().err().map(StoreError::kind)
}
