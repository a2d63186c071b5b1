//! The rows of a source on their way to a reader.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use windlass_core::{BoxFuture, Millis};

use crate::audit::CloseReason;
use crate::chunker::{Chunker, Cut, Reason};
use crate::digest::{Digest, RowsHasher};
use crate::engine::Engine;
use crate::error::StreamError;
use crate::lease::Lease;
use crate::limits::{CHUNK_BYTES_MAX, CHUNK_ROWS_MAX, ROW_BYTES_MAX, SOURCE_PAGE_ROWS_MAX};
use crate::mark::{Chunk, MARK_BYTES, Mark};
use crate::offset::Offset;
use crate::open::Start;
use crate::row::Row;
use crate::scan::{ScanHold, ScanRow, end_of};
use crate::secret::{Cursor, Handle};
use crate::settings::Caps;
use crate::source::{Source, SourcePage};
use crate::wire::{End, Frame, Opened};

/// Rows of a source, cut into chunks as they pass.
#[derive(Debug)]
pub(crate) struct Passing {
    source: Arc<dyn Source>,
    caps: Caps,
    limit: Offset,
    /// After the last chunk, and where the source goes on from there.
    at: Mark,
    after: Option<String>,
    /// Rows that were asked for and are not in a chunk.
    ahead: VecDeque<(String, Row)>,
    /// Where the next page begins; `None` once there is none.
    page: Option<Option<String>>,
    /// A page that was asked for and has not come.
    asked: Option<Asked>,
    /// The rest of the chunk that the read begins in the middle of.
    rest: Option<Chunk>,
}

/// A page on its way. Who waits for it may leave and come back.
struct Asked(BoxFuture<'static, Result<SourcePage, StreamError>>);

impl Asked {
    fn new(source: Arc<dyn Source>, after: Option<String>, limit: usize) -> Self {
        Self(Box::pin(async move {
            source.page(after.as_deref(), limit).await
        }))
    }
}

impl fmt::Debug for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Asked(..)")
    }
}

/// Where a read of a source begins.
#[derive(Clone, Debug)]
pub(crate) struct Begun {
    pub(crate) offset: Offset,
    /// The digest there, as if a chunk ended there.
    digest: Digest,
    /// The last mark at or before it, and where the source goes on from there.
    pub(crate) base: (Mark, Option<String>),
}

impl Passing {
    pub(crate) fn new(source: Arc<dyn Source>, row: &ScanRow) -> Self {
        let count = |count: u64, most: usize| usize::try_from(count).unwrap_or(most).min(most);
        Self {
            source,
            caps: Caps {
                bytes: count(row.bytes, CHUNK_BYTES_MAX),
                rows: count(row.rows, CHUNK_ROWS_MAX),
                latency: Duration::MAX,
            },
            limit: end_of(row),
            at: row.at,
            after: row.after.clone(),
            ahead: VecDeque::new(),
            page: Some(row.after.clone()),
            asked: None,
            rest: None,
        }
    }

    /// Makes chunks again up to `start`.
    pub(crate) async fn begin(&mut self, start: Start) -> Result<Begun, StreamError> {
        let (offset, claimed) = match start {
            Start::Earliest => (self.at.offset, None),
            Start::At(offset, digest) => (offset, digest),
            Start::Tail => {
                let (field, problem) = ("start", "of a source is no tail");
                return Err(StreamError::Invalid { field, problem });
            }
        };
        let earliest = self.at.offset;
        if offset < earliest {
            return Err(StreamError::Gap { earliest });
        }
        let mut base = (self.at, self.after.clone());
        while self.at.offset < offset {
            let Some(chunk) = self.next().await? else {
                let tail = self.at.offset;
                return Err(StreamError::BeyondTail { tail });
            };
            if self.at.offset > offset {
                self.rest = Some(chunk);
            } else {
                base = (self.at, self.after.clone());
            }
        }
        let digest = self.enter(base.0, offset)?;
        if claimed.is_some_and(|claimed| claimed != digest) {
            return Err(StreamError::PrefixHashMismatch);
        }
        Ok(Begun {
            offset,
            digest,
            base,
        })
    }

