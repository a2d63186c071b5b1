//! Giving out contents: whole while they are small, and piece by piece as
//! they are read while they are not.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream::{BoxStream, StreamExt};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use windlass::access::Verb;
use windlass::checkpoint::{AttachmentReader, BlobId, BlobReader, CheckpointError, Form, PartName};
use windlass_client::state as wire;

use super::{TAG, absent, at, invalid, of, states};
use crate::call::{Call, Reply, tag_text};
use crate::problem::Refused;
use crate::route::{Access, Preconditions, Route};

pub(super) const BYTES: &str = "application/octet-stream";

const JSON: &str = "application/json";

/// What is known by its tag need not be sent again.
const KNOWN: Preconditions = Preconditions {
    if_match: false,
    if_absent: false,
    if_changed: true,
};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get(
            "/v1/sessions/{session}/state/parts/{part}",
            "get_part",
            |call| Box::pin(part(call)),
        )
        .about(TAG, "Sends the content of a part, or what is known of it")
        .access(Access::Tenant(Verb::StateRead))
        .serves(&["Checkpoints::part"])
        .query::<wire::PartQuery>()
        .sends(
            200,
            Some(JSON),
            "The content of a part that is JSON; with `meta`, what is known of it",
        )
        .sends(200, Some(BYTES), "The content of any other part")
        .tagged()
        .sends(304, None, "The content is the one that is known already")
        .tagged()
        .fails(&["invalid_request", "blob_not_found"])
        .honours(KNOWN),
        Route::get(
            "/v1/sessions/{session}/state/blobs/{blob}",
            "get_blob",
            |call| Box::pin(blob(call)),
        )
        .about(TAG, "Sends a content by its name")
        .access(Access::Tenant(Verb::StateRead))
        .serves(&["Checkpoints::blob", "Checkpoints::open_blob"])
        .sends(
            200,
            Some(BYTES),
            "The content; cut short if it turns out to be damaged",
        )
        .tagged()
        .sends(304, None, "It is known already")
        .tagged()
        .fails(&["invalid_request", "blob_not_found"])
        .honours(KNOWN),
        Route::get(
            "/v1/sessions/{session}/state/manifests/{manifest}",
            "get_manifest",
            |call| Box::pin(manifest(call)),
        )
        .about(TAG, "Shows which parts a commit's manifest names")
        .access(Access::Tenant(Verb::StateRead))
        .serves(&["Checkpoints::manifest"])
        .answers::<wire::Manifest>(200, "Its parts")
        .fails(&["invalid_request"]),
    ]
}

async fn part(call: Call) -> Result<Reply, Refused> {
    let asked: wire::PartQuery = call.query()?;
    let at = at("at", asked.at.as_deref())?;
    let name: PartName = call.text("part").parse()?;
    let of = of(&call).await?;
    let shown = states(&call).show(&of.caller, &of.session, &at).await?;
    let mut shown = shown.ok_or_else(absent)?;
    let part = shown.parts.remove(&name).ok_or_else(absent)?;
    if asked.meta == Some(true) {
        return Ok(Reply::json(&part).tag(part.blob));
    }
    if is_known(&call, part.blob) {
        return Ok(Reply::not_modified(part.blob));
    }
    let media = match part.form {
        Form::Json => JSON,
        Form::Bytes => BYTES,
    };
    let opened = states(&call).open_blob(&of.caller, &of.session, part.blob, 0..u64::MAX);
    let Some(reader) = opened.await? else {
        // The state says that it is there: let whoever reads it say what is
        // wrong.
        let read = states(&call)
            .part(&of.caller, &of.session, &at, &name)
            .await?;
        let (part, payload) = read.ok_or_else(absent)?;
        let body = Body::from(payload.bytes().clone());
        return Ok(Reply::of(media, body).tag(part.blob));
    };
    Ok(Reply::of(media, whole(reader).await?).tag(part.blob))
}

async fn blob(call: Call) -> Result<Reply, Refused> {
    let blob = blob_id(&call, "blob")?;
    let of = of(&call).await?;
    let opened = states(&call).open_blob(&of.caller, &of.session, blob, 0..u64::MAX);
    let reader = opened.await?.ok_or_else(absent)?;
    if is_known(&call, blob) {
        return Ok(Reply::not_modified(blob));
    }
    Ok(Reply::of(BYTES, whole(reader).await?).tag(blob))
}

async fn manifest(call: Call) -> Result<Reply, Refused> {
    let manifest = blob_id(&call, "manifest")?;
    let of = of(&call).await?;
    let found = states(&call).manifest(&of.caller, &of.session, manifest);
    Ok(Reply::json(&found.await?.ok_or_else(absent)?))
}

fn blob_id(call: &Call, name: &'static str) -> Result<BlobId, Refused> {
    let id: Result<BlobId, _> = call.text(name).parse();
    id.map_err(|error| invalid(name, &error.to_string()))
}

fn is_known(call: &Call, blob: BlobId) -> bool {
    call.known.as_deref() == Some(tag_text(blob).as_str())
}

/// Whoever gives a content piece by piece.
pub(super) enum Reader {
    Blob(Box<BlobReader>),
    Attachment(Box<AttachmentReader>),
}

impl Reader {
    async fn next(&mut self) -> Result<Option<Bytes>, CheckpointError> {
        match self {
            Self::Blob(reader) => reader.next().await,
            Self::Attachment(reader) => reader.next().await,
        }
    }
}

async fn whole(reader: BlobReader) -> Result<Body, Refused> {
    let size = reader.size();
    body(Reader::Blob(Box::new(reader)), size).await
}

/// The `size` bytes that a reader gives. What is wrong with their beginning is
/// a refusal; after that the answer ends early.
pub(super) async fn body(mut reader: Reader, size: u64) -> Result<Body, Refused> {
    let first = reader.next().await?.unwrap_or_default();
    if u64::try_from(first.len()).unwrap_or(u64::MAX) >= size {
        // Asked once more, the reader checks the whole.
        reader.next().await?;
        return Ok(Body::from(first));
    }
    let rest = futures_util::stream::unfold(reader, |mut reader| async move {
        let next = reader.next().await.transpose()?;
        Some((next.map_err(|error| cut(&error)), reader))
    });
    let first = futures_util::stream::once(async { Ok(first) });
    let pieces = first.chain(rest).boxed();
    Ok(Body::new(Pieces { pieces, left: size }))
}

fn cut(error: &CheckpointError) -> io::Error {
    tracing::error!(%error, "a content could not be sent whole");
    io::Error::other("the content cannot be read")
}

/// Pieces whose sum is known, so that a reader notices where some are missing.
struct Pieces {
    pieces: BoxStream<'static, io::Result<Bytes>>,
    left: u64,
}

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let next = self.pieces.poll_next_unpin(context);
        next.map(|piece| {
            let piece = piece?.inspect(|piece| {
                let length = u64::try_from(piece.len()).unwrap_or(u64::MAX);
                self.left = self.left.saturating_sub(length);
            });
            Some(piece.map(Frame::data))
        })
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
