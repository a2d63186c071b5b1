//! Attachments: announced, sent piece by piece, finished, and then taken by a
//! commit.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Method, StatusCode};
use bytes::Bytes;
use windlass::access::Verb;
use windlass::checkpoint::{Attachment, BlobId, NewAttachment};
use windlass_client::state as wire;

use super::content::{BYTES, Reader, body};
use super::{Of, TAG, absent, invalid, limit, of, states};
use crate::call::{Call, Reply};
use crate::problem::Refused;
use crate::route::{Access, Route};
use crate::routes::stash::VALUE_BYTES_MAX;

/// Refusals of whatever adds to an attachment.
const OF_CHANGE: &[&str] = &[
    "invalid_request",
    "already_closed",
    "expired",
    "attachment_not_found",
];

pub(super) fn routes() -> Vec<Route> {
    let mut routes = changes();
    routes.extend(readings());
    routes
}

fn changing(route: Route, summary: &'static str) -> Route {
    route
        .about(TAG, summary)
        .access(Access::Tenant(Verb::StateWrite))
        .without_operation()
}

fn changes() -> Vec<Route> {
    let begin = Route::post(
        "/v1/sessions/{session}/state/attachments",
        "begin_attachment",
        |call| Box::pin(begin(call)),
    );
    let append = Route::post(
        "/v1/sessions/{session}/state/attachments/{attachment}/bytes",
        "append_attachment",
        |call| Box::pin(append(call)),
    );
    let finish = Route::post(
        "/v1/sessions/{session}/state/attachments/{attachment}/finish",
        "finish_attachment",
        |call| Box::pin(finish(call)),
    );
    let remove = Route::new(
        Method::DELETE,
        "/v1/sessions/{session}/state/attachments/{attachment}",
        "drop_attachment",
        |call| Box::pin(remove(call)),
    );
    vec![
        changing(
            begin,
            "Announces an attachment; one that no commit takes goes by itself",
        )
        .serves(&["Checkpoints::begin_attachment"])
        .takes::<wire::NewAttachment>()
        .optionally()
        .answers::<wire::Attachment>(201, "The attachment, without bytes yet")
        .located()
        .fails(OF_CHANGE)
        .fails(&["state_removed"]),
        changing(
            append,
            "Adds bytes to an attachment, where those that are there end",
        )
        .serves(&["Checkpoints::append_attachment"])
        .takes::<wire::AppendBytes>()
        .body_bytes_max(VALUE_BYTES_MAX)
        .answers::<wire::Attachment>(200, "The attachment with them")
        .fails(OF_CHANGE)
        .fails(&["attachment_offset", "attachment_finished"]),
        changing(
            finish,
            "Says that all bytes of an attachment are there; can be repeated",
        )
        .serves(&["Checkpoints::finish_attachment"])
        .takes::<wire::FinishAttachment>()
        .optionally()
        .answers::<wire::Attachment>(200, "The attachment with its hash")
        .fails(OF_CHANGE)
        .fails(&["digest_mismatch"]),
        changing(
            remove,
            "Takes an attachment away, from forks too; can be repeated",
        )
        .serves(&["Checkpoints::drop_attachment"])
        .answers::<wire::Dropped>(200, "Whether there was one")
        .fails(OF_CHANGE),
    ]
}

fn readings() -> Vec<Route> {
    let list = Route::get(
        "/v1/sessions/{session}/state/attachments",
        "list_attachments",
        |call| Box::pin(list(call)),
    );
    let show = Route::get(
        "/v1/sessions/{session}/state/attachments/{attachment}",
        "get_attachment",
        |call| Box::pin(show(call)),
    );
    let content = Route::get(
        "/v1/sessions/{session}/state/attachments/{attachment}/bytes",
        "get_attached_bytes",
        |call| Box::pin(content(call)),
    );
    let reading = |route: Route, summary| {
        route
            .about(TAG, summary)
            .access(Access::Tenant(Verb::StateRead))
            .fails(&["invalid_request"])
    };
    vec![
        reading(list, "Lists attachments in the order they were announced")
            .serves(&["Checkpoints::attachments"])
            .query::<wire::AttachmentsQuery>()
            .answers::<wire::AttachmentPage>(200, "Some of them"),
        reading(show, "Shows an attachment without its bytes")
            .serves(&["Checkpoints::attachment"])
            .answers::<wire::Attachment>(200, "The attachment"),
        reading(content, "Sends bytes of an attachment")
            .serves(&["Checkpoints::open_attachment"])
            .query::<wire::RangeQuery>()
            .sends(
                200,
                Some(BYTES),
                "The bytes; cut short if they turn out to be damaged",
            )
            .fails(&["attachment_not_found"]),
    ]
}

