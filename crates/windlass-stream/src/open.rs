//! Opening a stream for reading, wherever in it, at a cost that does not
//! depend on how long it is.

use std::fmt::Write;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use windlass_core::StreamId;
use windlass_store::{Entry, Scan};

use crate::caller::Caller;
use crate::digest::{Digest, RowsHasher, hex};
use crate::engine::{Engine, floor};
use crate::error::StreamError;
use crate::keys::StreamKeys;
use crate::lease::Lease;
use crate::mark::{Chunk, Mark};
use crate::offset::Offset;
use crate::reader::Reader;
use crate::record::{Floor, Head, decode};
use crate::streams::Streams;

/// What is to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    /// The stream.
    pub stream: StreamId,
    /// From where on.
    pub start: Start,
    /// Whether rows that are appended later are part of it: then it ends with
    /// the stream, not at the tail of now.
    pub follow: bool,
}

/// Where a read begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// With the first row that is kept.
    Earliest,
    /// At an offset, with the digest of everything received before it, if that
    /// is to be checked.
    At(Offset, Option<Digest>),
    /// With the next row that is appended.
    Tail,
}

impl Open {
    /// All that there is of a stream now.
    #[must_use]
    pub const fn all(stream: StreamId) -> Self {
        Self {
            stream,
            start: Start::Earliest,
            follow: false,
        }
    }

    /// SHA-256 of what is asked for.
    fn hash(&self) -> Arc<str> {
        let mut text = format!("{} {} ", self.stream, self.follow);
        let written = match self.start {
            Start::Earliest => write!(text, "earliest"),
            Start::At(offset, _) => write!(text, "at {offset}"),
            Start::Tail => write!(text, "tail"),
        };
        written.expect("a string takes all");
        hex(&Sha256::digest(text)).into()
    }
}

/// Where a read begins, as the store has it.
#[derive(Clone, Debug)]
pub(crate) struct Begin {
    pub(crate) head: Head,
    pub(crate) start: Offset,
    /// The digest at the start, as if a chunk ended there.
    pub(crate) digest: Digest,
    /// The last mark at or before the start.
    pub(crate) base: Mark,
    /// The rest of the chunk that the start is in the middle of.
    pub(crate) rest: Option<Chunk>,
}

impl Streams {
    /// Opens a stream for reading. Takes a slot, which the reader gives back
    /// when it is dropped.
    ///
    /// One read, or two to four if it is neither from the beginning nor from
    /// the tail; hashes at most the chunk that the start is in the middle of.
    ///
    /// # Errors
    ///
    /// `Capacity`; `NotFound`, `Expired`; `Gap` for an offset before what is
    /// kept, `BeyondTail`, and `PrefixHashMismatch`.
    pub async fn open(&self, caller: &Caller, open: &Open) -> Result<Reader, StreamError> {
        let engine = self.engine();
        let settings = engine.settings();
        let mut lease = Lease::take(&engine.env, &engine.ear, &engine.capacity, settings, caller)?;
        let keys = StreamKeys::new(&caller.tenant, &open.stream);
        let begin = engine.begin(caller, &keys, open.start).await?;
        lease.open(begin.head.tail, &open.hash());
        Ok(Reader::new(
            Arc::clone(engine),
            keys,
            lease,
            begin,
            open.follow,
        ))
    }
}

impl Engine {
    async fn begin(
        &self,
        caller: &Caller,
        keys: &StreamKeys,
        start: Start,
    ) -> Result<Begin, StreamError> {
        let scans = [Scan::point(keys.head()), Scan::point(keys.floor())];
        let pages = self.store.read(&scans).await?;
        let [head, stored] = [0, 1].map(|page: usize| pages[page].entries.first());
        let head: Head = decode("stream head", &head.ok_or(StreamError::NotFound)?.value)?;
        self.admit(caller, &head)?;
        let floor = floor(stored)?;
        let (offset, claimed) = match start {
            Start::Earliest => (floor.earliest, None),
            Start::At(offset, digest) => (offset, digest),
            Start::Tail => (head.tail, None),
        };
        let (earliest, tail) = (floor.earliest, head.tail);
        if offset < earliest {
            return Err(StreamError::Gap { earliest });
        }
        if offset > tail {
            return Err(StreamError::BeyondTail { tail });
        }
        let begin = self.find(keys, head, &floor, offset).await?;
        if claimed.is_some_and(|claimed| claimed != begin.digest) {
            return Err(StreamError::PrefixHashMismatch);
        }
        Ok(begin)
    }

    /// The digest at `offset`, which is between the floor and the tail.
    async fn find(
        &self,
        keys: &StreamKeys,
        head: Head,
        floor: &Floor,
        offset: Offset,
    ) -> Result<Begin, StreamError> {
        let at_mark = |head: Head, base: Mark| Begin {
            head,
            start: offset,
            digest: base.digest,
            base,
            rest: None,
        };
        if offset == head.tail {
            let digest = head.digest;
            return Ok(at_mark(head, Mark { offset, digest }));
        }
        if offset == floor.kept {
            let digest = floor.digest;
            return Ok(at_mark(head, Mark { offset, digest }));
        }
        let chunk = self.chunk_before(keys, offset).await?;
        if chunk.mark.offset == offset {
            let base = chunk.mark;
            return Ok(at_mark(head, base));
        }
        let base = self.mark_at(keys, floor, chunk.first).await?;
        let mut hasher = RowsHasher::new();
        let before = usize::try_from(offset.since(chunk.first)).unwrap_or(usize::MAX);
        for row in chunk.rows().take(before) {
            hasher.row(row.content());
        }
        let rest = chunk.from(offset);
        let rest = rest.ok_or_else(|| StreamError::corrupt("chunk", "it has too few rows"))?;
        Ok(Begin {
            head,
            start: offset,
            digest: base.digest.chain(base.offset, hasher.finish()),
            base,
            rest: Some(rest),
        })
    }

    /// The mark at the beginning of a chunk.
    async fn mark_at(
        &self,
        keys: &StreamKeys,
        floor: &Floor,
        first: Offset,
    ) -> Result<Mark, StreamError> {
        if first == floor.kept {
            return Ok(Mark {
                offset: first,
                digest: floor.digest,
            });
        }
        let chunk = self.chunk_before(keys, first).await?;
        if chunk.mark.offset != first {
            return Err(StreamError::corrupt("chunk", "one is missing"));
        }
        Ok(chunk.mark)
    }

    /// The last chunk that begins before `offset`, and reaches it.
    async fn chunk_before(&self, keys: &StreamKeys, offset: Offset) -> Result<Chunk, StreamError> {
        let pages = self.store.read(&[keys.chunk_before(offset)]).await?;
        let entry = pages.into_iter().flat_map(|page| page.entries).next();
        let missing = || StreamError::corrupt("chunk", "one is missing");
        let chunk = parse(keys, entry.ok_or_else(missing)?)?;
        if chunk.mark.offset < offset {
            return Err(missing());
        }
        Ok(chunk)
    }
}

/// The chunk of a stored row.
pub(crate) fn parse(keys: &StreamKeys, entry: Entry) -> Result<Chunk, StreamError> {
    let first = keys.first_of(&entry.key);
    let first = first.ok_or_else(|| StreamError::corrupt("chunk", "its key has no offset"))?;
    Chunk::parse(first, entry.value)
}
