//! Opening a stream for reading, wherever in it, at a cost that does not
//! depend on how long it is.

use std::fmt::Write;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use windlass_core::{Format, StreamId};
use windlass_store::{Commit, Entry, Expect, Scan, StoreExt, Version};

use crate::caller::Caller;
use crate::digest::{Digest, RowsHasher, hex};
use crate::engine::{Engine, floor};
use crate::error::StreamError;
use crate::hold::{Hold, lasting_ms};
use crate::keys::StreamKeys;
use crate::lease::Lease;
use crate::mark::{Chunk, Mark};
use crate::offset::Offset;
use crate::reader::Reader;
use crate::record::{CursorRow, Floor, Head, decode};
use crate::secret::Cursor;
use crate::streams::Streams;
use crate::unknown::no_stream;

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
    /// What is kept was read from this.
    floor: Version,
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
    /// when it ends or is dropped, and leaves a cursor in the store, which the
    /// reader shows: with it a read that was cut off goes on.
    ///
    /// One read and one commit; up to three reads more if it begins neither
    /// with the first row that is kept nor at the tail. Hashes at most the
    /// chunk that the start is in the middle of.
    ///
    /// # Errors
    ///
    /// `Capacity`; `NotFound`, `Expired`; `Gap` for an offset before what is
    /// kept, `BeyondTail`, and `PrefixHashMismatch`.
    pub async fn open(&self, caller: &Caller, open: &Open) -> Result<Reader, StreamError> {
        let engine = self.engine();
        let mut lease = self.lease(caller)?;
        let keys = StreamKeys::new(&caller.tenant, &open.stream);
        let cursor = Cursor::draw(engine.env.as_ref())?;
        let mut lost = 0;
        loop {
            let begin = engine.begin(caller, &keys, open.start, None).await?;
            let row = CursorRow {
                v: Format,
                proof: cursor.hash().proof().into(),
                principal: caller.principal.clone(),
                stream: open.stream.clone(),
                request: open.hash(),
                at: begin.start,
                tail: begin.head.tail,
                follow: open.follow,
                until: engine.env.now(),
                cancelled: None,
            };
            let mut hold = Hold {
                keys: keys.clone(),
                name: cursor.hash().name().into(),
                row,
                version: None,
            };
            if engine.enter(&mut hold, &begin, &lease).await? {
                let (tail, request) = (hold.row.tail, &hold.row.request);
                lease.open(&engine.running, Some(&hold.name), tail, request);
                return Ok(Reader::new(Arc::clone(engine), cursor, hold, lease, begin));
            }
            lost += 1;
            engine.back_off(lost).await?;
        }
    }

    /// Goes on with a read that was cut off: from behind what was `received`,
    /// which is the last mark that came, or from where the read began if none
    /// did. What is before that is no longer kept for this cursor. Costs what
    /// opening does, and a read.
    ///
    /// # Errors
    ///
    /// `NotFound` for a cursor that is unknown or somebody else's, whatever
    /// became of it; then `Cancelled`, `Expired`; otherwise as
    /// [`Streams::open`].
    pub async fn resume(
        &self,
        caller: &Caller,
        cursor: &Cursor,
        received: Option<Mark>,
    ) -> Result<Reader, StreamError> {
        let engine = self.engine();
        let mut lease = self.lease(caller)?;
        let mut lost = 0;
        loop {
            let mut hold = engine.resolve(caller, cursor).await?;
            let pinned = hold.row.at;
            let start = match received {
                Some(mark) => Start::At(mark.offset, Some(mark.digest)),
                None => Start::At(pinned, None),
            };
            let begin = engine
                .begin(caller, &hold.keys, start, Some(pinned))
                .await?;
            let tail = hold.row.tail;
            if begin.start > tail && !hold.row.follow {
                return Err(StreamError::BeyondTail { tail });
            }
            if engine.enter(&mut hold, &begin, &lease).await? {
                lease.open(&engine.running, Some(&hold.name), tail, &hold.row.request);
                return Ok(Reader::new(Arc::clone(engine), *cursor, hold, lease, begin));
            }
            lost += 1;
            engine.back_off(lost).await?;
        }
    }

    /// Stops whoever reads for a cursor, and makes it useless; what it held is
    /// held no more. A reader in this process is told at once, one in another
    /// within half a lease.
    /// Can be repeated. A cursor of a source is cancelled alike.
    ///
    /// # Errors
    ///
    /// `NotFound`, `Expired`, as [`Streams::resume`].
    pub async fn cancel(&self, caller: &Caller, cursor: &Cursor) -> Result<(), StreamError> {
        let engine = self.engine();
        let mut lost = 0;
        loop {
            let hold = match engine.resolve(caller, cursor).await {
                Err(StreamError::Cancelled) => return Ok(()),
                Err(StreamError::NotFound) => return engine.cancel_scan(caller, cursor).await,
                other => other?,
            };
            let batch = hold.cancel(engine.env.now());
            if let Commit::Applied(_) = engine.store.commit(batch).await? {
                engine.running.cancel(&hold.name);
                return Ok(());
            }
            lost += 1;
            engine.back_off(lost).await?;
        }
    }

    fn lease(&self, caller: &Caller) -> Result<Lease, StreamError> {
        let engine = self.engine();
        let settings = engine.settings();
        Lease::take(engine, settings, caller, self.credential())
    }
}