    /// Drops the rows before `offset` from the chunk that it is in, and gives
    /// the digest there.
    fn enter(&mut self, base: Mark, offset: Offset) -> Result<Digest, StreamError> {
        let Some(chunk) = self.rest.take() else {
            return Ok(base.digest);
        };
        let mut hasher = RowsHasher::new();
        let before = usize::try_from(offset.since(base.offset)).unwrap_or(usize::MAX);
        for row in chunk.rows().take(before) {
            hasher.row(row.content());
        }
        self.rest = chunk.from(offset);
        match self.rest {
            Some(_) => Ok(base.digest.chain(base.offset, hasher.finish())),
            None => Err(StreamError::corrupt("source", "it gave fewer rows")),
        }
    }

    /// The next chunk; `None` at the end. What was asked for of the source and
    /// did not fit is kept, also when an error interrupts.
    pub(crate) async fn next(&mut self) -> Result<Option<Chunk>, StreamError> {
        if let Some(rest) = self.rest.take() {
            return Ok(Some(rest));
        }
        let mut chunker = Chunker::new(self.caps, MARK_BYTES, Duration::ZERO);
        let left = usize::try_from(self.limit.since(self.at.offset)).unwrap_or(usize::MAX);
        let (mut taken, mut reason) = (0, Reason::End);
        while taken < left {
            if let Some(full) = chunker.reached(Duration::ZERO) {
                reason = full;
                break;
            }
            if taken == self.ahead.len() && !self.more().await? {
                break;
            }
            let Some((_, row)) = self.ahead.get(taken) else {
                continue;
            };
            if let Some(full) = chunker.blocks(row, Duration::ZERO) {
                reason = full;
                break;
            }
            chunker.push(row);
            taken += 1;
        }
        Ok(chunker.cut(reason).map(|cut| self.pass(cut, taken)))
    }

    /// Asks the source for more; `false` if there is none.
    async fn more(&mut self) -> Result<bool, StreamError> {
        if self.asked.is_none() {
            let Some(after) = self.page.clone() else {
                return Ok(false);
            };
            let limit = self.caps.rows.min(SOURCE_PAGE_ROWS_MAX);
            self.asked = Some(Asked::new(Arc::clone(&self.source), after, limit));
        }
        let Some(Asked(asked)) = &mut self.asked else {
            return Ok(false);
        };
        let page = asked.as_mut().await;
        self.asked = None;
        let page = page?;
        for (_, row) in &page.rows {
            row.check()?;
            row.check_length(ROW_BYTES_MAX)?;
        }
        self.page = page.next.map(Some);
        self.ahead.extend(page.rows);
        Ok(true)
    }

    /// A chunk of the first rows that are there.
    fn pass(&mut self, cut: Cut, taken: usize) -> Chunk {
        let first = self.at.offset;
        self.at = Mark {
            offset: Offset::new(first.number().saturating_add(cut.rows)),
            digest: self.at.digest.chain(first, cut.hash),
        };
        let last = self.ahead.drain(..taken).next_back();
        self.after = last.map(|(position, _)| position);
        let mut lines = cut.lines;
        lines.extend_from_slice(self.at.line().as_bytes());
        Chunk::parse(first, lines.into()).expect("it was put together here")
    }
}

/// Reads one source, up to its end or to its limit.
///
/// Dropping it ends the read and gives its slot back. Dropping a future of it
/// loses nothing: the next call goes on where the reader was.
#[derive(Debug)]
pub struct ScanReader {
    engine: Arc<Engine>,
    hold: ScanHold,
    /// When the cursor was last renewed.
    renewed: Millis,
    handle: Handle,
    cursor: Cursor,
    /// Until the read has ended.
    lease: Option<Lease>,
    /// What `open` says; `None` once it was said.
    opened: Option<Opened>,
    passing: Passing,
}

