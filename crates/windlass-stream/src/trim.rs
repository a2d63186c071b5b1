//! Giving up the oldest rows of a stream, never under a reader.
//!
//! First the floor says that nobody may begin before the new earliest offset;
//! whoever was reading the old floor meanwhile conflicts with that. Then pins
//! are looked for: those that are there were made under an older floor, and
//! what is from the lowest of them on is kept. Then the floor says what is
//! kept, and only then rows go: a row that is missing above it is a loss.

use bytes::Bytes;
use windlass_core::{Format, StreamId};
use windlass_store::{Batch, Commit, Entry, Expect, KeyRange, Scan, StoreExt, Version};

use crate::caller::Caller;
use crate::engine::{Engine, floor};
use crate::error::StreamError;
use crate::keys::StreamKeys;
use crate::limits::COMMIT_DELETES_MAX;
use crate::offset::Offset;
use crate::record::{Floor, Pin, decode, encode};
use crate::streams::Streams;

/// What trimming has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trimmed {
    /// The first offset that can be read from now.
    pub earliest: Offset,
    /// The first offset of which the rows are stored; before the former while
    /// somebody reads there.
    pub kept: Offset,
    /// Chunks that were deleted.
    pub chunks_removed: u64,
}

impl Streams {
    /// Gives up the rows before the chunk that `before` is in. What somebody
    /// reads is kept until a later call. Costs what is deleted, and a few
    /// reads and commits.
    ///
    /// # Errors
    ///
    /// `NotFound`, `Expired`, `BeyondTail`. Can be repeated after an error.
    pub async fn trim(
        &self,
        caller: &Caller,
        stream: &StreamId,
        before: Offset,
    ) -> Result<Trimmed, StreamError> {
        let trimmed = self.trim_untold(caller, stream, before).await;
        self.tell("stream.trimmed", caller, stream, &trimmed);
        trimmed
    }

    async fn trim_untold(
        &self,
        caller: &Caller,
        stream: &StreamId,
        before: Offset,
    ) -> Result<Trimmed, StreamError> {
        let engine = self.engine();
        let keys = StreamKeys::new(&caller.tenant, stream);
        let head = engine.head(caller, &keys).await?.head;
        if before > head.tail {
            return Err(StreamError::BeyondTail { tail: head.tail });
        }
        let raised = engine.raise_earliest(&keys, before, head.tail).await?;
        let lowest = engine.lowest_pin(&keys).await?;
        let limit = lowest.map_or(raised.earliest, |pin| pin.min(raised.earliest));
        let (floor, version) = engine.raise_kept(&keys, limit, head.tail).await?;
        Ok(Trimmed {
            earliest: floor.earliest,
            kept: floor.kept,
            chunks_removed: engine.delete_below(&keys, floor.kept, version).await?,
        })
    }
}

impl Engine {
    async fn floor_of(&self, keys: &StreamKeys) -> Result<(Floor, Version), StreamError> {
        let stored = self.store.get(keys.floor()).await?;
        let decoded = floor(stored.as_ref())?;
        let stored = stored.expect("what was decoded is there");
        Ok((decoded, stored.version))
    }

    async fn raise_earliest(
        &self,
        keys: &StreamKeys,
        before: Offset,
        tail: Offset,
    ) -> Result<Floor, StreamError> {
        let mut lost = 0;
        loop {
            let (floor, version) = self.floor_of(keys).await?;
            if before <= floor.earliest {
                return Ok(floor);
            }
            let next = Floor {
                earliest: self.beginning(keys, &floor, before, tail).await?,
                ..floor
            };
            if next == floor || self.put_floor(keys, &next, version).await?.is_some() {
                return Ok(next);
            }
            lost += 1;
            self.back_off(lost).await?;
        }
    }

