//! Reading: chunks as they are stored, one store read at a time, and only when
//! they are asked for.
//!
//! What a reader holds is what one store read gave: as many chunks as fit into
//! the chunk size of its settings, by the longest chunk of the stream, and at
//! least one. A reader that does not ask is not read for.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{pending, select};
use windlass_core::{Coded, ErrorKind};
use windlass_store::limits::READ_ENTRIES_MAX;
use windlass_store::{Changes, Scan};

use crate::audit::CloseReason;
use crate::engine::Engine;
use crate::error::StreamError;
use crate::keys::StreamKeys;
use crate::lease::Lease;
use crate::mark::{Chunk, Mark};
use crate::model::{Closed, Ending};
use crate::offset::Offset;
use crate::open::{Begin, parse};
use crate::record::{Head, decode};
use crate::secret::Handle;
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
    handle: Handle,
    settings: Arc<Settings>,
    /// Until the read has ended.
    lease: Option<Lease>,
    follow: Option<Follow>,
    /// What `open` says; `None` once it was said.
    opened: Option<Opened>,
    /// After the last row that was given, and its digest if it is at a mark.
    at: Mark,
    /// After the last row that is to be given, as far as is known.
    tail: Offset,
    closed: Option<Closed>,
    /// The longest chunk of the stream.
    widest: u64,
    ahead: VecDeque<Chunk>,
}

/// What it takes to notice that a stream grows.
#[derive(Debug)]
struct Follow {
    changes: Changes,
    /// Whether hints may still come.
    hints: bool,
}

impl Reader {
    pub(crate) fn new(
        engine: Arc<Engine>,
        keys: StreamKeys,
        lease: Lease,
        begin: Begin,
        follow: bool,
    ) -> Self {
        let opened = Opened {
            handle: lease.handle.to_string(),
            start: begin.start,
            tail: begin.head.tail,
            digest: begin.digest,
            base: begin.base,
            expires: lease.until(),
            resumable: true,
        };
        // Subscribed before anything is read from now on, so that no hint of
        // what is appended later is missed.
        let follow = follow.then(|| Follow {
            changes: engine.store.subscribe(&keys.head()),
            hints: true,
        });
        Self {
            engine,
            keys,
            handle: lease.handle,
            settings: Arc::clone(&lease.settings),
            lease: Some(lease),
            follow,
            at: Mark {
                offset: begin.start,
                digest: begin.digest,
            },
            opened: Some(opened),
            tail: begin.head.tail,
            closed: begin.head.closed,
            widest: begin.head.widest,
            ahead: begin.rest.into_iter().collect(),
        }
    }

    /// The public name of its lease.
    #[must_use]
    pub const fn handle(&self) -> Handle {
        self.handle
    }

    /// The next piece; `None` after the last one. Waits only if it follows a
    /// stream of which everything was given.
    ///
    /// # Errors
    ///
    /// `Expired` if nobody asked for as long as a lease lasts, `Corrupt` if a
    /// chunk is missing or damaged; both end the read. The store's failures
    /// otherwise: the next call tries again.
    pub async fn next(&mut self) -> Result<Option<Frame>, StreamError> {
        let Some(lease) = &mut self.lease else {
            return Ok(None);
        };
        if let Err(error) = lease.check() {
            self.lease = None;
            return Err(error);
        }
        let frame = self.advance().await;
        match &frame {
            Ok(Frame::End(_) | Frame::Failed(_)) => self.close(CloseReason::Ok),
            Ok(Frame::Open(_) | Frame::Chunk(_)) => self.go_on(CloseReason::Disconnected),
            Err(error) => match error.kind() {
                ErrorKind::Corrupt | ErrorKind::NotFound => self.close(CloseReason::Error),
                _ => self.go_on(CloseReason::Error),
            },
        }
        frame.map(Some)
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
        if let Some(opened) = self.opened.take() {
            return Ok(Frame::Open(opened));
        }
        loop {
            if let Some(chunk) = self.ahead.pop_front() {
                return self.give(chunk);
            }
            if self.at.offset < self.tail {
                self.fetch().await?;
                continue;
            }
            if self.follow.is_none() || self.closed.is_some() {
                return Ok(self.end());
            }
            self.look().await?;
            if self.at.offset == self.tail && self.closed.is_none() {
                self.wait().await;
            }
        }
    }

    /// Gives out a chunk, if it is the one that follows.
    fn give(&mut self, chunk: Chunk) -> Result<Frame, StreamError> {
        if chunk.first != self.at.offset {
            return Err(StreamError::corrupt("chunk", "one is missing"));
        }
        self.at = chunk.mark;
        if let Some(lease) = &mut self.lease {
            lease.rows += chunk.row_count();
            lease.bytes += u64::try_from(chunk.row_bytes()).expect("a length fits in 64 bits");
        }
        Ok(Frame::Chunk(chunk))
    }

    /// Reads the next chunks up to the tail.
    async fn fetch(&mut self) -> Result<(), StreamError> {
        let budget = u64::try_from(self.settings.caps().bytes).unwrap_or(u64::MAX);
        let fitting = usize::try_from(budget / self.widest.max(1)).unwrap_or(usize::MAX);
        let limit = fitting.clamp(1, READ_ENTRIES_MAX);
        let scan = self
            .keys
            .chunks_between(self.at.offset, self.tail)
            .limit(limit);
        let pages = self.engine.store.read(&[scan]).await?;
        let entries = pages.into_iter().flat_map(|page| page.entries);
        for entry in entries {
            self.ahead.push_back(parse(&self.keys, entry)?);
        }
        if self.ahead.is_empty() {
            return Err(StreamError::corrupt("chunk", "one is missing"));
        }
        Ok(())
    }

    /// Reads where the stream ends by now.
    async fn look(&mut self) -> Result<(), StreamError> {
        let scan = Scan::point(self.keys.head());
        let pages = self.engine.store.read(&[scan]).await?;
        let entry = pages.into_iter().flat_map(|page| page.entries).next();
        let head: Head = decode("stream head", &entry.ok_or(StreamError::NotFound)?.value)?;
        self.tail = head.tail;
        self.closed = head.closed;
        self.widest = head.widest;
        Ok(())
    }

    /// Waits for a hint, or for the next look. A reader that waits is there.
    async fn wait(&mut self) {
        let env = &self.engine.env;
        let Some(follow) = &mut self.follow else {
            return;
        };
        // Looks at least twice in the time of a lease.
        let settings = &self.settings;
        let poll_ms = settings.poll_ms.min(settings.lease_ttl_ms / 2);
        let poll = env.sleep_until(env.monotonic() + Duration::from_millis(poll_ms));
        let hint = pin!(async {
            if follow.hints {
                follow.hints = follow.changes.changed().await;
            }
            if !follow.hints {
                pending::<()>().await;
            }
        });
        select(hint, poll).await;
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
