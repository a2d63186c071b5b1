//! What is asked of streams.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

#[cfg(feature = "schema")]
use crate::schema::{Bytes, Digest, Identifier, Json, Offset};
use crate::state::{Base64, present};

/// Makes a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CreateStream {
    /// Whose output it is.
    #[cfg_attr(feature = "schema", schema(value_type = Identifier))]
    pub session: String,
    /// Its name within the tenant; drawn if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Identifier))]
    pub id: Option<String>,
    /// When it goes; not by itself if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiry: Option<StreamExpiry>,
}

/// When a stream expires. One that is read does not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum StreamExpiry {
    /// Not by itself.
    #[default]
    Never,
    /// So many milliseconds after the last change, its closing included.
    IdleMs(u64),
    /// So many milliseconds after the last read or change, up to an eighth
    /// longer.
    SlidingMs(u64),
    /// At this time, in Unix milliseconds.
    At(u64),
}

/// How a stream ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum StreamEnding {
    /// Its writer had no more rows.
    #[default]
    Finished,
    /// Its writer gave up.
    Failed {
        /// A name for programs.
        #[cfg_attr(feature = "schema", schema(min_length = 1, max_length = 64))]
        code: String,
        /// A sentence for people: up to 512 bytes.
        #[cfg_attr(feature = "schema", schema(max_length = 512))]
        message: String,
    },
    /// Its owner did not want it any more.
    Cancelled,
}

/// A row: exactly one of the two.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewRow {
    /// Any JSON value without line breaks between its tokens, kept as it is
    /// written.
    #[serde(
        default,
        deserialize_with = "present",
        skip_serializing_if = "Option::is_none"
    )]
    #[cfg_attr(feature = "schema", schema(value_type = Json))]
    pub row: Option<Box<RawValue>>,
    /// Any bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Bytes))]
    pub bytes: Option<Base64>,
}

/// Closes a stream for good.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CloseStream {
    /// How it ends; finished if left out.
    #[serde(default)]
    pub how: StreamEnding,
}

/// Gives up the rows before an offset.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct TrimStream {
    /// Rows before the chunk that this is in are given up.
    #[cfg_attr(feature = "schema", schema(value_type = Offset))]
    pub before: String,
}

/// A page of the streams of a session.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::IntoParams), into_params(parameter_in = Query))]
#[serde(deny_unknown_fields)]
pub struct StreamsQuery {
    /// Streams looked at: 1 to 1,000; 100 if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", param(minimum = 1, maximum = 1_000, default = 100))]
    pub limit: Option<u64>,
    /// Where the page before ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// Where a read begins, and how it goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::IntoParams), into_params(parameter_in = Query))]
#[serde(deny_unknown_fields)]
pub struct ReadStream {
    /// An offset, `earliest` or `tail`; where the cursor's read began, or
    /// `earliest` without one, if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", param(pattern = "^([0-9a-f]{16}|earliest|tail)$"))]
    pub from: Option<String>,
    /// The digest of everything received before `from`, to be checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", param(value_type = Option<Digest>))]
    pub digest: Option<String>,
    /// The cursor of a read that goes on: then `from` and `digest` are those of
    /// the last mark that came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", param(pattern = "^[0-9a-f]{48}$"))]
    pub cursor: Option<String>,
    /// Whether rows that are appended later are part of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follow: Option<bool>,
    /// Waits for rows, up to 30,000 ms, and gives those that are there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", param(maximum = 30_000))]
    pub wait_ms: Option<u64>,
}

/// Data of a session that is read as a stream is, without being recorded as
/// one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Its recorded changes: uses, what they cost, and what else became of its
    /// budget.
    Usage,
    /// The commits of its state.
    Commits,
    /// The nodes of its graph.
    Graph,
}

impl Source {
    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Usage => "usage",
            Self::Commits => "commits",
            Self::Graph => "graph",
        }
    }
}

/// In which order the rows of a source come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum SourceOrder {
    /// As they were added.
    #[default]
    OldestFirst,
    /// The other way round.
    NewestFirst,
}

/// What is read of a source; or, with a cursor, with which read to go on, and
/// then `order`, `kind` and `limit` are those it was opened with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::IntoParams), into_params(parameter_in = Query))]
#[serde(deny_unknown_fields)]
pub struct ReadSource {
    /// In which order rows come; as they were added if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", param(inline))]
    pub order: Option<SourceOrder>,
    /// Only rows of this kind: of events, or of nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", param(min_length = 1, max_length = 128))]
    pub kind: Option<String>,
    /// At most so many rows, over all parts of a read that is cut off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", param(minimum = 1))]
    pub limit: Option<u64>,
    /// The cursor of a read that goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", param(pattern = "^[0-9a-f]{48}$"))]
    pub cursor: Option<String>,
    /// The offset behind what was received of it; where it began, or was last
    /// gone on with, if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", param(value_type = Option<Offset>))]
    pub from: Option<String>,
    /// The digest of everything received before `from`, to be checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", param(value_type = Option<Digest>))]
    pub digest: Option<String>,
}

/// Begins an input: rows that nobody reads before they are all there and as
/// they were meant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NewInput {
    /// The path that its stream is to have.
    #[cfg_attr(feature = "schema", schema(min_length = 1, max_length = 512))]
    pub target: String,
    /// What its rows are; `application/octet-stream` if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(min_length = 1, max_length = 255))]
    pub content_type: Option<String>,
    /// When the stream goes, from when it has its path on; not by itself if
    /// left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiry: Option<StreamExpiry>,
    /// Whether it is only taken with a digest of its rows.
    #[serde(default)]
    pub verified: bool,
}

/// Ends an input.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct FinishInput {
    /// SHA-256 of all rows, each as its length in 8 bytes (big-endian) and its
    /// bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<Digest>))]
    pub digest: Option<String>,
}
