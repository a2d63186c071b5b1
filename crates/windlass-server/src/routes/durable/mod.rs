//! The Durable Streams protocol: streams by path, for clients that exist.
//!
//! Bodies and headers are those of the protocol; where it leaves a body open,
//! errors are the problems of all other routes. Offsets are those of the
//! stream's rows.

mod events;
mod get;
mod headers;
mod input;
mod post;
mod put;

use axum::http::{Method, StatusCode};
use windlass::access::Verb;
use windlass::stream::{Caller, DurableStreams, DurableView, Offset, Path, RowError, StreamError};

use crate::call::{Call, Reply};
use crate::problem::{Problem, Refused};
use crate::route::{Access, Preconditions, Route};

const TAG: &str = "durable streams";

/// Where the protocol's streams are.
const ROOT: &str = "/durable/v1/stream/";
const PATH: &str = "/durable/v1/stream/{*path}";

/// The first segment of paths that are not streams.
const RESERVED: &str = "__ds";

/// Bytes of a body. What is appended is one commit, which refuses less than
/// this; but who is still sending does not hear why.
const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Bytes of rows that one answer has, and one event.
const PIECE_BYTES_MAX: usize = 256 * 1024;

/// Refusals of whatever names a stream.
const OF_STREAM: &[&str] = &["invalid_request", "stream_deleted"];

pub(super) fn routes() -> Vec<Route> {
    let mut routes = changes();
    routes.extend(readings());
    routes.extend(input::routes());
    routes
}

fn changes() -> Vec<Route> {
    vec![
        Route::new(Method::PUT, PATH, "put_durable_stream", |call| {
            Box::pin(put::put(call))
        })
        .about(
            TAG,
            "Makes a stream, or finds the one that is there, or forks one",
        )
        .access(Access::Tenant(Verb::StreamWrite))
        .serves(&["DurableStreams::put"])
        .takes_bytes("*/*", BODY_BYTES_MAX)
        .sends(201, None, "It was made")
        .located()
        .sends(200, None, "It is there as it was wanted")
        .fails(OF_STREAM)
        .fails(&[
            "stream_differs",
            "content_type_mismatch",
            "invalid_row",
            "gap",
            "offset_beyond_tail",
        ])
        .also(409, "stream_deleted")
        .also(413, "invalid_row"),
        Route::new(Method::POST, PATH, "post_durable_stream", |call| {
            Box::pin(post::post(call))
        })
        .about(TAG, "Appends to a stream, closes it, or does both")
        .access(Access::Tenant(Verb::StreamWrite))
        .serves(&["DurableStreams::post"])
        .takes_bytes("*/*", BODY_BYTES_MAX)
        .sends(204, None, "It was appended, or had been before")
        .sends(200, None, "It was appended by a producer")
        .fails(OF_STREAM)
        .fails(&[
            "stream_closed",
            "content_type_mismatch",
            "invalid_row",
            "writer_sequence_regressed",
        ])
        .fails(&[
            "producer_epoch_stale",
            "producer_sequence_gap",
            "too_many_producers",
        ])
        .also(413, "invalid_row"),
        Route::new(Method::DELETE, PATH, "delete_durable_stream", |call| {
            Box::pin(delete(call))
        })
        .about(
            TAG,
            "Removes a stream; its rows stay for as long as forks need them",
        )
        .access(Access::Tenant(Verb::StreamManage))
        .serves(&["DurableStreams::remove"])
        .sends(204, None, "It is gone")
        .fails(OF_STREAM),
    ]
}

