//! What was received of a stream, and the proof that it is what was stored.
//!
//! Rows are given out once the mark behind them has proved them; what came
//! behind the last mark when a line broke comes again. So nothing is printed
//! twice, and nothing that is not proven.

use bytes::Bytes;
use serde::Deserialize;
use windlass::core::{Coded, ErrorKind};
use windlass::stream::limits::LONG_ROW_BYTES_MAX;
use windlass::stream::{Cursor, Digest, Mark, Offset, Row, RowsHasher};

/// Longest line of a read, in bytes: that of the longest row.
const LINE_BYTES_MAX: usize = LONG_ROW_BYTES_MAX + 1;

/// Why what was received is not what was sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProofError {
    /// The rows before a mark are not those it was made of.
    #[error("the rows received before `{offset}` are not those that were stored there")]
    Digest { offset: Offset },
    /// Something that belongs to no read, or at another place of one.
    #[error("the server sent a line that no stream has there")]
    Line,
    /// The line broke before the end.
    #[error("the read was cut off before its end")]
    Cut,
    /// The server cannot go on with the read, for now.
    #[error("the server ended the read: {message} (`{code}`)")]
    Ended { code: String, message: String },
    /// Who wrote the stream gave up.
    #[error("the stream has failed: {message} (`{code}`)")]
    Failed { code: String, message: String },
}

impl Coded for ProofError {
    fn code(&self) -> &'static str {
        match self {
            Self::Digest { .. } => "stream_digest_mismatch",
            Self::Line => "stream_line_unknown",
            Self::Cut | Self::Ended { .. } => "stream_cut",
            Self::Failed { .. } => "stream_failed",
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            Self::Digest { .. } | Self::Line => ErrorKind::Corrupt,
            Self::Cut | Self::Ended { .. } => ErrorKind::Unavailable,
            Self::Failed { .. } => ErrorKind::Conflict,
        }
    }
}

/// What a read has come to so far, over all lines that it took.
#[derive(Debug, Default)]
pub(crate) struct Proof {
    /// Bytes of a line that is not whole.
    partial: Vec<u8>,
    place: Option<Place>,
    /// Whether the present line has said where it begins.
    is_open: bool,
    /// Rows since the last mark.
    rows: Vec<Received>,
    row_bytes: u64,
    hasher: RowsHasher,
    pub(crate) row_count: u64,
    /// Bytes of the rows' lines.
    pub(crate) bytes: u64,
}

/// Where a read is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) cursor: Cursor,
    /// Behind the last row that was given out.
    pub(crate) at: Mark,
    /// Whether the next mark is chained to `at`: not if the read began in the
    /// middle of a chunk.
    is_chained: bool,
}

/// A row, and the line that it came as.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) line: Bytes,
    pub(crate) row: Row,
}

/// What a line said.
#[derive(Debug)]
pub(crate) enum Heard {
    /// The read begins: so many rows are to come, as far as is known.
    Open(u64),
    /// Rows, and the mark that proves them.
    Chunk(Vec<Received>, Mark),
    /// There are no more rows; whether there will never be.
    End { closed: bool },
}

/// A line that is neither a row nor a mark.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Open(OpenLine),
    End(EndLine),
    Error(ErrorLine),
}

#[derive(Deserialize)]
struct OpenLine {
    cursor: String,
    start: Offset,
    tail: Offset,
    digest: Digest,
    base: BaseMark,
}

#[derive(Deserialize)]
struct BaseMark {
    offset: Offset,
}

#[derive(Deserialize)]
struct EndLine {
    offset: Offset,
    digest: Digest,
    closed: bool,
}

#[derive(Deserialize)]
struct ErrorLine {
    code: String,
    message: String,
    /// Whether it is the stream that has ended so.
    #[serde(default = "yes")]
    closed: bool,
}

const fn yes() -> bool {
    true
}

impl Proof {
    /// Where the read is; `None` before it has begun.
    pub(crate) const fn place(&self) -> Option<&Place> {
        self.place.as_ref()
    }

    /// Forgets what no mark has proved: another line will bring it again.
    pub(crate) fn forget_unproven(&mut self) {
        self.partial.clear();
        self.rows.clear();
        self.row_bytes = 0;
        self.hasher = RowsHasher::new();
        self.is_open = false;
    }

