//! What callers ask of a session's state, and what they are told.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use windlass_core::{Millis, OperationId, PrincipalId, SessionId, TenantId};

use crate::blob::BlobId;
use crate::error::{CheckpointError, Problem};
use crate::limits::{
    KIND_BYTES_MAX, NAME_BYTES_MAX, NODES_MAX, NOTE_BYTES_MAX, PARTS_MAX, PIECES_BYTES_MAX,
    REFERRED_PARTS_MAX, TAKEN_ATTACHMENTS_MAX, TOMBSTONES_MAX,
};

/// Who calls: the tenant whose data it is, and the principal within it, whose
/// own the ids of turns and operations are.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Caller {
    /// Whose data.
    pub tenant: TenantId,
    /// Who asks.
    pub principal: PrincipalId,
}

impl Caller {
    /// A caller.
    #[must_use]
    pub const fn new(tenant: TenantId, principal: PrincipalId) -> Self {
        Self { tenant, principal }
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $field:literal) => {
        $(#[$doc])*
        ///
        /// 1 to 128 characters of `A-Z a-z 0-9 . _ ~ : -`, neither `.` nor
        /// `..`. Cloning shares the text.
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = CheckpointError;

            fn from_str(text: &str) -> Result<Self, CheckpointError> {
                check_name($field, text)?;
                Ok(Self(text.into()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = CheckpointError;

            fn try_from(text: String) -> Result<Self, CheckpointError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0.as_ref().to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }
    };
}

name!(
    /// The name of a part of the state.
    PartName,
    "part"
);
name!(
    /// The name of a tag on a revision.
    TagName,
    "tag"
);

fn check_name(field: &'static str, text: &str) -> Result<(), CheckpointError> {
    let allowed =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'~' | b':' | b'-');
    let problem = if text.is_empty() {
        Problem::Empty
    } else if text.len() > NAME_BYTES_MAX {
        Problem::TooLong {
            length: text.len(),
            max: NAME_BYTES_MAX,
        }
    } else if !text.bytes().all(allowed) || text == "." || text == ".." {
        Problem::Character
    } else {
        return Ok(());
    };
    Err(CheckpointError::Invalid { field, problem })
}

/// Which revision a commit expects the head to have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Expected {
    /// Whichever it is.
    #[default]
    Any,
    /// This one; 0 before the first commit.
    Revision(u64),
}

/// Contents as callers give them and get them back, byte for byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// The text of one JSON value. It is checked, and never changed.
    Json(Bytes),
    /// Anything.
    Bytes(Bytes),
}

impl Payload {
    /// The bytes, whichever they are.
    #[must_use]
    pub const fn bytes(&self) -> &Bytes {
        match self {
            Self::Json(bytes) | Self::Bytes(bytes) => bytes,
        }
    }

    /// What kind of content it is.
    #[must_use]
    pub const fn form(&self) -> Form {
        match self {
            Self::Json(_) => Form::Json,
            Self::Bytes(_) => Form::Bytes,
        }
    }

    pub(crate) const fn of(form: Form, bytes: Bytes) -> Self {
        match form {
            Form::Json => Self::Json(bytes),
            Form::Bytes => Self::Bytes(bytes),
        }
    }

    fn check(&self, field: &'static str) -> Result<(), CheckpointError> {
        if self.bytes().len() > PIECES_BYTES_MAX {
            let problem = Problem::TooLong {
                length: self.bytes().len(),
                max: PIECES_BYTES_MAX,
            };
            return Err(CheckpointError::Invalid { field, problem });
        }
        if let Self::Json(text) = self
            && !is_json(text)
        {
            let problem = Problem::NotJson;
            return Err(CheckpointError::Invalid { field, problem });
        }
        Ok(())
    }
}

/// Whether bytes are the text of one JSON value. Whoever skips a string looks
/// at none of it, so that it is UTF-8 has to be asked for itself.
fn is_json(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes)
        .is_ok_and(|text| serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok())
}

/// Whether contents are JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// The text of one JSON value.
    #[default]
    Json,
    /// Anything.
    Bytes,
}

