//! Appending and closing.

use axum::http::StatusCode;
use windlass::stream::{Caller, DurableStreams, Path, Post, Posted, StreamError};

use super::headers::{closes, content_type, producer, sequence};
use super::{caller, path, refused, standing, streams};
use crate::call::{Call, Reply};
use crate::problem::Refused;

pub(super) async fn post(call: Call) -> Result<Reply, Refused> {
    let (caller, path) = (caller(&call)?, path(&call)?);
    let has_body = !call.body.is_empty();
    let post = Post {
        // Of a request without a body it says nothing.
        content_type: content_type(&call.headers).or_else(|refused| match has_body {
            true => Err(refused),
            false => Ok(None),
        })?,
        body: call.body.clone(),
        close: closes(&call.headers),
        producer: producer(&call.headers)?,
        sequence: sequence(&call.headers)?,
    };
    let streams = streams(&call);
    match streams.post(&caller, &path, &post).await {
        Ok(posted) => {
            call.app.hooks.appended(&caller, path.as_str());
            Ok(answer(&post, has_body, &posted))
        }
        Err(StreamError::Closed) => Err(closed(&streams, &caller, &path).await),
        Err(error) => Err(refused(error)),
    }
}

fn answer(post: &Post, has_body: bool, posted: &Posted) -> Reply {
    let is_news = post.producer.is_some() && has_body && !posted.repeated;
    let status = match is_news {
        true => StatusCode::OK,
        false => StatusCode::NO_CONTENT,
    };
    let reply = standing(status, posted.tail, posted.closed);
    match (&post.producer, posted.number) {
        (Some(producer), Some(number)) => reply
            .header("producer-epoch", producer.epoch.to_string())
            .header("producer-seq", number.to_string()),
        _ => reply,
    }
}

/// The refusal of whatever comes after the end, which says where that is.
async fn closed(streams: &DurableStreams, caller: &Caller, path: &Path) -> Refused {
    let shown = streams.show(caller, path).await;
    let problem = refused(StreamError::Closed);
    match shown {
        Ok(view) if view.closed => Box::new(
            problem
                .header("stream-closed", "true")
                .header("stream-next-offset", view.tail.to_string()),
        ),
        Ok(_) => problem,
        Err(error) => refused(error),
    }
}
