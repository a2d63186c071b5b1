//! Streams as text for people.

use windlass_client::stream::{Stream, StreamEnding, StreamExpiry};

use crate::table::{fields, moment, plain, rows as table};

const fn state(stream: &Stream) -> &'static str {
    match &stream.closed {
        None => "open",
        Some(closed) => match closed.how {
            StreamEnding::Finished => "finished",
            StreamEnding::Failed { .. } => "failed",
            StreamEnding::Cancelled => "cancelled",
        },
    }
}

/// Streams, one a row.
pub(super) fn rows(streams: &[Stream]) -> String {
    let shown = streams.iter().map(|stream| {
        [
            plain(&stream.id),
            state(stream).to_owned(),
            stream.tail.clone(),
            stream.bytes.clone(),
            moment(stream.changed_at),
        ]
    });
    table(["STREAM", "STATE", "TAIL", "BYTES", "CHANGED"], shown)
}

/// One stream.
pub(super) fn one(stream: &Stream) -> String {
    let session = stream.session.as_deref().unwrap_or("-");
    let mut shown = vec![
        ("id", plain(&stream.id)),
        ("session", plain(session)),
        ("principal", plain(&stream.principal)),
        ("state", state(stream).to_owned()),
        ("created_at", moment(stream.created_at)),
        ("changed_at", moment(stream.changed_at)),
        ("earliest", stream.earliest.clone()),
        ("tail", stream.tail.clone()),
        ("digest", stream.digest.clone()),
        ("bytes", stream.bytes.clone()),
        ("expires", expires(stream.expiry)),
    ];
    let how = stream.closed.as_ref().map(|closed| &closed.how);
    if let Some(StreamEnding::Failed { code, message }) = how {
        shown.push(("code", plain(code)));
        shown.push(("message", plain(message)));
    }
    fields(shown)
}

fn expires(expiry: StreamExpiry) -> String {
    match expiry {
        StreamExpiry::Never => "never".to_owned(),
        StreamExpiry::IdleMs(ms) => format!("after {ms} ms without a change"),
        StreamExpiry::SlidingMs(ms) => format!("after {ms} ms without a read or a change"),
        StreamExpiry::At(at) => moment(at),
    }
}

/// Where a stream stands behind rows that were appended.
pub(super) fn appended(count: u64, stream: &Stream) -> String {
    fields([
        ("appended", count.to_string()),
        ("tail", stream.tail.clone()),
        ("digest", stream.digest.clone()),
        ("state", state(stream).to_owned()),
    ])
}
