//! A console that stays open: what is seen, as server-sent events.
//!
//! It ends with the server, and with the credential it was opened under; that
//! is asked again before anything is sent, and from time to time where
//! nothing is. Whoever comes again gets what is to be seen then, whole.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::HeaderMap;
use bytes::Bytes;
use futures_util::stream::unfold;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use windlass::core::Millis;

use super::feed::{Snapshot, Subject};
use super::history::SERIES;
use super::ring::Sample;
use crate::app::App;
use crate::auth::{Identity, kept};
use crate::call::{Call, Reply};
use crate::connection::Stage;
use crate::events::{MEDIA, RETRY_MS, slot};
use crate::problem::Refused;
use crate::room::Taken;

/// Why it is over.
#[derive(Clone, Copy, Debug)]
enum End {
    Draining,
    Revoked,
    Failed,
}

impl End {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Draining => "draining",
            Self::Revoked => "revoked",
            Self::Failed => "failed",
        }
    }
}

/// An object in JSON with the time at which it is sent: what was seen may have
/// been seen long before.
fn stamped(json: &str, now: Millis) -> String {
    let members = json.strip_prefix('{').unwrap_or(json);
    format!("{{\"now\":{},{members}", now.get())
}

struct Follower {
    app: Arc<App>,
    identity: Arc<Identity>,
    headers: HeaderMap,
    snapshots: watch::Receiver<Option<Arc<Snapshot>>>,
    samples: watch::Receiver<Option<Arc<Sample>>>,
    wants_samples: bool,
    stage: watch::Receiver<Stage>,
    credentials: watch::Receiver<u64>,
    silent_since: Instant,
    begun: bool,
    ended: bool,
    _slot: Taken,
}

/// Opens a stream of what is seen of `subject`.
pub(super) fn follow(call: Call, subject: &Subject) -> Result<Reply, Refused> {
    let slot = slot(&call.app)?;
    let mut snapshots = call.app.console.feeds.open(&call.app, subject.clone());
    // What others see already is to be seen at once.
    snapshots.mark_changed();
    let follower = Follower {
        wants_samples: *subject == Subject::Service,
        snapshots,
        samples: call.app.console.history.watch(),
        stage: call.app.stage.clone(),
        credentials: call.app.auth.watch(),
        app: call.app,
        identity: call.identity,
        headers: kept(&call.headers),
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

impl Follower {
    /// The next piece to send; `None` once it is over.
    async fn next(&mut self) -> Option<Bytes> {
        if self.ended {
            return None;
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

    /// Adds what is new; the end, if it is there.
    async fn look(&mut self, piece: &mut String) -> Option<End> {
        if self.app.is_draining() {
            return Some(End::Draining);
        }
        let auth = &self.app.auth;
        if !auth.still_holds(&self.headers, &self.identity).await {
            return Some(End::Revoked);
        }
        match self.snapshots.has_changed() {
            Ok(true) => self.add_snapshot(piece),
            Ok(false) => {}
            Err(_) => return Some(End::Failed),
        }
        if self.wants_samples && self.samples.has_changed().unwrap_or(false) {
            self.add_sample(piece);
        }
        None
    }

    fn add_snapshot(&mut self, piece: &mut String) {
        let latest = self.snapshots.borrow_and_update().clone();
        if let Some(latest) = latest {
            let (number, name) = (latest.number, latest.name());
            let data = stamped(&latest.json(&self.identity), self.app.env.now());
            let _ = write!(piece, "id: {number}\nevent: {name}\ndata: {data}\n\n");
        }
    }

    fn add_sample(&mut self, piece: &mut String) {
        let latest = self.samples.borrow_and_update().clone();
        let Some(latest) = latest else { return };
        let named = SERIES.iter().zip(&latest.values);
        let values: serde_json::Map<_, _> = named
            .map(|((name, _), value)| ((*name).to_owned(), serde_json::json!(value)))
            .collect();
        let data = serde_json::json!({ "at": latest.at, "values": values });
        let _ = write!(piece, "event: history\ndata: {data}\n\n");
    }

    /// Waits until there may be something to say.
    async fn wait(&mut self) {
        let poll = Duration::from_millis(self.app.config.poll_ms);
        tokio::select! {
            _ = self.snapshots.changed() => self.snapshots.mark_changed(),
            more = self.samples.changed(), if self.wants_samples => {
                if more.is_ok() {
                    self.samples.mark_changed();
                }
            }
            () = sleep_until(Instant::now() + poll) => {}
            _ = self.stage.changed() => {}
            _ = self.credentials.changed() => {}
        }
    }
}