impl ScanReader {
    pub(crate) fn new(
        engine: Arc<Engine>,
        cursor: Cursor,
        hold: ScanHold,
        lease: Lease,
        (passing, begun): (Passing, Begun),
    ) -> Self {
        let opened = Opened {
            handle: lease.handle.to_string(),
            cursor: cursor.to_string(),
            start: begun.offset,
            tail: end_of(&hold.row),
            digest: begun.digest,
            base: begun.base.0,
            expires: hold.row.until,
            resumable: hold.row.is_ordered(),
        };
        Self {
            renewed: engine.env.now(),
            engine,
            hold,
            handle: lease.handle,
            cursor,
            lease: Some(lease),
            opened: Some(opened),
            passing,
        }
    }

    /// The public name of its lease.
    #[must_use]
    pub const fn handle(&self) -> Handle {
        self.handle
    }

    /// With which it goes on if it is cut off.
    #[must_use]
    pub const fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// The next piece; `None` after the last one. The pieces are those of a
    /// recorded stream. Twice in the time of a lease it makes a commit, which
    /// lets the cursor last.
    ///
    /// # Errors
    ///
    /// `Expired` if nobody asked for as long as a lease lasts, `Cancelled`,
    /// `Revoked`, `Row` if the source gives what is no row: each ends the read.
    /// The failures of source and store otherwise: the next call tries again.
    pub async fn next(&mut self) -> Result<Option<Frame>, StreamError> {
        let Some(lease) = &mut self.lease else {
            return Ok(None);
        };
        let alive = lease.check().and_then(|()| lease.go_on());
        let frame = match alive {
            Ok(()) => self.advance().await,
            Err(error) => Err(error),
        };
        let reason = match &frame {
            Ok(Frame::End(_)) => Some(CloseReason::Ok),
            Ok(_) => None,
            Err(StreamError::Cancelled | StreamError::Revoked) => Some(CloseReason::Cancelled),
            Err(StreamError::Expired) => Some(CloseReason::SnapshotExpired),
            Err(
                StreamError::Row(_)
                | StreamError::Corrupt { .. }
                | StreamError::NotFound
                | StreamError::Gap { .. },
            ) => Some(CloseReason::Error),
            Err(_) => None,
        };
        self.note(reason, frame.is_err());
        frame.map(Some)
    }

    /// Gives the slot back, or notes a sign of life.
    fn note(&mut self, ended: Option<CloseReason>, failed: bool) {
        let Some(lease) = &mut self.lease else { return };
        lease.reason = match ended {
            Some(reason) => reason,
            None if failed => CloseReason::Error,
            None => CloseReason::Disconnected,
        };
        lease.renew();
        if ended.is_some() {
            self.lease = None;
        }
    }

    async fn advance(&mut self) -> Result<Frame, StreamError> {
        self.stay().await?;
        if let Some(opened) = self.opened.take() {
            return Ok(Frame::Open(opened));
        }
        let chunk = self.passing.next().await?;
        let lease = self.lease.as_mut().expect("asked before");
        if let Some(chunk) = chunk {
            lease.rows += chunk.row_count();
            lease.bytes += u64::try_from(chunk.row_bytes()).expect("a length fits in 64 bits");
            return Ok(Frame::Chunk(chunk));
        }
        let at = self.passing.at;
        Ok(Frame::End(End {
            handle: self.handle.to_string(),
            row_count: lease.rows,
            bytes: lease.bytes,
            offset: at.offset,
            digest: at.digest,
            closed: false,
        }))
    }

    /// Lets the cursor last.
    async fn stay(&mut self) -> Result<(), StreamError> {
        let lease = self.lease.as_ref().expect("asked before");
        let ttl_ms = lease.settings.lease_ttl_ms;
        let now = self.engine.env.now();
        if now.since(self.renewed) >= ttl_ms.div_ceil(2) {
            let at = (self.hold.row.at, self.hold.row.after.clone());
            self.engine.move_scan(&mut self.hold, &at, ttl_ms).await?;
            self.renewed = now;
        }
        Ok(())
    }
}
