//! Sending a stream that is being read: its chunks as they are stored, one
//! when the one before it has been taken, for as long as somebody takes them.
//!
//! A read ends with what it was opened for, with the server, with the
//! credential if that is revoked, and when its receiver goes away: then this
//! is dropped, and with it the reader and its slot.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::HeaderMap;
use bytes::{BufMut, Bytes, BytesMut};
use futures_util::FutureExt;
use futures_util::stream::unfold;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use windlass::core::{Coded, ErrorKind};
use windlass::stream::{Chunk, Frame, Offset, Reader, ScanReader, StreamError};
use windlass_client::stream::ROWS_MEDIA_TYPE;

use crate::app::App;
use crate::auth::{Identity, Standing, kept};
use crate::call::{Call, Reply};
use crate::connection::Stage;
use crate::problem::{Problem, Refused};

/// The media type of events.
pub(crate) const EVENTS_MEDIA_TYPE: &str = "text/event-stream";

/// When to read on that could not go on.
const RETRY_MS: u64 = 1_000;

/// How often in a row the store is asked again that is away.
const TRIES_MAX: u32 = 5;

/// What the id of the last event is followed by.
const END: &str = "-end";

/// What is between an offset and the cursor that it belongs to.
const OF: &str = ".";

/// How a read is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Lines of NDJSON: what is stored is sent as it is.
    Lines,
    /// Server-sent events, one a line.
    Events,
}

/// What is read.
#[expect(
    clippy::large_enum_variant,
    reason = "there is one in each read, and nearly all are of streams"
)]
pub(crate) enum From {
    /// A stream that is recorded.
    Stream(Reader),
    /// A source, by this cursor, without which nobody can go on.
    Source(Box<ScanReader>, String),
}

impl From {
    async fn next(&mut self) -> Result<Option<Frame>, StreamError> {
        match self {
            Self::Stream(reader) => reader.next().await,
            Self::Source(reader, _) => reader.next().await,
        }
    }

    /// What the id of an event has behind the offset.
    fn suffix(&self) -> String {
        match self {
            Self::Stream(_) => String::new(),
            Self::Source(_, cursor) => format!("{OF}{cursor}"),
        }
    }
}

/// What a receiver of events has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// All rows before this, of the read with this cursor if it is of a
    /// source.
    At(Offset, Option<String>),
    /// Everything there will ever be.
    End,
}

/// What the asker says it has; an error if that is none that was given.
pub(crate) fn last_event(headers: &HeaderMap) -> Option<Result<Place, ()>> {
    let id = headers.get("last-event-id")?;
    let place = |text: &str| match (text.strip_suffix(END), text.split_once(OF)) {
        (Some(offset), _) => offset.parse::<Offset>().map(|_| Place::End),
        (None, Some((offset, cursor))) => {
            let cursor = Some(cursor.to_owned());
            offset.parse().map(|offset| Place::At(offset, cursor))
        }
        (None, None) => text.parse().map(|offset| Place::At(offset, None)),
    };
    let text = id.to_str().map_err(|_| ());
    Some(text.and_then(|text| place(text).map_err(|_| ())))
}

/// The answer that is this read, which lasts if it follows the stream.
pub(crate) fn reply(call: Call, reader: From, form: Form, follows: bool) -> Reply {
    let media = match form {
        Form::Lines => ROWS_MEDIA_TYPE,
        Form::Events => EVENTS_MEDIA_TYPE,
    };
    let reading = Reading {
        stage: call.app.stage.clone(),
        credentials: call.app.auth.watch(),
        app: call.app,
        identity: call.identity,
        headers: kept(&call.headers),
        suffix: reader.suffix(),
        reader: Some(reader),
        form,
        at: Offset::START,
        in_line: false,
        tries: 0,
        looked: Instant::now(),
        spoken: Instant::now(),
    };
    let pieces = unfold(reading, |mut reading| async move {
        let piece = reading.next().await?;
        Some((Ok::<_, std::convert::Infallible>(piece), reading))
    });
    Reply::of(media, Body::from_stream(pieces)).lasting(follows)
}

