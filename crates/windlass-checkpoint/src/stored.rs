//! Nodes as they are stored, and the rows that hold them.
//!
//! A row is JSON that says of each node where it belongs and how long its
//! content is; a line feed and the contents follow, one after the other and
//! byte for byte. So whoever reads a row finds the contents without looking
//! through them.

use std::borrow::Cow;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use windlass_core::Format;

use crate::blob::BlobId;
use crate::error::CheckpointError;
use crate::model::{Form, Payload};
use crate::record::Record;
use crate::row::{self, Effort};

/// Stands between the JSON of a row and the contents of its nodes.
const END_OF_JSON: u8 = b'\n';

/// One node as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredNode<'a> {
    pub(crate) number: u64,
    /// The node it hangs below.
    pub(crate) parent: Option<u64>,
    /// The revision that appended it.
    pub(crate) revision: u64,
    pub(crate) kind: Cow<'a, str>,
    pub(crate) held: Held,
}

/// What a node holds, or where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Held {
    Here(Payload),
    Blob(BlobId, Form),
}

/// The row of one commit: its record, and the nodes it appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LogRow<'a> {
    pub(crate) record: Record,
    pub(crate) nodes: Vec<StoredNode<'a>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LogText<'a> {
    v: Format,
    record: Cow<'a, Record>,
    #[serde(borrow, default, skip_serializing_if = "Vec::is_empty")]
    nodes: Vec<NodeText<'a>>,
}

/// A row of packed nodes, numbered without a gap.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct NodesText<'a> {
    v: Format,
    #[serde(borrow)]
    nodes: Vec<NodeText<'a>>,
}

/// One node in the JSON of its row, with exactly one of the last fields.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct NodeText<'a> {
    n: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    p: Option<u64>,
    r: u64,
    #[serde(borrow)]
    k: Cow<'a, str>,
    /// Bytes of its content, which is JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    j: Option<usize>,
    /// Bytes of its content, which is anything else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    d: Option<usize>,
    /// A blob of the lineage, and what it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    b: Option<(BlobId, Form)>,
}

impl LogRow<'_> {
    /// The bytes of the row, compressed from `threshold` bytes on.
    pub(crate) fn encode(&self, threshold: Option<usize>) -> Bytes {
        let text = LogText {
            v: Format,
            record: Cow::Borrowed(&self.record),
            nodes: self.nodes.iter().map(NodeText::of).collect(),
        };
        row::pack(with_contents(&text, &self.nodes), threshold, Effort::Quick)
    }
}

/// The row of a commit, whose text this is.
pub(crate) fn log_row(text: &Bytes) -> Result<LogRow<'_>, CheckpointError> {
    let (parsed, contents) = split::<LogText<'_>>("commit", text)?;
    Ok(LogRow {
        record: parsed.record.into_owned(),
        nodes: filled(parsed.nodes, contents)?,
    })
}

/// A row of packed nodes, compressed from `threshold` bytes on.
pub(crate) fn encode_nodes(
    nodes: &[StoredNode<'_>],
    threshold: Option<usize>,
    effort: Effort,
) -> Bytes {
    let text = NodesText {
        v: Format,
        nodes: nodes.iter().map(NodeText::of).collect(),
    };
    row::pack(with_contents(&text, nodes), threshold, effort)
}

/// The nodes in a row of packed ones, whose text this is.
pub(crate) fn packed_nodes(text: &Bytes) -> Result<Vec<StoredNode<'_>>, CheckpointError> {
    let (parsed, contents) = split::<NodesText<'_>>("packed nodes", text)?;
    filled(parsed.nodes, contents)
}

impl StoredNode<'_> {
    /// The content, if it is in the row.
    fn content(&self) -> Option<&Bytes> {
        match &self.held {
            Held::Here(payload) => Some(payload.bytes()),
            Held::Blob(..) => None,
        }
    }

    /// About how many bytes it takes in a row.
    pub(crate) fn size(&self) -> usize {
        64 + self.kind.len() + self.content().map_or(0, Bytes::len)
    }
}

impl<'a> NodeText<'a> {
    fn of(node: &'a StoredNode<'_>) -> Self {
        let (mut j, mut d, mut b) = (None, None, None);
        match &node.held {
            Held::Here(Payload::Json(text)) => j = Some(text.len()),
            Held::Here(Payload::Bytes(bytes)) => d = Some(bytes.len()),
            Held::Blob(id, form) => b = Some((*id, *form)),
        }
        Self {
            n: node.number,
            p: node.parent,
            r: node.revision,
            k: Cow::Borrowed(&node.kind),
            j,
            d,
            b,
        }
    }

    /// The node; its content is the first of `contents`.
    fn node(self, contents: &mut Bytes) -> Result<StoredNode<'a>, CheckpointError> {
        let number = self.n;
        let mut take = |length: usize| {
            if length > contents.len() {
                return Err(corrupt(number, "its content is cut short"));
            }
            Ok(contents.split_to(length))
        };
        let held = match (self.j, self.d, self.b) {
            (Some(length), None, None) => Held::Here(Payload::Json(take(length)?)),
            (None, Some(length), None) => Held::Here(Payload::Bytes(take(length)?)),
            (None, None, Some((id, form))) => Held::Blob(id, form),
            _ => return Err(corrupt(number, "it holds nothing, or several things")),
        };
        Ok(StoredNode {
            number,
            parent: self.p,
            revision: self.r,
            kind: self.k,
            held,
        })
    }
}

