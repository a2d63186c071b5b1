//! A store that lets others have their turn around each call, so that on one
//! thread, from one seed, they come between any two steps.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use windlass_store::{Batch, Changes, Commit, Export, KeyRange, Page, Scan, Store, StoreError};
use windlass_store_memory::MemoryStore;
use windlass_store_testing::Random;

#[derive(Debug)]
pub(super) struct Yielding {
    inner: Arc<MemoryStore>,
    random: Mutex<Random>,
}

impl Yielding {
    pub(super) fn new(inner: &Arc<MemoryStore>, seed: u64) -> Self {
        Self {
            inner: Arc::clone(inner),
            random: Mutex::new(Random::new(seed)),
        }
    }

    async fn give_way(&self) {
        let times = self.random.lock().expect("no panic").below(4);
        for _ in 0..times {
            tokio::task::yield_now().await;
        }
    }
}

#[async_trait]
impl Store for Yielding {
    async fn read(&self, scans: &[Scan]) -> Result<Vec<Page>, StoreError> {
        self.give_way().await;
        let pages = self.inner.read(scans).await;
        self.give_way().await;
        pages
    }

    async fn commit(&self, batch: Batch) -> Result<Commit, StoreError> {
        self.give_way().await;
        let done = self.inner.commit(batch).await;
        self.give_way().await;
        done
    }

    async fn export(&self, range: KeyRange) -> Result<Export, StoreError> {
        self.inner.export(range).await
    }

    fn subscribe(&self, prefix: &[u8]) -> Changes {
        self.inner.subscribe(prefix)
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.inner.close().await
    }
}
