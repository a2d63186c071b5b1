//! Stored records: what a commit leaves, and how nodes are kept.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use windlass_core::{Format, Millis, OperationId, PrincipalId, SessionId, Writers};

use crate::blob::BlobId;
use crate::error::CheckpointError;
use crate::model::{BaseView, Committed, Form, PartName, Payload, Usage, is_zero};
use crate::row;

/// What every commit checks and rewrites.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Head {
    pub(crate) v: Format,
    pub(crate) rev: u64,
    pub(crate) at: Millis,
    /// The name of the last commit.
    pub(crate) id: Arc<str>,
    #[serde(default)]
    pub(crate) points: Points,
    #[serde(default, skip_serializing_if = "Usage::is_none")]
    pub(crate) usage: Usage,
    /// How far commits and nodes are packed.
    #[serde(default, skip_serializing_if = "Packed::is_none")]
    pub(crate) packed: Packed,
    /// Bytes of the rows that are not.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) tail_bytes: u64,
    pub(crate) lineage: Arc<str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) base: Option<Base>,
    /// The first revision from which on every commit is kept.
    pub(crate) oldest: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) due: Option<Millis>,
    /// How many tags there are.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) tags: u64,
    /// Since when it is removed for everybody but its forks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) removed: Option<Millis>,
    /// How often the head was written: what tells a commit from another one.
    pub(crate) writes: u64,
    pub(crate) by: Writers,
}

/// What a revision points at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Points {
    /// The manifest; none if there is no part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) manifest: Option<BlobId>,
    /// The blob that lists the nodes outside the graph; none if all are in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) hidden: Option<BlobId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) leaf: Option<u64>,
    /// The number of the last node ever appended.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) nodes: u64,
}

/// How far commits and nodes lie in rows of many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Packed {
    pub(crate) rev: u64,
    pub(crate) node: u64,
}

impl Packed {
    const fn is_none(&self) -> bool {
        self.rev == 0 && self.node == 0
    }
}

/// Where a session was forked from, and how many nodes it has from there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Base {
    pub(crate) session: SessionId,
    pub(crate) rev: u64,
    pub(crate) nodes: u64,
}

impl Base {
    pub(crate) fn view(&self) -> BaseView {
        BaseView {
            session: self.session.clone(),
            revision: self.rev,
        }
    }
}

impl Head {
    pub(crate) fn committed(&self) -> Committed {
        Committed {
            revision: self.rev,
            commit: Arc::clone(&self.id),
            manifest: self.points.manifest_id(),
            leaf: self.points.leaf,
            nodes: self.points.nodes,
        }
    }
}

impl Points {
    pub(crate) fn manifest_id(&self) -> BlobId {
        self.manifest.unwrap_or_else(crate::manifest::empty_id)
    }
}

/// What is kept of one commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Record {
    pub(crate) rev: u64,
    pub(crate) at: Millis,
    pub(crate) id: Arc<str>,
    pub(crate) by: PrincipalId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) turn: Option<OperationId>,
    #[serde(default)]
    pub(crate) points: Points,
    /// What was added to the usage, not the sum.
    #[serde(default, skip_serializing_if = "Usage::is_none")]
    pub(crate) usage: Usage,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) note: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) from: Option<From>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) put: Vec<PartName>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) gone: Vec<PartName>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) attached: Vec<String>,
}

/// Where the state of a commit came from, if not from the one before it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum From {
    /// An earlier revision of the same session.
    Rollback(u64),
    /// A revision of another session.
    Fork(SessionId, u64),
}

/// The row of one commit: its record, and the nodes it appended.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogRow<'a> {
    pub(crate) v: Format,
    pub(crate) record: Record,
    #[serde(borrow, default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) nodes: Vec<StoredNode<'a>>,
}

/// A tag.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TagRow {
    pub(crate) v: Format,
    pub(crate) rev: u64,
    pub(crate) at: Millis,
}

/// A row of packed commits, in order; some may have been dropped between.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OldRow {
    pub(crate) v: Format,
    pub(crate) records: Vec<Record>,
}

/// A row of packed nodes, numbered without a gap.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NodeRow<'a> {
    pub(crate) v: Format,
    #[serde(borrow)]
    pub(crate) nodes: Vec<StoredNode<'a>>,
}

/// One node as it is stored. What it holds is in exactly one of the fields
/// behind its kind.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StoredNode<'a> {
    pub(crate) n: u64,
    /// The node it hangs below.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) p: Option<u64>,
    /// The revision that appended it.
    pub(crate) r: u64,
    /// Its kind.
    #[serde(borrow)]
    pub(crate) k: Cow<'a, str>,
    /// JSON as itself.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(crate) j: Option<&'a RawValue>,
    /// The text of JSON that is `null`, or has white space around it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) t: Option<String>,
    /// Bytes that are a text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) s: Option<String>,
    /// Other bytes, as hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) x: Option<String>,
    /// A blob of the lineage, and what it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) b: Option<(BlobId, Form)>,
}

/// What a node holds, or where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Held {
    Here(Payload),
    Blob(BlobId, Form),
}