fn readings() -> Vec<Route> {
    vec![
        Route::get(PATH, "get_durable_stream", |call| Box::pin(get::get(call)))
            .about(TAG, "Reads a stream: what there is, or what comes")
            .access(Access::Tenant(Verb::StreamRead))
            .serves(&["DurableStreams::read", "DurableStreams::live"])
            .query::<windlass_client::durable::ReadQuery>()
            .sends(200, Some("*/*"), "Its rows")
            .tagged()
            .sends(
                200,
                Some("text/event-stream"),
                "Its rows, and those that come",
            )
            .sends(204, None, "No row came")
            .sends(304, None, "Nothing else than what is known already")
            .tagged()
            .fails(OF_STREAM)
            .fails(&["gap", "offset_beyond_tail", "expired", "lease_revoked"])
            .fails(&[
                "server_stream_capacity_exhausted",
                "principal_stream_quota_exhausted",
            ])
            .also(410, "gap")
            .honours(Preconditions {
                if_changed: true,
                ..Preconditions::default()
            })
            .endless(),
        Route::new(Method::HEAD, PATH, "head_durable_stream", |call| {
            Box::pin(head(call))
        })
        .about(TAG, "Shows where a stream stands, and is no use of it")
        .access(Access::Tenant(Verb::StreamRead))
        .serves(&["DurableStreams::show"])
        .sends(200, None, "It is there")
        .fails(OF_STREAM),
    ]
}

fn streams(call: &Call) -> DurableStreams {
    let streams = call.app.engine.streams();
    streams.under(call.identity.of_lease()).durable()
}

/// For whom: a path is its principal's alone.
fn caller(call: &Call) -> Result<Caller, Refused> {
    let caller = call.caller()?;
    Ok(Caller::new(caller.tenant, caller.principal))
}

/// The path that is asked for.
fn path(call: &Call) -> Result<Path, Refused> {
    named(call.text("path"))
}

fn named(text: &str) -> Result<Path, Refused> {
    if text.split('/').next() == Some(RESERVED) {
        return Err(Box::new(Problem::not_found()));
    }
    Ok(text.parse::<Path>()?)
}

/// An offset as the protocol's clients give it back. The protocol's own zero
/// has a second half, for a place within a row, which no offset of ours has.
fn offset(text: &str) -> Option<Offset> {
    let whole = text.strip_suffix("_0000000000000000").unwrap_or(text);
    whole.parse().ok()
}

fn invalid(field: &'static str, detail: &str) -> Refused {
    let problem = Problem::new(400, "invalid_request", detail);
    Box::new(problem.with("field", field))
}

/// A refusal as the protocol answers it.
fn refused(error: StreamError) -> Refused {
    let too_long = matches!(error, StreamError::Row(RowError::TooLong { .. }));
    let headers = match &error {
        StreamError::StaleEpoch { current } => vec![("producer-epoch", current.to_string())],
        StreamError::SequenceGap { expected, received } => vec![
            ("producer-expected-seq", expected.to_string()),
            ("producer-received-seq", received.to_string()),
        ],
        _ => Vec::new(),
    };
    let mut problem: Refused = error.into();
    if too_long {
        problem = Box::new(problem.under(413));
    }
    for (name, value) in headers {
        problem = Box::new(problem.header(name, value));
    }
    problem
}

/// An answer that says where a stream stands, and has no body.
fn standing(status: StatusCode, tail: Offset, closed: bool) -> Reply {
    let reply = Reply::nothing(status).header("stream-next-offset", tail.to_string());
    if closed {
        return reply.header("stream-closed", "true");
    }
    reply
}

async fn head(call: Call) -> Result<Reply, Refused> {
    let (caller, path) = (caller(&call)?, path(&call)?);
    let shown = streams(&call).show(&caller, &path).await;
    let DurableView {
        content_type,
        tail,
        closed,
        expiry,
        ..
    } = shown.map_err(refused)?;
    let reply = standing(StatusCode::OK, tail, closed);
    let mut reply = reply.header("content-type", content_type.as_str());
    for (name, value) in headers::of_expiry(expiry) {
        reply = reply.header(name, value);
    }
    Ok(reply)
}

async fn delete(call: Call) -> Result<Reply, Refused> {
    let (caller, path) = (caller(&call)?, path(&call)?);
    let removed = streams(&call).remove(&caller, &path).await;
    removed.map_err(refused)?;
    Ok(Reply::nothing(StatusCode::NO_CONTENT))
}
