//! The nodes of a session's graph, as it was when the read was opened.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;
use windlass_checkpoint::{At, Node, Payload};
use windlass_core::SessionId;
use windlass_session::Caller;
use windlass_stream::limits::SOURCE_PAGE_BYTES_MAX;
use windlass_stream::{Row, StreamError};

use super::request::{Pinned, Request, committing};
use super::scanned::{Numbered, Window, row};
use super::{NODE_CONTENT_BYTES_MAX, Sources};

/// A node as it is written.
#[derive(Serialize)]
struct NodeRow<'a> {
    number: u64,
    parent: Option<u64>,
    revision: u64,
    kind: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    json: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    omitted_bytes: Option<usize>,
}

impl Sources {
    /// The last commit, and the first and the last node of its graph.
    pub(super) async fn graph_now(
        &self,
        caller: &Caller,
        session: &SessionId,
    ) -> Result<(Option<Pinned>, u64, u64), StreamError> {
        let head = self.head_now(caller, session).await?;
        Ok(match head {
            Some((head, nodes)) => (Some(head), 1, nodes),
            None => (None, 1, 0),
        })
    }

    /// Nodes from number `low` to number `high`, as far as there is room.
    pub(super) async fn nodes(
        &self,
        caller: &Caller,
        request: &Request,
        (low, high): (u64, u64),
    ) -> Result<Window, StreamError> {
        let revision = request.head.as_ref().map_or(0, |head| head.revision);
        let at = At::Revision(revision);
        let limit = usize::try_from(high - low + 1).unwrap_or(usize::MAX);
        let most = (limit, SOURCE_PAGE_BYTES_MAX);
        let (by, session) = (committing(caller), request.of.session());
        let page = self
            .checkpoints
            .graph_within(&by, session, &at, low - 1, most);
        let page = page.await.map_err(StreamError::of_source)?;
        let page = page.ok_or(StreamError::Expired)?;
        let numbered = page.nodes.iter().map(|node| {
            Ok(Numbered {
                number: node.number,
                kind: Arc::clone(&node.kind),
                row: shown(node)?,
            })
        });
        Ok(Window {
            rows: numbered.collect::<Result<_, StreamError>>()?,
            until: page.after.map_or(high, |after| after.min(high)),
        })
    }
}

/// The row of a node.
fn shown(node: &Node) -> Result<Row, StreamError> {
    let payload = node.payload.as_ref();
    let length = payload.map_or(0, |payload| payload.bytes().len());
    let is_long = length > NODE_CONTENT_BYTES_MAX;
    let text = match payload {
        Some(Payload::Json(json)) if !is_long => on_one_line(json),
        _ => Bytes::new(),
    };
    let json: Option<&RawValue> = serde_json::from_slice(&text).ok();
    let bytes = payload.filter(|_| !is_long && json.is_none());
    row(&NodeRow {
        number: node.number,
        parent: node.parent,
        revision: node.revision,
        kind: &node.kind,
        json,
        bytes: bytes.map(|payload| STANDARD.encode(payload.bytes())),
        omitted_bytes: is_long.then_some(length),
    })
}

/// JSON without line breaks: there are none within its strings, and between its
/// tokens a space is as good.
fn on_one_line(json: &Bytes) -> Bytes {
    let breaks = |byte: &u8| matches!(byte, b'\n' | b'\r');
    if !json.iter().any(breaks) {
        return json.clone();
    }
    let spaced = json
        .iter()
        .map(|byte| if breaks(byte) { b' ' } else { *byte });
    spaced.collect::<Vec<u8>>().into()
}
