//! Tests of blobs over a store that makes the least of its contract.

mod contents;
mod cutting;
mod damage;
mod recorded;

use std::sync::Arc;

use bytes::Bytes;
use windlass_core::Millis;
use windlass_store::{Batch, Commit, KeyRange, Store, StoreExt};
use windlass_store_memory::MemoryStore;
use windlass_store_testing::{Random, Strict, StrictOptions};

use super::{BlobId, BlobRow, Built, Compression, LineageKeys, Profile, drop_known, read};
use crate::error::CheckpointError;

const NOW: Millis = Millis::new(1_700_000_000_000);

/// One lineage in a store of its own.
struct World {
    ground: Arc<MemoryStore>,
    store: Strict<MemoryStore>,
    keys: LineageKeys,
}

impl World {
    fn new() -> Self {
        let ground = Arc::new(MemoryStore::new().unwrap());
        Self {
            store: Strict::new(Arc::clone(&ground), StrictOptions::WITHOUT_ERRORS),
            ground,
            keys: LineageKeys::new(&"acme".parse().unwrap(), "0123456789abcdef"),
        }
    }

    /// Stores a content in the place of an earlier one; what it put.
    async fn put(&self, built: Built, before: Option<BlobId>) -> Vec<BlobRow> {
        let mut built = built;
        if let Some(before) = before {
            let known = drop_known(&self.store, &self.keys, before, &mut built).await;
            known.unwrap();
        }
        let rows = built.into_rows();
        for few in rows.chunks(512) {
            let put =
                |batch: Batch, row: &BlobRow| batch.put(row.key(&self.keys), row.value.clone());
            let batch = few.iter().fold(Batch::new(), put);
            let done = self.store.commit(batch).await.unwrap();
            assert!(matches!(done, Commit::Applied(_)), "{done:?}");
        }
        rows
    }

    async fn read(&self, id: BlobId) -> Result<Option<Bytes>, CheckpointError> {
        read(&self.store, &self.keys, id).await
    }

    /// Everything stored, key by key.
    async fn rows(&self) -> Vec<(Bytes, Bytes)> {
        let all = self.ground.scan_all(KeyRange::all()).await.unwrap();
        all.into_iter().map(|it| (it.key, it.value)).collect()
    }
}

fn built(content: &Bytes) -> Built {
    built_in(content, Profile::Balanced)
}

fn built_in(content: &Bytes, profile: Profile) -> Built {
    Built::of(content, Compression::from(profile), NOW)
}

/// Bytes that nothing makes smaller.
fn noise(seed: u64, length: usize) -> Bytes {
    let mut random = Random::new(seed);
    let mut bytes: Vec<u8> = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        bytes.extend_from_slice(&random.next().to_le_bytes());
    }
    bytes.truncate(length);
    bytes.into()
}

/// The state of an agent as JSON, of about `length` bytes: a list of
/// messages of very different lengths.
fn state(seed: u64, length: usize) -> String {
    let mut random = Random::new(seed);
    let mut text = String::from("{\"messages\":[");
    while text.len() < length {
        let words = 1 + random.below(60);
        text.push_str("{\"role\":\"tool\",\"content\":\"");
        for _ in 0..words {
            text.push_str(&format!("{:x} ", random.next() >> 40));
        }
        text.push_str("\"},");
    }
    text.push_str("null]}");
    text
}
