//! What the rows of the second tier hold: JSON objects with a format version;
//! that of an entry is followed by a line feed and the blob, where that is
//! not long.

use std::fmt::Display;
use std::sync::Arc;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use windlass_core::{Format, Millis};
use windlass_store::{StoreError, StoreErrorKind};

use super::keys::ChainId;
use super::packing::{self, Packing};
use crate::entry::{Birth, Entry};
use crate::metadata::Metadata;
use crate::names::{Key, Namespace, Place, Tag};
use crate::policy::{NEVER, Policy, Priority, Put};
use crate::spaces::Era;

/// What stands between a record and its blob. JSON without spaces has none.
const BLOB_FOLLOWS: u8 = b'\n';

/// What every change checks and rewrites.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Head {
    pub(super) v: Format,
    /// The number of the commit that wrote it.
    pub(super) rev: u64,
    /// How often the cache was opened.
    pub(super) incarnation: u64,
    /// Which attempt at a commit of this incarnation wrote it.
    pub(super) attempt: u64,
    /// The last generation that was drawn.
    pub(super) generation: u64,
    /// The last stamp that was drawn.
    pub(super) stamp: u64,
    /// Entries, those included that nobody sees any more.
    pub(super) entries: u64,
    /// What they are charged with.
    pub(super) bytes: u64,
    /// Which start of the machine it was opened in.
    pub(super) boot: String,
    /// Whether it was closed since.
    pub(super) closed: bool,
}

/// A namespace that has a slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SpaceRow {
    v: Format0,
    pub(super) generation: u64,
    pub(super) entries: u64,
    /// Those of them that depend on others.
    pub(super) dependents: u64,
}

impl SpaceRow {
    /// One that holds nothing.
    pub(super) fn at(generation: u64) -> Self {
        Self {
            generation,
            ..Self::default()
        }
    }
}

/// [`Format`], which has no default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
struct Format0(Format);

impl Default for Format0 {
    fn default() -> Self {
        Self(Format)
    }
}

/// A generation that ended and of which something may be left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EndedRow {
    pub(super) v: Format,
    pub(super) namespace: Namespace,
}

/// Where an index leads to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct IndexRow {
    pub(super) v: Format,
    pub(super) generation: u64,
    pub(super) key: Key,
    /// What the entry is charged with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) charge: Option<u64>,
}

/// A chain of pieces that is not yet, or no longer, anybody's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OpenRow {
    pub(super) v: Format,
    pub(super) namespace: Namespace,
    pub(super) generation: u64,
    pub(super) key: Key,
    /// When it was begun.
    pub(super) at: Millis,
}

/// The pieces of a large blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Chain {
    #[serde(flatten)]
    pub(super) id: ChainId,
    pub(super) pieces: u64,
}

/// The record of an entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Record {
    pub(super) v: Format,
    pub(super) namespace: Namespace,
    pub(super) generation: u64,
    pub(super) key: Key,
    pub(super) stamp: u64,
    /// Under which stamp the indexes list it: that of an entry whose place it
    /// took, if it is not its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) slot: Option<u64>,
    pub(super) version: u64,
    pub(super) created: Millis,
    /// When it was last used, as far as that was written.
    pub(super) used: Millis,
    /// When it ceases to be fresh.
    #[serde(default = "never", skip_serializing_if = "is_never")]
    pub(super) expires: Millis,
    /// Under which time the sweeper finds it.
    #[serde(default = "never", skip_serializing_if = "is_never")]
    pub(super) due: Millis,
    /// What it is charged with.
    pub(super) charge: u64,
    /// Length of the blob as it was put.
    pub(super) length: u64,
    /// CRC-32 of the same.
    pub(super) crc: u32,
    /// How it was packed, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) packing: Option<Packing>,
    /// Where the blob is, if it does not follow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) chain: Option<Chain>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(super) metadata: Metadata,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(super) policy: Policy,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) tags: Vec<Tag>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) depends_on: Vec<Key>,
}

const fn never() -> Millis {
    NEVER
}

fn is_never(time: &Millis) -> bool {
    *time == NEVER
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// What a record says of how its blob is stored.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stowed {
    /// CRC-32 of the blob as it was put.
    pub(super) crc: u32,
    pub(super) packing: Option<Packing>,
    pub(super) chain: Option<Chain>,
}

/// Bytes of a record that says little, and of what stands before its blob.
const RECORD_BYTES_GUESS: usize = 384;

/// A record as it is stored: with the blob, unless that is in pieces.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Kept {
    pub(super) record: Record,
    /// What is stored of the blob.
    pub(super) blob: Option<Bytes>,
}

