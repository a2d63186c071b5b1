//! Reading: chunks as they are stored, and only for who asks for them.
//!
//! What a reader holds are as many chunks as fit into the read size of its
//! settings, by the longest chunk of the stream, and at least one. One that
//! does not ask is read for no further than that.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{Either, pending, select};
use windlass_core::{Millis, StreamId};
use windlass_store::Scan;

use crate::ahead::{Ahead, Shelf};
use crate::audit::CloseReason;
use crate::caller::Caller;
use crate::engine::Engine;
use crate::error::StreamError;
use crate::hold::Hold;
use crate::keys::StreamKeys;
use crate::lease::Lease;
use crate::mark::{Chunk, Mark};
use crate::model::{Closed, Ending};
use crate::offset::Offset;
use crate::open::Begin;
use crate::pieces::{Pieces, RowPiece};
use crate::record::{Head, decode};
use crate::rooms::Seat;
use crate::running::Signal;
use crate::secret::{Cursor, Handle};
use crate::settings::Settings;
use crate::wire::{End, Failure, Frame, Opened};

/// Reads one stream, from where it was opened to the tail of then, or for as
/// long as the stream is written.
///
/// Dropping it ends the read and gives its slot back. Dropping a future of it
/// loses nothing: the next call goes on where the reader was.
#[derive(Debug)]
pub struct Reader {
    engine: Arc<Engine>,
    keys: StreamKeys,
    hold: Hold,
    /// When the hold was last renewed.
    renewed: Millis,
    /// Raised when the read is stopped from within this process.
    signal: Option<Arc<Signal>>,
    handle: Handle,
    settings: Arc<Settings>,
    /// Until the read has ended.
    lease: Option<Lease>,
    /// Among those who wait for the stream to grow, if it is followed.
    seat: Option<Seat>,
    /// Whether it was looked, after the seat was taken, how far it has grown.
    looked: bool,
    /// When the stream was made: another one of its name is not read.
    created: Millis,
    /// What `open` says; `None` once it was said.
    opened: Option<Opened>,
    /// After the last row that was given, and its digest if it is at a mark.
    at: Mark,
    /// After the last row that is to be given, as far as is known.
    tail: Offset,
    closed: Option<Closed>,
    /// The longest chunk of the stream.
    widest: u64,
    ahead: Ahead,
    /// The long row that is being given.
    long: Option<Long>,
}

/// A long row of which some pieces were given.
#[derive(Debug)]
struct Long {
    chunk: Chunk,
    pieces: Pieces,
    /// The number of the next piece.
    next: u64,
    ahead: VecDeque<Bytes>,
}

impl Long {
    fn new(chunk: Chunk, pieces: Pieces) -> Self {
        Self {
            chunk,
            pieces,
            next: 0,
            ahead: VecDeque::new(),
        }
    }

    /// The next piece of those that were read.
    fn give(&mut self) -> RowPiece {
        let number = self.next;
        self.next += 1;
        RowPiece {
            row: self.chunk.first,
            start: number * self.pieces.size,
            bytes: self.ahead.pop_front().expect("read before"),
            last: self.next == self.pieces.count(),
        }
    }
}

impl Reader {
    pub(crate) fn new(
        engine: Arc<Engine>,
        cursor: Cursor,
        hold: Hold,
        lease: Lease,
        begin: Begin,
    ) -> Self {
        let (tail, follow) = (hold.row.tail, hold.row.follow);
        let end = if follow { begin.head.tail } else { tail };
        let opened = Opened {
            handle: lease.handle.to_string(),
            cursor: cursor.to_string(),
            start: begin.start,
            tail: end,
            digest: begin.digest,
            base: begin.base,
            expires: hold.row.until,
            resumable: true,
        };
        // Subscribed before anything is read from now on, so that no hint of
        // what is appended later is missed.
        let seat = follow.then(|| engine.rooms.enter(&engine, &hold.keys));
        Self {
            keys: hold.keys.clone(),
            renewed: engine.env.now(),
            signal: lease.signal(),
            engine,
            hold,
            handle: lease.handle,
            settings: Arc::clone(&lease.settings),
            lease: Some(lease),
            seat,
            looked: false,
            created: begin.head.created,
            at: Mark {
                offset: begin.start,
                digest: begin.digest,
            },
            opened: Some(opened),
            tail: end,
            // What was appended after a pinned tail is not part of the read,
            // and how the stream ended neither.
            closed: begin.head.closed.filter(|_| end == begin.head.tail),
            widest: begin.head.widest,
            long: None,
            ahead: Ahead::of(begin.rest.filter(|_| begin.start < end)),
        }
    }