/// What the caller says about a part beside its content; returned unchanged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Label {
    /// What it is, such as a media type: at most 128 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<Arc<str>>,
    /// A number of the caller's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<i64>,
    /// Hint: `false` says that compressing it is in vain, so nobody tries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compressible: Option<bool>,
    /// Hint: whether it is large. It is kept for the caller; contents are cut
    /// by their size, whatever it says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub large: Option<bool>,
}

/// What happens to one part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PartChange {
    /// It gets this content.
    Put(Payload, Label),
    /// It gets the content of a blob that the lineage has.
    Refer(BlobId, Form, Label),
    /// It is no longer there; removing what is not there is no error.
    Remove,
}

/// Where a new node hangs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Parent {
    /// Below the node before it in the same commit; the first one below the
    /// leaf of the head.
    #[default]
    Leaf,
    /// Nowhere: it begins a graph of its own.
    Root,
    /// Below this node.
    Node(u64),
    /// Below the new node of the same commit at this place, which comes
    /// before it.
    New(usize),
}

/// A node to append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewNode {
    /// Where it hangs.
    pub parent: Parent,
    /// What it is, such as `message`: at most 128 bytes.
    pub kind: Arc<str>,
    /// What it holds.
    pub payload: Payload,
}

/// What the caller counts, added up over the commits of a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Usage {
    /// Tool calls.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub calls: u64,
    /// Tokens of a model.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub tokens: u64,
    /// Micro-units of a currency.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub cost_micros: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
pub(crate) const fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Usage {
    pub(crate) fn plus(self, other: Self) -> Option<Self> {
        Some(Self {
            calls: self.calls.checked_add(other.calls)?,
            tokens: self.tokens.checked_add(other.tokens)?,
            cost_micros: self.cost_micros.checked_add(other.cost_micros)?,
        })
    }

    pub(crate) fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// One commit: everything in it happens, or nothing of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Which revision it is made for.
    pub expected: Expected,
    /// What happens to parts.
    pub parts: BTreeMap<PartName, PartChange>,
    /// Whether all nodes that are there leave the graph first.
    pub replace_nodes: bool,
    /// Nodes that leave the graph: their content is given out no more, their
    /// places stay.
    pub tombstones: Vec<u64>,
    /// Nodes to append.
    pub nodes: Vec<NewNode>,
    /// The node that is the leaf from now on; without it the last appended
    /// one, or the one that was.
    pub leaf: Option<u64>,
    /// What is added to the session's usage.
    pub usage: Usage,
    /// Attachments that become part of the state.
    pub attachments: Vec<String>,
    /// A word for whoever reads the log: at most 512 bytes.
    pub note: Option<Arc<str>>,
    /// Makes the commit safe to repeat: the same turn gives the first answer
    /// for 24 h at least.
    pub turn: Option<OperationId>,
}

impl Changes {
    /// A commit that expects `revision` and changes nothing yet.
    #[must_use]
    pub fn at(revision: u64) -> Self {
        Self {
            expected: Expected::Revision(revision),
            ..Self::default()
        }
    }

    /// Puts a part of JSON.
    #[must_use]
    pub fn json(self, name: PartName, text: impl Into<Bytes>) -> Self {
        self.put(name, Payload::Json(text.into()))
    }

    /// Puts a part.
    #[must_use]
    pub fn put(mut self, name: PartName, payload: Payload) -> Self {
        let put = PartChange::Put(payload, Label::default());
        self.parts.insert(name, put);
        self
    }

    /// Removes a part.
    #[must_use]
    pub fn remove(mut self, name: PartName) -> Self {
        self.parts.insert(name, PartChange::Remove);
        self
    }

    /// Appends a node below the leaf.
    #[must_use]
    pub fn append(mut self, kind: impl Into<Arc<str>>, payload: Payload) -> Self {
        self.nodes.push(NewNode {
            parent: Parent::Leaf,
            kind: kind.into(),
            payload,
        });
        self
    }

    /// Names the turn.
    #[must_use]
    pub fn turn(mut self, turn: OperationId) -> Self {
        self.turn = Some(turn);
        self
    }

