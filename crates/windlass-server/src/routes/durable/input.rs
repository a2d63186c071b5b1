//! Inputs: rows that nobody reads before they are all there and as they were
//! meant.

use axum::http::{Method, StatusCode};
use windlass::access::Verb;
use windlass::core::Millis;
use windlass::stream::{Expiry, InputId, InputState, InputView, NewInput, Post};
use windlass_client::stream as wire;

use super::headers::{content_type, producer, sequence};
use super::{BODY_BYTES_MAX, caller, invalid, named, refused, streams};
use crate::call::{Call, Reply};
use crate::problem::Refused;
use crate::route::{Access, Route};

const TAG: &str = "inputs";

const ROWS_PATH: &str = "/v1/inputs/{input}/rows";

pub(super) fn routes() -> Vec<Route> {
    let mut routes = changes();
    routes.push(
        Route::get("/v1/inputs/{input}", "get_input", |call| {
            Box::pin(show(call))
        })
        .about(TAG, "Shows an input: how far it is, and what became of it")
        .access(Access::Tenant(Verb::StreamRead))
        .serves(&["DurableStreams::show_input"])
        .answers::<wire::Input>(200, "The input"),
    );
    routes
}

fn changes() -> Vec<Route> {
    vec![
        Route::post("/v1/inputs", "open_input", |call| Box::pin(open(call)))
            .about(
                TAG,
                "Begins an input, whose rows nobody sees before it is finished",
            )
            .access(Access::Tenant(Verb::StreamWrite))
            .serves(&["DurableStreams::open_input"])
            .takes::<wire::NewInput>()
            .answers::<wire::Input>(201, "The input")
            .located()
            .fails(&["stream_exists"]),
        Route::post(ROWS_PATH, "append_input", |call| Box::pin(append(call)))
            .about(
                TAG,
                "Appends a row, or of a JSON array each element; by a producer, once",
            )
            .access(Access::Tenant(Verb::StreamWrite))
            .serves(&["DurableStreams::append_input"])
            .takes_bytes("*/*", BODY_BYTES_MAX)
            .answers::<wire::InputAppended>(200, "Where it stands")
            .fails(&["stream_closed", "content_type_mismatch", "invalid_row"])
            .fails(&["writer_sequence_regressed", "producer_epoch_stale"])
            .fails(&["producer_sequence_gap", "too_many_producers"])
            .also(413, "invalid_row")
            .without_operation(),
        Route::post("/v1/inputs/{input}/finish", "finish_input", |call| {
            Box::pin(finish(call))
        })
        .about(
            TAG,
            "Compares the rows with their digest, and gives the stream its path; can be repeated",
        )
        .access(Access::Tenant(Verb::StreamWrite))
        .serves(&["DurableStreams::finish_input"])
        .takes::<wire::FinishInput>()
        .optionally()
        .answers::<wire::FinishedInput>(200, "The stream")
        .fails(&[
            "integrity_missing_digest",
            "integrity_failed",
            "stream_exists",
        ])
        .without_operation(),
        Route::new(Method::DELETE, "/v1/inputs/{input}", "drop_input", |call| {
            Box::pin(give_up(call))
        })
        .about(TAG, "Gives up an input that is not finished, with its rows")
        .access(Access::Tenant(Verb::StreamWrite))
        .serves(&["DurableStreams::drop_input"])
        .sends(204, None, "It is gone"),
    ]
}

/// The input in the path. What is no name is that of none.
fn input(call: &Call) -> Result<InputId, Refused> {
    Ok(call.text("input").parse::<InputId>()?)
}

async fn open(call: Call) -> Result<Reply, Refused> {
    let asked: wire::NewInput = call.json()?;
    let target = named(&asked.target);
    let new = NewInput {
        target: target
            .map_err(|_| invalid("target", "`target` is no path that a stream can have"))?,
        content_type: asked.content_type.as_deref().map(str::parse).transpose()?,
        expiry: match asked.expiry.unwrap_or_default() {
            wire::StreamExpiry::Never => Expiry::Never,
            wire::StreamExpiry::IdleMs(ms) => Expiry::IdleMs(ms),
            wire::StreamExpiry::SlidingMs(ms) => Expiry::SlidingMs(ms),
            wire::StreamExpiry::At(time) => Expiry::At(Millis::new(time)),
        },
        verified: asked.verified,
    };
    let (caller, streams) = (caller(&call)?, streams(&call));
    let opened = streams.open_input(&caller, &new, call.operation.as_ref());
    let opened = opened.await?;
    let path = format!("/v1/inputs/{}", opened.id);
    Ok(Reply::json(&shown(opened))
        .status(StatusCode::CREATED)
        .location(path))
}

async fn append(call: Call) -> Result<Reply, Refused> {
    let (caller, input) = (caller(&call)?, input(&call)?);
    let post = Post {
        content_type: content_type(&call.headers)?,
        body: call.body.clone(),
        close: false,
        producer: producer(&call.headers)?,
        sequence: sequence(&call.headers)?,
    };
    let posted = streams(&call).append_input(&caller, &input, &post).await;
    let posted = posted.map_err(refused)?;
    Ok(Reply::json(&wire::InputAppended {
        tail: posted.tail.to_string(),
        repeated: posted.repeated,
    }))
}

async fn show(call: Call) -> Result<Reply, Refused> {
    let view = streams(&call)
        .show_input(&caller(&call)?, &input(&call)?)
        .await?;
    Ok(Reply::json(&shown(view)))
}

/// Whoever waits for the path hears of it.
async fn finish(call: Call) -> Result<Reply, Refused> {
    let asked: wire::FinishInput = call.json_or_default()?;
    let (caller, input) = (caller(&call)?, input(&call)?);
    let streams = streams(&call);
    let finished = streams.finish_input(&caller, &input, asked.digest.as_deref());
    let finished = finished.await?;
    let path = streams
        .show_input(&caller, &input)
        .await?
        .target
        .to_string();
    call.app.hooks.appended(&caller, &path);
    Ok(Reply::json(&wire::FinishedInput {
        path,
        tail: finished.tail.to_string(),
    }))
}

async fn give_up(call: Call) -> Result<Reply, Refused> {
    streams(&call)
        .drop_input(&caller(&call)?, &input(&call)?)
        .await?;
    Ok(Reply::nothing(StatusCode::NO_CONTENT))
}

fn shown(view: InputView) -> wire::Input {
    wire::Input {
        id: view.id.to_string(),
        target: view.target.to_string(),
        content_type: view.content_type.as_str().to_owned(),
        tail: view.tail.to_string(),
        state: match view.state {
            InputState::Open { verified, expires } => wire::InputState::Open {
                verified,
                expires_at: expires.map(Millis::get),
            },
            InputState::Finished => wire::InputState::Finished,
            InputState::Withdrawn(why) => wire::InputState::Withdrawn {
                expected: why.expected.to_string(),
                actual: why.actual.to_string(),
                first: why.first.to_string(),
                tail: why.tail.to_string(),
            },
        },
    }
}
