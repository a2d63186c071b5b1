//! Looking at streams, at the reads of them, and ending a read.

use axum::http::Method;
use futures_util::{StreamExt, TryStreamExt, stream as futures};
use windlass::access::Verb;
use windlass::core::StreamId;
use windlass::stream::{Caller, Cursor, CursorView, StreamError};
use windlass_client::stream as wire;

use super::change::OF_A_STREAM;
use super::{TAG, caller, invalid, session, shown, stream, streams};
use crate::call::{Call, Reply};
use crate::problem::{Problem, Refused};
use crate::route::{Access, Route};
use crate::routes::{limit, position};

/// Streams that a listing looks at at a time.
const LOOKS: usize = 8;

/// Most streams that a page looks at.
const LIMIT_MAX: usize = 1_000;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/v1/sessions/{session}/streams", "list_streams", |call| {
            Box::pin(list(call))
        })
        .about(
            TAG,
            "Lists the streams of a session that are the caller's own",
        )
        .access(Access::Tenant(Verb::StreamRead))
        .serves(&["Streams::list"])
        .query::<wire::StreamsQuery>()
        .answers::<wire::StreamList>(200, "A page of them")
        .fails(&["invalid_request", "cursor_invalid"]),
        Route::get("/v1/streams/{stream}", "get_stream", |call| {
            Box::pin(show(call))
        })
        .about(TAG, "Shows a stream as it is stored")
        .access(Access::Tenant(Verb::StreamRead))
        .serves(&["Streams::show"])
        .answers::<wire::Stream>(200, "The stream")
        .fails(OF_A_STREAM),
        Route::get(
            "/v1/streams/{stream}/reads/{read}",
            "get_stream_read",
            |call| Box::pin(show_read(call)),
        )
        .about(TAG, "Shows what a cursor stands for")
        .access(Access::Tenant(Verb::StreamRead))
        .serves(&["Streams::cursor"])
        .answers::<wire::StreamRead>(200, "The read")
        .fails(&["cancelled", "expired"]),
        Route::new(
            Method::DELETE,
            "/v1/streams/{stream}/reads/{read}",
            "cancel_stream_read",
            |call| Box::pin(cancel(call)),
        )
        .about(TAG, "Ends a read for good, by its cursor; can be repeated")
        .access(Access::Tenant(Verb::StreamRead))
        .serves(&["Streams::cancel"])
        .sends(204, None, "It has ended")
        .fails(&["expired"]),
        Route::get("/v1/store/streams", "get_stream_reads", |call| {
            Box::pin(reads(call))
        })
        .about(
            TAG,
            "Counts the streams that are being read in this process",
        )
        .access(Access::Operator(Verb::StoreRead))
        .serves(&["Streams::occupancy", "Streams::settings"])
        .answers::<wire::Reads>(200, "How many there are, and may be"),
    ]
}

async fn list(call: Call) -> Result<Reply, Refused> {
    let asked: wire::StreamsQuery = call.query()?;
    let session = session(&call, call.text("session")).await?;
    let limit = limit(asked.limit);
    if !(1..=LIMIT_MAX).contains(&limit) {
        return Err(invalid("limit", "`limit` is 1 to 1000"));
    }
    let of = caller(&call)?;
    let (tenant, principal) = (of.tenant.to_string(), of.principal.to_string());
    let listing = ["streams", &tenant, &principal, session.as_str()];
    let after: Option<StreamId> = position(&call, &listing, asked.cursor.as_deref())?;
    let page = streams(&call)
        .list(&of, &session, after.as_ref(), limit)
        .await?;
    let next = page.streams.last().filter(|_| page.more);
    let next_cursor = next.map(|last| call.app.seal.close(&listing, last.as_str()));
    let looks: Vec<_> = page.streams.iter().map(|id| look(&call, &of, id)).collect();
    let found = futures::iter(looks).buffered(LOOKS);
    let found: Vec<Option<wire::Stream>> = found.try_collect().await?;
    Ok(Reply::json(&wire::StreamList {
        streams: found.into_iter().flatten().collect(),
        next_cursor,
    }))
}

/// A stream of a listing; `None` for somebody else's, and for one that has
/// gone.
async fn look(
    call: &Call,
    of: &Caller,
    id: &StreamId,
) -> Result<Option<wire::Stream>, StreamError> {
    match streams(call).show(of, id).await {
        Ok(view) => Ok(Some(shown(view))),
        Err(StreamError::NotFound | StreamError::Expired | StreamError::Deleted) => Ok(None),
        Err(error) => Err(error),
    }
}

async fn show(call: Call) -> Result<Reply, Refused> {
    let view = streams(&call)
        .show(&caller(&call)?, &stream(&call)?)
        .await?;
    Ok(Reply::json(&shown(view)))
}

/// The cursor in the path. What is none names nothing.
fn cursor(call: &Call) -> Result<Cursor, Refused> {
    let cursor = call.text("read").parse();
    cursor.map_err(|_| Box::new(Problem::not_found()))
}

/// What a cursor of the stream in the path stands for; that of another stream
/// is not found.
async fn found(call: &Call, cursor: &Cursor) -> Result<CursorView, Refused> {
    let stream = stream(call)?;
    let view = streams(call).cursor(&caller(call)?, cursor).await?;
    if view.stream != stream {
        return Err(Box::new(Problem::not_found()));
    }
    Ok(view)
}

async fn show_read(call: Call) -> Result<Reply, Refused> {
    let view = found(&call, &cursor(&call)?).await?;
    Ok(Reply::json(&wire::StreamRead {
        at: view.at.to_string(),
        tail: view.tail.to_string(),
        follow: view.follow,
        expires_at: view.expires.get(),
    }))
}

async fn cancel(call: Call) -> Result<Reply, Refused> {
    let cursor = cursor(&call)?;
    match found(&call, &cursor).await {
        Err(problem) if problem.code() == "cancelled" => {}
        found => {
            found?;
            streams(&call).cancel(&caller(&call)?, &cursor).await?;
        }
    }
    Ok(Reply::nothing(axum::http::StatusCode::NO_CONTENT))
}

async fn reads(call: Call) -> Result<Reply, Refused> {
    let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let (settings, occupancy) = (streams(&call).settings(), streams(&call).occupancy());
    let mut principals: Vec<_> = occupancy.by.into_iter().collect();
    principals.sort_unstable_by(|(one, _), (other, _)| {
        (&one.tenant, &one.principal).cmp(&(&other.tenant, &other.principal))
    });
    let shown = principals
        .into_iter()
        .map(|(of, count)| wire::PrincipalReads {
            tenant: of.tenant.to_string(),
            principal: of.principal.to_string(),
            current: number(count),
        });
    Ok(Reply::json(&wire::Reads {
        current: number(occupancy.all),
        limit: number(settings.streams_max),
        principal_limit: number(settings.principal_streams_max),
        principals: shown.collect(),
    }))
}