    /// Refuses what no state could take.
    pub(crate) fn check(&self) -> Result<(), CheckpointError> {
        check_count("parts", self.parts.len(), PARTS_MAX)?;
        check_count("nodes", self.nodes.len(), NODES_MAX)?;
        check_count("tombstones", self.tombstones.len(), TOMBSTONES_MAX)?;
        check_count("attachments", self.attachments.len(), TAKEN_ATTACHMENTS_MAX)?;
        let refers = |it: &&PartChange| matches!(it, PartChange::Refer(..));
        let referred = self.parts.values().filter(refers).count();
        check_count("parts", referred, REFERRED_PARTS_MAX)?;
        if let Some(note) = &self.note {
            check_length("note", note, NOTE_BYTES_MAX)?;
        }
        let mut size = 0_usize;
        for change in self.parts.values() {
            match change {
                PartChange::Put(payload, label) => {
                    payload.check("parts")?;
                    check_label(label)?;
                    size = size.saturating_add(payload.bytes().len());
                }
                PartChange::Refer(_, _, label) => check_label(label)?,
                PartChange::Remove => {}
            }
        }
        for (place, node) in self.nodes.iter().enumerate() {
            node.payload.check("nodes")?;
            check_length("nodes.kind", &node.kind, KIND_BYTES_MAX)?;
            size = size.saturating_add(node.payload.bytes().len());
            if let Parent::New(parent) = node.parent
                && parent >= place
            {
                let field = "nodes.parent";
                let problem = Problem::Range {
                    value: u64::try_from(parent).unwrap_or(u64::MAX),
                    min: 0,
                    max: u64::try_from(place.saturating_sub(1)).unwrap_or(u64::MAX),
                };
                return Err(CheckpointError::Invalid { field, problem });
            }
        }
        check_count("bytes of parts and nodes", size, PIECES_BYTES_MAX)
    }
}

fn check_label(label: &Label) -> Result<(), CheckpointError> {
    match &label.kind {
        Some(kind) => check_length("parts.kind", kind, KIND_BYTES_MAX),
        None => Ok(()),
    }
}

pub(crate) fn check_length(
    field: &'static str,
    text: &str,
    max: usize,
) -> Result<(), CheckpointError> {
    if text.len() <= max {
        return Ok(());
    }
    let length = text.len();
    let problem = Problem::TooLong { length, max };
    Err(CheckpointError::Invalid { field, problem })
}

pub(crate) fn check_count(
    field: &'static str,
    count: usize,
    max: usize,
) -> Result<(), CheckpointError> {
    if count <= max {
        return Ok(());
    }
    let problem = Problem::TooMany { count, max };
    Err(CheckpointError::Invalid { field, problem })
}

/// What a commit came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Committed {
    /// The revision it made.
    pub revision: u64,
    /// The name of the commit, a UUID of version 7.
    pub commit: Arc<str>,
    /// The manifest: which parts there are from now on, and where.
    pub manifest: BlobId,
    /// The leaf of the graph, if there is a node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaf: Option<u64>,
    /// The number of the last node ever appended; those of one commit are
    /// numbered up to it without a gap.
    pub nodes: u64,
}

/// A session's state as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HeadView {
    /// The revision; a session without commits has none, and no head.
    pub revision: u64,
    /// The name of the last commit.
    pub commit: Arc<str>,
    /// When it was made.
    pub at: Millis,
    /// The manifest.
    pub manifest: BlobId,
    /// The leaf of the graph, if there is a node.
    pub leaf: Option<u64>,
    /// The number of the last node ever appended.
    pub nodes: u64,
    /// What was counted so far.
    pub usage: Usage,
    /// The dedupe domain: the same for a session and its forks.
    pub lineage: Arc<str>,
    /// Where it was forked from.
    pub base: Option<BaseView>,
}

/// Where a session was forked from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BaseView {
    /// The session.
    pub session: SessionId,
    /// Its revision.
    pub revision: u64,
}

/// A part of a state, without its content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// The name of its content.
    pub blob: BlobId,
    /// How many bytes that has.
    pub size: u64,
    /// Whether it is JSON.
    pub form: Form,
    /// What the caller said about it.
    #[serde(flatten)]
    pub label: Label,
}

/// A node of the graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its number, from 1 on.
    pub number: u64,
    /// The node it hangs below.
    pub parent: Option<u64>,
    /// The revision that appended it.
    pub revision: u64,
    /// What it is.
    pub kind: Arc<str>,
    /// What it holds; `None` if it is a tombstone.
    pub payload: Option<Payload>,
}
