//! Following a session: its recorded changes as server-sent events, those
//! that are there and those to come.
//!
//! The stream ends with the session, with the server, and with the credential
//! it was opened under. Cut at any place it is taken up again by the number
//! of the last event that arrived (`Last-Event-ID`).

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, header};
use bytes::Bytes;
use futures_util::stream::unfold;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use windlass::core::{Coded, ErrorKind, Millis, SessionId};
use windlass::session::{Caller, Event, Status, What};
use windlass::store::Changes;

use crate::app::App;
use crate::auth::{Identity, kept};
use crate::call::{Call, Reply};
use crate::connection::Stage;
use crate::problem::{Problem, Refused};
use crate::room::Taken;

pub(crate) const MEDIA: &str = "text/event-stream";

/// Events read at a time.
const PAGE: usize = 100;

/// When a client should come again whose stream ended early.
pub(crate) const RETRY_MS: u64 = 1_000;

/// Looks between two at what no event tells: that one above the session was
/// closed.
const LOOKS: u32 = 5;

/// Whether the asker wants events as they happen.
pub(crate) fn wants_stream(headers: &HeaderMap) -> bool {
    let accepts = headers.get_all(header::ACCEPT).iter();
    let mut kinds = accepts
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(','));
    kinds.any(|kind| {
        let kind = kind.split(';').next().unwrap_or_default();
        kind.trim().eq_ignore_ascii_case(MEDIA)
    })
}

/// The place of one more stream.
pub(crate) fn slot(app: &App) -> Result<Taken, Refused> {
    app.streams.take(1).ok_or_else(|| {
        let detail = "as many streams are open as may be; try again later";
        let problem = Problem::new(429, "too_many_streams", detail);
        Box::new(
            problem
                .with("max", app.config.streams_max)
                .retry_after_ms(RETRY_MS),
        )
    })
}

/// Opens a stream of the events after the last one the asker has.
pub(crate) async fn follow(
    call: Call,
    caller: Caller,
    id: SessionId,
    after: Option<u64>,
) -> Result<Reply, Refused> {
    let last = call
        .headers
        .get("last-event-id")
        .and_then(|value| value.to_str().ok());
    let last = last.and_then(|text| text.parse().ok());
    let found = call.app.engine.sessions().get(&caller, &id).await?;
    let session = found.ok_or_else(|| Box::new(Problem::not_found()))?;
    let slot = slot(&call.app)?;
    let changes = call.app.engine.session_changes(&caller.tenant, &id);
    let follower = Follower {
        stage: call.app.stage.clone(),
        credentials: call.app.auth.watch(),
        app: call.app,
        identity: call.identity,
        headers: kept(&call.headers),
        caller,
        id,
        after: last.or(after).unwrap_or(0),
        expires_at: session.expires_at,
        status: session.status,
        changes: Some(changes),
        looks: 0,
        silent_since: Instant::now(),
        begun: false,
        ended: false,
        _slot: slot,
    };
    let stream = unfold(follower, |mut follower| async move {
        let piece = follower.next().await?;
        Some((Ok::<_, std::convert::Infallible>(piece), follower))
    });
    Ok(Reply::of(MEDIA, Body::from_stream(stream)).lasting(true))
}

/// Why a stream is over.
#[derive(Clone, Copy)]
enum End {
    Closed,
    Expired,
    Draining,
    Revoked,
    Removed,
}

impl End {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Expired => "expired",
            Self::Draining => "draining",
            Self::Revoked => "revoked",
            Self::Removed => "removed",
        }
    }
}

struct Follower {
    app: Arc<App>,
    identity: Arc<Identity>,
    headers: HeaderMap,
    caller: Caller,
    id: SessionId,
    after: u64,
    expires_at: Millis,
    status: Status,
    changes: Option<Changes>,
    stage: watch::Receiver<Stage>,
    credentials: watch::Receiver<u64>,
    looks: u32,
    silent_since: Instant,
    begun: bool,
    ended: bool,
    _slot: Taken,
}

