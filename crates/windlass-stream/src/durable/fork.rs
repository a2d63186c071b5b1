//! Forks: streams whose first rows are those of another stream.
//!
//! A fork has no copy of those rows: its path says whose chunks they are in, and
//! up to where. Two rows keep them: the fork's, under its source, for as long as
//! there is one the source's rows stay; and the source's floor, which whoever
//! forks and whoever removes rewrites, so that the two never miss each other.

use windlass_store::{Batch, Expect, Scan, Version};

use crate::caller::Caller;
use crate::digest::Digest;
use crate::durable::about::{About, ContentType, Fork};
use crate::durable::create::ForkFrom;
use crate::durable::read::{From, base_of, share_of, start_of};
use crate::durable::{DurableStreams, Found, hidden};
use crate::engine::floor;
use crate::error::StreamError;
use crate::keys::StreamKeys;
use crate::limits::FORK_SHARES_MAX;
use crate::model::Expiry;
use crate::offset::Offset;
use crate::record::{Floor, Head, decode, encode};
use crate::row::Row;

/// What a fork takes over.
#[derive(Debug)]
pub(super) struct Origin {
    pub(super) fork: Fork,
    pub(super) content_type: ContentType,
    pub(super) expiry: Expiry,
    /// Where its own rows begin, and the digest there.
    pub(super) base: Offset,
    pub(super) digest: Digest,
    /// The part of a row that becomes its own first one.
    pub(super) part: Option<Row>,
    /// The longest chunk that may be read for it.
    pub(super) widest: u64,
    source: StreamKeys,
    floor: (Floor, Version),
}

impl Origin {
    /// What keeps the source's rows for the fork, to be a part of the commit
    /// that makes it.
    pub(super) fn hold(&self, fork: &StreamKeys) -> Batch {
        let (floor, version) = &self.floor;
        Batch::new()
            .check(self.source.floor(), Expect::Version(*version))
            .put(self.source.floor(), encode(floor))
            .put(self.source.fork(&fork.stream), bytes::Bytes::new())
    }
}

impl DurableStreams {
    /// What a fork of this is made of.
    pub(super) async fn origin(
        &self,
        caller: &Caller,
        from: &ForkFrom,
    ) -> Result<Origin, StreamError> {
        let found = self.find(caller, &from.path).await?;
        let scans = [found.keys.head(), found.keys.floor()].map(Scan::point);
        let pages = self.engine.store.read(&scans).await?;
        let [head, stored] = [0, 1].map(|page: usize| pages[page].entries.first());
        let head: Head = decode("stream head", &head.ok_or(StreamError::NotFound)?.value)?;
        let admitted = self.engine.admit(caller, &found.keys, &head).await;
        admitted.map_err(hidden)?;
        let held = (
            floor(stored)?,
            stored.map(|row| row.version).expect("it is there"),
        );
        let tail = head.tail;
        let (offset, earliest) = (from.offset.unwrap_or(tail), start_of(&found.about, &held.0));
        if offset > tail {
            return Err(StreamError::BeyondTail { tail });
        }
        if offset < earliest {
            return Err(StreamError::Gap { earliest });
        }
        let (base, part) = self.divide(caller, &found, from, offset, tail).await?;
        let shares = shares_of(&found.about, earliest, base)?;
        let start = if shares.is_empty() { base } else { earliest };
        let fork = Fork {
            path: from.path.clone(),
            offset,
            part: from.part,
            source: found.about.stream.clone(),
            start,
            shares,
        };
        let digest = self.digest_at(&found, base).await?;
        Ok(Origin {
            fork,
            content_type: found.about.content_type,
            expiry: head.expiry,
            base,
            digest,
            part,
            widest: head.widest,
            source: found.keys,
            floor: held,
        })
    }

    /// Where the fork's own rows begin, and what of a row is its first one.
    async fn divide(
        &self,
        caller: &Caller,
        found: &Found,
        from: &ForkFrom,
        offset: Offset,
        tail: Offset,
    ) -> Result<(Offset, Option<Row>), StreamError> {
        let beyond = || StreamError::Invalid {
            field: "part",
            problem: "is beyond what follows the offset",
        };
        if from.part == 0 {
            return Ok((offset, None));
        }
        if found.about.content_type.is_json() {
            let base = offset.plus(from.part).filter(|base| *base <= tail);
            return Ok((base.ok_or_else(beyond)?, None));
        }
        if offset == tail {
            return Err(beyond());
        }
        let (piece, _) = self.piece(caller, found, From::At(offset), 1).await?;
        let row = piece.rows.first().ok_or_else(beyond)?.content().clone();
        let part = usize::try_from(from.part).ok();
        let part = part.filter(|part| *part <= row.len()).ok_or_else(beyond)?;
        if part == row.len() {
            return Ok((offset.plus(1).ok_or_else(beyond)?, None));
        }
        Ok((offset, Some(Row::Bytes(row.slice(..part)))))
    }

    /// The digest of everything before `base`, as if a chunk ended there.
    async fn digest_at(&self, found: &Found, base: Offset) -> Result<Digest, StreamError> {
        // The row before it is in a chunk of the same stream.
        let before = Offset::new(base.number().saturating_sub(1));
        let is_own = base >= base_of(&found.about);
        let keys = match is_own {
            true => found.keys.clone(),
            false => share_of(&found.keys, &found.about, before).keys,
        };
        let scans = [keys.head(), keys.floor()].map(Scan::point);
        let pages = self.engine.store.read(&scans).await?;
        let [head, stored] = [0, 1].map(|page: usize| pages[page].entries.first());
        let missing = || StreamError::corrupt("stream head", "it is missing");
        let head: Head = decode("stream head", &head.ok_or_else(missing)?.value)?;
        let floor = (
            floor(stored)?,
            stored.map(|row| row.version).expect("it is there"),
        );
        let begin = self.engine.find(&keys, head, &floor, base).await?;
        Ok(begin.digest)
    }
}

/// Whose rows a fork at `base` shares.
fn shares_of(
    source: &About,
    start: Offset,
    base: Offset,
) -> Result<Vec<(windlass_core::StreamId, Offset)>, StreamError> {
    let all = source
        .fork
        .iter()
        .flat_map(|fork| fork.shares.iter().cloned());
    let own = (source.stream.clone(), Offset::new(u64::MAX));
    let mut shares = Vec::new();
    let mut end = start;
    for (stream, until) in all.chain([own]) {
        let until = until.min(base);
        if until > end {
            shares.push((stream, until));
            end = until;
        }
    }
    if shares.len() > FORK_SHARES_MAX {
        return Err(StreamError::Invalid {
            field: "fork",
            problem: "has rows of too many streams",
        });
    }
    Ok(shares)
}
