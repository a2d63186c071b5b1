//! What the drivers of keys and tenants share: the store, the environment,
//! and how a lost race or an unknown outcome is dealt with.
//!
//! A commit whose outcome is unknown needs no writer's mark here. Each checks
//! the version of the record it rewrites, and no version comes twice: once
//! the record is seen at another version, the commit has either made that one
//! or never applies. Which of the two, the record says by what only this call
//! could have written into it (the hash of a secret it drew), or it does not
//! matter (a quota, an end).

use std::sync::Arc;

use bytes::Bytes;
use windlass_core::{Coded, Env, ErrorKind, back_off};
use windlass_store::{Batch, Bookmark, Commit, Entry, Expect, Scan, Store, StoreErrorKind};

use crate::error::AccessError;
use crate::layout::Owner;
use crate::limits::ROUNDS_MAX;
use crate::record::{Head, decode};

/// The surroundings of every driver.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) env: Arc<dyn Env>,
    pub(crate) bookmark: Bookmark,
}

/// How an attempt to commit ended.
#[derive(Debug)]
pub(crate) enum Attempt {
    Applied,
    /// Look again, and decide again.
    Again,
}

/// The rounds of one change: at most so many, with waits between, and with
/// the memory of an outcome that was never learnt.
#[derive(Debug, Default)]
pub(crate) struct Rounds {
    lost: u32,
    doubt: Option<AccessError>,
}

impl Rounds {
    /// Waits as is due before the next round.
    pub(crate) async fn next(&mut self, env: &dyn Env) -> Result<(), AccessError> {
        if self.lost >= ROUNDS_MAX {
            return Err(self.doubt.take().unwrap_or(AccessError::Busy));
        }
        let waited = back_off(env, self.lost).await;
        self.lost += 1;
        self.settle(waited)
    }

    /// The answer of a step that changes nothing. After an attempt of unknown
    /// outcome its failure is not the whole truth: something may have
    /// happened, and the caller has to be told that instead.
    pub(crate) fn settle<T, E>(&mut self, result: Result<T, E>) -> Result<T, AccessError>
    where
        E: Into<AccessError>,
    {
        result.map_err(|error| {
            let error = error.into();
            let nothing_happened = matches!(
                error.kind(),
                ErrorKind::Unavailable | ErrorKind::Environment | ErrorKind::Closed
            );
            match self.doubt.take() {
                Some(doubt) if nothing_happened => doubt,
                _ => error,
            }
        })
    }

    /// Commits; a lost race and an unknown outcome both mean: look again.
    pub(crate) async fn commit(
        &mut self,
        store: &dyn Store,
        batch: Batch,
    ) -> Result<Attempt, AccessError> {
        match store.commit(batch).await {
            Ok(Commit::Applied(_)) => Ok(Attempt::Applied),
            Ok(Commit::Conflict { .. }) => Ok(Attempt::Again),
            Err(error) if error.kind() == StoreErrorKind::Indeterminate => {
                self.doubt = Some(error.into());
                Ok(Attempt::Again)
            }
            Err(error) => self.settle(Err(error)),
        }
    }
}

impl Engine {
    /// The entries of some keys, in their order, as they were at one point in
    /// time. At most as many keys as a read has scans.
    pub(crate) async fn points<const N: usize>(
        &self,
        keys: [Bytes; N],
    ) -> Result<[Option<Entry>; N], AccessError> {
        let pages = self.store.read(&keys.map(Scan::point)).await?;
        let mut entries = pages.into_iter().map(|mut page| page.entries.pop());
        Ok(std::array::from_fn(|_| entries.next().flatten()))
    }

    /// The head of an owner of keys; a new one where there is none.
    pub(crate) async fn head(&self, owner: &Owner) -> Result<(Head, Expect), AccessError> {
        let [entry] = self.points([owner.head()]).await?;
        head_of(entry.as_ref())
    }
}

/// A head as it was read, and what the commit that rewrites it expects.
pub(crate) fn head_of(entry: Option<&Entry>) -> Result<(Head, Expect), AccessError> {
    match entry {
        None => Ok((Head::new(), Expect::Absent)),
        Some(entry) => Ok((
            decode("head", &entry.value)?,
            Expect::Version(entry.version),
        )),
    }
}
