//! The audit: who did what, in chains that show where they were tampered with.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::page::Order;
#[cfg(feature = "schema")]
use crate::schema::{Identifier, UnixMs};

/// Which events to list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::IntoParams), into_params(parameter_in = Query))]
#[serde(deny_unknown_fields)]
pub struct AuditQuery {
    /// The tenant, or `system`, for operators; the credential's own if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chain: Option<String>,
    /// Only events behind this one, in the order asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
    /// At most so many: 1 to 1,000; 100 if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", param(minimum = 1, maximum = 1_000, default = 100))]
    pub limit: Option<u64>,
    /// Which come first; the oldest if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<Order>,
}

/// Which chain is meant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::IntoParams), into_params(parameter_in = Query))]
#[serde(deny_unknown_fields)]
pub struct ChainQuery {
    /// The tenant, or `system`, for operators; the credential's own if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chain: Option<String>,
    /// Only events behind this one, where events are asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
}

/// From where a chain is verified, and what it is held to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::IntoParams), into_params(parameter_in = Query))]
#[serde(deny_unknown_fields)]
pub struct VerifyQuery {
    /// The tenant, or `system`, for operators; the credential's own if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chain: Option<String>,
    /// The first event; the oldest that is kept if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<u64>,
    /// The number of an event whose hash was noted elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub noted_seq: Option<u64>,
    /// That hash, 64 hexadecimal digits; given with the number or not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub noted_hash: Option<String>,
}

/// Some events of a chain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AuditPage {
    /// The events, in the order asked for.
    pub events: Vec<AuditEvent>,
    /// Go on with this as `after`; null at the end.
    #[cfg_attr(feature = "schema", schema(required))]
    pub next: Option<u64>,
}

/// One event of the audit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AuditEvent {
    /// Its number: 1 for the first of the chain.
    pub seq: u64,
    /// When it was told.
    #[cfg_attr(feature = "schema", schema(value_type = UnixMs))]
    pub at: u64,
    /// The part and the deed.
    pub action: String,
    /// How it ended.
    pub outcome: AuditOutcome,
    /// Why it was not done, as an error code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Who asked, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub principal: Option<String>,
    /// The id of the key with which it was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The request it was part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// What it was about, by role.
    #[serde(default)]
    pub on: BTreeMap<String, String>,
    /// How many, how large.
    #[serde(default)]
    pub figures: BTreeMap<String, u64>,
    /// The hash of it and of all before it.
    pub hash: String,
}

/// How an operation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum AuditOutcome {
    /// It did what was asked.
    Done,
    /// A rule refused it.
    Refused,
    /// It failed, and may have happened.
    Failed,
}

/// Where a chain stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AuditHead {
    /// The chain.
    #[cfg_attr(feature = "schema", schema(value_type = Identifier))]
    pub chain: String,
    /// The number of the oldest event that is kept.
    pub first: u64,
    /// The hash before that one.
    pub anchor: String,
    /// The number of the last event.
    pub last: u64,
    /// The hash of that one: note it elsewhere, and a verification can be held
    /// to it.
    pub hash: String,
}

/// What a verification found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AuditVerified {
    /// The chain.
    #[cfg_attr(feature = "schema", schema(value_type = Identifier))]
    pub chain: String,
    /// The first event that was verified.
    pub from: u64,
    /// The last one; one less if there was none.
    pub through: u64,
    /// How many were verified.
    pub events: u64,
    /// How many of the chain's events have been forgotten, as was set.
    pub trimmed: u64,
    /// How many events these say were lost before they were written.
    pub lost: u64,
    /// The hash of the last that was verified.
    pub hash: String,
    /// The first break; null if there is none.
    #[serde(rename = "break")]
    #[cfg_attr(feature = "schema", schema(required))]
    pub broken: Option<AuditBreak>,
}

/// The first place where a chain is not what was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AuditBreak {
    /// The number of the event.
    pub seq: u64,
    /// What is wrong there.
    pub kind: AuditBreakKind,
}

/// What is wrong with a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum AuditBreakKind {
    /// There is no event of this number, and there should be.
    Missing,
    /// The event is not the one whose hash was chained, or the hash is not.
    Changed,
    /// In its place stands one of another number or chain.
    Misplaced,
    /// The store says that its row is damaged.
    Damaged,
    /// The chain ends before the event that its head says is the last.
    CutOff,
    /// There are events behind the one that the head says is the last.
    Surplus,
    /// The head is missing, cannot be read, or is that of another chain.
    Head,
    /// It has another hash than was noted elsewhere.
    Rewritten,
}

/// What a round of upkeep of the audit did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AuditReport {
    /// Events that were forgotten.
    pub trimmed: u64,
    /// Whether there may be more to do.
    pub truncated: bool,
    /// Chains that could not be trimmed, with the reason.
    pub unreadable: Vec<(String, String)>,
}
