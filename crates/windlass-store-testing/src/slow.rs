//! A wrapper whose calls take a while.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

use async_trait::async_trait;
use windlass_store::{Batch, Changes, Commit, Export, KeyRange, Page, Scan, Store, StoreError};

use crate::Random;

/// A store whose calls are pending a few times before and after they do their
/// work, so that other callers come in between. A seed says how often.
#[derive(Debug)]
pub struct Slow<S: ?Sized> {
    random: Mutex<Random>,
    inner: Arc<S>,
}

impl<S: Store + ?Sized> Slow<S> {
    /// Wraps a store.
    pub const fn new(inner: Arc<S>, seed: u64) -> Self {
        Self {
            random: Mutex::new(Random::new(seed)),
            inner,
        }
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
impl<S: Store + ?Sized> Store for Slow<S> {
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