impl Kept {
    /// The row that a record was read from.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(super) fn read(generation: u64, key: &Key, row: &Bytes) -> Result<Self, StoreError> {
        let end = row.iter().position(|byte| *byte == BLOB_FOLLOWS);
        let (text, blob) = match end {
            Some(end) => (row.slice(..end), Some(row.slice(end + 1..))),
            None => (row.clone(), None),
        };
        let record: Record = decode("entry", &text)?;
        if record.generation != generation || record.key != *key {
            return Err(corrupt("entry", "it is another one's"));
        }
        if record.chain.is_some() == blob.is_some() {
            return Err(corrupt("entry", "its blob is not where it says"));
        }
        Ok(Self { record, blob })
    }

    /// The row to store.
    pub(super) fn row(&self) -> Bytes {
        let blob = self.blob.as_ref().map_or(0, Bytes::len);
        let mut row = Vec::with_capacity(RECORD_BYTES_GUESS + blob);
        serde_json::to_writer(&mut row, &self.record).expect("records are plain JSON");
        if let Some(blob) = &self.blob {
            row.push(BLOB_FOLLOWS);
            row.extend_from_slice(blob);
        }
        row.into()
    }
}

impl Record {
    /// The record of an entry whose blob is stored like this.
    pub(super) fn of(entry: &Entry, stowed: Stowed) -> Self {
        Self {
            v: Format,
            namespace: entry.place.namespace.clone(),
            generation: entry.era.generation,
            key: entry.place.key.clone(),
            stamp: entry.stamp,
            slot: None,
            version: entry.version,
            created: entry.created,
            used: entry.used(),
            expires: entry.expires(),
            due: entry.ends(),
            charge: entry.charge,
            length: u64::try_from(entry.value.len()).unwrap_or(u64::MAX),
            crc: stowed.crc,
            packing: stowed.packing,
            chain: stowed.chain,
            metadata: entry.metadata.clone(),
            policy: entry.policy.clone(),
            tags: entry.tags.clone(),
            depends_on: entry.depends_on.clone(),
        }
    }

    /// The entry with its blob, of which this is stored.
    ///
    /// # Errors
    ///
    /// If the blob is not the one that was put.
    pub(super) fn entry(self, era: &Arc<Era>, stored: Bytes) -> Result<Entry, StoreError> {
        let blob = match self.packing {
            None => stored,
            Some(Packing::Lz4) => packing::unpack(&stored, self.length)
                .ok_or_else(|| corrupt("entry", "its blob cannot be unpacked"))?,
        };
        if u64::try_from(blob.len()) != Ok(self.length) || crc32fast::hash(&blob) != self.crc {
            return Err(corrupt("entry", "its blob is not the one that was put"));
        }
        let put = Put {
            value: blob,
            metadata: self.metadata,
            policy: self.policy,
            version: Some(self.version),
            tags: self.tags,
            depends_on: self.depends_on,
        };
        let birth = Birth {
            stamp: self.stamp,
            era: Arc::clone(era),
            place: Place {
                namespace: era.namespace.clone(),
                key: self.key,
            },
            version: self.version,
            now: self.created,
            expires: self.expires,
        };
        let entry = Entry::new(put, birth);
        entry.note_use(self.used);
        Ok(entry)
    }

    /// From when on nobody sees it, if it was last used then.
    pub(super) fn ends(&self, used: Millis) -> Millis {
        let idle = self.policy.idle_ms.map_or(NEVER, |ms| used.plus_ms(ms));
        self.expires.plus_ms(self.policy.stale_ms).min(idle)
    }

    /// Under which stamp the indexes list it.
    pub(super) fn slot(&self) -> u64 {
        self.slot.unwrap_or(self.stamp)
    }

    /// Whether it can be listed where `old` is, which it replaces: nothing
    /// else finds the two, and the due row of the one leads to the other.
    pub(super) fn can_stand_where(&self, old: &Self) -> bool {
        let plain = |record: &Self| record.tags.is_empty() && record.depends_on.is_empty();
        plain(self)
            && plain(old)
            && self.generation == old.generation
            && self.priority() == old.priority()
    }

    /// Where it is listed for when room is needed.
    pub(super) const fn priority(&self) -> Priority {
        self.policy.priority
    }
}

/// The row of a small record.
pub(super) fn encode<T: Serialize>(record: &T) -> Bytes {
    serde_json::to_vec(record)
        .expect("records are plain JSON")
        .into()
}

/// Reads such a row.
pub(super) fn decode<T: DeserializeOwned>(what: &str, row: &[u8]) -> Result<T, StoreError> {
    serde_json::from_slice(row).map_err(|cause| corrupt(what, cause))
}

/// The error of a row that cannot be what was written.
pub(super) fn corrupt(what: &str, problem: impl Display) -> StoreError {
    let context = format!("a row of the cache ({what}) is damaged: {problem}");
    StoreError::new(StoreErrorKind::Corrupt, "read", context)
}
