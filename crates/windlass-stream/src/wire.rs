//! What a reader is given, and how it is written as NDJSON.
//!
//! Each line is one object with one member that says what it is: `open`, then
//! `row` or `bytes` and `mark` as often as there are any, then `end` or
//! `error`. Rows and marks are sent as they are stored.

use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use windlass_core::Millis;

use crate::digest::Digest;
use crate::mark::{Chunk, Mark};
use crate::offset::Offset;
use crate::pieces::RowPiece;

/// The beginning of a read. `Debug` shows the cursor: it is for its owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Opened {
    /// The lease.
    pub handle: String,
    /// With which a read that was cut off goes on. It names what is read, and
    /// gives nobody the right to.
    pub cursor: String,
    /// Where the read begins.
    pub start: Offset,
    /// Where it ends; what is appended later is not part of it, unless it
    /// follows the stream.
    pub tail: Offset,
    /// The digest of everything before `start`, as if a chunk ended there.
    pub digest: Digest,
    /// Where the chunk begins that `start` is in, and the digest there: what
    /// the next mark is chained to. Both are those of the start if it is at a
    /// mark; only then can the very next mark be checked without what came
    /// before.
    pub base: Mark,
    /// When the cursor expires unless it is read on, in Unix milliseconds.
    pub expires: Millis,
    /// Whether a read that was cut off can go on where it was.
    pub resumable: bool,
}

/// The end of a read that gave all it was to give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// The lease.
    pub handle: String,
    /// Rows that were given.
    pub row_count: u64,
    /// Bytes of their lines.
    pub bytes: u64,
    /// After the last of them.
    pub offset: Offset,
    /// The digest there.
    pub digest: Digest,
    /// Whether the stream is closed: then nothing will ever follow.
    pub closed: bool,
}

/// The end of a read of a stream that failed or was cancelled, after its last
/// row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// A name for programs.
    pub code: Arc<str>,
    /// A sentence for people.
    pub message: Arc<str>,
    /// Where to read on; at a stream's end there will be no more.
    pub resume: Offset,
}

/// One piece of a read, in this order: one `Open`, any number of `Chunk`, then
/// one `End` or `Failed`. Before the chunk of a long row come its pieces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// The read begins.
    Open(Opened),
    /// Rows and the mark behind them.
    Chunk(Chunk),
    /// A part of the line of a long row. What follows it, another part or a
    /// chunk, goes on with the same bytes.
    Piece(RowPiece),
    /// It is complete.
    End(End),
    /// Its stream has failed.
    Failed(Failure),
}

/// An [`End`] with figures as text: they may be more than a double holds.
#[derive(Serialize)]
struct EndLine<'a> {
    handle: &'a str,
    row_count: String,
    bytes: String,
    offset: Offset,
    digest: Digest,
    closed: bool,
}

/// A [`Failure`], told apart from one of the read alone: the stream itself has
/// ended.
#[derive(Serialize)]
struct FailureLine<'a> {
    #[serde(flatten)]
    failure: &'a Failure,
    closed: bool,
}

impl Frame {
    /// Its lines, each with its newline; a piece is a part of one. Those of a
    /// chunk and of a piece are not copied.
    #[must_use]
    pub fn ndjson(&self) -> Bytes {
        match self {
            Self::Open(opened) => line("open", opened),
            Self::Chunk(chunk) => chunk.lines().clone(),
            Self::Piece(piece) => piece.bytes.clone(),
            Self::End(end) => line(
                "end",
                &EndLine {
                    handle: &end.handle,
                    row_count: end.row_count.to_string(),
                    bytes: end.bytes.to_string(),
                    offset: end.offset,
                    digest: end.digest,
                    closed: end.closed,
                },
            ),
            Self::Failed(failure) => line(
                "error",
                &FailureLine {
                    failure,
                    closed: true,
                },
            ),
        }
    }
}

fn line<T: Serialize>(name: &str, content: &T) -> Bytes {
    let content = serde_json::to_string(content).expect("frames are made of text and numbers");
    format!("{{\"{name}\":{content}}}\n").into()
}