    /// Takes bytes as they came, and tells what whole lines among them said.
    pub(crate) fn take(&mut self, piece: &[u8]) -> Result<Vec<Heard>, ProofError> {
        let mut heard = Vec::new();
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            self.partial.extend_from_slice(part);
            if self.partial.len() > LINE_BYTES_MAX {
                return Err(ProofError::Line);
            }
            if part.ends_with(b"\n") {
                let line = std::mem::take(&mut self.partial);
                heard.extend(self.line(line.into())?);
            }
        }
        Ok(heard)
    }

    fn line(&mut self, line: Bytes) -> Result<Option<Heard>, ProofError> {
        if let Some(row) = Row::of_line(&line).filter(|_| self.is_open) {
            self.hasher.row(row.content());
            self.row_bytes += length(line.len());
            self.rows.push(Received { line, row });
            return Ok(None);
        }
        if let Some(mark) = Mark::of_line(&line).filter(|_| self.is_open) {
            return self.mark(mark).map(Some);
        }
        match serde_json::from_slice(&line).map_err(|_| ProofError::Line)? {
            Line::Open(open) => self.open(&open).map(Some),
            Line::End(end) => self.end(&end).map(Some),
            Line::Error(ErrorLine {
                code,
                message,
                closed,
            }) => Err(match closed {
                true => ProofError::Failed { code, message },
                false => ProofError::Ended { code, message },
            }),
        }
    }

    /// A line begins where the one before it ended, or it is not the same
    /// read.
    fn open(&mut self, open: &OpenLine) -> Result<Heard, ProofError> {
        let at = Mark {
            offset: open.start,
            digest: open.digest,
        };
        let before = self.place.map_or(at, |place| place.at);
        if self.is_open || before.offset != at.offset {
            return Err(ProofError::Line);
        }
        if before.digest != at.digest {
            return Err(ProofError::Digest { offset: at.offset });
        }
        self.is_open = true;
        self.place = Some(Place {
            cursor: open.cursor.parse().map_err(|_| ProofError::Line)?,
            at,
            is_chained: open.base.offset == open.start,
        });
        Ok(Heard::Open(open.tail.since(open.start)))
    }

    fn mark(&mut self, mark: Mark) -> Result<Heard, ProofError> {
        let place = self.place.as_mut().ok_or(ProofError::Line)?;
        let rows = std::mem::take(&mut self.rows);
        let hash = std::mem::take(&mut self.hasher).finish();
        let reached = place.at.offset.plus(length(rows.len()));
        if reached != Some(mark.offset) {
            return Err(ProofError::Line);
        }
        let chained = place.at.digest.chain(place.at.offset, hash);
        if place.is_chained && chained != mark.digest {
            let offset = mark.offset;
            return Err(ProofError::Digest { offset });
        }
        place.at = mark;
        place.is_chained = true;
        self.row_count += length(rows.len());
        self.bytes += std::mem::take(&mut self.row_bytes);
        Ok(Heard::Chunk(rows, mark))
    }

    fn end(&self, end: &EndLine) -> Result<Heard, ProofError> {
        let place = self.place.as_ref().filter(|_| self.is_open);
        let place = place.ok_or(ProofError::Line)?;
        if !self.rows.is_empty() || place.at.offset != end.offset {
            return Err(ProofError::Line);
        }
        if place.at.digest != end.digest {
            let offset = end.offset;
            return Err(ProofError::Digest { offset });
        }
        Ok(Heard::End { closed: end.closed })
    }
}

