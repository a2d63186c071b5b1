//! The state of a session: named parts and a graph of nodes, committed with
//! compare-and-set, with its history. Contents that are JSON are passed on as
//! they are written; others are base64.

mod answer;
mod attachment;
mod bytes;
mod garbage;
mod request;

use serde::{Deserialize, Serialize};

pub use answer::{
    Committed, Difference, Fork, ForkPage, GraphPage, Head, LogEntry, LogPage, Manifest, Node,
    Origin, Part, PartDifference, Path, Removal, Removed, Snapshot, StateBase, Tag, Tagged, Tags,
    Untagged,
};
pub use attachment::{
    AppendBytes, Attachment, AttachmentPage, AttachmentsQuery, Dropped, FinishAttachment,
    NewAttachment, RangeQuery,
};
pub use bytes::Base64;
pub use garbage::{
    AttachmentReport, Collect, CollectReport, GarbageReport, PackReport, Reason, UnreadableState,
};
pub(crate) use request::present;
pub use request::{
    CommitState, DiffQuery, ForkState, ForksQuery, GraphQuery, LogQuery, NewNode, Parent,
    PartChange, PartQuery, PathQuery, RollBack, SetTag,
};

/// Whether contents are JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// The text of one JSON value.
    #[default]
    Json,
    /// Anything.
    Bytes,
}

/// What the caller counts, added up over the commits of a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Counted {
    /// Tool calls.
    #[serde(default, skip_serializing_if = "crate::is_zero")]
    pub calls: u64,
    /// Tokens of a model.
    #[serde(default, skip_serializing_if = "crate::is_zero")]
    pub tokens: u64,
    /// Micro-units of a currency.
    #[serde(default, skip_serializing_if = "crate::is_zero")]
    pub cost_micros: u64,
}

impl Counted {
    /// Whether nothing is counted.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        *self == Self::default()
    }
}
