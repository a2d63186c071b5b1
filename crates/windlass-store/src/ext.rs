//! Conveniences over the trait, for every store alike.

use async_trait::async_trait;
use bytes::Bytes;

use crate::{
    Batch, Commit, Entry, Expect, KeyRange, Order, Scan, Store, StoreError, StoreErrorKind,
};

/// Most rounds [`StoreExt::update`] loses before it gives up.
pub const UPDATE_ROUNDS_MAX: usize = 64;

/// What callers of a store want beside its verbs.
#[async_trait]
pub trait StoreExt: Store {
    /// The entry of one key.
    ///
    /// # Errors
    ///
    /// As [`Store::read`].
    async fn get(&self, key: Bytes) -> Result<Option<Entry>, StoreError> {
        let mut pages = self.read(&[Scan::point(key)]).await?;
        Ok(pages.pop().and_then(|mut page| page.entries.pop()))
    }

    /// Every entry of a range, however many reads it takes. Each page is of
    /// one point in time, the whole is not: use [`Store::export`] for that.
    ///
    /// # Errors
    ///
    /// As [`Store::read`].
    async fn scan_all(&self, range: KeyRange) -> Result<Vec<Entry>, StoreError> {
        let mut all = Vec::new();
        let mut scan = Scan::new(range);
        loop {
            let mut pages = self.read(std::slice::from_ref(&scan)).await?;
            let Some(page) = pages.pop() else {
                return Ok(all);
            };
            all.extend(page.entries);
            if !page.more {
                return Ok(all);
            }
            if let Some(last) = all.last() {
                scan = scan.after(&last.key);
            }
        }
    }

    /// Reads a key, lets `change` say its next value, and commits that if
    /// nobody was faster; otherwise again, without waiting, up to
    /// [`UPDATE_ROUNDS_MAX`] rounds. `None` from `change` leaves the key.
    ///
    /// # Errors
    ///
    /// `Unavailable` after too many lost rounds; otherwise as [`Store::read`]
    /// and [`Store::commit`].
    async fn update<F>(&self, key: Bytes, change: F) -> Result<Option<crate::Version>, StoreError>
    where
        F: Fn(Option<&Entry>) -> Option<Bytes> + Send + Sync,
    {
        for _ in 0..UPDATE_ROUNDS_MAX {
            let entry = self.get(key.clone()).await?;
            let Some(value) = change(entry.as_ref()) else {
                return Ok(None);
            };
            let expect = entry.map_or(Expect::Absent, |entry| Expect::Version(entry.version));
            let batch = Batch::new()
                .check(key.clone(), expect)
                .put(key.clone(), value);
            if let Commit::Applied(version) = self.commit(batch).await? {
                return Ok(Some(version));
            }
        }
        let lost = format!("lost {UPDATE_ROUNDS_MAX} races for one key");
        Err(StoreError::new(StoreErrorKind::Unavailable, "commit", lost))
    }
}

impl<S: Store + ?Sized> StoreExt for S {}

impl Scan {
    /// The same scan from just after `key`, in its direction: what follows a
    /// page that ended with `key`.
    #[must_use]
    pub fn after(mut self, key: &Bytes) -> Self {
        match self.order {
            Order::Ascending => {
                let mut start = Vec::with_capacity(key.len() + 1);
                start.extend_from_slice(key);
                start.push(0);
                self.range.start = start.into();
            }
            Order::Descending => self.range.end = Some(key.clone()),
        }
        self
    }
}
