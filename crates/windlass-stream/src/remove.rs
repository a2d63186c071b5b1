//! Removing streams with all that belongs to them.

use bytes::Bytes;
use windlass_core::{SessionId, StreamId, TenantId, WriterId};
use windlass_store::{Batch, Commit, Expect, KeyRange, Scan, StoreExt, Version};

use crate::caller::Caller;
use crate::durable::About;
use crate::engine::Engine;
use crate::error::StreamError;
use crate::keys::{StreamKeys, path_of};
use crate::record::{Head, decode, encode};
use crate::streams::Streams;
use crate::unknown::no_stream;

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
        let removed = self.engine().remove(&keys, own).await;
        let removed = removed.and_then(|rows| rows.ok_or(StreamError::NotFound));
        self.tell("stream.removed", caller, stream, &removed);
        removed
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

/// What became of a stream that is to be removed.
enum Doomed {
    /// There is none that is meant.
    None,
    /// Its rows stay, for forks.
    Kept,
    /// Nobody sees, writes or reads it any more.
    Gone(Box<Gone>),
}

/// A stream that is doomed, of which rows are left.
struct Gone {
    head: Head,
    version: Version,
    about: Option<About>,
}

impl Engine {
    /// Removes a stream, if there is one that `is_meant`; how many rows that
    /// were. Every commit checks that it is still the same one: a stream that
    /// is made under its name meanwhile is left alone.
    ///
    /// With the last fork of a stream that was removed before, that goes too.
    pub(crate) async fn remove(
        &self,
        keys: &StreamKeys,
        is_meant: impl Fn(&Head, Version) -> bool,
    ) -> Result<Option<u64>, StreamError> {
        let gone = match self.doom(keys, is_meant).await? {
            Doomed::None => return Ok(None),
            Doomed::Kept => return Ok(Some(0)),
            Doomed::Gone(gone) => gone,
        };
        let mut source = source_of(keys, gone.about.as_ref());
        let mut removed = self.clear(keys, &gone, source.as_ref()).await?;
        while let Some(keys) = source {
            let was_removed = |head: &Head, _| head.deleted || head.removing;
            let Doomed::Gone(gone) = self.doom(&keys, was_removed).await? else {
                break;
            };
            source = source_of(&keys, gone.about.as_ref());
            removed += self.clear(&keys, &gone, source.as_ref()).await?;
        }
        Ok(Some(removed))
    }

    /// Deletes all that there is of a stream that is doomed.
    async fn clear(
        &self,
        keys: &StreamKeys,
        gone: &Gone,
        source: Option<&StreamKeys>,
    ) -> Result<u64, StreamError> {
        let Gone { head, version, .. } = gone;
        let same = (keys.head(), *version);
        let mut removed = 0;
        let book = KeyRange::prefix(keys.book());
        let long = [keys.uploads(), keys.pieces(), keys.longs()];
        let rest = [keys.chunks(), keys.pins(), keys.producers(), book];
        for range in long.into_iter().chain(rest) {
            removed += self.delete_all(&range, &same).await?;
        }
        let mut batch = Batch::new()
            .check(keys.head(), Expect::Version(*version))
            .delete(keys.head())
            .delete(keys.floor());
        if gone.about.is_some() {
            batch = batch.delete(keys.about());
        }
        if let Some(session) = &head.session {
            batch = batch.delete(keys.listed(session));
        }
        let deleted = u64::try_from(batch.writes.len()).expect("a count fits in 64 bits");
        if let Some(due) = head.due {
            batch = batch.delete(keys.due(due));
        }
        if let Some(source) = source {
            // Whoever comes next looks whether it was the last.
            let due = source.due(self.env.now());
            batch = batch
                .delete(source.fork(&keys.stream))
                .put(due, Bytes::new());
        }
        match self.store.commit(batch).await? {
            Commit::Applied(_) => Ok(removed + deleted),
            // Only who removes it, too, can have been faster.
            Commit::Conflict { .. } => Ok(removed),
        }
    }