/// A read under way.
struct Reading {
    app: Arc<App>,
    identity: Arc<Identity>,
    headers: HeaderMap,
    stage: watch::Receiver<Stage>,
    credentials: watch::Receiver<u64>,
    /// Until the read has ended.
    reader: Option<From>,
    /// Of each row's event id.
    suffix: String,
    form: Form,
    /// After the last row that was sent.
    at: Offset,
    /// Whether what was sent last is a part of a line: nothing but the rest of
    /// it can follow.
    in_line: bool,
    /// Failures of the store in a row.
    tries: u32,
    /// When the credential was last looked at.
    looked: Instant,
    /// When something was last sent.
    spoken: Instant,
}

/// Why the server ends a read.
#[derive(Clone, Copy, Debug)]
enum Stop {
    Draining,
    Revoked,
}

impl Reading {
    /// The next piece; `None` once the read is over.
    async fn next(&mut self) -> Option<Bytes> {
        let poll = Duration::from_millis(self.app.config.poll_ms);
        let heartbeat = Duration::from_millis(self.app.config.heartbeat_ms);
        loop {
            if let Some(stop) = self.stop(poll).await {
                return self.stopped(stop);
            }
            let reader = self.reader.as_mut()?;
            let tick = match self.in_line {
                true => self.looked + poll,
                false => (self.looked + poll).min(self.spoken + heartbeat),
            };
            tokio::select! {
                biased;
                frame = reader.next() => {
                    if let Some(piece) = self.take(frame).await {
                        self.spoken = Instant::now();
                        return piece;
                    }
                }
                _ = self.stage.changed() => {}
                _ = self.credentials.changed() => self.looked -= poll,
                () = sleep_until(tick) => {
                    if self.spoken.elapsed() >= heartbeat && !self.in_line {
                        self.spoken = Instant::now();
                        return Some(self.still_here());
                    }
                }
            }
        }
    }

    /// Whether the server has to end it.
    async fn stop(&mut self, poll: Duration) -> Option<Stop> {
        if self.app.is_draining() {
            return Some(Stop::Draining);
        }
        if self.looked.elapsed() < poll {
            return None;
        }
        self.looked = Instant::now();
        let standing = self.app.auth.standing(&self.headers, &self.identity);
        match standing.await {
            Standing::Holds | Standing::Expired => None,
            Standing::Revoked => Some(Stop::Revoked),
        }
    }

    /// What is sent for what was read: a piece, the end (`Some(None)`), or
    /// nothing yet.
    async fn take(&mut self, frame: Result<Option<Frame>, StreamError>) -> Option<Option<Bytes>> {
        match frame {
            Ok(None) => {
                self.reader = None;
                Some(None)
            }
            Ok(Some(frame)) => {
                self.tries = 0;
                Some(Some(self.piece(&frame)))
            }
            Err(error) if self.may_try_again(&error) => {
                self.tries += 1;
                sleep_until(Instant::now() + Duration::from_millis(RETRY_MS) / 4).await;
                None
            }
            Err(error) => {
                self.reader = None;
                let retry = is_passing(&error).then_some(RETRY_MS);
                let problem: Refused = error.into();
                Some(self.failure(&problem, retry))
            }
        }
    }

    fn may_try_again(&self, error: &StreamError) -> bool {
        self.tries < TRIES_MAX && is_passing(error)
    }

    fn piece(&mut self, frame: &Frame) -> Bytes {
        let begins = matches!(frame, Frame::Open(_));
        let in_line = std::mem::replace(&mut self.in_line, matches!(frame, Frame::Piece(_)));
        let id = match frame {
            Frame::Open(opened) => {
                self.at = opened.start;
                None
            }
            Frame::Chunk(chunk) => {
                self.at = chunk.mark.offset;
                if self.form == Form::Events {
                    return events(chunk, in_line, &self.suffix);
                }
                None
            }
            Frame::Piece(part) => {
                return match self.form {
                    Form::Events if !in_line => long_event(self.at, &part.bytes),
                    _ => part.bytes.clone(),
                };
            }
            Frame::End(_) | Frame::Failed(_) => Some(format!("{}{END}", self.at)),
        };
        let line = frame.ndjson();
        match self.form {
            Form::Lines => line,
            Form::Events => {
                let mut piece = BytesMut::new();
                if begins {
                    piece.extend_from_slice(format!("retry: {RETRY_MS}\n").as_bytes());
                }
                write_event(&mut piece, id.as_deref(), &line);
                piece.freeze()
            }
        }
    }