fn with_contents(text: &impl Serialize, nodes: &[StoredNode<'_>]) -> Vec<u8> {
    let mut row = serde_json::to_vec(text).expect("records have text keys and finite numbers only");
    let contents = || nodes.iter().filter_map(StoredNode::content);
    let bytes: usize = contents().map(Bytes::len).sum();
    if bytes > 0 {
        row.reserve_exact(1 + bytes);
        row.push(END_OF_JSON);
        contents().for_each(|content| row.extend_from_slice(content));
    }
    row
}

/// The JSON that a row begins with, and what follows it.
fn split<'a, T: Deserialize<'a>>(
    what: &str,
    text: &'a Bytes,
) -> Result<(T, Bytes), CheckpointError> {
    let mut values = serde_json::Deserializer::from_slice(text).into_iter();
    let parsed = match values.next() {
        Some(parsed) => {
            parsed.map_err(|error| CheckpointError::corrupt(what, error.to_string()))?
        }
        None => return Err(CheckpointError::corrupt(what, "it is empty")),
    };
    let end = values.byte_offset();
    let contents = match text.get(end) {
        None => Bytes::new(),
        Some(&END_OF_JSON) => text.slice(end + 1..),
        Some(_) => return Err(CheckpointError::corrupt(what, "it goes on behind its JSON")),
    };
    Ok((parsed, contents))
}

fn filled(
    nodes: Vec<NodeText<'_>>,
    mut contents: Bytes,
) -> Result<Vec<StoredNode<'_>>, CheckpointError> {
    let last = nodes.last().map_or(0, |node| node.n);
    let nodes = nodes.into_iter().map(|node| node.node(&mut contents));
    let nodes = nodes.collect::<Result<_, _>>()?;
    if !contents.is_empty() {
        return Err(corrupt(last, "more follows than its row says"));
    }
    Ok(nodes)
}

fn corrupt(node: u64, why: &str) -> CheckpointError {
    CheckpointError::corrupt(format!("node {node}"), why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(number: u64, held: Held) -> StoredNode<'static> {
        StoredNode {
            number,
            parent: number.checked_sub(1).filter(|parent| *parent > 0),
            revision: 1,
            kind: Cow::Borrowed("a \"kind\""),
            held,
        }
    }

    #[test]
    fn contents_of_nodes_come_back_byte_for_byte() {
        let json = ["{}", "null", " [1, 2]\n", "\"\\u00e9\"", "{ \"a\" : 1.50 }"];
        let bytes: [&[u8]; 5] = [b"", b"text", b"{}", b"\n\n", &[0, 159, 146, 150]];
        let json = json.map(|text| Held::Here(Payload::Json(Bytes::from_static(text.as_bytes()))));
        let bytes = bytes.map(|it| Held::Here(Payload::Bytes(Bytes::from_static(it))));
        let blob = Held::Blob(BlobId::of(b"large"), Form::Bytes);
        let all = json.into_iter().chain([blob]).chain(bytes);
        let nodes: Vec<_> = (1..).zip(all).map(|(n, held)| node(n, held)).collect();
        for threshold in [None, Some(0)] {
            let row = encode_nodes(&nodes, threshold, Effort::Quick);
            let text = row::unpack("packed nodes", &row).expect("what was packed");
            assert_eq!(packed_nodes(&text).expect("what was written"), nodes);
        }
    }

    #[test]
    fn nodes_without_contents_end_with_their_json() {
        let blob = node(1, Held::Blob(BlobId::of(b"large"), Form::Json));
        let empty = node(2, Held::Here(Payload::Bytes(Bytes::new())));
        let row = encode_nodes(&[blob.clone(), empty.clone()], None, Effort::Quick);
        assert_eq!(row.last(), Some(&b'}'));
        assert_eq!(packed_nodes(&row).expect("what was written"), [blob, empty]);
    }

    #[test]
    fn a_row_that_is_not_what_its_json_says_is_corrupt() {
        for text in [
            "",
            r#"{"v":1,"nodes":[{"n":1,"r":1,"k":"m"}]}"#,
            "{\"v\":1,\"nodes\":[{\"n\":1,\"r\":1,\"k\":\"m\",\"j\":1,\"d\":1}]}\n12",
            "{\"v\":1,\"nodes\":[{\"n\":1,\"r\":1,\"k\":\"m\",\"j\":3}]}\n12",
            "{\"v\":1,\"nodes\":[{\"n\":1,\"r\":1,\"k\":\"m\",\"j\":1}]}\n12",
            "{\"v\":1,\"nodes\":[{\"n\":1,\"r\":1,\"k\":\"m\",\"j\":2}]} 12",
        ] {
            let row = Bytes::from_static(text.as_bytes());
            let nodes = packed_nodes(&row);
            assert!(
                matches!(nodes, Err(CheckpointError::Corrupt { .. })),
                "{text}: {nodes:?}"
            );
        }
    }
}
