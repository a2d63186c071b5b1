//! Cuts rows into chunks.
//!
//! Invariants:
//!
//! 1. No row is taken while a cap is reached: whoever hands rows in seals the
//!    chunk first. So what is held is below the caps, or one row beyond.
//! 2. A chunk is at most [`CHUNK_BYTES_MAX`] long: a row that would make it
//!    longer waits until what is held is sealed.
//! 3. What is sealed stays until it is acknowledged or put back by its owner;
//!    meanwhile no row is taken.

use std::time::Duration;

use crate::digest::{RowsHash, RowsHasher};
use crate::limits::CHUNK_BYTES_MAX;
use crate::row::Row;
use crate::settings::Caps;

/// Why a chunk was flushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// It had as many bytes as it may, or the next row would not have fitted.
    Bytes,
    /// It had as many rows as it may.
    Rows,
    /// Its rows had waited as long as they may.
    Latency,
    /// The writer asked for it, or there are no more rows.
    End,
}

/// What a chunker has done so far, as far as it was acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flushed {
    /// Chunks.
    pub flushes: u64,
    /// Rows in them.
    pub rows: u64,
    /// Bytes of these rows, as framed.
    pub bytes: u64,
    /// Why the last one was flushed.
    pub last: Option<Reason>,
}

/// Rows that are cut off to become a chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The rows' lines, and room behind them for a mark.
    pub lines: Vec<u8>,
    /// How many rows.
    pub rows: u64,
    /// The SHA-256 of the rows.
    pub hash: RowsHash,
    /// Why they were cut off.
    pub reason: Reason,
}

/// Collects rows until they are to be flushed. Pure: the time is told.
#[derive(Debug)]
pub struct Chunker {
    caps: Caps,
    /// Bytes kept free behind the lines, so that a mark costs no copy.
    room: usize,
    lines: Vec<u8>,
    rows: usize,
    hasher: RowsHasher,
    /// The last flush, or the opening, on the monotonic clock.
    since: Duration,
    flushed: Flushed,
}

impl Chunker {
    /// A chunker that is opened at `now` and keeps `room` bytes free behind
    /// what it cuts off.
    #[must_use]
    pub fn new(caps: Caps, room: usize, now: Duration) -> Self {
        Self {
            caps,
            room,
            lines: Vec::new(),
            rows: 0,
            hasher: RowsHasher::new(),
            since: now,
            flushed: Flushed::default(),
        }
    }

    /// Why what is held has to be flushed before `row` is taken.
    #[must_use]
    pub fn blocks(&self, row: &Row, now: Duration) -> Option<Reason> {
        let fits = self.lines.len() + row.line_length() <= CHUNK_BYTES_MAX;
        let full = (self.rows > 0 && !fits).then_some(Reason::Bytes);
        full.or_else(|| self.reached(now))
    }

    /// Takes a row that is [checked](Row::check), not [long](Row::is_long), and
    /// that nothing [blocks](Chunker::blocks).
    pub fn push(&mut self, row: &Row) {
        self.grow(row.line_length());
        row.write_line(&mut self.lines);
        self.hasher.row(row.content());
        self.rows += 1;
    }

    /// Makes room for a line and a mark behind it: doubles, but takes no more
    /// than the caps, the line and the mark need.
    fn grow(&mut self, line: usize) {
        let needed = self.lines.len() + line + self.room;
        if needed > self.lines.capacity() {
            let doubled = (2 * self.lines.len()).min(self.caps.bytes) + line + self.room;
            let more = doubled.max(needed) - self.lines.len();
            self.lines.reserve_exact(more);
        }
    }

    /// Why what is held is to be flushed at `now`, if it is: of several
    /// reasons the first in the order bytes, rows, latency.
    #[must_use]
    pub fn reached(&self, now: Duration) -> Option<Reason> {
        if self.rows == 0 {
            return None;
        }
        if self.lines.len() >= self.caps.bytes {
            return Some(Reason::Bytes);
        }
        if self.rows >= self.caps.rows {
            return Some(Reason::Rows);
        }
        (now >= self.due()).then_some(Reason::Latency)
    }

    /// When what is held is to be flushed whatever comes; `None` while nothing
    /// is held.
    #[must_use]
    pub fn deadline(&self) -> Option<Duration> {
        (self.rows > 0).then(|| self.due())
    }

    const fn due(&self) -> Duration {
        self.since.saturating_add(self.caps.latency)
    }

    /// When it flushes.
    #[must_use]
    pub const fn caps(&self) -> Caps {
        self.caps
    }

    /// Rows that are held.
    #[must_use]
    pub const fn rows(&self) -> usize {
        self.rows
    }

    /// Bytes that are held, as framed.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.lines.len()
    }

    /// Cuts off what is held; `None` if that is nothing.
    #[must_use]
    pub fn cut(&mut self, reason: Reason) -> Option<Cut> {
        if self.rows == 0 {
            return None;
        }
        let hasher = std::mem::take(&mut self.hasher);
        let rows = std::mem::take(&mut self.rows);
        Some(Cut {
            lines: std::mem::take(&mut self.lines),
            rows: u64::try_from(rows).expect("a count fits in 64 bits"),
            hash: hasher.finish(),
            reason,
        })
    }

    /// Notes that so many rows and bytes were written at `now`.
    pub fn acknowledge(&mut self, rows: u64, bytes: usize, reason: Reason, now: Duration) {
        self.since = now;
        self.flushed.flushes += 1;
        self.flushed.rows += rows;
        self.flushed.bytes += u64::try_from(bytes).expect("a length fits in 64 bits");
        self.flushed.last = Some(reason);
    }

    /// What was written so far.
    #[must_use]
    pub const fn flushed(&self) -> Flushed {
        self.flushed
    }
}
