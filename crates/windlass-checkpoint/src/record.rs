//! Stored records: heads, and what a commit leaves of itself.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use windlass_core::{Format, Millis, OperationId, PrincipalId, SessionId, Writers};

use crate::blob::BlobId;
use crate::error::CheckpointError;
use crate::model::{BaseView, Committed, PartName, Usage, is_zero};
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
