//! Bodies of lines: cut where they end, and read as rows.

use std::collections::VecDeque;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use windlass::stream::Row;

/// Cuts what comes in pieces into lines. Holds a line that is not whole, and
/// the last piece.
#[derive(Debug)]
pub(crate) struct Lines {
    bytes_max: usize,
    /// The beginning of a line.
    begun: BytesMut,
    pieces: VecDeque<Bytes>,
    ended: bool,
}

/// A line is none that can be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LineError {
    /// It has more bytes than it may.
    TooLong {
        /// How many came so far.
        length: usize,
    },
}

impl Lines {
    /// Lines of at most so many bytes.
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            begun: BytesMut::new(),
            pieces: VecDeque::new(),
            ended: false,
        }
    }

    pub(crate) fn take(&mut self, piece: Bytes) {
        self.pieces.push_back(piece);
    }

    /// Nothing follows: what is there of a line is all of it.
    pub(crate) const fn end(&mut self) {
        self.ended = true;
    }

    pub(crate) fn held_bytes(&self) -> usize {
        let pieces: usize = self.pieces.iter().map(Bytes::len).sum();
        self.begun.len() + pieces
    }

    /// The next line that is whole, with a newline at its end unless it is
    /// empty; not copied if it came in one piece.
    pub(crate) fn next(&mut self) -> Result<Option<Bytes>, LineError> {
        while let Some(piece) = self.pieces.front_mut() {
            let end = piece.iter().position(|byte| *byte == b'\n');
            let length = self.begun.len() + end.unwrap_or(piece.len());
            if length > self.bytes_max {
                return Err(LineError::TooLong { length });
            }
            let Some(end) = end else {
                self.begun.extend_from_slice(piece);
                self.pieces.pop_front();
                continue;
            };
            let line = piece.split_to(end + 1);
            if piece.is_empty() {
                self.pieces.pop_front();
            }
            if self.begun.is_empty() {
                return Ok(Some(if end == 0 { Bytes::new() } else { line }));
            }
            self.begun.extend_from_slice(&line);
            return Ok(Some(self.begun.split().freeze()));
        }
        if !self.ended || self.begun.is_empty() {
            return Ok(None);
        }
        self.begun.extend_from_slice(b"\n");
        Ok(Some(self.begun.split().freeze()))
    }
}

/// A row as others write it than the server: with spaces between its tokens.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Loose<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    row: Option<&'a RawValue>,
    #[serde(default)]
    bytes: Option<String>,
}

/// A `null` that is there is a value.
fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(from).map(Some)
}

/// The row of a line; `None` if it is none. That its JSON is JSON is checked
/// when it is appended.
pub(crate) fn row(line: &Bytes) -> Option<Row> {
    Row::of_line(line).or_else(|| {
        let Loose { row, bytes } = serde_json::from_slice(line).ok()?;
        match (row, bytes) {
            (Some(row), None) => Some(Row::Json(line.slice_ref(row.get().as_bytes()))),
            (None, Some(bytes)) => Some(Row::Bytes(STANDARD.decode(bytes).ok()?.into())),
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str, piece: usize, max: usize) -> Result<Vec<String>, LineError> {
        let mut lines = Lines::new(max);
        let mut all = Vec::new();
        let mut drain = |lines: &mut Lines| -> Result<(), LineError> {
            while let Some(line) = lines.next()? {
                all.push(String::from_utf8(line.to_vec()).expect("text"));
            }
            Ok(())
        };
        for bytes in text.as_bytes().chunks(piece) {
            lines.take(Bytes::copy_from_slice(bytes));
            drain(&mut lines)?;
        }
        lines.end();
        drain(&mut lines)?;
        Ok(all)
    }

    #[test]
    fn lines_are_the_same_however_they_are_cut() {
        let text = "one\n\ntwo two\nthree";
        for piece in 1..=text.len() {
            let found = lines(text, piece, 8).expect("short enough");
            assert_eq!(found.len(), 4, "{piece}: {found:?}");
            assert_eq!(found[0], "one\n", "{piece}");
            assert_eq!(found[1].trim_end(), "", "{piece}");
            assert_eq!(
                (&*found[2], &*found[3]),
                ("two two\n", "three\n"),
                "{piece}"
            );
        }
        for piece in 1..=text.len() {
            let refused = lines(text, piece, 6).expect_err("a line of seven bytes");
            assert!(
                matches!(refused, LineError::TooLong { .. }),
                "{piece}: {refused:?}"
            );
        }
    }

    #[test]
    fn a_row_is_taken_however_it_is_spaced_and_nothing_else_is() {
        let row = |text: &str| row(&Bytes::copy_from_slice(text.as_bytes()));
        let json = |text: &'static str| Some(Row::Json(text.into()));
        assert_eq!(row("{\"row\":{\"a\":1}}\n"), json("{\"a\":1}"));
        assert_eq!(row("{ \"row\" : null }\n"), json("null"));
        assert_eq!(
            row("{\"bytes\": \"aGk=\"}\n"),
            Some(Row::Bytes("hi".into()))
        );
        for none in [
            "1\n",
            "{}\n",
            "{ \"row\": 1, \"bytes\": \"\"}\n",
            "{\"mark\":{}}\n",
            "{\"bytes\": 1}\n",
        ] {
            assert_eq!(row(none), None, "{none}");
        }
    }
}