impl Engine {
    /// Stores that somebody reads from the beginning of `begin` on; `false` if
    /// what is kept, or the cursor, is no longer as it was read.
    async fn enter(
        &self,
        hold: &mut Hold,
        begin: &Begin,
        lease: &Lease,
    ) -> Result<bool, StreamError> {
        let until = self.env.now();
        let until = until.plus_ms(lasting_ms(lease.settings.lease_ttl_ms));
        let (row, batch) = hold.extend(begin.start, until.max(hold.row.until));
        let batch = batch.check(hold.keys.floor(), Expect::Version(begin.floor));
        let Commit::Applied(version) = self.store.commit(batch).await? else {
            return Ok(false);
        };
        hold.row = row;
        hold.version = Some(version);
        Ok(true)
    }

    /// Where to begin; what is before the earliest offset is there for whom it
    /// is `pinned`.
    async fn begin(
        &self,
        caller: &Caller,
        keys: &StreamKeys,
        start: Start,
        pinned: Option<Offset>,
    ) -> Result<Begin, StreamError> {
        let scans = [Scan::point(keys.head()), Scan::point(keys.floor())];
        let pages = self.store.read(&scans).await?;
        let [head, stored] = [0, 1].map(|page: usize| pages[page].entries.first());
        let head: Head = decode("stream head", &head.ok_or_else(no_stream)?.value)?;
        self.admit(caller, keys, &head).await?;
        let stored = stored.ok_or_else(|| StreamError::corrupt("stream floor", "it is missing"))?;
        let floor: Floor = decode("stream floor", &stored.value)?;
        let (offset, claimed) = match start {
            Start::Earliest => (floor.earliest, None),
            Start::At(offset, digest) => (offset, digest),
            Start::Tail => (head.tail, None),
        };
        let (earliest, tail) = (floor.earliest, head.tail);
        let kept = offset >= earliest || pinned.is_some_and(|pinned| offset >= pinned);
        if !kept {
            return Err(StreamError::Gap { earliest });
        }
        if offset > tail {
            return Err(StreamError::BeyondTail { tail });
        }
        let floor = (floor, stored.version);
        let begin = match self.find(keys, head, &floor, offset).await {
            Ok(begin) => begin,
            Err(error) => return Err(self.explain(caller, keys, offset, error).await),
        };
        if claimed.is_some_and(|claimed| claimed != begin.digest) {
            return Err(StreamError::PrefixHashMismatch);
        }
        Ok(begin)
    }

    /// Why a chunk is missing, if not because it was lost: the stream was
    /// removed, or trimmed, meanwhile.
    pub(crate) async fn explain(
        &self,
        caller: &Caller,
        keys: &StreamKeys,
        offset: Offset,
        error: StreamError,
    ) -> StreamError {
        if !matches!(error, StreamError::Corrupt { .. }) {
            return error;
        }
        if let Err(gone @ StreamError::NotFound) = self.head(caller, keys).await {
            return gone;
        }
        let stored = self.store.get(keys.floor()).await;
        match stored.map(|stored| floor(stored.as_ref())) {
            Ok(Ok(floor)) if floor.kept > offset => StreamError::Gap {
                earliest: floor.earliest,
            },
            Ok(_) | Err(_) => error,
        }
    }

    /// The digest at `offset`, which is between the floor and the tail.
    pub(crate) async fn find(
        &self,
        keys: &StreamKeys,
        head: Head,
        (floor, version): &(Floor, Version),
        offset: Offset,
    ) -> Result<Begin, StreamError> {
        let at_mark = |head: Head, base: Mark| Begin {
            head,
            floor: *version,
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
            floor: *version,
            start: offset,
            digest: base.digest.chain(base.offset, hasher.finish()),
            base,
            rest: Some(rest),
        })
    }

    /// The mark at the beginning of a chunk.
    pub(crate) async fn mark_at(
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
    pub(crate) async fn chunk_before(
        &self,
        keys: &StreamKeys,
        offset: Offset,
    ) -> Result<Chunk, StreamError> {
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