impl Follower {
    /// The next piece to send; `None` once the stream is over.
    async fn next(&mut self) -> Option<Bytes> {
        if self.ended {
            return None;
        }
        if self.begun {
            // Whoever has much to catch up with lets others have their turn.
            tokio::task::yield_now().await;
        }
        let mut piece = String::new();
        if !self.begun {
            self.begun = true;
            // Sent at once, so that the asker knows that the stream is open.
            let _ = write!(piece, "retry: {RETRY_MS}\n\n");
        }
        loop {
            if let Some(end) = self.look(&mut piece).await {
                self.ended = true;
                let reason = end.as_str();
                let _ = write!(piece, "event: end\ndata: {{\"reason\":\"{reason}\"}}\n\n");
            } else if piece.is_empty() && self.is_silent() {
                piece.push_str(": still here\n\n");
            }
            if !piece.is_empty() {
                self.silent_since = Instant::now();
                return Some(piece.into());
            }
            self.wait().await;
        }
    }

    fn is_silent(&self) -> bool {
        self.silent_since.elapsed() >= Duration::from_millis(self.app.config.heartbeat_ms)
    }

    /// Waits until there may be something to say.
    async fn wait(&mut self) {
        let poll = Duration::from_millis(self.app.config.poll_ms);
        let changed = async {
            match &mut self.changes {
                // Beyond the number of hints there may be, looking has to do.
                Some(changes) => changes.changed().await,
                None => std::future::pending().await,
            }
        };
        let mut hints_end = false;
        tokio::select! {
            hint = changed => hints_end = !hint,
            () = sleep_until(Instant::now() + poll) => {}
            _ = self.stage.changed() => {}
            _ = self.credentials.changed() => {}
        }
        if hints_end {
            self.changes = None;
        }
    }

    /// Adds what is new; the end, if the stream is at it.
    async fn look(&mut self, piece: &mut String) -> Option<End> {
        if self.app.is_draining() {
            return Some(End::Draining);
        }
        if !self
            .app
            .auth
            .still_holds(&self.headers, &self.identity)
            .await
        {
            return Some(End::Revoked);
        }
        // Before the events are read, so that none of those that led to an end
        // is missing when it is told.
        if let Some(end) = self.look_at_status().await {
            return Some(end);
        }
        let sessions = self.app.engine.sessions();
        match sessions
            .history(&self.caller, &self.id, self.after, PAGE)
            .await
        {
            Ok(None) => return Some(End::Removed),
            Ok(Some(page)) => {
                for event in &page.events {
                    self.add(event, piece);
                }
                if page.more {
                    return None;
                }
            }
            Err(error) if error.kind() == ErrorKind::Unavailable => return None,
            Err(error) => {
                let problem: Refused = error.into();
                let data = String::from_utf8_lossy(&problem.to_json()).into_owned();
                let _ = write!(piece, "event: error\ndata: {data}\n\n");
                return Some(End::Draining);
            }
        }
        match self.status {
            Status::Active => None,
            Status::Closed => Some(End::Closed),
            Status::Expired => Some(End::Expired),
        }
    }

    /// Learns from time to time what no event tells; the end, if there is no
    /// such session any more.
    async fn look_at_status(&mut self) -> Option<End> {
        self.looks = self.looks.wrapping_add(1);
        let by_time = self.expires_at.has_passed(self.app.env.now());
        if self.status != Status::Active || !(by_time || self.looks.is_multiple_of(LOOKS)) {
            return None;
        }
        let found = self.app.engine.sessions().get(&self.caller, &self.id).await;
        match found {
            Ok(Some(session)) => self.status = session.status,
            Ok(None) => return Some(End::Removed),
            // Tried again with the next look.
            Err(_) => {}
        }
        None
    }

    fn add(&mut self, event: &Event, piece: &mut String) {
        self.after = event.number;
        if event.what == What::Close {
            self.status = Status::Closed;
        }
        let data = serde_json::to_string(event).expect("events have a form in JSON");
        let _ = write!(
            piece,
            "id: {}\nevent: event\ndata: {data}\n\n",
            event.number
        );
    }
}
