//! A live read as server-sent events: rows, and behind them where the stream
//! stands.
//!
//! Ends with the stream, with the server, with the credential if that is
//! revoked, after a minute so that readers can be spread anew, and when its
//! receiver goes away: then this is dropped, and with it the reader's slot.

use std::convert::Infallible;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_util::stream::unfold;
use serde::Serialize;
use tokio::sync::watch;
use tokio::time::Instant;
use windlass::stream::{Live, Offset, Piece};

use super::PIECE_BYTES_MAX;
use super::get::{is_passing, joined, next_cursor, unread};
use crate::app::App;
use crate::auth::{Identity, Standing, kept};
use crate::call::{Call, Reply};
use crate::connection::Stage;
use crate::problem::Refused;

/// How long one answer goes on.
const LIFE: Duration = Duration::from_secs(60);

/// Opens the answer with what is there already.
pub(super) async fn events(
    call: Call,
    mut live: Live,
    cursor: Option<u64>,
) -> Result<Reply, Refused> {
    let first = live.next(PIECE_BYTES_MAX, Duration::ZERO).await;
    let first = first.map_err(unread)?;
    let is_plain = first.content_type.is_text() || first.content_type.is_json();
    let cursor = next_cursor(&call.app, cursor);
    let reading = Reading {
        stage: call.app.stage.clone(),
        credentials: call.app.auth.watch(),
        app: call.app,
        identity: call.identity,
        headers: kept(&call.headers),
        live: Some(live),
        first: Some(first),
        is_plain,
        cursor,
        began: Instant::now(),
        spoken: Instant::now(),
    };
    let pieces = unfold(reading, |mut reading| async move {
        let piece = reading.next().await?;
        Some((Ok::<_, Infallible>(piece), reading))
    });
    let reply = Reply::of("text/event-stream", Body::from_stream(pieces)).lasting(true);
    let reply = reply.header("cache-control", "no-cache");
    Ok(match is_plain {
        true => reply,
        false => reply.header("stream-sse-data-encoding", "base64"),
    })
}

struct Reading {
    app: Arc<App>,
    identity: Arc<Identity>,
    headers: HeaderMap,
    stage: watch::Receiver<Stage>,
    credentials: watch::Receiver<u64>,
    /// Until the read has ended.
    live: Option<Live>,
    first: Option<Piece>,
    /// Whether rows are sent as they are.
    is_plain: bool,
    /// The last cursor that was sent.
    cursor: u64,
    began: Instant,
    spoken: Instant,
}

impl Reading {
    /// The next events; `None` once the read is over.
    async fn next(&mut self) -> Option<Bytes> {
        let poll = Duration::from_millis(self.app.config.poll_ms);
        let heartbeat = Duration::from_millis(self.app.config.heartbeat_ms);
        if let Some(first) = self.first.take() {
            return Some(self.say(&first));
        }
        loop {
            if self.is_over().await {
                self.live.take()?.finish();
                return None;
            }
            let live = self.live.as_mut()?;
            let next = tokio::select! {
                biased;
                piece = live.next(PIECE_BYTES_MAX, poll.min(heartbeat)) => piece,
                _ = self.stage.changed() => continue,
                _ = self.credentials.changed() => continue,
            };
            match next {
                Ok(piece) if !piece.rows.is_empty() || piece.is_end() => {
                    return Some(self.say(&piece));
                }
                Ok(_) if self.spoken.elapsed() >= heartbeat => {
                    self.spoken = Instant::now();
                    return Some(Bytes::from_static(b": still here\n\n"));
                }
                Ok(_) => {}
                // Whoever reads comes again, and is told then what is wrong.
                Err(error) => {
                    tracing::debug!(%error, passing = is_passing(&error), "a read ended");
                    self.live = None;
                    return None;
                }
            }
        }
    }

    async fn is_over(&self) -> bool {
        if self.app.is_draining() || self.began.elapsed() >= LIFE {
            return true;
        }
        let standing = self.app.auth.standing(&self.headers, &self.identity);
        standing.await == Standing::Revoked
    }

    /// Rows, if there are any, and where the stream stands behind them.
    fn say(&mut self, piece: &Piece) -> Bytes {
        self.spoken = Instant::now();
        let mut text = String::new();
        if !piece.rows.is_empty() {
            text.push_str("event: data\n");
            if self.is_plain {
                lines(&String::from_utf8_lossy(&joined(piece)), &mut text);
            } else {
                lines(&STANDARD.encode(joined(piece)), &mut text);
            }
        }
        let is_end = piece.is_end();
        if is_end && let Some(live) = self.live.take() {
            live.finish();
        }
        if !is_end {
            self.cursor = self.cursor.max(next_cursor(&self.app, None));
        }
        let control = serde_json::to_string(&Control {
            next: &piece.next,
            is_up_to_date: piece.is_up_to_date(),
            is_end,
            cursor: (!is_end).then(|| self.cursor.to_string()),
        })
        .expect("texts and truths are JSON");
        let _ = write!(text, "event: control\ndata:{control}\n\n");
        text.into()
    }
}

/// Where the stream stands, as the protocol names it.
#[derive(Serialize)]
struct Control<'a> {
    #[serde(rename = "streamNextOffset")]
    next: &'a Offset,
    #[serde(rename = "upToDate", skip_serializing_if = "is_not")]
    is_up_to_date: bool,
    #[serde(rename = "streamClosed", skip_serializing_if = "is_not")]
    is_end: bool,
    #[serde(rename = "streamCursor", skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
const fn is_not(said: &bool) -> bool {
    !*said
}

/// One event's data. Every kind of line break ends a line, so that no row can
/// begin an event of its own.
fn lines(data: &str, text: &mut String) {
    let data = data.replace("\r\n", "\n").replace('\r', "\n");
    for line in data.split('\n') {
        // One space behind the colon would be taken for none of the row's.
        let space = if line.starts_with(' ') { " " } else { "" };
        let _ = writeln!(text, "data:{space}{line}");
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_row_begins_an_event_of_its_own() {
        let mut text = String::new();
        lines("a\r\n\r\nevent: control\r b\n", &mut text);
        let expected = "data:a\ndata:\ndata:event: control\ndata:  b\ndata:\n\n";
        assert_eq!(text, expected);
    }
}
