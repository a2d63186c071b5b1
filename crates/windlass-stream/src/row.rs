//! Rows, and the lines they are stored and sent as.
//!
//! A row is one line of NDJSON: `{"row":VALUE}` where the writer gave JSON,
//! with VALUE byte for byte as it was given, and `{"bytes":"BASE64"}` where it
//! gave bytes. Lines are framed once, when the row is appended; from then on
//! they are only copied.

use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::value::RawValue;

use crate::limits::{LONG_ROW_BYTES_MAX, ROW_BYTES_MAX};

const JSON_START: &[u8] = b"{\"row\":";
const JSON_END: &[u8] = b"}\n";
const BYTES_START: &[u8] = b"{\"bytes\":\"";
const BYTES_END: &[u8] = b"\"}\n";
/// Groups of three bytes that are encoded without memory of their own.
const ENCODED_AT_ONCE: usize = 256;

/// One row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Row {
    /// A JSON text without a line break.
    Json(Bytes),
    /// Any bytes. A third longer when stored and sent.
    Bytes(Bytes),
}

/// Why a row is none. Never repeats the row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RowError {
    /// It is not JSON.
    #[error("the row is not JSON")]
    NotJson,
    /// It has a line break between its tokens, which would end its line.
    #[error("the row has a line break")]
    LineBreak,
    /// Its line would be too long.
    #[error("the row's line has {length} bytes; at most {max} are allowed")]
    TooLong {
        /// How long its line would be, in bytes.
        length: usize,
        /// How long it may be here.
        max: usize,
    },
}

impl Row {
    /// A row of JSON text, checked to be JSON. The text is kept as it is.
    ///
    /// # Errors
    ///
    /// [`RowError`], whichever applies first in the order of its variants.
    pub fn json(text: impl Into<Bytes>) -> Result<Self, RowError> {
        let row = Self::Json(text.into());
        row.check()?;
        Ok(row)
    }

    /// The row as the writer gave it: what the digest is made of.
    #[must_use]
    pub const fn content(&self) -> &Bytes {
        match self {
            Self::Json(content) | Self::Bytes(content) => content,
        }
    }

    /// Refuses a row that cannot be stored as one line.
    ///
    /// # Errors
    ///
    /// As [`Row::json`].
    pub fn check(&self) -> Result<(), RowError> {
        if let Self::Json(text) = self {
            serde_json::from_slice::<&RawValue>(text).map_err(|_| RowError::NotJson)?;
            if text.iter().any(|byte| matches!(byte, b'\n' | b'\r')) {
                return Err(RowError::LineBreak);
            }
        }
        self.check_length(LONG_ROW_BYTES_MAX)
    }

    /// Refuses a row with a longer line.
    pub(crate) fn check_length(&self, max: usize) -> Result<(), RowError> {
        let length = self.line_length().saturating_sub(1);
        if length > max {
            return Err(RowError::TooLong { length, max });
        }
        Ok(())
    }

    /// Whether it is longer than a chunk, and so stored in pieces.
    #[must_use]
    pub fn is_long(&self) -> bool {
        self.check_length(ROW_BYTES_MAX).is_err()
    }

    /// Bytes of its line with the newline.
    pub(crate) fn line_length(&self) -> usize {
        match self {
            Self::Json(text) => JSON_START.len() + text.len() + JSON_END.len(),
            Self::Bytes(bytes) => BYTES_START.len() + bytes.len().div_ceil(3) * 4 + BYTES_END.len(),
        }
    }

    /// The bytes of its line from `start` to `end`. Copied only where they are
    /// not the writer's own.
    pub(crate) fn line_part(&self, start: usize, end: usize) -> Bytes {
        let (before, after) = match self {
            Self::Json(_) => (JSON_START, JSON_END),
            Self::Bytes(_) => (BYTES_START, BYTES_END),
        };
        let inner = before.len()..self.line_length() - after.len();
        if let Self::Json(text) = self
            && inner.start <= start
            && end <= inner.end
        {
            return text.slice(start - inner.start..end - inner.start);
        }
        let within = |at: usize, length: usize| {
            let (from, to) = (start.clamp(at, at + length), end.clamp(at, at + length));
            from - at..to - at
        };
        let mut part = Vec::with_capacity(end - start);
        part.extend_from_slice(&before[within(0, before.len())]);
        self.extend_inner(&mut part, within(inner.start, inner.len()));
        part.extend_from_slice(&after[within(inner.end, after.len())]);
        part.into()
    }

    /// Appends a part of what is between the frame.
    fn extend_inner(&self, part: &mut Vec<u8>, range: Range<usize>) {
        let bytes = match self {
            Self::Json(text) => return part.extend_from_slice(&text[range]),
            Self::Bytes(bytes) => bytes,
        };
        let mut encoded = [0; 4 * ENCODED_AT_ONCE];
        let mut at = range.start / 4 * 4;
        for source in bytes[at / 4 * 3..].chunks(3 * ENCODED_AT_ONCE) {
            if at >= range.end {
                return;
            }
            let length = STANDARD
                .encode_slice(source, &mut encoded)
                .expect("base64 takes four bytes for each begun three");
            let (from, to) = (range.start.max(at), range.end.min(at + length));
            part.extend_from_slice(&encoded[from - at..to - at]);
            at += length;
        }
    }

    /// Appends its line.
    pub(crate) fn write_line(&self, lines: &mut Vec<u8>) {
        match self {
            Self::Json(text) => {
                lines.extend_from_slice(JSON_START);
                lines.extend_from_slice(text);
                lines.extend_from_slice(JSON_END);
            }
            Self::Bytes(bytes) => {
                lines.extend_from_slice(BYTES_START);
                let from = lines.len();
                lines.resize(from + bytes.len().div_ceil(3) * 4, 0);
                STANDARD
                    .encode_slice(bytes, &mut lines[from..])
                    .expect("base64 takes four bytes for each begun three");
                lines.extend_from_slice(BYTES_END);
            }
        }
    }

    /// The row of a line with its newline; `None` if it is no row's line. JSON
    /// is not parsed again, and not copied.
    #[must_use]
    pub fn of_line(line: &Bytes) -> Option<Self> {
        let between = |start: &[u8], end: &[u8]| {
            let fits = line.len() >= start.len() + end.len();
            let framed = fits && line.starts_with(start) && line.ends_with(end);
            framed.then(|| line.slice(start.len()..line.len() - end.len()))
        };
        if let Some(text) = between(JSON_START, JSON_END) {
            return Some(Self::Json(text));
        }
        let encoded = between(BYTES_START, BYTES_END)?;
        let bytes = STANDARD.decode(&encoded).ok()?;
        Some(Self::Bytes(bytes.into()))
    }
}
