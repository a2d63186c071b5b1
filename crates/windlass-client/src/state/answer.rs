//! What is told of a state.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Base64, Counted, Form};
#[cfg(feature = "schema")]
use crate::schema::{Blob, Bytes, Identifier, Json, UnixMs};

/// A session's state as it is. Its `ETag` is the revision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "schema", schema(as = StateHead))]
pub struct Head {
    /// The revision.
    pub revision: u64,
    /// The name of the last commit, a UUID of version 7.
    pub commit: String,
    /// When it was made.
    #[cfg_attr(feature = "schema", schema(value_type = UnixMs))]
    pub at: u64,
    /// Which parts there are, and where.
    #[cfg_attr(feature = "schema", schema(value_type = Blob))]
    pub manifest: String,
    /// The leaf of the graph, if there is a node.
    #[cfg_attr(feature = "schema", schema(required))]
    pub leaf: Option<u64>,
    /// The number of the last node ever appended.
    pub nodes: u64,
    /// What was counted so far.
    pub usage: Counted,
    /// The same for a session and its forks, which share what is stored.
    pub lineage: String,
    /// Where it was forked from.
    #[cfg_attr(feature = "schema", schema(required))]
    pub base: Option<StateBase>,
}

/// Where a session was forked from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct StateBase {
    /// The session.
    #[cfg_attr(feature = "schema", schema(value_type = Identifier))]
    pub session: String,
    /// Its revision.
    pub revision: u64,
}

/// What a commit came to. Its `ETag` is the revision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Committed {
    /// The revision it made.
    pub revision: u64,
    /// The name of the commit, a UUID of version 7.
    pub commit: String,
    /// Which parts there are from now on, and where.
    #[cfg_attr(feature = "schema", schema(value_type = Blob))]
    pub manifest: String,
    /// The leaf of the graph, if there is a node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaf: Option<u64>,
    /// The number of the last node ever appended; those of one commit are
    /// numbered up to it without a gap.
    pub nodes: u64,
}

/// Where the state of a commit came from, if not from the commit before it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
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
        #[cfg_attr(feature = "schema", schema(value_type = Identifier))]
        session: String,
        /// Its revision.
        revision: u64,
    },
}

/// One commit, as the log shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "schema", schema(as = StateCommit))]
pub struct LogEntry {
    /// The revision it made.
    pub revision: u64,
    /// Its name.
    pub commit: String,
    /// When it was made.
    #[cfg_attr(feature = "schema", schema(value_type = UnixMs))]
    pub at: u64,
    /// Who made it.
    #[cfg_attr(feature = "schema", schema(value_type = Identifier))]
    pub principal: String,
    /// The `Idempotency-Key` it was made under.
    #[cfg_attr(feature = "schema", schema(value_type = Option<Identifier>, required))]
    pub turn: Option<String>,
    /// Which parts there are, and where.
    #[cfg_attr(feature = "schema", schema(value_type = Blob))]
    pub manifest: String,
    /// The leaf of the graph.
    #[cfg_attr(feature = "schema", schema(required))]
    pub leaf: Option<u64>,
    /// The number of the last node ever appended.
    pub nodes: u64,
    /// What it added to the count.
    pub usage: Counted,
    /// The caller's word for it.
    #[cfg_attr(feature = "schema", schema(required))]
    pub note: Option<String>,
    /// Where its state came from.
    #[cfg_attr(feature = "schema", schema(required))]
    pub origin: Option<Origin>,
    /// The parts it put.
    pub put: Vec<String>,
    /// The parts it removed.
    pub removed: Vec<String>,
    /// The attachments it made part of the state.
    pub attachments: Vec<String>,
}

/// Commits of one session, newest first, those before it was forked included.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "schema", schema(as = StateLog))]
pub struct LogPage {
    /// The commits.
    pub commits: Vec<LogEntry>,
    /// Go on with commits before this revision; `null` at the end.
    #[cfg_attr(feature = "schema", schema(required))]
    pub before: Option<u64>,
}

/// A part of a state, without its content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "schema", schema(as = StatePart))]
pub struct Part {
    /// The SHA-256 of its content.
    #[cfg_attr(feature = "schema", schema(value_type = Blob))]
    pub blob: String,
    /// How many bytes that has.
    pub size: u64,
    /// Whether it is JSON.
    pub form: Form,
    /// What it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// A number of the caller's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<i64>,
    /// Whether the caller thinks that it can be compressed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compressible: Option<bool>,
    /// Whether the caller says that it is large.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub large: Option<bool>,
}

/// A state as it was at one revision, without its contents.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "schema", schema(as = StateSnapshot))]
pub struct Snapshot {
    /// The commit that made it.
    pub commit: LogEntry,
    /// Its parts.
    pub parts: BTreeMap<String, Part>,
}

