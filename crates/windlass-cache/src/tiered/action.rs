//! What callers ask of the desk, and what it answers.

use std::sync::Arc;

use super::ahead::Written;
use super::uses::Use;
use crate::cache::Expect;
use crate::error::CacheError;
use crate::found::Stored;
use crate::names::{Key, Namespace, Place, Tag};
use crate::policy::Put;
use crate::spaces::{Era, Visit};
use bytes::Bytes;

/// A blob to be put.
#[derive(Debug)]
pub(super) struct Putting {
    pub(super) visit: Visit,
    pub(super) place: Place,
    pub(super) put: Put,
    pub(super) crc: u32,
    /// What is stored of the blob, if that is not the blob itself.
    pub(super) packed: Option<Bytes>,
    pub(super) jitter_ms: u64,
    pub(super) expect: Expect,
    /// Where the blob is, if it was written ahead.
    pub(super) chain: Option<Written>,
}

/// Which entries are taken.
#[derive(Clone, Debug)]
pub(super) enum What {
    Key(Key),
    /// Those whose keys begin with a text, from a row on.
    Prefix(String, Bytes),
    Tag(Tag),
    /// Those that depend on a key.
    Of(Key),
}

/// One change.
#[derive(Debug)]
pub(super) enum Action {
    Put(Box<Putting>),
    Touch {
        era: Arc<Era>,
        key: Key,
    },
    /// Takes a few entries with stamps up to `last`; up to the newest there
    /// is when this comes to its turn, if that is left open.
    Take {
        era: Arc<Era>,
        what: What,
        last: Option<u64>,
    },
    /// Drops an entry that is not what was put: of this stamp, or one that
    /// cannot be read.
    Mend {
        era: Arc<Era>,
        key: Key,
        stamp: Option<u64>,
    },
    /// Takes a few entries whose time is over, or whose generation is.
    Expire {
        most: u64,
    },
    /// Looks at more names for the filters.
    Learn,
    /// Writes uses into records.
    Write(Vec<Use>),
    /// Makes durable what was flushed.
    Settle,
    /// Marks the end.
    Close,
}

/// What came of it.
#[derive(Debug)]
pub(super) enum Answer {
    Stored(Stored),
    Touched(bool),
    Taken(Taken),
    Bite(Bite),
    /// Whether there is more to do.
    More(bool),
    Done,
}

/// What one step of an invalidation took.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub(super) keys: Vec<Key>,
    /// Entries among them that were visible.
    pub(super) entries: u64,
    pub(super) bytes: u64,
    /// Where the next step begins, if there is one.
    pub(super) next: Option<Bytes>,
    /// The stamp up to which entries were taken.
    pub(super) last: u64,
}

/// What one step of a sweep did.
#[derive(Debug, Default)]
pub(super) struct Bite {
    pub(super) scanned: u64,
    /// Those of them whose time is not over, and which are listed later now.
    pub(super) moved: u64,
    pub(super) taken: Vec<(Namespace, u64)>,
    /// Whether there was nothing more.
    pub(super) finished: bool,
}

/// What a caller gets.
pub(super) type Reply = Result<Answer, CacheError>;

impl Action {
    /// Whether it looks at more rows than it names, so that what was decided
    /// before has to be in the store.
    pub(super) const fn scans(&self) -> bool {
        match self {
            Self::Put(_)
            | Self::Touch { .. }
            | Self::Mend { .. }
            | Self::Write(_)
            | Self::Settle
            | Self::Close => false,
            Self::Take { what, .. } => !matches!(what, What::Key(_)),
            Self::Expire { .. } | Self::Learn => true,
        }
    }

    /// Where the blob is, if it was written ahead.
    pub(super) fn chain(&self) -> Option<Written> {
        match self {
            Self::Put(putting) => putting.chain.clone(),
            _ => None,
        }
    }

    /// The record it begins with.
    pub(super) fn wants(&self) -> Option<(&Arc<Era>, &Key)> {
        match self {
            Self::Put(putting) => Some((putting.visit.era(), &putting.place.key)),
            Self::Touch { era, key }
            | Self::Mend { era, key, .. }
            | Self::Take {
                era,
                what: What::Key(key),
                ..
            } => Some((era, key)),
            Self::Take { .. }
            | Self::Expire { .. }
            | Self::Learn
            | Self::Write(_)
            | Self::Settle
            | Self::Close => None,
        }
    }
}
