//! The stash: scratch data that the calls of one session share. Values are raw
//! JSON, passed on as they are written.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

#[cfg(feature = "schema")]
use crate::schema::{self, Identifier, Json, UnixMs};

/// On behalf of which group a stash is used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::IntoParams), into_params(parameter_in = Query))]
#[serde(deny_unknown_fields)]
pub struct GroupQuery {
    /// One of the credential's groups. Left out, it is the only one the
    /// credential names, or none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", param(value_type = Option<Identifier>))]
    pub group: Option<String>,
}

/// Which keys to list, and how many.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::IntoParams), into_params(parameter_in = Query))]
#[serde(deny_unknown_fields)]
pub struct KeysQuery {
    /// As in [`GroupQuery`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", param(value_type = Option<Identifier>))]
    pub group: Option<String>,
    /// How they begin: at most 256 characters of `A-Z a-z 0-9 _ - . :`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "schema",
        param(max_length = 256, pattern = r"^[A-Za-z0-9_.:-]*$")
    )]
    pub prefix: Option<String>,
    /// At most so many: 1 to 1,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", param(minimum = 1, maximum = 1000, default = 100))]
    pub limit: Option<u64>,
    /// The `next_cursor` of an earlier page of the same query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", param(min_length = 1, max_length = 4096))]
    pub cursor: Option<String>,
}

/// A value for a key. The conditions are headers: `If-None-Match: *` for one
/// that has no entry, `If-Match` with its version for one that has.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PutEntry {
    /// The value: at most 16 MiB as compact JSON unless the server is
    /// configured otherwise.
    #[cfg_attr(feature = "schema", schema(value_type = Json))]
    pub value: Box<RawValue>,
    /// For how long in milliseconds: 1 ms to what the server is configured
    /// to, at most a year; its default if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(minimum = 1, maximum = 31_536_000_000_u64))]
    pub ttl_ms: Option<u64>,
}

/// Another time to live for an entry, from now on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Touch {
    /// For how long in milliseconds; the server's default if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(minimum = 1, maximum = 31_536_000_000_u64))]
    pub ttl_ms: Option<u64>,
}

/// Adds to a whole number; a key without an entry counts as 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Increment {
    /// How much is added.
    pub by: i64,
    /// How long the entry lives if this makes it, in milliseconds. One that is
    /// there keeps its deadline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(minimum = 1, maximum = 31_536_000_000_u64))]
    pub ttl_ms: Option<u64>,
}

/// Operations that happen in one atomic step: all of them or none.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Steps {
    /// The operations, in order: 1 to 256. Each sees what those before it did.
    #[cfg_attr(feature = "schema", schema(min_items = 1, max_items = 256))]
    pub operations: Vec<Operation>,
}

/// One operation of an atomic step.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// Reads an entry, as the operations before it leave it.
    Get(KeyOf),
    /// Gives a key a value.
    Put(PutStep),
    /// Deletes an entry.
    Delete(KeyOf),
    /// Gives an entry another time to live, from now on.
    Touch(TouchStep),
    /// Adds to a whole number.
    Increment(IncrementStep),
}

/// Names the key of an operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct KeyOf {
    /// The key.
    #[cfg_attr(feature = "schema", schema(value_type = schema::Key))]
    pub key: String,
}

/// A put within a step.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PutStep {
    /// The key.
    #[cfg_attr(feature = "schema", schema(value_type = schema::Key))]
    pub key: String,
    /// The value it shall have.
    #[cfg_attr(feature = "schema", schema(value_type = Json))]
    pub value: Box<RawValue>,
    /// For how long in milliseconds; the server's default if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(minimum = 1, maximum = 31_536_000_000_u64))]
    pub ttl_ms: Option<u64>,
    /// What must hold of the key; nothing if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<Condition>,
}

/// What must hold of a key for a put to happen: `"any"`, `"absent"` or
/// `{"version": N}`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// Nothing.
    #[default]
    Any,
    /// It has no live entry.
    Absent,
    /// Its live entry has this version.
    Version(u64),
}

/// A touch within a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct TouchStep {
    /// The key.
    #[cfg_attr(feature = "schema", schema(value_type = schema::Key))]
    pub key: String,
    /// For how long in milliseconds; the server's default if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(minimum = 1, maximum = 31_536_000_000_u64))]
    pub ttl_ms: Option<u64>,
}

