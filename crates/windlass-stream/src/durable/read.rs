//! Reading a stream of a path: rows as they were given, from its own chunks and
//! from those of the streams that it is a fork of.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use windlass_core::{StreamId, WriterId};
use windlass_store::{Batch, Commit, Entry, Expect, Page, Scan};

use crate::audit::CloseReason;
use crate::caller::Caller;
use crate::digest::hex;
use crate::durable::about::{About, ContentType, Path};
use crate::durable::{DurableStreams, Found, hidden};
use crate::engine::{Loaded, floor};
use crate::error::StreamError;
use crate::keys::StreamKeys;
use crate::lease::Lease;
use crate::limits::PIECE_CHUNKS_MAX;
use crate::model::Expiry;
use crate::offset::Offset;
use crate::open::parse;
use crate::record::{Floor, Head, decode, encode, slack_ms};
use crate::row::Row;

/// Where a read begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// With the first row that is kept.
    Start,
    /// At an offset.
    At(Offset),
    /// With the next row that is appended.
    Now,
}

/// Some rows of a stream, and where it stood when they were read.
#[derive(Clone, Debug)]
pub struct Piece {
    /// The stream's name: another one after the path was used anew.
    pub stream: StreamId,
    /// What the rows are.
    pub content_type: ContentType,
    /// The rows, as they were given.
    pub rows: Vec<Row>,
    /// Where they begin.
    pub start: Offset,
    /// After them.
    pub next: Offset,
    /// After the last row of the stream.
    pub tail: Offset,
    /// Whether nothing will ever follow the tail.
    pub closed: bool,
}

impl Piece {
    /// Whether the stream has no more rows for now.
    #[must_use]
    pub fn is_up_to_date(&self) -> bool {
        self.next == self.tail
    }

    /// Whether the stream has no more rows, and will have none.
    #[must_use]
    pub fn is_end(&self) -> bool {
        self.closed && self.is_up_to_date()
    }

    /// Bytes of its rows.
    pub(super) fn bytes(&self) -> u64 {
        let bytes: usize = self.rows.iter().map(|row| row.content().len()).sum();
        u64::try_from(bytes).expect("a length fits in 64 bits")
    }

    /// SHA-256 of what was asked for, if it begins with this.
    pub(super) fn asked(&self, how: &str) -> Arc<str> {
        let asked = format!("{} {how} {}", self.stream, self.start);
        hex(&Sha256::digest(asked)).into()
    }
}

impl DurableStreams {
    /// Rows from `from` on, as many as there are and fit into `bytes_max`, but
    /// one at least. Keeps the stream from expiring. Holds a slot meanwhile.
    ///
    /// Two reads, and a commit now and then if its expiry slides.
    ///
    /// # Errors
    ///
    /// `Capacity`; `NotFound`, `Deleted`; `Gap`, `BeyondTail`.
    pub async fn read(
        &self,
        caller: &Caller,
        path: &Path,
        from: From,
        bytes_max: usize,
    ) -> Result<Piece, StreamError> {
        let engine = &self.engine;
        let mut lease = Lease::take(engine, engine.settings(), caller, &self.credential)?;
        let found = self.find(caller, path).await?;
        let (piece, loaded) = self.piece(caller, &found, from, bytes_max).await?;
        lease.open(&engine.running, None, piece.tail, &piece.asked("read"));
        self.touch(caller, &found.keys, loaded).await?;
        lease.rows = piece.next.since(piece.start);
        lease.bytes = piece.bytes();
        lease.reason = CloseReason::Ok;
        Ok(piece)
    }

    /// One piece of what is found, and the head it was read with.
    pub(super) async fn piece(
        &self,
        caller: &Caller,
        found: &Found,
        from: From,
        bytes_max: usize,
    ) -> Result<(Piece, Loaded), StreamError> {
        let (mut at, mut gathered) = (first_of(from, &found.about), Gathered::default());
        let mut first: Option<(Offset, Loaded)> = None;
        loop {
            let share = share_of(&found.keys, &found.about, at);
            let pages = self.engine.store.read(&scans(found, &share, at)).await?;
            if first.is_none() {
                let (loaded, floor) = self.admitted(caller, &found.keys, &pages).await?;
                let earliest = start_of(&found.about, &floor);
                let start = begin(from, at, earliest, loaded.head.tail)?;
                let again = start != at && from == From::Start;
                at = start;
                if again {
                    continue;
                }
                first = Some((at, loaded));
            }
            let (start, loaded) = first.as_ref().expect("read above");
            let tail = loaded.head.tail;
            let entries = pages.into_iter().skip(2).flat_map(|page| page.entries);
            let end = share.until.min(tail);
            if let Err(error) = gathered.take(&share, entries, (&mut at, end), bytes_max) {
                let why = self.engine.explain(caller, &found.keys, at, error);
                return Err(why.await);
            }
            if at == tail || gathered.is_full(bytes_max) {
                let piece = Piece {
                    stream: found.about.stream.clone(),
                    content_type: found.about.content_type.clone(),
                    rows: gathered.rows,
                    start: *start,
                    next: at,
                    tail,
                    closed: loaded.head.closed.is_some(),
                };
                let (_, loaded) = first.expect("read above");
                return Ok((piece, loaded));
            }
        }
    }

