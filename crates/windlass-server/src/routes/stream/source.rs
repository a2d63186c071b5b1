//! Sources: what a session has anyway, read as a stream is.

use axum::http::{Method, StatusCode};
use windlass::access::Verb;
use windlass::core::SessionId;
use windlass::sources::{Order, SourceOf, SourceQuery};
use windlass::stream::{Cursor, ScanReader, Start};
use windlass_client::stream as wire;

use super::read::{OF_A_READ, cursor, digest, offset};
use super::{TAG, invalid};
use crate::call::{Call, Reply};
use crate::events::wants_stream;
use crate::problem::Refused;
use crate::reading::{self, Form, From, Place};
use crate::route::{Access, Handler, Route};

pub(super) fn routes() -> Vec<Route> {
    let [read_usage, read_commits, read_graph]: [Handler; 3] = [
        |call| Box::pin(read(call, SourceOf::Usage)),
        |call| Box::pin(read(call, SourceOf::Commits)),
        |call| Box::pin(read(call, SourceOf::Graph)),
    ];
    let [cancel_usage, cancel_commits, cancel_graph]: [Handler; 3] = [
        |call| Box::pin(cancel(call, SourceOf::Usage)),
        |call| Box::pin(cancel(call, SourceOf::Commits)),
        |call| Box::pin(cancel(call, SourceOf::Graph)),
    ];
    vec![
        reading_of(
            "/v1/sessions/{session}/sources/usage",
            "read_usage",
            read_usage,
        )
        .about(
            TAG,
            "Reads the recorded changes of a session as a stream; can go on after a cut",
        )
        .access(Access::Tenant(Verb::SessionRead))
        .serves(&["Sources::scan", "Sources::resume"]),
        reading_of(
            "/v1/sessions/{session}/sources/commits",
            "read_commits",
            read_commits,
        )
        .about(
            TAG,
            "Reads the commits of a state as a stream; can go on after a cut",
        )
        .access(Access::Tenant(Verb::StateRead))
        .serves(&["Streams::scan", "Streams::resume_scan", "Checkpoints::kept"]),
        reading_of(
            "/v1/sessions/{session}/sources/graph",
            "read_graph",
            read_graph,
        )
        .about(
            TAG,
            "Reads the nodes of a graph as a stream; can go on after a cut",
        )
        .access(Access::Tenant(Verb::StateRead))
        .serves(&["Checkpoints::graph_within"]),
        cancelling(
            "/v1/sessions/{session}/sources/usage/reads/{read}",
            "cancel_usage_read",
            cancel_usage,
        )
        .access(Access::Tenant(Verb::SessionRead))
        .serves(&["Sources::cancel", "Streams::scan_cursor"]),
        cancelling(
            "/v1/sessions/{session}/sources/commits/reads/{read}",
            "cancel_commits_read",
            cancel_commits,
        )
        .access(Access::Tenant(Verb::StateRead)),
        cancelling(
            "/v1/sessions/{session}/sources/graph/reads/{read}",
            "cancel_graph_read",
            cancel_graph,
        )
        .access(Access::Tenant(Verb::StateRead)),
    ]
}

fn reading_of(path: &'static str, name: &'static str, run: Handler) -> Route {
    Route::get(path, name, run)
        .query::<wire::ReadSource>()
        .sends(
            200,
            Some(wire::ROWS_MEDIA_TYPE),
            "Lines, each an object with one member",
        )
        .sends(
            200,
            Some(reading::EVENTS_MEDIA_TYPE),
            "The same, line by line, as events",
        )
        .sends(204, None, "Events whose end was received")
        .fails(&["expired"])
        .fails(OF_A_READ)
        .endless()
}

fn cancelling(path: &'static str, name: &'static str, run: Handler) -> Route {
    Route::new(Method::DELETE, path, name, run)
        .about(
            TAG,
            "Ends a read of a source for good, by its cursor; can be repeated",
        )
        .sends(204, None, "It has ended")
        .fails(&["expired"])
}

type Of = fn(SessionId) -> SourceOf;

async fn read(call: Call, of: Of) -> Result<Reply, Refused> {
    let mut asked: wire::ReadSource = call.query()?;
    let of = of(call.id("session")?);
    let form = match wants_stream(&call.headers) {
        true => Form::Events,
        false => Form::Lines,
    };
    if form == Form::Events {
        match reading::last_event(&call.headers) {
            None => {}
            // To anything else who speaks this protocol comes again for ever.
            Some(Ok(Place::End)) => return Ok(Reply::nothing(StatusCode::NO_CONTENT)),
            Some(Ok(Place::At(offset, Some(cursor)))) => {
                asked = wire::ReadSource {
                    cursor: Some(cursor),
                    from: Some(offset.to_string()),
                    ..wire::ReadSource::default()
                };
            }
            Some(Ok(Place::At(_, None)) | Err(())) => {
                return Err(invalid("Last-Event-ID", "it is none that was given"));
            }
        }
    }
    let reader = match &asked.cursor {
        Some(text) => resume(&call, &of, cursor(text)?, &asked).await?,
        None => open(&call, of, asked).await?,
    };
    let name = reader.cursor().to_string();
    Ok(reading::reply(
        call,
        From::Source(Box::new(reader), name),
        form,
        false,
    ))
}

async fn open(call: &Call, of: SourceOf, asked: wire::ReadSource) -> Result<ScanReader, Refused> {
    if asked.from.is_some() || asked.digest.is_some() {
        let detail = "`from` and `digest` are of a read that goes on, by its `cursor`";
        return Err(invalid("from", detail));
    }
    let query = SourceQuery {
        of,
        order: match asked.order.unwrap_or_default() {
            wire::SourceOrder::OldestFirst => Order::OldestFirst,
            wire::SourceOrder::NewestFirst => Order::NewestFirst,
        },
        kind: asked.kind,
        limit: asked.limit,
    };
    let sources = call.app.engine.sources().under(call.identity.of_lease());
    Ok(sources.scan(&call.caller()?, &query).await?)
}

async fn resume(
    call: &Call,
    of: &SourceOf,
    cursor: Cursor,
    asked: &wire::ReadSource,
) -> Result<ScanReader, Refused> {
    if asked.order.is_some() || asked.kind.is_some() || asked.limit.is_some() {
        let detail = "with a cursor, `order`, `kind` and `limit` are those it was opened with";
        return Err(invalid("cursor", detail));
    }
    let digest = asked.digest.as_deref().map(digest).transpose()?;
    let start = match asked.from.as_deref() {
        Some(from) => Start::At(offset(from)?, digest),
        None if digest.is_some() => {
            let detail = "`digest` is of a place, which is not given";
            return Err(invalid("digest", detail));
        }
        None => Start::Earliest,
    };
    let sources = call.app.engine.sources().under(call.identity.of_lease());
    Ok(sources.resume(&call.caller()?, of, &cursor, start).await?)
}

async fn cancel(call: Call, of: Of) -> Result<Reply, Refused> {
    let of = of(call.id("session")?);
    let cursor = cursor(call.text("read"))?;
    let sources = call.app.engine.sources();
    sources.cancel(&call.caller()?, &of, &cursor).await?;
    Ok(Reply::nothing(StatusCode::NO_CONTENT))
}