    /// The public name of its lease.
    #[must_use]
    pub const fn handle(&self) -> Handle {
        self.handle
    }

    /// What is read.
    #[must_use]
    pub const fn stream(&self) -> &StreamId {
        &self.keys.stream
    }

    /// The next piece; `None` after the last one. Waits only if it follows a
    /// stream of which everything was given. Twice in the time of a lease it
    /// makes a commit, which lets the cursor last.
    ///
    /// # Errors
    ///
    /// `Expired` if nobody asked for as long as a lease lasts, `Cancelled`,
    /// `NotFound` if the stream was removed, `Corrupt` if a chunk is missing or
    /// damaged: each ends the read. The store's failures otherwise: the next
    /// call tries again.
    pub async fn next(&mut self) -> Result<Option<Frame>, StreamError> {
        let Some(lease) = &mut self.lease else {
            return Ok(None);
        };
        if let Err(error) = lease.check() {
            self.fail(&error);
            return Err(error);
        }
        let frame = self.advance().await;
        match &frame {
            Ok(Frame::End(_) | Frame::Failed(_)) => self.close(CloseReason::Ok),
            Ok(Frame::Open(_) | Frame::Piece(_) | Frame::Chunk(_)) => {
                self.go_on(CloseReason::Disconnected)
            }
            Err(error) => self.fail(error),
        }
        frame.map(Some)
    }

    /// Ends a read that has had what it came for, though more may follow:
    /// told as `ok`, and its cursor stays.
    pub fn leave(mut self) {
        self.close(CloseReason::Ok);
    }

    /// Ends the read, unless trying again may help.
    fn fail(&mut self, error: &StreamError) {
        match error {
            StreamError::Cancelled | StreamError::Revoked => self.close(CloseReason::Cancelled),
            StreamError::Expired | StreamError::Gap { .. } => {
                self.close(CloseReason::SnapshotExpired);
            }
            StreamError::Corrupt { .. } | StreamError::NotFound => self.close(CloseReason::Error),
            _ => self.go_on(CloseReason::Error),
        }
    }

    /// Gives the slot back and tells how the read ended.
    fn close(&mut self, reason: CloseReason) {
        if let Some(mut lease) = self.lease.take() {
            lease.reason = reason;
        }
    }

    /// A sign of life; `reason` is how the read has ended if no other follows.
    fn go_on(&mut self, reason: CloseReason) {
        if let Some(lease) = &mut self.lease {
            lease.reason = reason;
            lease.renew();
        }
    }

    async fn advance(&mut self) -> Result<Frame, StreamError> {
        loop {
            self.stay().await?;
            if let Some(opened) = self.opened.take() {
                return Ok(Frame::Open(opened));
            }
            if self.long.is_some() {
                return self.next_piece().await;
            }
            if let Some(chunk) = self.ahead.pop() {
                match chunk.pieces().cloned() {
                    None => return Ok(self.give(chunk)),
                    Some(pieces) => self.long = Some(Long::new(chunk, pieces)),
                }
                continue;
            }
            if self.at.offset < self.tail {
                if let Err(error) = self.fetch().await {
                    return Err(self.explain(error).await);
                }
                continue;
            }
            if self.seat.is_none() || self.closed.is_some() {
                return Ok(self.end());
            }
            if self.looked {
                self.wait().await?;
            } else {
                self.look().await?;
                self.looked = true;
            }
        }
    }

    /// Refuses to go on for a cursor that was cancelled, and lets it last.
    async fn stay(&mut self) -> Result<(), StreamError> {
        if let Some(lease) = &mut self.lease {
            lease.go_on()?;
        }
        let ttl_ms = self.settings.lease_ttl_ms;
        let now = self.engine.env.now();
        if now.since(self.renewed) >= ttl_ms.div_ceil(2) {
            self.engine.renew(&mut self.hold, ttl_ms).await?;
            self.renewed = now;
        }
        Ok(())
    }

    /// Why a chunk is missing.
    async fn explain(&self, error: StreamError) -> StreamError {
        let caller = Caller {
            tenant: self.keys.tenant.clone(),
            principal: self.hold.row.principal.clone(),
        };
        let offset = self.at.offset;
        self.engine
            .explain(&caller, &self.keys, offset, error)
            .await
    }

