//! Chunks as they are stored and sent: the rows' lines, and a mark behind them.
//!
//! A mark is a line of fixed length, so it is found at a chunk's end without
//! looking at the rows.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::error::StreamError;
use crate::offset::Offset;
use crate::pieces::Pieces;
use crate::row::Row;

const START: &str = "{\"mark\":{\"offset\":\"";
const BETWEEN: &str = "\",\"digest\":\"";
const END: &str = "\"}}\n";

/// Bytes of a mark's line, with its newline.
pub(crate) const MARK_BYTES: usize = START.len() + 16 + BETWEEN.len() + 64 + END.len();

/// A place in a stream and the digest of everything before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The place.
    pub offset: Offset,
    /// The digest there.
    pub digest: Digest,
}

impl Mark {
    /// Before the first row.
    pub const START: Self = Self {
        offset: Offset::START,
        digest: Digest::START,
    };

    /// Its line, with the newline.
    #[must_use]
    pub fn line(&self) -> String {
        let Self { offset, digest } = self;
        format!("{START}{offset}{BETWEEN}{digest}{END}")
    }

    /// The mark of a line with its newline; `None` if it is no mark's.
    #[must_use]
    pub fn of_line(line: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(line).ok()?;
        let inner = text.strip_prefix(START)?.strip_suffix(END)?;
        let (offset, digest) = inner.split_once(BETWEEN)?;
        Some(Self {
            offset: offset.parse().ok()?,
            digest: digest.parse().ok()?,
        })
    }
}

/// A chunk, or the rest of one: whole lines, the last of them a mark. What it
/// holds is a slice of what the store gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// The offset of the first row in it.
    pub first: Offset,
    /// The mark behind the last row.
    pub mark: Mark,
    lines: Bytes,
    /// Where its one row is, if that is a long one.
    pieces: Option<Pieces>,
}

impl Chunk {
    /// The chunk of a stored value that begins at `first`.
    pub(crate) fn parse(first: Offset, mut stored: Bytes) -> Result<Self, StreamError> {
        let rows = stored.len().saturating_sub(MARK_BYTES);
        let mark = Mark::of_line(&stored[rows..]).filter(|mark| mark.offset > first);
        let mark = mark.ok_or_else(|| StreamError::corrupt("chunk", "it has no mark"))?;
        let pieces = Pieces::of_record(&stored[..rows]).transpose()?;
        if pieces.is_some() {
            stored = stored.split_off(rows);
        }
        Ok(Self {
            first,
            mark,
            lines: stored,
            pieces,
        })
    }

    /// Where its one row is, if that is a long one.
    pub(crate) const fn pieces(&self) -> Option<&Pieces> {
        self.pieces.as_ref()
    }

    /// The lines of rows and mark, ready to be sent. Of a long row, the mark
    /// alone: its line came in [pieces](crate::RowPiece) before.
    #[must_use]
    pub const fn lines(&self) -> &Bytes {
        &self.lines
    }

    /// How many rows it has.
    #[must_use]
    pub const fn row_count(&self) -> u64 {
        self.mark.offset.since(self.first)
    }

    /// Bytes of the rows' lines; none of a long row.
    #[must_use]
    pub const fn row_bytes(&self) -> usize {
        self.lines.len() - MARK_BYTES
    }

    /// Its rows, copied only where they are no JSON; none if it is a long one.
    pub fn rows(&self) -> impl Iterator<Item = Row> + '_ {
        let rows = &self.lines[..self.row_bytes()];
        let lines = rows.split_inclusive(|byte| *byte == b'\n');
        lines.filter_map(|line| Row::of_line(&self.lines.slice_ref(line)))
    }

    /// The part from `offset` on, which is in it; `None` if its lines do not
    /// reach so far. Looks at the bytes before it.
    pub(crate) fn from(self, offset: Offset) -> Option<Self> {
        let skipped = offset.since(self.first);
        let mut rest = &self.lines[..self.row_bytes()];
        for _ in 0..skipped {
            let end = rest.iter().position(|byte| *byte == b'\n')?;
            rest = &rest[end + 1..];
        }
        let start = self.row_bytes() - rest.len();
        Some(Self {
            first: offset,
            mark: self.mark,
            lines: self.lines.slice(start..),
            pieces: self.pieces,
        })
    }
}
