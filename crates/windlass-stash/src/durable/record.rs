//! Stored records: small JSON objects, each with a format version.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
pub(super) use windlass_core::Format;
use windlass_core::{GroupId, Millis, Writers};

use super::once::Records;
use crate::error::StashError;
use crate::key::Key;
use crate::metadata::Metadata;
use crate::value::Value;

/// What every change of a stash checks and rewrites.
///
/// `rev` and `version` begin at the time of creation, and a head is removed
/// only once the time is past both: one that takes its place never repeats
/// a number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Head {
    pub(super) v: Format,
    /// The number of the commit that wrote it.
    pub(super) rev: u64,
    /// When it last changed.
    pub(super) at: Millis,
    /// The last version given to an entry.
    pub(super) version: u64,
    /// Entry rows, those of expired entries included.
    pub(super) rows: u64,
    /// The sum of their values' lengths.
    pub(super) value_bytes: u64,
    /// The sum of what they are charged.
    pub(super) charged_bytes: u64,
    /// Which rows there are, and at which versions.
    pub(super) digest: Digest,
    /// Where the index of due work lists the stash.
    pub(super) due: Millis,
    /// The operation ids that are remembered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) ops: Option<Records>,
    pub(super) by: Writers,
}

/// A sum over rows that does not depend on their order: of the hash of each
/// row's key, version and deadline. It tells a lost, doubled or outdated row;
/// what is in a row is protected by its seal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Digest(u64);

impl Digest {
    pub(super) fn add(&mut self, key: &Key, metadata: &Metadata) {
        self.0 = self.0.wrapping_add(hash(key, metadata));
    }

    pub(super) fn subtract(&mut self, key: &Key, metadata: &Metadata) {
        self.0 = self.0.wrapping_sub(hash(key, metadata));
    }
}

/// FNV-1a (Fowler, Noll, Vo) in 64 bits over version, deadline and key, its bits then
/// mixed so that hashes of neighbouring numbers do not cancel out in a sum.
fn hash(key: &Key, metadata: &Metadata) -> u64 {
    let numbers = [metadata.version, metadata.expires.get()].map(u64::to_be_bytes);
    let bytes = numbers.as_flattened().iter().chain(key.as_str().as_bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let hash = (hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    hash ^ (hash >> 29)
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:016x}", self.0))
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let number = u64::from_str_radix(&text, 16);
        number.map(Self).map_err(serde::de::Error::custom)
    }
}

/// Where the value of an entry is that does not lie in the entry's own row:
/// `count` pieces, numbered from `first` on, of those written under a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pieces(pub(super) Arc<str>, pub(super) u64, pub(super) u64);

impl Pieces {
    pub(super) const fn end(&self) -> u64 {
        self.1.saturating_add(self.2)
    }
}

/// The row of an entry: what is known of it, and its value or where that is.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EntryRecord<'a> {
    v: Format,
    version: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    group: Option<GroupId>,
    size: u64,
    created: Millis,
    updated: Millis,
    expires: Millis,
    #[serde(
        default,
        borrow,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "present"
    )]
    value: Option<&'a RawValue>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pieces: Option<Pieces>,
}

/// A field that is there, also where it is null.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// Where an entry's value is, or the value itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    Within(Value),
    Apart(Pieces),
}

pub(super) fn encode_entry(metadata: &Metadata, kept: &Kept) -> Bytes {
    let (value, pieces) = match kept {
        Kept::Within(value) => (Some(value.as_json()), None),
        Kept::Apart(pieces) => (None, Some(pieces.clone())),
    };
    let raw = |json| serde_json::from_str(json).expect("a value is JSON");
    encode(&EntryRecord {
        v: Format,
        version: metadata.version,
        group: metadata.group.clone(),
        size: metadata.size,
        created: metadata.created,
        updated: metadata.updated,
        expires: metadata.expires,
        value: value.map(raw),
        pieces,
    })
}

pub(super) fn decode_entry(bytes: &[u8]) -> Result<(Metadata, Kept), StashError> {
    let record: EntryRecord<'_> = decode("entry", bytes)?;
    let kept = match (record.value, record.pieces) {
        (Some(raw), None) => Kept::Within(Value::from_compact(raw.get())),
        (None, Some(pieces)) => Kept::Apart(pieces),
        _ => return Err(corrupt("entry", "it has not one value")),
    };
    let metadata = Metadata {
        group: record.group,
        size: record.size,
        created: record.created,
        updated: record.updated,
        expires: record.expires,
        version: record.version,
    };
    match &kept {
        Kept::Within(value) if value.size() != metadata.size => {
            Err(corrupt("entry", "its value has another length"))
        }
        _ => Ok((metadata, kept)),
    }
}

/// What is known of pieces that no entry points at: not yet, or not any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Loose {
    pub(super) v: Format,
    /// How many, from the number in the note's key on.
    pub(super) count: u64,
    /// Whether they are being deleted: an entry can no longer take them.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(super) doomed: bool,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature serde calls"
)]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

/// Room for most records, so that they do not have to grow while they are
/// written.
const RECORD_BYTES_USUAL: usize = 512;

pub(super) fn encode<T: Serialize>(record: &T) -> Bytes {
    let mut bytes = Vec::with_capacity(RECORD_BYTES_USUAL);
    serde_json::to_writer(&mut bytes, record)
        .expect("records have text keys and finite numbers only");
    bytes.into()
}

/// Reads a record, refusing formats this code does not know.
pub(super) fn decode<'a, T: Deserialize<'a>>(
    name: &'static str,
    bytes: &'a [u8],
) -> Result<T, StashError> {
    #[derive(Deserialize)]
    struct Versioned {
        #[serde(rename = "v")]
        _format: Format,
    }
    serde_json::from_slice(bytes).map_err(|cause| {
        // A record of another format is better named than its first new field.
        let other = serde_json::from_slice::<Versioned>(bytes).err();
        corrupt(name, other.unwrap_or(cause))
    })
}

pub(super) fn corrupt(record: &'static str, why: impl fmt::Display) -> StashError {
    StashError::Corrupt {
        record,
        why: why.to_string(),
    }
}