    /// The head and the floor of the first two pages.
    async fn admitted(
        &self,
        caller: &Caller,
        keys: &StreamKeys,
        pages: &[Page],
    ) -> Result<(Loaded, Floor), StreamError> {
        let [head, stored] = [0, 1].map(|page: usize| pages[page].entries.first());
        let entry = head.ok_or(StreamError::NotFound)?;
        let head: Head = decode("stream head", &entry.value)?;
        let admitted = self.engine.admit(caller, keys, &head).await;
        admitted.map_err(hidden)?;
        let version = entry.version;
        Ok((Loaded { head, version }, floor(stored)?))
    }

    /// Notes that a stream was read whose expiry slides, unless the time that
    /// it lives longer anyhow covers that.
    pub(super) async fn touch(
        &self,
        caller: &Caller,
        keys: &StreamKeys,
        mut loaded: Loaded,
    ) -> Result<(), StreamError> {
        let mut lost = 0;
        loop {
            let Loaded { mut head, version } = loaded;
            let Expiry::SlidingMs(ms) = head.expiry else {
                return Ok(());
            };
            let used = head.read.map_or(head.at, |read| read.max(head.at));
            let now = self.engine.env.now();
            if now.since(used) <= slack_ms(ms) {
                return Ok(());
            }
            head.read = Some(now);
            head.rev += 1;
            let writer = WriterId::draw(self.engine.env.as_ref())?;
            head.by.note(&writer, head.rev);
            let batch = Batch::new()
                .check(keys.head(), Expect::Version(version))
                .put(keys.head(), encode(&head));
            if let Commit::Applied(_) = self.engine.store.commit(batch).await? {
                return Ok(());
            }
            lost += 1;
            self.engine.back_off(lost).await?;
            loaded = self.engine.head(caller, keys).await.map_err(hidden)?;
        }
    }
}

/// Whose chunks have the rows from an offset on, and up to where.
#[derive(Debug)]
pub(super) struct Share {
    pub(super) keys: StreamKeys,
    pub(super) until: Offset,
}

pub(super) fn share_of(keys: &StreamKeys, about: &About, at: Offset) -> Share {
    let shares = about.fork.iter().flat_map(|fork| &fork.shares);
    let found = shares.into_iter().find(|(_, until)| at < *until);
    match found {
        Some((stream, until)) => Share {
            keys: StreamKeys::new(&keys.tenant, stream),
            until: *until,
        },
        None => Share {
            keys: keys.clone(),
            until: Offset::new(u64::MAX),
        },
    }
}

/// Where to look first, as far as the path tells.
fn first_of(from: From, about: &About) -> Offset {
    match from {
        From::Start => origin_of(about),
        From::At(offset) => offset,
        From::Now => Offset::new(u64::MAX - 1),
    }
}

/// Where a read begins of what is kept from `earliest` on.
fn begin(from: From, at: Offset, earliest: Offset, tail: Offset) -> Result<Offset, StreamError> {
    match from {
        From::Start => Ok(at.max(earliest)),
        From::Now => Ok(tail),
        From::At(_) if at < earliest => Err(StreamError::Gap { earliest }),
        From::At(_) if at > tail => Err(StreamError::BeyondTail { tail }),
        From::At(_) => Ok(at),
    }
}

/// Where the stream begins, as far as its path tells.
fn origin_of(about: &About) -> Offset {
    let fork = about.fork.as_ref();
    fork.map_or(Offset::START, |fork| fork.start)
}

/// Where its own rows begin.
pub(super) fn base_of(about: &About) -> Offset {
    let shares = about.fork.as_ref().and_then(|fork| fork.shares.last());
    shares.map_or(origin_of(about), |(_, until)| *until)
}

/// The first offset that can be read from: of a fork that was trimmed, only
/// rows of its own.
pub(super) fn start_of(about: &About, floor: &Floor) -> Offset {
    if floor.earliest > base_of(about) {
        return floor.earliest;
    }
    origin_of(about)
}

/// The stream's head and floor, the chunk that `at` is in, and those behind it.
fn scans(found: &Found, share: &Share, at: Offset) -> [Scan; 4] {
    let behind = at.plus(1).unwrap_or(at);
    let rest = share.keys.chunks_between(behind, share.until.max(behind));
    [
        Scan::point(found.keys.head()),
        Scan::point(found.keys.floor()),
        share.keys.chunk_before(behind),
        rest.limit(PIECE_CHUNKS_MAX),
    ]
}

/// Rows on their way into a piece.
#[derive(Debug, Default)]
struct Gathered {
    rows: Vec<Row>,
    bytes: usize,
}

impl Gathered {
    /// Takes the rows from `next` to `end`, or as many as fit, but one at least.
    fn take(
        &mut self,
        share: &Share,
        entries: impl Iterator<Item = Entry>,
        (next, end): (&mut Offset, Offset),
        bytes_max: usize,
    ) -> Result<(), StreamError> {
        let missing = || StreamError::corrupt("chunk", "one is missing");
        let few = || StreamError::corrupt("chunk", "it has too few rows");
        let begun = *next;
        for entry in entries {
            if *next >= end || self.is_full(bytes_max) {
                break;
            }
            let chunk = parse(&share.keys, entry)?;
            if chunk.mark.offset <= *next {
                continue;
            }
            if chunk.first > *next {
                return Err(missing());
            }
            let chunk = chunk.from(*next).ok_or_else(few)?;
            for row in chunk.rows() {
                if *next >= end || self.is_full(bytes_max) {
                    break;
                }
                self.bytes += row.content().len();
                *next = next.plus(1).ok_or_else(few)?;
                self.rows.push(row);
            }
        }
        if *next == begun && begun < end {
            return Err(missing());
        }
        Ok(())
    }

    fn is_full(&self, bytes_max: usize) -> bool {
        self.bytes >= bytes_max && !self.rows.is_empty()
    }
}
