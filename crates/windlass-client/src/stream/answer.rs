//! What streams answer.

use serde::{Deserialize, Serialize};

use super::{StreamEnding, StreamExpiry};
#[cfg(feature = "schema")]
use crate::schema::{Count, Digest, Identifier, Offset, UnixMs};

/// A stream as it is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Stream {
    /// Its name.
    #[cfg_attr(feature = "schema", schema(value_type = Identifier))]
    pub id: String,
    /// Whose it is.
    #[cfg_attr(feature = "schema", schema(value_type = Identifier))]
    pub principal: String,
    /// Whose output it is; `null` if it was made by path.
    #[cfg_attr(feature = "schema", schema(required, value_type = Option<Identifier>))]
    pub session: Option<String>,
    /// When it was made.
    #[cfg_attr(feature = "schema", schema(value_type = UnixMs))]
    pub created_at: u64,
    /// When it last changed.
    #[cfg_attr(feature = "schema", schema(value_type = UnixMs))]
    pub changed_at: u64,
    /// The first offset that can be read from.
    #[cfg_attr(feature = "schema", schema(value_type = Offset))]
    pub earliest: String,
    /// After the last row.
    #[cfg_attr(feature = "schema", schema(value_type = Offset))]
    pub tail: String,
    /// The digest at the tail.
    #[cfg_attr(feature = "schema", schema(value_type = Digest))]
    pub digest: String,
    /// Bytes of all rows ever appended, as framed, as text.
    #[cfg_attr(feature = "schema", schema(value_type = Count))]
    pub bytes: String,
    /// When it goes.
    pub expiry: StreamExpiry,
    /// How it ended; `null` while it has not.
    #[cfg_attr(feature = "schema", schema(required))]
    pub closed: Option<StreamClosed>,
}

/// When and how a stream was closed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct StreamClosed {
    /// When.
    #[cfg_attr(feature = "schema", schema(value_type = UnixMs))]
    pub at: u64,
    /// How.
    pub how: StreamEnding,
}

/// A page of the streams of a session, those of the caller's principal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct StreamList {
    /// The streams, in the order of their names.
    pub streams: Vec<Stream>,
    /// Where the next page begins; `null` at the end. A page can be empty and
    /// have a next one.
    #[cfg_attr(feature = "schema", schema(required))]
    pub next_cursor: Option<String>,
}

/// What an append came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Appended {
    /// Rows that were stored.
    pub rows: u64,
    /// Where the stream stands after them, durably.
    #[cfg_attr(feature = "schema", schema(value_type = Offset))]
    pub tail: String,
    /// The digest there.
    #[cfg_attr(feature = "schema", schema(value_type = Digest))]
    pub digest: String,
    /// Whether it was made before, under the same key: then this is the first
    /// answer, and nothing happened now.
    #[serde(default)]
    pub repeated: bool,
}

/// Where a stream stands after a change, durably.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "schema", schema(as = StreamPlaced))]
pub struct Placed {
    /// Where the rows of the change begin.
    #[cfg_attr(feature = "schema", schema(value_type = Offset))]
    pub first: String,
    /// After them.
    #[cfg_attr(feature = "schema", schema(value_type = Offset))]
    pub tail: String,
    /// The digest there.
    #[cfg_attr(feature = "schema", schema(value_type = Digest))]
    pub digest: String,
}

/// What trimming has come to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "schema", schema(as = StreamTrimmed))]
pub struct Trimmed {
    /// The first offset that can be read from now.
    #[cfg_attr(feature = "schema", schema(value_type = Offset))]
    pub earliest: String,
    /// The first offset of which the rows are stored; before the former while
    /// somebody reads there.
    #[cfg_attr(feature = "schema", schema(value_type = Offset))]
    pub kept: String,
    /// Chunks that were deleted.
    pub chunks_removed: u64,
}

/// What removing a stream took away.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RemovedStream {
    /// Rows of the store.
    pub rows: u64,
}

/// A read that can go on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct StreamRead {
    /// What is kept for it begins here.
    #[cfg_attr(feature = "schema", schema(value_type = Offset))]
    pub at: String,
    /// Where it ends, unless it follows the stream.
    #[cfg_attr(feature = "schema", schema(value_type = Offset))]
    pub tail: String,
    /// Whether it follows the stream.
    pub follow: bool,
    /// When the cursor expires unless it is read on.
    #[cfg_attr(feature = "schema", schema(value_type = UnixMs))]
    pub expires_at: u64,
}

/// How many streams are being read in the server's process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "schema", schema(as = StreamReads))]
pub struct Reads {
    /// By all.
    pub current: u64,
    /// How many there may be.
    pub limit: u64,
    /// How many there may be of one principal.
    pub principal_limit: u64,
    /// By each principal that reads any.
    pub principals: Vec<PrincipalReads>,
}

/// How many streams a principal is reading.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PrincipalReads {
    /// Of which tenant.
    #[cfg_attr(feature = "schema", schema(value_type = Identifier))]
    pub tenant: String,
    /// Who.
    #[cfg_attr(feature = "schema", schema(value_type = Identifier))]
    pub principal: String,
    /// How many.
    pub current: u64,
}

/// What upkeep did for streams.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct StreamsReport {
    /// Steps taken.
    pub scanned: u64,
    /// Cursors forgotten.
    pub cursors_removed: u64,
    /// Expired streams removed.
    pub streams_removed: u64,
    /// Operation records dropped.
    #[serde(default)]
    pub operations_removed: u64,
    /// Whether work that is due is left, or may be.
    pub truncated: bool,
    /// Records that cannot be read, by the keys that led to them, and why; they
    /// are left alone.
    pub unreadable: Vec<(String, String)>,
}

/// An input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Input {
    /// Its name.
    pub id: String,
    /// The path that its stream is to have, or has.
    pub target: String,
    /// What its rows are.
    pub content_type: String,
    /// After the last row that came.
    #[cfg_attr(feature = "schema", schema(value_type = Offset))]
    pub tail: String,
    /// What became of it.
    pub state: InputState,
}

/// What became of an input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum InputState {
    /// It can be appended to.
    Open {
        /// Whether it is only taken with a digest of its rows.
        verified: bool,
        /// When it goes unless something is appended before, in Unix
        /// milliseconds.
        expires_at: Option<u64>,
    },
    /// Its stream has its path.
    Finished,
    /// Its rows were not what was sent, and nobody ever sees them.
    Withdrawn {
        /// The digest of what was sent.
        #[cfg_attr(feature = "schema", schema(value_type = Digest))]
        expected: String,
        /// The digest of what came.
        #[cfg_attr(feature = "schema", schema(value_type = Digest))]
        actual: String,
        /// The first row that is withdrawn.
        #[cfg_attr(feature = "schema", schema(value_type = Offset))]
        first: String,
        /// After the last one.
        #[cfg_attr(feature = "schema", schema(value_type = Offset))]
        tail: String,
    },
}

/// What became of an append to an input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct InputAppended {
    /// After the last row.
    #[cfg_attr(feature = "schema", schema(value_type = Offset))]
    pub tail: String,
    /// Whether it was appended before: then nothing happened now.
    pub repeated: bool,
}

/// The stream that an input has become.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct FinishedInput {
    /// Its path.
    pub path: String,
    /// After its last row.
    #[cfg_attr(feature = "schema", schema(value_type = Offset))]
    pub tail: String,
}
