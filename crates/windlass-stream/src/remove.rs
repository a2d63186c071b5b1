//! Removing streams with all that belongs to them.

use windlass_core::{SessionId, StreamId, TenantId, WriterId};
use windlass_store::{Batch, Commit, Expect, Scan, StoreExt, Version};

use crate::caller::Caller;
use crate::engine::Engine;
use crate::error::StreamError;
use crate::keys::StreamKeys;
use crate::record::{Head, decode, encode};
use crate::streams::Streams;

impl Streams {
    /// Removes a stream with everything that belongs to it, read or not, and
    /// says how many rows of the store that were. From the first commit on it
    /// is gone for everybody; its name is free after the last. Can be repeated,
    /// and has to be after an error.
    ///
    /// # Errors
    ///
    /// `NotFound`; the store's failures.
    pub async fn remove(&self, caller: &Caller, stream: &StreamId) -> Result<u64, StreamError> {
        let keys = StreamKeys::new(&caller.tenant, stream);
        let own = |head: &Head, _| head.principal == caller.principal;
        let removed = self.engine().remove(&keys, own).await?;
        removed.ok_or(StreamError::NotFound)
    }

    /// Removes all streams of a session, whoever's they are, and says how many
    /// rows of the store that were. Can be repeated, and has to be after an
    /// error.
    ///
    /// # Errors
    ///
    /// The store's failures.
    pub async fn remove_session(
        &self,
        tenant: &TenantId,
        session: &SessionId,
    ) -> Result<u64, StreamError> {
        let (mut removed, mut lost) = (0, 0);
        loop {
            let page = self.names(tenant, session, None, 100).await?;
            if page.streams.is_empty() {
                return Ok(removed);
            }
            for stream in &page.streams {
                let keys = StreamKeys::new(tenant, stream);
                let of_session = |head: &Head, _| head.session.as_ref() == Some(session);
                let rows = self.engine().remove(&keys, of_session).await?;
                removed += rows.unwrap_or_default();
            }
            lost += 1;
            if !page.more {
                self.engine().back_off(lost).await?;
            }
        }
    }
}

impl Engine {
    /// Removes a stream, if there is one that `is_meant`; how many rows that
    /// were. Every commit checks that it is still the same one: a stream that
    /// is made under its name meanwhile is left alone.
    pub(crate) async fn remove(
        &self,
        keys: &StreamKeys,
        is_meant: impl Fn(&Head, Version) -> bool,
    ) -> Result<Option<u64>, StreamError> {
        let Some((head, version)) = self.doom(keys, is_meant).await? else {
            return Ok(None);
        };
        let same = (keys.head(), version);
        let mut removed = self.delete_all(&keys.chunks(), &same).await?;
        removed += self.delete_all(&keys.pins(), &same).await?;
        let mut batch = Batch::new()
            .check(keys.head(), Expect::Version(version))
            .delete(keys.head())
            .delete(keys.floor());
        if let Some(session) = &head.session {
            batch = batch.delete(keys.listed(session));
        }
        if let Some(due) = head.due {
            batch = batch.delete(keys.due(due));
        }
        let deleted = u64::try_from(batch.writes.len()).expect("a count fits in 64 bits");
        match self.store.commit(batch).await? {
            Commit::Applied(_) => Ok(Some(removed + deleted)),
            // Only who removes it, too, can have been faster.
            Commit::Conflict { .. } => Ok(Some(removed)),
        }
    }

    /// Makes a stream one that nobody sees, writes or reads any more.
    async fn doom(
        &self,
        keys: &StreamKeys,
        is_meant: impl Fn(&Head, Version) -> bool,
    ) -> Result<Option<(Head, Version)>, StreamError> {
        let mut lost = 0;
        loop {
            let Some(entry) = self.store.get(keys.head()).await? else {
                return Ok(None);
            };
            let mut head: Head = decode("stream head", &entry.value)?;
            if !is_meant(&head, entry.version) {
                return Ok(None);
            }
            if head.removing {
                return Ok(Some((head, entry.version)));
            }
            head.removing = true;
            head.rev += 1;
            let writer = WriterId::draw(self.env.as_ref())?;
            head.by.note(&writer, head.rev);
            let batch = Batch::new()
                .check(keys.head(), Expect::Version(entry.version))
                .put(keys.head(), encode(&head));
            if let Commit::Applied(version) = self.store.commit(batch).await? {
                return Ok(Some((head, version)));
            }
            lost += 1;
            self.back_off(lost).await?;
        }
    }

    /// Whether nobody reads the stream, in any process.
    pub(crate) async fn is_idle(&self, keys: &StreamKeys) -> Result<bool, StreamError> {
        let any = Scan::new(keys.pins()).limit(1).keys();
        let pages = self.store.read(&[any]).await?;
        if pages.iter().all(|page| page.entries.is_empty()) {
            return Ok(true);
        }
        Ok(self.lowest_pin(keys).await?.is_none())
    }
}
