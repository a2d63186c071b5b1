//! A wrapper in which chosen rows are damaged.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use windlass_store::{
    Batch, Changes, Commit, Entry, Export, KeyRange, Page, Scan, Store, StoreError, StoreErrorKind,
    Take, Write,
};

/// What of a row is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// Its value: the row is listed, and not given out.
    Value,
    /// What its key is checked by: the row is not even listed.
    Key,
}

/// A store that says `Corrupt` to every read that comes upon a damaged row,
/// until that is written anew or deleted. Exports see no damage.
#[derive(Debug)]
pub struct Damaged<S: ?Sized> {
    rows: Mutex<HashMap<Bytes, Damage>>,
    inner: Arc<S>,
}

impl<S: Store + ?Sized> Damaged<S> {
    /// Wraps a store; nothing is damaged until [`Damaged::damage`].
    pub fn new(inner: Arc<S>) -> Self {
        Self {
            rows: Mutex::default(),
            inner,
        }
    }

    /// Damages a row.
    pub fn damage(&self, key: impl Into<Bytes>, damage: Damage) {
        self.rows().insert(key.into(), damage);
    }

    /// How many rows are damaged.
    #[must_use]
    pub fn count(&self) -> usize {
        self.rows().len()
    }

    fn rows(&self) -> MutexGuard<'_, HashMap<Bytes, Damage>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_met(&self, scan: &Scan, entry: &Entry) -> bool {
        match self.rows().get(&entry.key) {
            None => false,
            Some(Damage::Value) => scan.take == Take::Entries,
            Some(Damage::Key) => true,
        }
    }
}

#[async_trait]
impl<S: Store + ?Sized> Store for Damaged<S> {
    async fn read(&self, scans: &[Scan]) -> Result<Vec<Page>, StoreError> {
        let pages = self.inner.read(scans).await?;
        let mut found = scans.iter().zip(&pages);
        if found.any(|(scan, page)| page.entries.iter().any(|entry| self.is_met(scan, entry))) {
            let context = "a stored row is damaged";
            return Err(StoreError::new(StoreErrorKind::Corrupt, "read", context));
        }
        Ok(pages)
    }

    async fn commit(&self, batch: Batch) -> Result<Commit, StoreError> {
        let keys = batch.writes.iter().map(|write| match write {
            Write::Put { key, .. } | Write::Delete { key } => key.clone(),
        });
        let keys: Vec<Bytes> = keys.collect();
        let commit = self.inner.commit(batch).await?;
        if let Commit::Applied(_) = &commit {
            self.rows().retain(|row, _| !keys.contains(row));
        }
        Ok(commit)
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