/// What a change works on: a session that has ended gets no more.
async fn open(call: &Call) -> Result<Of, Refused> {
    let of = of(call).await?;
    of.check_open(call).await?;
    Ok(of)
}

fn id(call: &Call) -> &str {
    call.text("attachment")
}

fn shown(attachment: &Attachment) -> Reply {
    Reply::json(attachment)
}

async fn begin(call: Call) -> Result<Reply, Refused> {
    let asked: wire::NewAttachment = call.json_or_default()?;
    let of = open(&call).await?;
    let new = NewAttachment {
        kind: asked.kind.map(Arc::from),
        name: asked.name.map(Arc::from),
    };
    let begun = states(&call).begin_attachment(&of.caller, &of.session, new);
    let begun = begun.await?;
    let path = format!("{}/attachments/{}", of.path(), begun.id);
    Ok(shown(&begun).status(StatusCode::CREATED).location(path))
}

async fn append(call: Call) -> Result<Reply, Refused> {
    let asked: wire::AppendBytes = call.json()?;
    let of = open(&call).await?;
    let bytes = Bytes::from(asked.bytes.0);
    let states = states(&call);
    let added = states
        .append_attachment(&of.caller, &of.session, id(&call), asked.start, &bytes)
        .await?;
    Ok(shown(&added))
}

async fn finish(call: Call) -> Result<Reply, Refused> {
    let asked: wire::FinishAttachment = call.json_or_default()?;
    let expected: Option<Result<BlobId, _>> = asked.expected.as_deref().map(str::parse);
    let expected = expected.transpose();
    let expected = expected.map_err(|error| invalid("expected", &error.to_string()))?;
    let of = open(&call).await?;
    let states = states(&call);
    let finished = states
        .finish_attachment(&of.caller, &of.session, id(&call), expected)
        .await?;
    Ok(shown(&finished))
}

async fn remove(call: Call) -> Result<Reply, Refused> {
    let of = open(&call).await?;
    let dropped = states(&call).drop_attachment(&of.caller, &of.session, id(&call));
    let dropped = dropped.await?;
    Ok(Reply::json(&wire::Dropped { dropped }))
}

async fn list(call: Call) -> Result<Reply, Refused> {
    let asked: wire::AttachmentsQuery = call.query()?;
    let limit = limit(asked.limit)?;
    let of = of(&call).await?;
    let after = asked.after.as_deref();
    let page = states(&call).attachments(&of.caller, &of.session, after, limit);
    Ok(Reply::json(&page.await?))
}

async fn show(call: Call) -> Result<Reply, Refused> {
    let of = of(&call).await?;
    let found = states(&call).attachment(&of.caller, &of.session, id(&call));
    Ok(shown(&found.await?.ok_or_else(absent)?))
}

async fn content(call: Call) -> Result<Reply, Refused> {
    let asked: wire::RangeQuery = call.query()?;
    let (start, end) = (asked.start.unwrap_or(0), asked.end.unwrap_or(u64::MAX));
    if start > end {
        return Err(invalid("end", "`end` lies before `start`"));
    }
    let of = of(&call).await?;
    let states = states(&call);
    let opened = states.open_attachment(&of.caller, &of.session, id(&call), start..end);
    let reader = opened.await?.ok_or_else(absent)?;
    let size = reader.size();
    let wanted = end.min(size) - start.min(size);
    let body: Body = body(Reader::Attachment(Box::new(reader)), wanted).await?;
    Ok(Reply::of(BYTES, body))
}