impl<'a> StoredNode<'a> {
    /// A node that holds nothing yet.
    pub(crate) const fn new(
        number: u64,
        parent: Option<u64>,
        revision: u64,
        kind: &'a str,
    ) -> Self {
        Self {
            n: number,
            p: parent,
            r: revision,
            k: Cow::Borrowed(kind),
            j: None,
            t: None,
            s: None,
            x: None,
            b: None,
        }
    }

    /// The same node, holding `payload`, whose JSON has been checked.
    pub(crate) fn holding(mut self, payload: &'a Payload) -> Self {
        match payload {
            Payload::Json(text) => match serde_json::from_slice::<&RawValue>(text) {
                // A member that is `null` cannot be told from none.
                Ok(raw) if raw.get().len() == text.len() && raw.get() != "null" => {
                    self.j = Some(raw);
                }
                Ok(_) | Err(_) => self.t = Some(String::from_utf8_lossy(text).into_owned()),
            },
            Payload::Bytes(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => self.s = Some(text.to_owned()),
                Err(_) => self.x = Some(hex(bytes)),
            },
        }
        self
    }

    /// What it holds; `row` is the text it was read from, of which JSON stays
    /// a part.
    pub(crate) fn held(&self, row: &Bytes) -> Result<Held, CheckpointError> {
        let payload = match (self.j, &self.t, &self.s, &self.x, self.b) {
            (Some(raw), None, None, None, None) => {
                Payload::Json(row.slice_ref(raw.get().as_bytes()))
            }
            (None, Some(text), None, None, None) => Payload::Json(text.clone().into()),
            (None, None, Some(text), None, None) => Payload::Bytes(text.clone().into()),
            (None, None, None, Some(digits), None) => {
                let bytes = unhex(digits).ok_or_else(|| self.corrupt("digits"))?;
                Payload::Bytes(bytes.into())
            }
            (None, None, None, None, Some((blob, form))) => return Ok(Held::Blob(blob, form)),
            _ => return Err(self.corrupt("it holds nothing, or several things")),
        };
        Ok(Held::Here(payload))
    }

    /// About how many bytes it takes in a row.
    pub(crate) fn size(&self) -> usize {
        let text = |it: &Option<String>| it.as_ref().map_or(0, String::len);
        let json = self.j.map_or(0, |raw| raw.get().len());
        64 + self.k.len() + json + text(&self.t) + text(&self.s) + text(&self.x)
    }

    fn corrupt(&self, why: &str) -> CheckpointError {
        CheckpointError::corrupt(format!("node {}", self.n), why)
    }
}

fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from(b"0123456789abcdef"[usize::from(nibble)]);
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

fn unhex(digits: &str) -> Option<Vec<u8>> {
    let (pairs, []) = digits.as_bytes().as_chunks::<2>() else {
        return None;
    };
    let value = |digit: u8| char::from(digit).to_digit(16);
    pairs
        .iter()
        .map(|[high, low]| u8::try_from(value(*high)? << 4 | value(*low)?).ok())
        .collect()
}

/// The head in a row.
pub(crate) fn head(row: &Bytes) -> Result<Head, CheckpointError> {
    row::decode("head of a state", row)
}

/// Reads the text of a row, which has been unpacked, as `T`.
pub(crate) fn parse<'a, T: Deserialize<'a>>(
    what: &str,
    text: &'a Bytes,
) -> Result<T, CheckpointError> {
    serde_json::from_slice(text).map_err(|error| CheckpointError::corrupt(what, error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there_and_back(payload: &Payload) -> Held {
        let node = StoredNode::new(1, None, 1, "message").holding(payload);
        let row: Bytes = serde_json::to_vec(&node).expect("a node is JSON").into();
        let back: StoredNode<'_> = parse("node", &row).expect("what was written");
        back.held(&row).expect("it holds something")
    }

    #[test]
    fn contents_of_nodes_come_back_byte_for_byte() {
        let json = [
            "{}",
            "null",
            " [1, 2]\n",
            "\"\\u00e9\"",
            "{ \"a\" : 1.50 }",
            "1e400",
        ];
        let bytes: [&[u8]; 4] = [b"", b"text", b"{}", &[0, 159, 146, 150]];
        let all = json
            .iter()
            .map(|text| Payload::Json(Bytes::from_static(text.as_bytes())))
            .chain(
                bytes
                    .iter()
                    .map(|it| Payload::Bytes(Bytes::from_static(it))),
            );
        for payload in all {
            assert_eq!(there_and_back(&payload), Held::Here(payload));
        }
    }

    #[test]
    fn a_node_that_holds_nothing_or_two_things_is_corrupt() {
        for text in [
            r#"{"n":1,"r":1,"k":"m"}"#,
            r#"{"n":1,"r":1,"k":"m","s":"a","x":"00"}"#,
            r#"{"n":1,"r":1,"k":"m","x":"0"}"#,
        ] {
            let row = Bytes::from_static(text.as_bytes());
            let node: StoredNode<'_> = parse("node", &row).expect("a node");
            let held = node.held(&row);
            assert!(
                matches!(held, Err(CheckpointError::Corrupt { .. })),
                "{held:?}"
            );
        }
    }
}
