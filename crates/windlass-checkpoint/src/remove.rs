//! Removing a state for good.
//!
//! What its forks still read, the commits and the nodes before them, stays
//! until the last of them is removed too. What the lineage holds is collected
//! when nothing points at it any more.

use bytes::Bytes;
use windlass_core::{SessionId, TenantId};
use windlass_store::{Batch, Commit, Expect, KeyRange, Scan, Version};

use crate::checkpoints::Checkpoints;
use crate::engine::{Engine, lineage_keys};
use crate::error::CheckpointError;
use crate::keys::StateKeys;
use crate::limits::REMOVED_ROWS_MAX;
use crate::record::Head;
use crate::row;

/// How far a removal came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// There was no state.
    Absent,
    /// It is gone.
    Removed,
    /// It is gone for everybody but its forks, which read from it.
    KeptForForks,
}

impl Checkpoints {
    /// Removes the state of a session: at once for everybody, and its rows in
    /// bounded commits. Repeat it if it fails half way.
    ///
    /// # Errors
    ///
    /// `Busy` if others commit all the time, `Corrupt` if its head cannot be
    /// read, and the store's failures.
    pub async fn remove(
        &self,
        tenant: &TenantId,
        session: &SessionId,
    ) -> Result<Removal, CheckpointError> {
        let removed = self.remove_untold(tenant, session).await;
        self.tell_of_removal(tenant, session, &removed);
        removed
    }

    async fn remove_untold(
        &self,
        tenant: &TenantId,
        session: &SessionId,
    ) -> Result<Removal, CheckpointError> {
        let mut keys = StateKeys::new(tenant, session);
        self.forget(tenant, session);
        let Some(mut marked) = self.engine().mark_removed(&keys).await? else {
            return Ok(Removal::Absent);
        };
        self.forget(tenant, session);
        let mut removal = Removal::KeptForForks;
        while self.engine().clear(&keys, &marked).await? {
            self.forget(tenant, &keys.session);
            if keys.session == *session {
                removal = Removal::Removed;
            }
            // The last fork of one that was removed before takes it along.
            let Some(base) = marked.0.base else {
                break;
            };
            keys = keys.other(&base.session);
            match self.engine().head(&keys).await? {
                Some((head, version)) if head.removed.is_some() => marked = (head, version),
                _ => break,
            }
        }
        Ok(removal)
    }
}

impl Engine {
    /// Marks a state removed, if it is not; its head as it is then.
    async fn mark_removed(
        &self,
        keys: &StateKeys,
    ) -> Result<Option<(Head, Version)>, CheckpointError> {
        let mut lost = 0;
        loop {
            let Some((head, version)) = self.head(keys).await? else {
                return Ok(None);
            };
            if head.removed.is_some() {
                return Ok(Some((head, version)));
            }
            let mut next = self.next_head(&head)?;
            next.removed = Some(self.env.now());
            next.due = None;
            let mut batch = Batch::new()
                .check(keys.head(), Expect::Version(version))
                .put(keys.head(), row::encode(&next, None));
            if let Some(due) = head.due {
                batch = batch.delete(keys.due(due));
            }
            match self.store.commit(batch).await? {
                Commit::Applied(version) => return Ok(Some((next, version))),
                Commit::Conflict { .. } => lost += 1,
            }
            self.back_off(lost).await?;
        }
    }

    /// Deletes the rows of a state that is marked; `false` if it has forks.
    ///
    /// A fork checks the record it begins at. So once the records are gone
    /// there can be no new one, and only then nodes go.
    async fn clear(
        &self,
        keys: &StateKeys,
        (head, version): &(Head, Version),
    ) -> Result<bool, CheckpointError> {
        for range in [keys.turns(), keys.tags()] {
            self.delete_all(range).await?;
        }
        if self.has_forks(keys).await? {
            return Ok(false);
        }
        for range in [keys.logs(), keys.olds(), keys.attachments()] {
            self.delete_all(range).await?;
        }
        if self.has_forks(keys).await? {
            return Ok(false);
        }
        self.delete_all(keys.nodes()).await?;
        let lineage = lineage_keys(&keys.tenant, &head.lineage);
        let mut last = Batch::new()
            .check(keys.head(), Expect::Version(*version))
            .delete(keys.head())
            .delete(lineage.member(&keys.session))
            .put(self.garbage_due(&lineage, self.env.now()), Bytes::new());
        if let Some(base) = &head.base {
            last = last.delete(keys.other(&base.session).fork(&keys.session));
        }
        // A conflict means that somebody else removed it, too.
        let _: Commit = self.store.commit(last).await?;
        Ok(true)
    }

    async fn has_forks(&self, keys: &StateKeys) -> Result<bool, CheckpointError> {
        let scan = Scan::new(keys.forks()).keys().limit(1);
        let pages = self.store.read(&[scan]).await?;
        Ok(pages.iter().any(|page| !page.entries.is_empty()))
    }

    async fn delete_all(&self, range: KeyRange) -> Result<(), CheckpointError> {
        let mut scan = Scan::new(range).keys().limit(REMOVED_ROWS_MAX);
        loop {
            let pages = self.store.read(std::slice::from_ref(&scan)).await?;
            let page = pages.into_iter().next().unwrap_or_default();
            let Some(last) = page.entries.last().map(|entry| entry.key.clone()) else {
                return Ok(());
            };
            let keys: Vec<Bytes> = page.entries.into_iter().map(|entry| entry.key).collect();
            let batch = keys.into_iter().fold(Batch::new(), Batch::delete);
            let _: Commit = self.store.commit(batch).await?;
            scan = scan.after(&last);
        }
    }
}