    async fn raise_kept(
        &self,
        keys: &StreamKeys,
        limit: Offset,
        tail: Offset,
    ) -> Result<(Floor, Version), StreamError> {
        let mut lost = 0;
        loop {
            let (floor, version) = self.floor_of(keys).await?;
            // Looked for after the floor was read, which whoever forks rewrites.
            if limit <= floor.kept || self.is_forked(keys).await? {
                return Ok((floor, version));
            }
            let kept = self.beginning(keys, &floor, limit, tail).await?;
            let mark = self.mark_at(keys, &floor, kept).await?;
            let next = Floor {
                v: Format,
                earliest: floor.earliest,
                kept,
                digest: mark.digest,
            };
            if next == floor {
                return Ok((floor, version));
            }
            if let Some(version) = self.put_floor(keys, &next, version).await? {
                return Ok((next, version));
            }
            lost += 1;
            self.back_off(lost).await?;
        }
    }

    /// Where the chunk begins that `offset`, which is kept, is in.
    async fn beginning(
        &self,
        keys: &StreamKeys,
        floor: &Floor,
        offset: Offset,
        tail: Offset,
    ) -> Result<Offset, StreamError> {
        if offset == tail || offset == floor.kept {
            return Ok(offset);
        }
        let chunk = self.chunk_before(keys, offset).await?;
        let at_mark = chunk.mark.offset == offset;
        Ok(if at_mark { offset } else { chunk.first })
    }

    async fn put_floor(
        &self,
        keys: &StreamKeys,
        floor: &Floor,
        version: Version,
    ) -> Result<Option<Version>, StreamError> {
        let batch = Batch::new()
            .check(keys.floor(), Expect::Version(version))
            .put(keys.floor(), encode(floor));
        match self.store.commit(batch).await? {
            Commit::Applied(version) => Ok(Some(version)),
            Commit::Conflict { .. } => Ok(None),
        }
    }

    /// The lowest offset that somebody reads from. Passes over pins that do
    /// not hold any more.
    pub(crate) async fn lowest_pin(
        &self,
        keys: &StreamKeys,
    ) -> Result<Option<Offset>, StreamError> {
        let now = self.env.now();
        let mut scan = Scan::new(keys.pins());
        loop {
            let pages = self.store.read(std::slice::from_ref(&scan)).await?;
            let page = pages.into_iter().next().unwrap_or_default();
            for entry in &page.entries {
                let pin: Pin = decode("pin", &entry.value)?;
                if pin.holds(now) {
                    return Ok(keys.pinned_by(&entry.key));
                }
            }
            match page.entries.last() {
                Some(last) if page.more => scan = scan.after(&last.key),
                _ => return Ok(None),
            }
        }
    }

    /// Deletes the chunks before `kept`, which nobody can reach any more, while
    /// the floor is of this version.
    async fn delete_below(
        &self,
        keys: &StreamKeys,
        kept: Offset,
        version: Version,
    ) -> Result<u64, StreamError> {
        let same = (keys.floor(), version);
        self.delete_pieces_below(keys, kept, &same).await?;
        let range = KeyRange::new(keys.chunks().start, keys.chunk(kept));
        self.delete_all(&range, &same).await
    }

    /// Deletes every row of a range, some at a time, while a record is as it
    /// was; how many that were. Whoever changes the record takes over.
    pub(crate) async fn delete_all(
        &self,
        range: &KeyRange,
        (record, version): &(Bytes, Version),
    ) -> Result<u64, StreamError> {
        let mut removed = 0;
        loop {
            let scan = Scan::new(range.clone()).limit(COMMIT_DELETES_MAX).keys();
            let pages = self.store.read(&[scan]).await?;
            let rows: Vec<Entry> = pages.into_iter().flat_map(|page| page.entries).collect();
            if rows.is_empty() {
                return Ok(removed);
            }
            let count = u64::try_from(rows.len()).expect("a count fits in 64 bits");
            let same = Batch::new().check(record.clone(), Expect::Version(*version));
            let delete = |batch: Batch, row: Entry| batch.delete(row.key);
            let batch = rows.into_iter().fold(same, delete);
            match self.store.commit(batch).await? {
                Commit::Applied(_) => removed += count,
                Commit::Conflict { .. } => return Ok(removed),
            }
        }
    }
}
