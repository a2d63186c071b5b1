//! What callers are shown of the history of a state.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use windlass_core::{Millis, OperationId, PrincipalId, SessionId};

use crate::blob::BlobId;
use crate::model::{Node, Part, PartName, TagName, Usage};
use crate::record::{From, Record};

/// Which state of a session is meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum At {
    /// The present one.
    #[default]
    Head,
    /// That of a revision.
    Revision(u64),
    /// That of the revision a tag is on.
    Tag(TagName),
}

/// Where the state of a commit came from, if not from the commit before it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// An earlier revision of the same session.
    Rollback {
        /// Which.
        revision: u64,
    },
    /// A revision of another session.
    Fork {
        /// The session.
        session: SessionId,
        /// Its revision.
        revision: u64,
    },
}

/// One commit, as the log shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LogEntry {
    /// The revision it made.
    pub revision: u64,
    /// Its name.
    pub commit: Arc<str>,
    /// When it was made.
    pub at: Millis,
    /// Who made it.
    pub principal: PrincipalId,
    /// The turn it was made under.
    pub turn: Option<OperationId>,
    /// The manifest.
    pub manifest: BlobId,
    /// The leaf of the graph.
    pub leaf: Option<u64>,
    /// The number of the last node ever appended.
    pub nodes: u64,
    /// What it added to the usage.
    pub usage: Usage,
    /// The caller's word for it.
    pub note: Option<Arc<str>>,
    /// Where its state came from.
    pub origin: Option<Origin>,
    /// The parts it put.
    pub put: Vec<PartName>,
    /// The parts it removed.
    pub removed: Vec<PartName>,
    /// The attachments it made part of the state.
    pub attachments: Vec<String>,
}

impl std::convert::From<Record> for LogEntry {
    fn from(record: Record) -> Self {
        Self {
            revision: record.rev,
            commit: record.id,
            at: record.at,
            principal: record.by,
            turn: record.turn,
            manifest: record.points.manifest_id(),
            leaf: record.points.leaf,
            nodes: record.points.nodes,
            usage: record.usage,
            note: record.note,
            origin: record.from.map(|from| match from {
                From::Rollback(revision) => Origin::Rollback { revision },
                From::Fork(session, revision) => Origin::Fork { session, revision },
            }),
            put: record.put,
            removed: record.gone,
            attachments: record.attached,
        }
    }
}

/// Commits of one session, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LogPage {
    /// The commits.
    pub commits: Vec<LogEntry>,
    /// Go on with commits before this revision; none at the end.
    pub before: Option<u64>,
}

/// A state as it was at one revision, without its contents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Snapshot {
    /// The commit that made it.
    pub commit: LogEntry,
    /// Its parts.
    pub parts: BTreeMap<PartName, Part>,
}

/// A tag on a revision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tag {
    /// Its name.
    pub name: TagName,
    /// The revision it is on.
    pub revision: u64,
    /// When it was set.
    pub at: Millis,
}

/// What differs between two states of a session.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// The earlier commit.
    pub from: LogEntry,
    /// The later one.
    pub to: LogEntry,
    /// The parts that differ: as they were, and as they are.
    pub parts: BTreeMap<PartName, (Option<Part>, Option<Part>)>,
    /// Nodes on the way to the leaf that are not on it any more, oldest
    /// first.
    pub left: Vec<Node>,
    /// Nodes on the way to the leaf that were not on it, oldest first.
    pub entered: Vec<Node>,
    /// Whether there are more nodes that differ than are given.
    pub truncated: bool,
}
