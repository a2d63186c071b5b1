//! What is known of an entry beside its value, and the figures that are kept.

use serde::{Deserialize, Serialize};
use windlass_core::{GroupId, Millis};

use crate::key::Key;
use crate::limits::ENTRY_BYTES;
use crate::value::Value;

/// What is known of an entry beside its key and value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    /// The group it belongs to; `None` if it is public within the session.
    pub group: Option<GroupId>,
    /// Length of its value as compact JSON, in bytes.
    pub size: u64,
    /// When its key was first put since it was last absent.
    pub created: Millis,
    /// When its value was last put.
    pub updated: Millis,
    /// From when on it is gone.
    pub expires: Millis,
    /// The number of the put that gave it its value. Never used twice within
    /// a stash, not even after a delete.
    pub version: u64,
}

impl Metadata {
    /// Whether its time is over at `now`.
    #[must_use]
    pub const fn is_expired(&self, now: Millis) -> bool {
        self.expires.has_passed(now)
    }

    /// How long it lives from `now` on.
    #[must_use]
    pub const fn ttl_left_ms(&self, now: Millis) -> u64 {
        self.expires.since(now)
    }

    /// Whether a caller may read, replace, delete, touch and list it. One
    /// that belongs to nobody is everyone's.
    pub(crate) fn is_open_to(&self, caller: Option<&GroupId>) -> bool {
        self.group.is_none() || self.group.as_ref() == caller
    }
}

/// An entry as it was at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its value, shared.
    pub value: Value,
    /// What is known beside it.
    pub metadata: Metadata,
    /// How long it was to live from the moment of reading.
    pub ttl_left_ms: u64,
}

/// What a number of entries amounts to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Figures {
    /// How many there are.
    pub keys: u64,
    /// The sum of their lengths as compact JSON.
    pub value_bytes: u64,
    /// The same with their keys, their groups and
    /// [`ENTRY_BYTES`](crate::limits::ENTRY_BYTES) each.
    pub charged_bytes: u64,
}

impl Figures {
    /// One entry.
    pub(crate) fn of(key: &Key, group: Option<&GroupId>, size: u64) -> Self {
        let group = group.map_or(0, |group| group.as_str().len());
        let group = u64::try_from(group).unwrap_or(u64::MAX);
        Self {
            keys: 1,
            value_bytes: size,
            charged_bytes: size + key.bytes() + group + ENTRY_BYTES,
        }
    }

    pub(crate) const fn plus(self, other: Self) -> Self {
        Self {
            keys: self.keys + other.keys,
            value_bytes: self.value_bytes + other.value_bytes,
            charged_bytes: self.charged_bytes + other.charged_bytes,
        }
    }

    pub(crate) const fn minus(self, other: Self) -> Self {
        Self {
            keys: self.keys - other.keys,
            value_bytes: self.value_bytes - other.value_bytes,
            charged_bytes: self.charged_bytes - other.charged_bytes,
        }
    }
}

/// The figures of a stash at one moment. Both are 0 when it is empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Entries whose time is not over: what limits and quotas count.
    pub live: Figures,
    /// Entries whose time is over and whose space was not taken back yet:
    /// invisible, and no reason to refuse anything.
    pub expired: Figures,
}