    /// Makes a stream one that nobody sees, writes or reads any more; one that
    /// has forks is only marked.
    async fn doom(
        &self,
        keys: &StreamKeys,
        is_meant: impl Fn(&Head, Version) -> bool,
    ) -> Result<Doomed, StreamError> {
        let mut lost = 0;
        loop {
            let points = [keys.head(), keys.floor(), keys.about()].map(Scan::point);
            let pages = self.store.read(&points).await?;
            let [head, kept, about] = [0, 1, 2].map(|page: usize| pages[page].entries.first());
            let Some(entry) = head else {
                // Nobody is told it here: it takes as long as what is not meant.
                drop(no_stream());
                return Ok(Doomed::None);
            };
            let mut head: Head = decode("stream head", &entry.value)?;
            if !is_meant(&head, entry.version) {
                return Ok(Doomed::None);
            }
            let about: Option<About> = about.map(|row| decode("path", &row.value)).transpose()?;
            if head.removing {
                let version = entry.version;
                let gone = Gone {
                    head,
                    version,
                    about,
                };
                return Ok(Doomed::Gone(Box::new(gone)));
            }
            // Looked for after the floor was read, which whoever forks rewrites.
            let forked = self.is_forked(keys).await?;
            if forked && head.deleted {
                return Ok(Doomed::Kept);
            }
            let mut batch = self.freed(keys, &head, about.as_ref(), forked).await?;
            batch = self.marked(keys, &mut head, forked, batch)?;
            batch = batch.check(keys.head(), Expect::Version(entry.version));
            if let Some(floor) = kept {
                batch = batch
                    .check(keys.floor(), Expect::Version(floor.version))
                    .put(keys.floor(), floor.value.clone());
            }
            if let Commit::Applied(version) = self.store.commit(batch).await? {
                let gone = Gone {
                    head,
                    version,
                    about,
                };
                return Ok(match forked {
                    true => Doomed::Kept,
                    false => Doomed::Gone(Box::new(gone)),
                });
            }
            lost += 1;
            self.back_off(lost).await?;
        }
    }

    /// What makes the stream's path free again, if it leads here. That of a
    /// stream that was removed by its owner stays taken while there are forks.
    async fn freed(
        &self,
        keys: &StreamKeys,
        head: &Head,
        about: Option<&About>,
        forked: bool,
    ) -> Result<Batch, StreamError> {
        let has_expired = head
            .expires()
            .is_some_and(|it| it.has_passed(self.env.now()));
        let Some(about) = about.filter(|_| !forked || has_expired) else {
            return Ok(Batch::new());
        };
        let mut batch = Batch::new();
        for path in [Some(&about.path), about.sent.as_ref()]
            .into_iter()
            .flatten()
        {
            let path = path_of(&keys.tenant, &head.principal, path.as_str());
            let Some(entry) = self.store.get(path.clone()).await? else {
                continue;
            };
            let leads_to: About = decode("path", &entry.value)?;
            if leads_to.stream == keys.stream {
                let unchanged = Expect::Version(entry.version);
                batch = batch.check(path.clone(), unchanged).delete(path);
            }
        }
        Ok(batch)
    }

    /// Marks a head, and lists it for upkeep, which finishes what is begun.
    fn marked(
        &self,
        keys: &StreamKeys,
        head: &mut Head,
        forked: bool,
        mut batch: Batch,
    ) -> Result<Batch, StreamError> {
        if forked {
            head.deleted = true;
        } else {
            let now = self.env.now();
            if let Some(due) = head.due.filter(|due| *due != now) {
                batch = batch.delete(keys.due(due));
            }
            head.removing = true;
            head.due = Some(now);
            batch = batch.put(keys.due(now), Bytes::new());
        }
        head.rev += 1;
        let writer = WriterId::draw(self.env.as_ref())?;
        head.by.note(&writer, head.rev);
        Ok(batch.put(keys.head(), encode(head)))
    }

    /// Whether there are forks of the stream.
    pub(crate) async fn is_forked(&self, keys: &StreamKeys) -> Result<bool, StreamError> {
        let any = Scan::new(keys.forks()).limit(1).keys();
        let pages = self.store.read(&[any]).await?;
        Ok(pages.iter().any(|page| !page.entries.is_empty()))
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

/// The stream that one is a fork of.
fn source_of(keys: &StreamKeys, about: Option<&About>) -> Option<StreamKeys> {
    let fork = about?.fork.as_ref()?;
    Some(StreamKeys::new(&keys.tenant, &fork.source))
}
