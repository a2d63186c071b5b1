//! What a cache answers.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use windlass_core::Millis;

use crate::entry::Entry;
use crate::metadata::Metadata;
use crate::names::{Key, Tag};
use crate::policy::{NEVER, Policy};

/// How an entry stands to its deadlines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// It is fresh.
    Fresh,
    /// It is no longer fresh, and given out while somebody renews it.
    Stale {
        /// Whether this reader is the one to do it. One is asked, and another
        /// only after 10 s without a put or a touch.
        renew: bool,
    },
}

/// An entry that was found. It stays readable for as long as this is held,
/// whatever becomes of it in the cache.
#[derive(Clone, Debug)]
pub struct Found {
    entry: Arc<Entry>,
    freshness: Freshness,
}

impl Found {
    pub(crate) const fn new(entry: Arc<Entry>, freshness: Freshness) -> Self {
        Self { entry, freshness }
    }

    /// The blob; cloning it shares it.
    #[must_use]
    pub fn value(&self) -> &Bytes {
        &self.entry.value
    }

    /// What is kept with it.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        &self.entry.metadata
    }

    /// Its version.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.entry.version
    }

    /// When it was put.
    #[must_use]
    pub fn created(&self) -> Millis {
        self.entry.created
    }

    /// The policy it was put with.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.entry.policy
    }

    /// Its tags.
    #[must_use]
    pub fn tags(&self) -> &[Tag] {
        &self.entry.tags
    }

    /// What it depends on.
    #[must_use]
    pub fn depends_on(&self) -> &[Key] {
        &self.entry.depends_on
    }

    /// Whether it was fresh when it was found.
    #[must_use]
    pub const fn freshness(&self) -> Freshness {
        self.freshness
    }
}

/// How long an entry is fresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remaining {
    /// Without end.
    Unlimited,
    /// For so many milliseconds; 0 for one that is stale.
    Ms(u64),
}

impl Remaining {
    pub(crate) fn until(expires: Millis, now: Millis) -> Self {
        if expires == NEVER {
            Self::Unlimited
        } else {
            Self::Ms(expires.since(now))
        }
    }
}

/// What is known of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// A get would have found it.
    Present,
    /// A get would have found nothing.
    Absent,
    /// Only a look at the second tier would tell.
    Maybe,
}

/// What became of a put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The version it was given.
    pub version: u64,
    /// Whether it is held: not if its time was over already, or if it was not
    /// admitted. What was there before is gone in any case.
    pub held: bool,
}

/// Keys of a namespace, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyPage {
    /// The keys.
    pub keys: Vec<Key>,
    /// Whether there are more behind the last.
    pub more: bool,
}

/// What an invalidation took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invalidated {
    /// Entries that were visible before.
    pub entries: u64,
    /// Bytes of their blobs.
    pub bytes: u64,
}

/// The generations of a namespace around a flush.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flush {
    /// The one that ended; 0 for a namespace that has none.
    pub before: u64,
    /// The one that began: higher, and equal where nothing was held and
    /// nothing was being put.
    pub after: u64,
}