    fn stopped(&mut self, stop: Stop) -> Option<Bytes> {
        self.reader.as_ref()?;
        let (problem, retry) = match stop {
            Stop::Draining => {
                let detail = "the server is stopping; read on in a moment";
                (Problem::new(503, "draining", detail), Some(RETRY_MS))
            }
            Stop::Revoked => {
                self.revoke();
                let detail = "the credential that this was opened with was revoked";
                (Problem::new(401, "lease_revoked", detail), None)
            }
        };
        self.reader = None;
        self.failure(&problem, retry)
    }

    /// Ends what was opened with a key that was revoked, this read first.
    fn revoke(&mut self) {
        let lease = self.identity.of_lease();
        if lease.name.is_some() {
            let streams = self.app.engine.streams();
            streams.end_leases(|_, credential| credential.name == lease.name);
        }
        if let Some(reader) = &mut self.reader {
            // Its next word is that it has ended so, without a wait.
            let _ = reader.next().now_or_never();
        }
    }

    /// The last line of a read that ends early; `None` where it would be taken
    /// for a part of a row.
    fn failure(&self, problem: &Problem, retry: Option<u64>) -> Option<Bytes> {
        if self.in_line {
            return None;
        }
        let mut failure = json!({
            "code": problem.code(),
            "message": problem.detail(),
            "resume": self.at,
            "closed": false,
        });
        if let Some(ms) = retry {
            failure["retry_after_ms"] = ms.into();
        }
        let line: Bytes = format!("{}\n", json!({ "error": failure })).into();
        Some(match self.form {
            Form::Lines => line,
            Form::Events => {
                let mut piece = BytesMut::new();
                write_event(&mut piece, None, &line);
                piece.freeze()
            }
        })
    }

    const fn still_here(&self) -> Bytes {
        match self.form {
            Form::Lines => Bytes::from_static(b"\n"),
            Form::Events => Bytes::from_static(b": still here\n\n"),
        }
    }
}

/// Whether asking again may help.
fn is_passing(error: &StreamError) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Unavailable | ErrorKind::Indeterminate
    )
}

/// The beginning of the event of a long row, which is behind `at`. Its line
/// ends with a newline, and the event with the chunk that follows.
fn long_event(at: Offset, part: &[u8]) -> Bytes {
    let mut piece = BytesMut::with_capacity(part.len() + EVENT_BYTES);
    let id = at.plus(1).unwrap_or(at).to_string();
    begin_event(&mut piece, Some(&id), part);
    piece.freeze()
}

/// The events of a chunk: one a row, and one for the mark; after the end of
/// that of a long row.
fn events(chunk: &Chunk, in_line: bool, suffix: &str) -> Bytes {
    let lines = chunk.lines();
    let rows = usize::try_from(chunk.row_count()).unwrap_or_default();
    let mut events =
        BytesMut::with_capacity(lines.len() + (rows + 1) * (EVENT_BYTES + suffix.len()));
    if in_line {
        events.put_u8(b'\n');
    }
    let mut at = chunk.first.number();
    let mut id = String::new();
    for line in lines.split_inclusive(|byte| *byte == b'\n') {
        if at < chunk.mark.offset.number() {
            at += 1;
        }
        id.clear();
        write!(id, "{}{suffix}", Offset::new(at)).expect("a string takes all");
        write_event(&mut events, Some(&id), line);
    }
    events.freeze()
}

/// Bytes around a line, as an event.
const EVENT_BYTES: usize = 48;

/// Writes a line with its newline as an event, which is named as what the line
/// is.
fn write_event(events: &mut BytesMut, id: Option<&str>, line: &[u8]) {
    begin_event(events, id, line);
    events.put_u8(b'\n');
}

/// The same without the empty line that ends it.
fn begin_event(events: &mut BytesMut, id: Option<&str>, line: &[u8]) {
    if let Some(id) = id {
        events.put_slice(b"id: ");
        events.put_slice(id.as_bytes());
        events.put_u8(b'\n');
    }
    events.put_slice(b"event: ");
    // A line begins with a brace and a name in quotes.
    let name = line.split(|byte| *byte == b'"').nth(1);
    events.put_slice(name.unwrap_or_default());
    events.put_slice(b"\ndata: ");
    events.put_slice(line);
}
