//! Making streams, closing them, trimming and removing them.

use axum::http::{Method, StatusCode};
use windlass::access::Verb;
use windlass::core::Millis;
use windlass::stream::{Expiry, NewStream, Offset, Step};
use windlass_client::stream as wire;

use super::{TAG, caller, ending, invalid, placed, session, shown, stream, streams};
use crate::call::{Call, Reply, parse_id};
use crate::problem::Refused;
use crate::route::{Access, Route};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::post("/v1/streams", "create_stream", |call| {
            Box::pin(create(call))
        })
        .about(TAG, "Makes a stream of a session's output")
        .access(Access::Tenant(Verb::StreamWrite))
        .serves(&["Streams::make", "Streams::create"])
        .takes::<wire::CreateStream>()
        .answers::<wire::Stream>(201, "The stream")
        .located()
        .fails(&["not_found", "stream_exists", "expired", "stream_deleted"]),
        Route::post("/v1/streams/{stream}/close", "close_stream", |call| {
            Box::pin(close(call))
        })
        .about(
            TAG,
            "Closes a stream for good; its readers are told after the last row",
        )
        .access(Access::Tenant(Verb::StreamWrite))
        .serves(&["Streams::apply", "Streams::close"])
        .takes::<wire::CloseStream>()
        .optionally()
        .answers::<wire::Placed>(200, "Where it ended")
        .fails(OF_A_STREAM)
        .fails(&["stream_closed"]),
        Route::post("/v1/streams/{stream}/trim", "trim_stream", |call| {
            Box::pin(trim(call))
        })
        .about(
            TAG,
            "Gives up rows before an offset; what is being read is kept until a later call",
        )
        .access(Access::Tenant(Verb::StreamManage))
        .serves(&["Streams::trim"])
        .takes::<wire::TrimStream>()
        .answers::<wire::Trimmed>(200, "What it came to")
        .fails(OF_A_STREAM)
        .fails(&["offset_beyond_tail"])
        .without_operation(),
        Route::new(
            Method::DELETE,
            "/v1/streams/{stream}",
            "remove_stream",
            |call| Box::pin(remove(call)),
        )
        .about(
            TAG,
            "Removes a stream with all that belongs to it, read or not",
        )
        .access(Access::Tenant(Verb::StreamManage))
        .serves(&["Streams::remove"])
        .answers::<wire::RemovedStream>(200, "How much that was")
        .fails(&["stream_deleted"]),
    ]
}

/// How a stream is refused that is there.
pub(super) const OF_A_STREAM: &[&str] = &["expired", "stream_deleted"];

async fn create(call: Call) -> Result<Reply, Refused> {
    let asked: wire::CreateStream = call.json()?;
    let of = caller(&call)?;
    let new = NewStream {
        session: session(&call, &asked.session).await?,
        id: asked.id.map(|id| parse_id("id", &id)).transpose()?,
        expiry: expiry(asked.expiry.unwrap_or_default()),
    };
    let made = streams(&call)
        .make(&of, &new, call.operation.as_ref())
        .await?;
    let view = streams(&call).show(&of, &made.stream).await?;
    let path = format!("/v1/streams/{}", made.stream);
    Ok(Reply::json(&shown(view))
        .status(StatusCode::CREATED)
        .location(path))
}

const fn expiry(asked: wire::StreamExpiry) -> Expiry {
    match asked {
        wire::StreamExpiry::Never => Expiry::Never,
        wire::StreamExpiry::IdleMs(ms) => Expiry::IdleMs(ms),
        wire::StreamExpiry::SlidingMs(ms) => Expiry::SlidingMs(ms),
        wire::StreamExpiry::At(time) => Expiry::At(Millis::new(time)),
    }
}

async fn close(call: Call) -> Result<Reply, Refused> {
    let asked: wire::CloseStream = call.json_or_default()?;
    let step = Step::close(stream(&call)?, ending(asked.how));
    let of = caller(&call)?;
    let closed = streams(&call).apply(&of, &step, call.operation.as_ref());
    Ok(Reply::json(&placed(closed.await?.placed)))
}

async fn trim(call: Call) -> Result<Reply, Refused> {
    let asked: wire::TrimStream = call.json()?;
    let before: Offset = asked
        .before
        .parse()
        .map_err(|_| invalid("before", "`before` is no offset"))?;
    let (of, stream) = (caller(&call)?, stream(&call)?);
    let trimmed = streams(&call).trim(&of, &stream, before);
    let trimmed = trimmed.await?;
    Ok(Reply::json(&wire::Trimmed {
        earliest: trimmed.earliest.to_string(),
        kept: trimmed.kept.to_string(),
        chunks_removed: trimmed.chunks_removed,
    }))
}

async fn remove(call: Call) -> Result<Reply, Refused> {
    let rows = streams(&call)
        .remove(&caller(&call)?, &stream(&call)?)
        .await?;
    Ok(Reply::json(&wire::RemovedStream { rows }))
}
