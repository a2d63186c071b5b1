//! What is stored, but for the rows themselves.

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use windlass_core::{Format, Millis, PrincipalId, SessionId, Writers};

use crate::digest::Digest;
use crate::error::StreamError;
use crate::model::{Closed, Expiry};
use crate::offset::Offset;

/// What every change of a stream rewrites.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Head {
    pub(crate) v: Format,
    /// How often it was written.
    pub(crate) rev: u64,
    pub(crate) principal: PrincipalId,
    pub(crate) session: SessionId,
    pub(crate) created: Millis,
    /// When it last changed.
    pub(crate) at: Millis,
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
    pub(crate) by: Writers,
}

impl Head {
    /// When it expires if nobody uses it from now on.
    pub(crate) fn expires(&self) -> Option<Millis> {
        match self.expiry {
            Expiry::Never => None,
            Expiry::IdleMs(ms) => Some(self.at.plus_ms(ms)),
            Expiry::At(time) => Some(time),
        }
    }
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