    /// Gives out the next piece of a long row, or, after the last one, its mark.
    async fn next_piece(&mut self) -> Result<Frame, StreamError> {
        let budget = u64::try_from(self.settings.caps().bytes).unwrap_or(u64::MAX);
        let long = self.long.as_mut().expect("one is being given");
        if long.next == long.pieces.count() {
            let long = self.long.take().expect("one is being given");
            return Ok(self.give(long.chunk));
        }
        if long.ahead.is_empty() {
            let read = self
                .engine
                .pieces(&self.keys, &long.pieces, long.next, budget);
            match read.await {
                Ok(pieces) => long.ahead = pieces.into(),
                Err(error) => return Err(self.explain(error).await),
            }
        }
        let piece = long.give();
        if let Some(lease) = &mut self.lease {
            lease.bytes += u64::try_from(piece.bytes.len()).expect("a length fits in 64 bits");
        }
        Ok(Frame::Piece(piece))
    }

    /// Gives out a chunk. It is the one that follows.
    fn give(&mut self, chunk: Chunk) -> Frame {
        self.at = chunk.mark;
        if let Some(lease) = &mut self.lease {
            lease.rows += chunk.row_count();
            lease.bytes += u64::try_from(chunk.row_bytes()).expect("a length fits in 64 bits");
        }
        let (shelf, ahead) = self.shelf();
        ahead.prepare(&shelf, chunk.mark.offset);
        Frame::Chunk(chunk)
    }

    /// Where its chunks come from.
    fn shelf(&mut self) -> (Shelf<'_>, &mut Ahead) {
        let shelf = Shelf {
            store: &self.engine.store,
            keys: &self.keys,
            tail: self.tail,
            budget: self.settings.read_bytes(),
            widest: self.widest,
        };
        (shelf, &mut self.ahead)
    }

    /// Reads the next chunks up to the tail.
    async fn fetch(&mut self) -> Result<(), StreamError> {
        let first = self.at.offset;
        let (shelf, ahead) = self.shelf();
        ahead.fetch(&shelf, first).await
    }

    /// Reads where the stream ends by now.
    async fn look(&mut self) -> Result<(), StreamError> {
        let scan = Scan::point(self.keys.head());
        let pages = self.engine.store.read(&[scan]).await?;
        let entry = pages.into_iter().flat_map(|page| page.entries).next();
        let head: Head = decode("stream head", &entry.ok_or(StreamError::NotFound)?.value)?;
        if head.removing || head.created != self.created {
            return Err(StreamError::NotFound);
        }
        self.tail = head.tail;
        self.closed = head.closed;
        self.widest = head.widest;
        Ok(())
    }

    /// Waits until the stream grows, or the cursor is to be renewed. A reader
    /// that waits is there.
    async fn wait(&mut self) -> Result<(), StreamError> {
        let env = &self.engine.env;
        let Some(seat) = &self.seat else {
            return Ok(());
        };
        let half_ms = self.settings.lease_ttl_ms.div_ceil(2);
        let left_ms = half_ms.saturating_sub(env.now().since(self.renewed));
        let renewal = env.sleep_until(env.monotonic() + Duration::from_millis(left_ms));
        let stopped = pin!(async {
            match &self.signal {
                Some(signal) => signal.wait().await,
                None => pending().await,
            }
        });
        let grown = pin!(seat.wait(&self.engine, self.settings.poll_ms, self.at.offset));
        let seen = match select(grown, select(renewal, stopped)).await {
            Either::Left((seen, _)) => seen?,
            Either::Right(_) => return Ok(()),
        };
        let seen = seen.filter(|it| it.created == self.created);
        let seen = seen.ok_or(StreamError::NotFound)?;
        self.tail = seen.tail;
        self.closed.clone_from(&seen.closed);
        self.widest = seen.widest;
        Ok(())
    }

    fn end(&self) -> Frame {
        let (code, message) = match self.closed.as_ref().map(|closed| &closed.how) {
            Some(Ending::Failed { code, message }) => (Arc::clone(code), Arc::clone(message)),
            Some(Ending::Cancelled) => ("cancelled".into(), "the stream was cancelled".into()),
            Some(Ending::Finished) | None => {
                let given = self.lease.as_ref().map(|lease| (lease.rows, lease.bytes));
                let (row_count, bytes) = given.unwrap_or_default();
                return Frame::End(End {
                    handle: self.handle.to_string(),
                    row_count,
                    bytes,
                    offset: self.at.offset,
                    digest: self.at.digest,
                    closed: self.closed.is_some(),
                });
            }
        };
        let resume = self.at.offset;
        Frame::Failed(Failure {
            code,
            message,
            resume,
        })
    }
}
