//! A store whose calls take a while, so that callers come in between.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

use async_trait::async_trait;
use windlass_store::{Batch, Changes, Commit, Export, KeyRange, Page, Scan, Store, StoreError};
use windlass_store_memory::MemoryStore;
use windlass_store_testing::Random;

use crate::support::strict;

/// Calls of the store below take a while: each is pending a few times.
#[derive(Debug)]
pub(crate) struct Slow {
    random: Mutex<Random>,
    inner: Arc<dyn Store>,
}

impl Slow {
    /// A slow store, strict otherwise, over `ground`.
    pub(crate) fn over(ground: &Arc<MemoryStore>, seed: u64) -> Arc<dyn Store> {
        Self::around(strict(ground), seed)
    }

    /// The same store, slow.
    pub(crate) fn around(inner: Arc<dyn Store>, seed: u64) -> Arc<dyn Store> {
        let random = Mutex::new(Random::new(seed));
        Arc::new(Self { random, inner })
    }

    async fn wait(&self) {
        let mut turns = self
            .random
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .below(4);
        poll_fn(|context| {
            if turns == 0 {
                return Poll::Ready(());
            }
            turns -= 1;
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }
}

#[async_trait]
impl Store for Slow {
    async fn read(&self, scans: &[Scan]) -> Result<Vec<Page>, StoreError> {
        self.wait().await;
        let answer = self.inner.read(scans).await;
        self.wait().await;
        answer
    }

    async fn commit(&self, batch: Batch) -> Result<Commit, StoreError> {
        self.wait().await;
        let answer = self.inner.commit(batch).await;
        self.wait().await;
        answer
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
