//! A wrapper that counts what reaches a store.

use std::ops::Sub;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use windlass_store::{Batch, Changes, Commit, Export, KeyRange, Page, Scan, Store, StoreError};

/// What reached a store up to some moment; the difference of two is what
/// reached it in between.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Calls of `read`.
    pub reads: u64,
    /// Scans of all reads.
    pub scans: u64,
    /// Calls of `commit`, whatever came of them.
    pub commits: u64,
    /// Commits that were applied.
    pub applied: u64,
    /// Commits that conflicted.
    pub conflicts: u64,
    /// Writes of all commits that were applied.
    pub writes: u64,
    /// Calls of `export`.
    pub exports: u64,
}

impl Sub for Counts {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            reads: self.reads - earlier.reads,
            scans: self.scans - earlier.scans,
            commits: self.commits - earlier.commits,
            applied: self.applied - earlier.applied,
            conflicts: self.conflicts - earlier.conflicts,
            writes: self.writes - earlier.writes,
            exports: self.exports - earlier.exports,
        }
    }
}

/// A store that counts the calls it passes on, for tests that say how many
/// an operation may cost.
#[derive(Debug)]
pub struct Counting<S: ?Sized> {
    counts: Mutex<Counts>,
    inner: Arc<S>,
}

impl<S: Store + ?Sized> Counting<S> {
    /// Wraps a store; everything starts at zero.
    pub fn new(inner: Arc<S>) -> Self {
        Self {
            counts: Mutex::default(),
            inner,
        }
    }

    /// What has reached the store so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        *self.lock()
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn number(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

#[async_trait]
impl<S: Store + ?Sized> Store for Counting<S> {
    async fn read(&self, scans: &[Scan]) -> Result<Vec<Page>, StoreError> {
        {
            let mut counts = self.lock();
            counts.reads += 1;
            counts.scans += number(scans.len());
        }
        self.inner.read(scans).await
    }

    async fn commit(&self, batch: Batch) -> Result<Commit, StoreError> {
        self.lock().commits += 1;
        let writes = number(batch.writes.len());
        let answer = self.inner.commit(batch).await?;
        let mut counts = self.lock();
        match &answer {
            Commit::Applied(_) => {
                counts.applied += 1;
                counts.writes += writes;
            }
            Commit::Conflict { .. } => counts.conflicts += 1,
        }
        Ok(answer)
    }

    async fn export(&self, range: KeyRange) -> Result<Export, StoreError> {
        self.lock().exports += 1;
        self.inner.export(range).await
    }

    fn subscribe(&self, prefix: &[u8]) -> Changes {
        self.inner.subscribe(prefix)
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.inner.close().await
    }
}
