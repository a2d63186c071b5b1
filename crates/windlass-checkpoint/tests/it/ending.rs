//! A process that ends between any two steps.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use windlass_store::{
    Batch, Changes, Commit, Export, KeyRange, Page, Scan, Store, StoreError, StoreErrorKind,
};

/// A store whose process ends: every call from a certain one on fails, and of
/// that one nobody knows whether it was done.
#[derive(Debug)]
pub(crate) struct Ending {
    inner: Arc<dyn Store>,
    calls_left: AtomicU64,
    /// Whether the call at which it ends is done.
    does_the_last: bool,
}

impl Ending {
    pub(crate) fn new(inner: Arc<dyn Store>, calls: u64, does_the_last: bool) -> Self {
        Self {
            inner,
            calls_left: AtomicU64::new(calls),
            does_the_last,
        }
    }

    /// How many calls are left with this one.
    fn count(&self) -> u64 {
        let left = self.calls_left.load(Ordering::Relaxed);
        self.calls_left
            .store(left.saturating_sub(1), Ordering::Relaxed);
        left
    }
}

fn ended(kind: StoreErrorKind) -> StoreError {
    StoreError::new(kind, "commit", "the process has ended")
}

#[async_trait]
impl Store for Ending {
    async fn read(&self, scans: &[Scan]) -> Result<Vec<Page>, StoreError> {
        match self.count() {
            0 | 1 => Err(ended(StoreErrorKind::Closed)),
            _ => self.inner.read(scans).await,
        }
    }

    async fn commit(&self, batch: Batch) -> Result<Commit, StoreError> {
        match self.count() {
            0 => Err(ended(StoreErrorKind::Closed)),
            1 if self.does_the_last => {
                let _ = self.inner.commit(batch).await?;
                Err(ended(StoreErrorKind::Closed))
            }
            1 => Err(ended(StoreErrorKind::Closed)),
            _ => self.inner.commit(batch).await,
        }
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
