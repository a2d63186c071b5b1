//! Upkeep of states, for operators: packing, and collecting what no state
//! needs any more.

use serde::{Deserialize, Serialize};

#[cfg(feature = "schema")]
use crate::schema::Identifier;

/// Collects contents that no state needs any more.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Collect {
    /// Everything of this tenant; if left out, of all tenants whatever may
    /// have become garbage and is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<Identifier>))]
    pub tenant: Option<String>,
    /// Whether only to say what would be deleted.
    #[serde(default, skip_serializing_if = "crate::is_false")]
    pub dry_run: bool,
    /// How long what nothing needs is safe, in milliseconds; as configured if
    /// left out. With it, what is not due yet is looked at too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace_ms: Option<u64>,
    /// Rows of each lineage to look at or write at most, about: 1 to
    /// 1,000,000,000; all of them if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(minimum = 1, maximum = 1_000_000_000_u64))]
    pub limit: Option<u64>,
}

/// What a round of collections did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct GarbageReport {
    /// Lineages that were collected, in whole or in part.
    pub lineages: u64,
    /// All their reports in one.
    pub collected: CollectReport,
}

/// What a collection did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct CollectReport {
    /// Commits and attachments from which it marked.
    pub roots: u64,
    /// Rows looked at.
    pub scanned: u64,
    /// Rows of contents that stay, as far as they were looked at.
    pub kept: u64,
    /// Rows of contents that were deleted; in a dry run, those that would be.
    pub deleted: u64,
    /// Bytes of these rows, as they were stored.
    pub bytes: u64,
    /// How long it took, in milliseconds.
    pub elapsed_ms: u64,
    /// Whether there is, or may be, more to do.
    pub truncated: bool,
    /// Why it did less than it might have.
    pub reasons: Vec<Reason>,
}

/// Why a collection did less than it might have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum Reason {
    /// Something that has to be read cannot be, so nothing of its lineage was
    /// deleted.
    Unreadable {
        /// Which record or blob, with its name.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// Another collection of the lineage was under way.
    AnotherRun,
    /// There is more garbage than one run takes.
    TooMuch,
    /// The limit was reached.
    Limit,
}

/// What a round of upkeep did for states.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PackReport {
    /// Steps taken.
    pub scanned: u64,
    /// Commits whose rows were packed.
    pub packed: u64,
    /// Commits that are no longer kept.
    pub dropped: u64,
    /// Answers to turns and operations that were dropped.
    pub turns_removed: u64,
    /// Whether work that is due is left, or may be.
    pub truncated: bool,
    /// States that cannot be read; they are left alone.
    pub unreadable: Vec<UnreadableState>,
}

/// What became of attachments that no commit has taken.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AttachmentReport {
    /// Attachments looked at.
    pub scanned: u64,
    /// Attachments taken away.
    pub removed: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Whether work that is due is left, or may be.
    pub truncated: bool,
    /// Attachments that cannot be read, by the keys that led to them, and why;
    /// they are left alone.
    #[serde(default)]
    pub unreadable: Vec<(String, String)>,
}

/// A state that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct UnreadableState {
    /// Of which session.
    #[cfg_attr(feature = "schema", schema(value_type = Identifier))]
    pub session: String,
    /// What is wrong.
    pub why: String,
}
