//! What is stored, but for the rows themselves.

use std::sync::Arc;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use windlass_core::{Format, Millis, PrincipalId, SessionId, StreamId, Writers};

use crate::digest::Digest;
use crate::error::StreamError;
use crate::limits::{CLOCK_SKEW_MS_MAX, TOMBSTONE_MS};
use crate::model::{Closed, Expiry, Placed};
use crate::offset::Offset;

/// What every change of a stream rewrites.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Head {
    pub(crate) v: Format,
    /// How often it was written.
    pub(crate) rev: u64,
    pub(crate) principal: PrincipalId,
    /// None for a stream that was made by path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) session: Option<SessionId>,
    pub(crate) created: Millis,
    /// When it last changed.
    pub(crate) at: Millis,
    /// When a read was last noted: only of a stream whose expiry slides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) read: Option<Millis>,
    /// After the last row.
    pub(crate) tail: Offset,
    /// The digest at the tail.
    pub(crate) digest: Digest,
    /// Bytes of all rows ever appended, as framed.
    pub(crate) bytes: u64,
    /// The longest chunk ever appended, in bytes: how many of them fit into a
    /// reader's memory.
    pub(crate) widest: u64,
    #[serde(default, skip_serializing_if = "Expiry::is_never")]
    pub(crate) expiry: Expiry,
    /// Where the index of due work lists it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) due: Option<Millis>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) closed: Option<Closed>,
    /// Whether its rows are being deleted; for everybody it is gone.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) removing: bool,
    /// Whether it was removed while forks of it were left: its rows are theirs.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) deleted: bool,
    pub(crate) by: Writers,
}

impl Head {
    /// When it expires if nobody uses it from now on.
    pub(crate) fn expires(&self) -> Option<Millis> {
        match self.expiry {
            Expiry::Never => None,
            Expiry::IdleMs(ms) => Some(self.at.plus_ms(ms)),
            Expiry::SlidingMs(ms) => {
                let used = self.read.map_or(self.at, |read| read.max(self.at));
                Some(used.plus_ms(ms).plus_ms(slack_ms(ms)))
            }
            Expiry::At(time) => Some(time),
        }
    }
}

impl Head {
    /// Whether it has expired so long ago that nobody is told any more.
    pub(crate) fn is_forgotten(&self, now: Millis) -> bool {
        let forgotten = self.expires().map(|time| time.plus_ms(TOMBSTONE_MS));
        forgotten.is_some_and(|time| time.has_passed(now))
    }
}

/// How long a read need not be noted after the last use of a stream that
/// expires when it was idle for `ms`; and how much longer it therefore lives.
pub(crate) const fn slack_ms(ms: u64) -> u64 {
    ms.div_ceil(8)
}

/// What is kept of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Floor {
    pub(crate) v: Format,
    /// The first offset that can be read from.
    pub(crate) earliest: Offset,
    /// Where the first chunk begins that is stored, and the digest there.
    pub(crate) kept: Offset,
    pub(crate) digest: Digest,
}

impl Floor {
    pub(crate) const NEW: Self = Self {
        v: Format,
        earliest: Offset::START,
        kept: Offset::START,
        digest: Digest::START,
    };
}

/// What a reader comes back for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CursorRow {
    pub(crate) v: Format,
    /// The half of the cursor's hash that is not in the key.
    pub(crate) proof: Arc<str>,
    pub(crate) principal: PrincipalId,
    pub(crate) stream: StreamId,
    /// SHA-256 of the request that it was made for.
    pub(crate) request: Arc<str>,
    /// Everything before it was received; everything from it on is pinned.
    pub(crate) at: Offset,
    /// Where the read ends, unless it follows the stream.
    pub(crate) tail: Offset,
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) follow: bool,
    /// When it expires unless it is read on.
    pub(crate) until: Millis,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cancelled: Option<Millis>,
}

impl CursorRow {
    /// When nobody is told any more what became of it.
    pub(crate) fn forgotten(&self) -> Millis {
        let ended = self.cancelled.unwrap_or(self.until);
        ended.plus_ms(TOMBSTONE_MS)
    }
}

/// Keeps a stream from being trimmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pin {
    pub(crate) v: Format,
    pub(crate) until: Millis,
}

impl Pin {
    /// Whether it still holds, also for a process whose clock is behind.
    pub(crate) const fn holds(self, now: Millis) -> bool {
        !self.until.plus_ms(CLOCK_SKEW_MS_MAX).has_passed(now)
    }
}

/// The first answer to an operation id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OperationRow {
    pub(crate) v: Format,
    /// Half the SHA-256 of the request.
    pub(crate) hash: Arc<str>,
    pub(crate) at: Millis,
    pub(crate) stream: StreamId,
    pub(crate) placed: Placed,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands out references"
)]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

pub(crate) fn encode<T: Serialize>(record: &T) -> Bytes {
    serde_json::to_vec(record)
        .expect("records are made of text and numbers")
        .into()
}

pub(crate) fn decode<T: DeserializeOwned>(
    name: &'static str,
    stored: &[u8],
) -> Result<T, StreamError> {
    serde_json::from_slice(stored).map_err(|error| StreamError::corrupt(name, error))
}
