//! Reading rows: as lines, as server-sent events, or those that come within a
//! while.

use std::time::Duration;

use axum::body::Body;
use axum::http::StatusCode;
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, stream as futures};
use tokio::time::{Instant, sleep_until};
use windlass::access::Verb;
use windlass::stream::{
    Cursor, Digest, Frame, Mark, Offset, Open, Opened, Reader, Start, StreamError,
};
use windlass_client::stream as wire;

use super::change::OF_A_STREAM;
use super::{TAG, caller, invalid, stream, streams};
use crate::call::{Call, Reply};
use crate::events::wants_stream;
use crate::problem::{Problem, Refused};
use crate::reading::{self, Form, From};
use crate::route::{Access, Route};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/v1/streams/{stream}/rows", "read_rows", |call| {
            Box::pin(read(call))
        })
        .about(
            TAG,
            "Reads a stream: as lines, as events (by `Accept`), or those rows that come within `wait_ms`",
        )
        .access(Access::Tenant(Verb::StreamRead))
        .serves(&["Streams::open", "Streams::resume"])
        .query::<wire::ReadStream>()
        .sends(200, Some(wire::ROWS_MEDIA_TYPE), "Lines, each an object with one member")
        .sends(200, Some(reading::EVENTS_MEDIA_TYPE), "The same, line by line, as events")
        .sends(204, None, "No rows came in time; or events whose end was received")
        .fails(OF_A_STREAM)
        .fails(OF_A_READ)
        .endless(),
    ]
}

/// Bytes after which what came within a wait is sent, though more is there.
const WITHIN_BYTES: usize = 1 << 20;

pub(super) const OF_A_READ: &[&str] = &[
    "invalid_request",
    "cancelled",
    "lease_revoked",
    "gap",
    "offset_beyond_tail",
    "prefix_hash_mismatch",
    "server_stream_capacity_exhausted",
    "principal_stream_quota_exhausted",
];

/// What is asked for, as the library takes it.
struct Asked {
    cursor: Option<Cursor>,
    start: Start,
    /// Whether the asker said where to begin.
    says_start: bool,
    follow: bool,
    wait: Option<Duration>,
}

impl Asked {
    fn read(asked: &wire::ReadStream) -> Result<Self, Refused> {
        let digest = asked.digest.as_deref().map(digest).transpose()?;
        let start = match asked.from.as_deref() {
            None | Some("earliest") => Start::Earliest,
            Some("tail") => Start::Tail,
            Some(offset) => Start::At(self::offset(offset)?, digest),
        };
        if digest.is_some() && !matches!(start, Start::At(..)) {
            return Err(invalid(
                "digest",
                "`digest` is of a place, which is not given",
            ));
        }
        let wait = asked.wait_ms.unwrap_or_default();
        if wait > wire::WAIT_MS_MAX {
            return Err(invalid("wait_ms", "`wait_ms` is 30000 at most"));
        }
        Ok(Self {
            cursor: asked.cursor.as_deref().map(cursor).transpose()?,
            start,
            says_start: asked.from.is_some(),
            follow: asked.follow.unwrap_or_default() || asked.wait_ms.is_some(),
            wait: asked.wait_ms.map(Duration::from_millis),
        })
    }

    /// Where a cursor's reader is.
    fn received(&self) -> Result<Option<Mark>, Refused> {
        match self.start {
            _ if !self.says_start => Ok(None),
            Start::At(offset, Some(digest)) => Ok(Some(Mark { offset, digest })),
            _ => {
                let detail = "with a cursor, `from` and `digest` are those of a mark";
                Err(invalid("from", detail))
            }
        }
    }
}

pub(super) fn offset(text: &str) -> Result<Offset, Refused> {
    let offset = text.parse();
    offset.map_err(|_| invalid("from", "`from` is no offset, not `earliest` and not `tail`"))
}

pub(super) fn digest(text: &str) -> Result<Digest, Refused> {
    let digest = text.parse();
    digest.map_err(|_| invalid("digest", "a digest has 64 lower-case hexadecimal digits"))
}

/// What is no cursor names nothing.
pub(super) fn cursor(text: &str) -> Result<Cursor, Refused> {
    text.parse().map_err(|_| Box::new(Problem::not_found()))
}

async fn read(call: Call) -> Result<Reply, Refused> {
    let asked: wire::ReadStream = call.query()?;
    let mut asked = Asked::read(&asked)?;
    if wants_stream(&call.headers) {
        match reading::last_event(&call.headers) {
            None => {}
            // To anything else who speaks this protocol comes again for ever.
            Some(Ok(reading::Place::End)) => return Ok(Reply::nothing(StatusCode::NO_CONTENT)),
            Some(Ok(reading::Place::At(offset, None))) => {
                asked.cursor = None;
                asked.start = Start::At(offset, None);
            }
            Some(Ok(reading::Place::At(_, Some(_))) | Err(())) => {
                return Err(invalid("Last-Event-ID", "it is none that was given"));
            }
        }
        let reader = open(&call, &asked).await?;
        return Ok(reading::reply(
            call,
            From::Stream(reader),
            Form::Events,
            asked.follow,
        ));
    }
    let reader = open(&call, &asked).await?;
    match asked.wait {
        Some(wait) => within(&call, reader, wait).await,
        None => Ok(reading::reply(
            call,
            From::Stream(reader),
            Form::Lines,
            asked.follow,
        )),
    }
}

