//! Streams as text for people, and as JSON.

use serde_json::{Value, json};
use windlass::stream::{Ending, Expiry, StreamView};

use crate::table::{fields, plain, rows as table, time};

const fn state(view: &StreamView) -> &'static str {
    match &view.closed {
        None => "open",
        Some(closed) => match closed.how {
            Ending::Finished => "finished",
            Ending::Failed { .. } => "failed",
            Ending::Cancelled => "cancelled",
        },
    }
}

/// A stream as an object.
pub(super) fn object(view: &StreamView) -> Value {
    json!({
        "id": view.id,
        "session": view.session,
        "principal": view.principal,
        "state": state(view),
        "created_at": view.created,
        "changed_at": view.changed,
        "earliest": view.earliest,
        "tail": view.tail,
        "digest": view.digest,
        "bytes": view.bytes.to_string(),
        "expiry": view.expiry,
        "closed": view.closed,
    })
}

/// Streams, one a row.
pub(super) fn rows(streams: &[StreamView]) -> String {
    let shown = streams.iter().map(|view| {
        [
            view.id.to_string(),
            state(view).to_owned(),
            view.tail.to_string(),
            view.bytes.to_string(),
            time(view.changed),
        ]
    });
    table(["STREAM", "STATE", "TAIL", "BYTES", "CHANGED"], shown)
}

/// One stream.
pub(super) fn one(view: &StreamView) -> String {
    let mut shown = vec![
        ("id", view.id.to_string()),
        ("session", session(view)),
        ("principal", view.principal.to_string()),
        ("state", state(view).to_owned()),
        ("created_at", time(view.created)),
        ("changed_at", time(view.changed)),
        ("earliest", view.earliest.to_string()),
        ("tail", view.tail.to_string()),
        ("digest", view.digest.to_string()),
        ("bytes", view.bytes.to_string()),
        ("expires", expires(view.expiry)),
    ];
    if let Some(Ending::Failed { code, message }) = view.closed.as_ref().map(|it| &it.how) {
        shown.push(("code", plain(code)));
        shown.push(("message", plain(message)));
    }
    fields(shown)
}

fn session(view: &StreamView) -> String {
    let session = view.session.as_ref().map(ToString::to_string);
    session.unwrap_or_else(|| "-".to_owned())
}

fn expires(expiry: Expiry) -> String {
    match expiry {
        Expiry::Never => "never".to_owned(),
        Expiry::IdleMs(ms) => format!("after {ms} ms without a change"),
        Expiry::SlidingMs(ms) => format!("after {ms} ms without a read or a change"),
        Expiry::At(at) => time(at),
    }
}

/// Where a stream stands behind rows that were appended.
pub(super) fn appended(count: u64, view: &StreamView) -> String {
    fields([
        ("appended", count.to_string()),
        ("tail", view.tail.to_string()),
        ("digest", view.digest.to_string()),
        ("state", state(view).to_owned()),
    ])
}
