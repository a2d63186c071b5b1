//! Streams: output that is read on after any cut.

mod append;
mod change;
mod look;
mod read;
mod source;

use windlass::core::{SessionId, StreamId};
use windlass::stream::{Caller, Placed, Row, StreamView, Streams};
use windlass_client::stream as wire;

use super::queue::check_reach;
use crate::call::{Call, parse_id};
use crate::problem::{Problem, Refused};
use crate::route::Route;

const TAG: &str = "streams";

pub(super) fn routes() -> Vec<Route> {
    let mut routes = change::routes();
    routes.extend(look::routes());
    routes.push(append::route());
    routes.extend(read::routes());
    routes.extend(source::routes());
    routes
}

fn streams(call: &Call) -> &Streams {
    call.app.engine.streams()
}

/// For whom: a stream is its principal's alone.
fn caller(call: &Call) -> Result<Caller, Refused> {
    let caller = call.caller()?;
    Ok(Caller::new(caller.tenant, caller.principal))
}

/// The stream in the path.
fn stream(call: &Call) -> Result<StreamId, Refused> {
    call.id("stream")
}

/// A session that the caller may see.
async fn session(call: &Call, name: &str) -> Result<SessionId, Refused> {
    let session = parse_id("session", name)?;
    check_reach(call, &call.caller()?, &session).await?;
    Ok(session)
}

fn invalid(field: &'static str, detail: &str) -> Refused {
    let problem = Problem::new(400, "invalid_request", detail);
    Box::new(problem.with("field", field))
}

fn shown(view: StreamView) -> wire::Stream {
    wire::Stream {
        id: view.id.to_string(),
        principal: view.principal.to_string(),
        session: view.session.map(|session| session.to_string()),
        created_at: view.created.get(),
        changed_at: view.changed.get(),
        earliest: view.earliest.to_string(),
        tail: view.tail.to_string(),
        digest: view.digest.to_string(),
        bytes: view.bytes.to_string(),
        expiry: expiry_shown(view.expiry),
        closed: view.closed.map(|closed| wire::StreamClosed {
            at: closed.at.get(),
            how: ending_shown(closed.how),
        }),
    }
}

pub(super) fn placed(placed: Placed) -> wire::Placed {
    wire::Placed {
        first: placed.first.to_string(),
        tail: placed.tail.to_string(),
        digest: placed.digest.to_string(),
    }
}

const fn expiry_shown(expiry: windlass::stream::Expiry) -> wire::StreamExpiry {
    use windlass::stream::Expiry;
    match expiry {
        Expiry::Never => wire::StreamExpiry::Never,
        Expiry::IdleMs(ms) => wire::StreamExpiry::IdleMs(ms),
        Expiry::SlidingMs(ms) => wire::StreamExpiry::SlidingMs(ms),
        Expiry::At(time) => wire::StreamExpiry::At(time.get()),
    }
}

fn ending_shown(how: windlass::stream::Ending) -> wire::StreamEnding {
    use windlass::stream::Ending;
    match how {
        Ending::Finished => wire::StreamEnding::Finished,
        Ending::Failed { code, message } => wire::StreamEnding::Failed {
            code: code.to_string(),
            message: message.to_string(),
        },
        Ending::Cancelled => wire::StreamEnding::Cancelled,
    }
}

/// The row of a body that is JSON.
pub(super) fn row(asked: wire::NewRow) -> Result<Row, Refused> {
    match (asked.row, asked.bytes) {
        (Some(json), None) => Ok(Row::Json(Box::<str>::from(json).into_string().into())),
        (None, Some(bytes)) => Ok(Row::Bytes(bytes.0.into())),
        _ => Err(invalid("rows", "a row has one of `row` and `bytes`")),
    }
}

/// An ending that was asked for.
pub(super) fn ending(how: wire::StreamEnding) -> windlass::stream::Ending {
    use windlass::stream::Ending;
    match how {
        wire::StreamEnding::Finished => Ending::Finished,
        wire::StreamEnding::Failed { code, message } => Ending::Failed {
            code: code.into(),
            message: message.into(),
        },
        wire::StreamEnding::Cancelled => Ending::Cancelled,
    }
}