async fn open(call: &Call, asked: &Asked) -> Result<Reader, Refused> {
    let streams = streams(call).under(call.identity.of_lease());
    let (of, stream) = (caller(call)?, stream(call)?);
    let Some(cursor) = &asked.cursor else {
        let open = Open {
            stream,
            start: asked.start,
            follow: asked.follow,
        };
        return Ok(streams.open(&of, &open).await?);
    };
    let received = asked.received()?;
    // A slot first: without one nothing is said of cursors.
    let reader = streams.resume(&of, cursor, received).await;
    let reader = reader?;
    match *reader.stream() == stream {
        true => Ok(reader),
        false => Err(Box::new(Problem::not_found())),
    }
}

/// What there is by the time that something is, or after the wait.
async fn within(call: &Call, mut reader: Reader, wait: Duration) -> Result<Reply, Refused> {
    let deadline = Instant::now() + wait;
    let Some(Frame::Open(opened)) = reader.next().await? else {
        return Err(StreamError::Expired.into());
    };
    let mut came = Came::new(&opened);
    let mut stage = call.app.stage.clone();
    let mut credentials = call.app.auth.watch();
    while !call.app.is_draining() {
        let frame = tokio::select! {
            biased;
            frame = reader.next() => frame?,
            () = sleep_until(deadline) => break,
            _ = stage.changed() => break,
            _ = credentials.changed() => {
                call.still_allowed().await?;
                continue;
            }
        };
        came.take(frame);
        came.take_ready(&mut reader)?;
        break;
    }
    Ok(came.reply(&opened, reader))
}

/// The rest of a line of which a part was read; an error cuts the connection.
fn rest(reader: Option<Reader>) -> impl futures_util::Stream<Item = Result<Bytes, StreamError>> {
    futures::unfold(reader, |reader| async move {
        let mut reader = reader?;
        match reader.next().await {
            Ok(Some(frame)) => {
                let bytes = frame.ndjson();
                let reader = match frame {
                    Frame::Piece(_) => Some(reader),
                    _ => {
                        reader.leave();
                        None
                    }
                };
                Some((Ok(bytes), reader))
            }
            Ok(None) => None,
            Err(error) => Some((Err(error), None)),
        }
    })
}

/// What came of a read.
struct Came {
    pieces: Vec<Bytes>,
    bytes: usize,
    /// After the last row that came, or has begun to come.
    at: Offset,
    /// Whether the last piece was a part of a line.
    in_line: bool,
    closed: bool,
}

impl Came {
    fn new(opened: &Opened) -> Self {
        Self {
            pieces: Vec::new(),
            bytes: 0,
            at: opened.start,
            in_line: false,
            closed: false,
        }
    }

    /// Takes what is there without a wait, up to a long row or about 1 MiB.
    fn take_ready(&mut self, reader: &mut Reader) -> Result<(), StreamError> {
        while !self.in_line && self.bytes < WITHIN_BYTES {
            let frame = reader.next().now_or_never();
            let Some(frame) = frame.transpose()?.flatten() else {
                return Ok(());
            };
            self.take(Some(frame));
        }
        Ok(())
    }

    fn take(&mut self, frame: Option<Frame>) {
        let Some(frame) = frame else { return };
        self.in_line = matches!(frame, Frame::Piece(_));
        match &frame {
            Frame::Chunk(chunk) => self.at = chunk.mark.offset,
            Frame::End(end) => self.closed = end.closed,
            Frame::Failed(_) => self.closed = true,
            // It is one row, which is sent to its end.
            Frame::Piece(_) => self.at = self.at.plus(1).unwrap_or(self.at),
            Frame::Open(_) => {}
        }
        let piece = frame.ndjson();
        self.bytes += piece.len();
        self.pieces.push(piece);
    }

    fn reply(self, opened: &Opened, reader: Reader) -> Reply {
        let open = Frame::Open(opened.clone()).ndjson();
        let is_empty = self.pieces.is_empty();
        let pieces = [open].into_iter().chain(self.pieces).map(Ok);
        let reader = match self.in_line {
            true => Some(reader),
            false => {
                reader.leave();
                None
            }
        };
        let reply = match is_empty {
            true => Reply::nothing(StatusCode::NO_CONTENT),
            false => {
                let body = Body::from_stream(futures::iter(pieces).chain(rest(reader)));
                Reply::of(wire::ROWS_MEDIA_TYPE, body)
            }
        };
        let reply = reply
            .header("stream-next-offset", self.at.to_string())
            .header("stream-cursor", opened.cursor.clone());
        match self.closed {
            true => reply.header("stream-closed", "true"),
            false => reply,
        }
    }
}