fn length(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use windlass::core::StreamId;
    use windlass::stream::{Caller, Ending, NewStream, Open, Streams};
    use windlass::{Options, StoreLocation, Windlass};

    use super::*;

    /// A closed stream of three chunks, the last of them of bytes.
    async fn written() -> (Windlass, Caller, StreamId) {
        let opened = Windlass::open(&StoreLocation::Memory, Options::default()).await;
        let windlass = opened.unwrap();
        let caller = Caller::new("acme".parse().unwrap(), "ann".parse().unwrap());
        let streams = windlass.streams();
        let new = NewStream::of("s1".parse().unwrap());
        let mut writer = streams.create(&caller, &new).await.unwrap();
        for row in [r#"{"n":1}"#, "2", r#""drei\u00fc""#, "[]"] {
            writer.append(&Row::json(row).unwrap()).await.unwrap();
            if row == "2" {
                writer.flush().await.unwrap();
            }
        }
        writer.flush().await.unwrap();
        let bytes = Row::Bytes(b"\x00\n\xff".as_slice().into());
        writer.append(&bytes).await.unwrap();
        writer.close(Ending::Finished).await.unwrap();
        let stream = writer.stream().clone();
        (windlass, caller, stream)
    }

    /// Everything that a read sends.
    async fn sent(streams: &Streams, caller: &Caller, from: Result<Open, Place>) -> Vec<u8> {
        let reader = match from {
            Ok(open) => streams.open(caller, &open).await,
            Err(Place { cursor, at, .. }) => streams.resume(caller, &cursor, Some(at)).await,
        };
        let (mut reader, mut bytes) = (reader.unwrap(), Vec::new());
        while let Some(frame) = reader.next().await.unwrap() {
            bytes.extend_from_slice(&frame.ndjson());
        }
        bytes
    }

    /// The rows that were proven, and whether the end was.
    fn proven(heard: Vec<Heard>) -> (Vec<Row>, bool) {
        let (mut rows, mut is_over) = (Vec::new(), false);
        for heard in heard {
            match heard {
                Heard::Open(_) => {}
                Heard::Chunk(chunk, _) => rows.extend(chunk.into_iter().map(|it| it.row)),
                Heard::End { closed } => is_over = closed,
            }
        }
        (rows, is_over)
    }

    #[tokio::test]
    async fn a_read_that_is_cut_at_any_byte_is_taken_up_without_a_row_lost_or_twice() {
        let (windlass, caller, stream) = written().await;
        let streams = windlass.streams();
        let open = || Ok(Open::all(stream.clone()));
        let whole = sent(streams, &caller, open()).await;
        let (wanted, is_over) = proven(Proof::default().take(&whole).unwrap());
        assert_eq!((wanted.len(), is_over), (5, true));
        for cut in 0..whole.len() {
            let mut proof = Proof::default();
            let before = sent(streams, &caller, open()).await;
            let (mut rows, _) = proven(proof.take(&before[..cut]).unwrap());
            proof.forget_unproven();
            let from = proof.place().copied().map_or_else(open, Err);
            let behind = sent(streams, &caller, from).await;
            let (rest, is_over) = proven(proof.take(&behind).unwrap());
            rows.extend(rest);
            assert_eq!((&rows, is_over), (&wanted, true), "cut at {cut}");
            assert_eq!(proof.row_count, 5);
        }
    }

    #[tokio::test]
    async fn no_byte_of_a_row_or_a_mark_can_be_another_one() {
        let (windlass, caller, stream) = written().await;
        let whole = sent(windlass.streams(), &caller, Ok(Open::all(stream))).await;
        let head = whole.iter().position(|byte| *byte == b'\n').unwrap();
        for place in head + 1..whole.len() {
            let mut other = whole.clone();
            other[place] ^= 1;
            let taken = Proof::default().take(&other).map(proven);
            let is_whole = taken.is_ok_and(|(rows, is_over)| rows.len() == 5 && is_over);
            // What the end says of the lease, and its figures, prove nothing.
            let text = String::from_utf8_lossy(&whole[..place]);
            let in_end = text.rfind("{\"end\"").is_some();
            assert!(!is_whole || in_end, "byte {place}");
        }
    }

    #[test]
    fn lines_at_places_where_no_read_has_them_are_refused() {
        let mark = Mark::START.line();
        let row = "{\"row\":1}\n";
        let end = "{\"end\":{\"offset\":\"0000000000000000\",\"digest\":\"00\",\"closed\":true}}\n";
        for text in [mark.as_str(), row, end, "{}\n", "<html>\n"] {
            let error = Proof::default().take(text.as_bytes()).unwrap_err();
            assert_eq!(error.code(), "stream_line_unknown", "{text}");
        }
        let endless = vec![b' '; LINE_BYTES_MAX + 1];
        let error = Proof::default().take(&endless).unwrap_err();
        assert_eq!(error.code(), "stream_line_unknown");
    }

    #[test]
    fn a_server_that_ends_a_read_is_told_from_a_stream_that_failed() {
        let said = |closed: bool| {
            let line = format!(
                "{{\"error\":{{\"code\":\"c\",\"message\":\"m\",\"resume\":\"0\",\"closed\":{closed}}}}}\n"
            );
            Proof::default().take(line.as_bytes()).unwrap_err().code()
        };
        assert_eq!([said(true), said(false)], ["stream_failed", "stream_cut"]);
    }
}
