//! What the lines of a read say, beside rows.

use serde::{Deserialize, Serialize};

#[cfg(feature = "schema")]
use crate::schema::{Count, Digest, Offset, UnixMs};

/// The beginning of a read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct StreamOpened {
    /// The public name of the lease.
    pub handle: String,
    /// With which a read that was cut off goes on; it gives nobody the right
    /// to.
    pub cursor: String,
    /// Where the read begins.
    #[cfg_attr(feature = "schema", schema(value_type = Offset))]
    pub start: String,
    /// Where it ends, unless it follows the stream.
    #[cfg_attr(feature = "schema", schema(value_type = Offset))]
    pub tail: String,
    /// The digest of everything before `start`, as if a chunk ended there.
    #[cfg_attr(feature = "schema", schema(value_type = Digest))]
    pub digest: String,
    /// Where the chunk begins that `start` is in: what the next mark is
    /// chained to.
    pub base: StreamMark,
    /// When the cursor expires unless it is read on.
    #[cfg_attr(feature = "schema", schema(value_type = UnixMs))]
    pub expires: u64,
    /// Whether a read that was cut off can go on where it was.
    pub resumable: bool,
}

/// A place in a stream and the digest of everything before it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct StreamMark {
    /// The place.
    #[cfg_attr(feature = "schema", schema(value_type = Offset))]
    pub offset: String,
    /// The digest there.
    #[cfg_attr(feature = "schema", schema(value_type = Digest))]
    pub digest: String,
}

/// The end of a read that gave all it was to give.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct StreamEnd {
    /// The lease.
    pub handle: String,
    /// Rows that were given, as text.
    #[cfg_attr(feature = "schema", schema(value_type = Count))]
    pub row_count: String,
    /// Bytes of their lines, as text.
    #[cfg_attr(feature = "schema", schema(value_type = Count))]
    pub bytes: String,
    /// After the last of them.
    #[cfg_attr(feature = "schema", schema(value_type = Offset))]
    pub offset: String,
    /// The digest there.
    #[cfg_attr(feature = "schema", schema(value_type = Digest))]
    pub digest: String,
    /// Whether the stream is closed: then nothing will ever follow.
    pub closed: bool,
}

/// The end of a read that could not give all: the stream failed, or the read
/// alone did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct StreamFailure {
    /// A name for programs: the stream's own if it is `closed`.
    pub code: String,
    /// A sentence for people.
    pub message: String,
    /// Where to read on.
    #[cfg_attr(feature = "schema", schema(value_type = Offset))]
    pub resume: String,
    /// Whether the stream itself has ended so; if not, the read can go on.
    pub closed: bool,
    /// How long to wait before that, where the server says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}