/// Which parts a state has, by the reference that its commit names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "schema", schema(as = StateManifest))]
pub struct Manifest {
    /// The version of its layout.
    pub v: u64,
    /// The parts.
    pub parts: BTreeMap<String, Part>,
}

/// A node of the graph, with its content in `json` or `bytes`; neither if it
/// left the graph and only its place is there.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "schema", schema(as = StateNode))]
pub struct Node {
    /// Its number, from 1 on.
    pub number: u64,
    /// The node it hangs below.
    #[cfg_attr(feature = "schema", schema(required))]
    pub parent: Option<u64>,
    /// The revision that appended it.
    pub revision: u64,
    /// What it is.
    pub kind: String,
    /// Its content, if that is JSON.
    #[serde(
        default,
        deserialize_with = "super::request::present",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schema(value_type = Json))]
    pub json: Option<Box<RawValue>>,
    /// Its content, if that is anything else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Bytes))]
    pub bytes: Option<Base64>,
}

impl Node {
    /// Whether only its place is there.
    #[must_use]
    pub const fn is_tombstone(&self) -> bool {
        self.json.is_none() && self.bytes.is_none()
    }
}

/// Part of the way from a leaf to its root, the one nearest to the root first.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "schema", schema(as = StatePath))]
pub struct Path {
    /// The revision whose graph it is part of.
    pub revision: u64,
    /// The nodes.
    pub nodes: Vec<Node>,
    /// The node above the first of them, from which to go on; `null` at the
    /// root.
    #[cfg_attr(feature = "schema", schema(required))]
    pub above: Option<u64>,
}

/// Part of a graph, in the order the nodes were appended.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "schema", schema(as = StateGraph))]
pub struct GraphPage {
    /// The nodes that are in the graph.
    pub nodes: Vec<Node>,
    /// The last node looked at, after which to go on; `null` at the end.
    #[cfg_attr(feature = "schema", schema(required))]
    pub after: Option<u64>,
}

/// A part as it was and as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PartDifference {
    /// As it was; `null` if there was none.
    #[cfg_attr(feature = "schema", schema(required))]
    pub before: Option<Part>,
    /// As it is; `null` if there is none.
    #[cfg_attr(feature = "schema", schema(required))]
    pub after: Option<Part>,
}

/// What differs between two states of a session.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "schema", schema(as = StateDifference))]
pub struct Difference {
    /// The earlier commit.
    pub from: LogEntry,
    /// The later one.
    pub to: LogEntry,
    /// The parts that differ, by name.
    pub parts: BTreeMap<String, PartDifference>,
    /// Nodes on the way to the leaf that are not on it any more, oldest first.
    pub left: Vec<Node>,
    /// Nodes on the way to the leaf that were not on it, oldest first.
    pub entered: Vec<Node>,
    /// Whether there are more nodes that differ than are given.
    pub truncated: bool,
}

/// A tag on a revision, which is then kept for ever.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "schema", schema(as = StateTag))]
pub struct Tag {
    /// Its name.
    #[cfg_attr(feature = "schema", schema(value_type = Identifier))]
    pub name: String,
    /// The revision it is on.
    pub revision: u64,
    /// When it was set.
    #[cfg_attr(feature = "schema", schema(value_type = UnixMs))]
    pub at: u64,
}

/// The tags of a session, by name: at most 1,024.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "schema", schema(as = StateTags))]
pub struct Tags {
    /// The tags.
    pub tags: Vec<Tag>,
}

/// Where a tag is now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Tagged {
    /// Its name.
    #[cfg_attr(feature = "schema", schema(value_type = Identifier))]
    pub name: String,
    /// The revision it is on.
    pub revision: u64,
}

/// Whether there was a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Untagged {
    /// Whether there was one.
    pub untagged: bool,
}

/// A session whose state begins where another one was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "schema", schema(as = StateFork))]
pub struct Fork {
    /// The session.
    #[cfg_attr(feature = "schema", schema(value_type = Identifier))]
    pub session: String,
    /// The revision of the other one.
    pub revision: u64,
}

/// Some of a session's forks that the caller can reach, in the order of their
/// names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "schema", schema(as = StateForks))]
pub struct ForkPage {
    /// The forks.
    pub forks: Vec<Fork>,
    /// The session after which to go on; `null` at the end.
    #[cfg_attr(feature = "schema", schema(value_type = Option<Identifier>, required))]
    pub after: Option<String>,
}

/// How far a removal came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Removal {
    /// There was no state.
    Absent,
    /// It is gone.
    Removed,
    /// It is gone for everybody but its forks, which read from it.
    KeptForForks,
}

/// What became of a state that was to be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "schema", schema(as = StateRemoved))]
pub struct Removed {
    /// How far it came.
    pub removal: Removal,
}