/// An increment within a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct IncrementStep {
    /// The key.
    #[cfg_attr(feature = "schema", schema(value_type = schema::Key))]
    pub key: String,
    /// How much is added.
    pub by: i64,
    /// How long the entry lives if this makes it, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(minimum = 1, maximum = 31_536_000_000_u64))]
    pub ttl_ms: Option<u64>,
}

/// What the operations of a step answered, in their order.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Answers {
    /// One for each operation.
    pub answers: Vec<Answer>,
}

/// What one operation of a step answered.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// The entry, if there was one.
    Entry(Option<Entry>),
    /// What a put made.
    Stored(Metadata),
    /// Whether a live entry went.
    Deleted(bool),
    /// The entry with its new deadline, if there was one.
    Touched(Option<Metadata>),
    /// What an increment made of the number.
    Number(Number),
}

/// Which entries of a stash are to go: all of one group, or all that belong to
/// none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ClearAll {
    /// The group; `null` or left out for the entries that belong to none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<Identifier>))]
    pub group: Option<String>,
}

/// How much of what has expired is to be removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Reap {
    /// At most so many entries; all of them if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
}

/// What is known of an entry beside its key and value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Metadata {
    /// The group it belongs to; `null` if it is public within the session.
    #[cfg_attr(feature = "schema", schema(value_type = Option<Identifier>, required))]
    pub group: Option<String>,
    /// Length of its value as compact JSON, in bytes.
    pub size: u64,
    /// When its key was first put since it was last absent.
    #[cfg_attr(feature = "schema", schema(value_type = UnixMs))]
    pub created: u64,
    /// When its value was last put.
    #[cfg_attr(feature = "schema", schema(value_type = UnixMs))]
    pub updated: u64,
    /// From when on it is gone.
    #[cfg_attr(feature = "schema", schema(value_type = UnixMs))]
    pub expires: u64,
    /// The number of the put that gave it its value; its `ETag`. Never used
    /// twice within a stash, not even after a delete.
    pub version: u64,
}

/// An entry as it was at one moment.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Entry {
    /// Its key.
    #[cfg_attr(feature = "schema", schema(value_type = schema::Key))]
    pub key: String,
    /// Its value.
    #[cfg_attr(feature = "schema", schema(value_type = Json))]
    pub value: Box<RawValue>,
    /// How long it was to live from the moment of reading, in milliseconds.
    pub ttl_left_ms: u64,
    /// What is known beside it.
    #[serde(flatten)]
    pub metadata: Metadata,
}

/// A key with what is known of its entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct KeyInfo {
    /// The key.
    #[cfg_attr(feature = "schema", schema(value_type = schema::Key))]
    pub key: String,
    /// What is known of its entry.
    #[serde(flatten)]
    pub metadata: Metadata,
}

/// Some of the keys a caller can see, in the order of their bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct KeyPage {
    /// The keys.
    pub keys: Vec<KeyInfo>,
    /// Where to go on; `null` at the end.
    #[cfg_attr(feature = "schema", schema(required))]
    pub next_cursor: Option<String>,
}

/// Whether a delete found an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Deleted {
    /// Whether a live entry went.
    pub deleted: bool,
}

/// A number after an increment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Number {
    /// What it is now.
    pub value: i64,
    /// Its entry.
    pub metadata: Metadata,
}

/// What a removal of many entries did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Removed {
    /// How many went.
    pub removed: u64,
    /// The value bytes they had.
    pub bytes: u64,
    /// Whether there are more of them left.
    pub truncated: bool,
}

/// What a number of entries amounts to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Figures {
    /// How many there are.
    pub keys: u64,
    /// The sum of their lengths as compact JSON.
    pub value_bytes: u64,
    /// The same with their keys, their groups and 384 bytes each.
    pub charged_bytes: u64,
}

/// The figures of a stash at one moment. Both are 0 when it is empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Usage {
    /// Entries whose time is not over: what limits and quotas count.
    pub live: Figures,
    /// Entries whose time is over and whose space was not taken back yet.
    pub expired: Figures,
}
