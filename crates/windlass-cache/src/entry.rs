//! One entry, and what time makes of it.
//!
//! What readers change (when it was last used, who renews it) and what a
//! touch changes (when it expires) are single numbers that are read without a
//! lock; everything else is as it was put.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use bytes::Bytes;
use windlass_core::Millis;

use crate::limits::{ENTRY_BYTES, LINK_BYTES, REFRESH_MS, REPRIEVES};
use crate::metadata::Metadata;
use crate::names::{Key, Place, Tag, Wanted};
use crate::policy::{NEVER, Policy, Priority, Put};
use crate::spaces::Era;

/// What an entry is to a reader at some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    Fresh,
    Stale,
    Gone,
}

/// One entry. What a hit looks at comes first and lies together: it is in
/// other processor caches, and far away.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Entry {
    pub(crate) era: Arc<Era>,
    pub(crate) place: Place,
    timed: bool,
    reprieves: AtomicU8,
    pub(crate) value: Bytes,
    expires: AtomicU64,
    used: AtomicU64,
    /// Until when somebody is thought to renew it.
    renewing: AtomicU64,
    pub(crate) version: u64,
    pub(crate) policy: Policy,
    /// Drawn for it alone.
    pub(crate) stamp: u64,
    /// What it takes of the tier.
    pub(crate) charge: u64,
    /// When it is looked at by the sweeper; changed under its shard's lock.
    due: AtomicU64,
    pub(crate) metadata: Metadata,
    pub(crate) tags: Vec<Tag>,
    pub(crate) depends_on: Vec<Key>,
    pub(crate) created: Millis,
}

/// What an entry is made of beside what was put.
#[derive(Debug)]
pub(crate) struct Birth {
    pub(crate) stamp: u64,
    pub(crate) era: Arc<Era>,
    pub(crate) place: Place,
    pub(crate) version: u64,
    pub(crate) now: Millis,
    pub(crate) expires: Millis,
}

impl Entry {
    pub(crate) fn new(put: Put, birth: Birth) -> Self {
        let charge = charge(&put, &birth.place);
        let reprieves = match put.policy.priority {
            Priority::High => REPRIEVES,
            Priority::Normal | Priority::Low => 0,
        };
        Self {
            stamp: birth.stamp,
            era: birth.era,
            place: birth.place,
            value: put.value,
            metadata: put.metadata,
            timed: put.policy.is_timed(),
            policy: put.policy,
            version: birth.version,
            tags: put.tags,
            depends_on: put.depends_on,
            created: birth.now,
            charge,
            expires: AtomicU64::new(birth.expires.get()),
            used: AtomicU64::new(birth.now.get()),
            renewing: AtomicU64::new(0),
            due: AtomicU64::new(NEVER.get()),
            reprieves: AtomicU8::new(reprieves),
        }
    }

    /// Whether it is what was looked for. Its namespace is that of its era,
    /// which others look at all the time.
    #[inline]
    pub(crate) fn is_at(&self, wanted: Wanted<'_>) -> bool {
        self.place.key == *wanted.key && self.era.namespace == *wanted.namespace
    }

    /// Whether it is listed by more than its key.
    pub(crate) const fn has_marks(&self) -> bool {
        !self.tags.is_empty() || !self.depends_on.is_empty()
    }

    /// Whether time changes anything about it: only then is the clock read.
    #[inline]
    pub(crate) const fn is_timed(&self) -> bool {
        self.timed
    }

    /// When it ceases to be fresh.
    pub(crate) fn expires(&self) -> Millis {
        Millis::new(self.expires.load(Ordering::Acquire))
    }

    /// When it was last put, read or touched.
    pub(crate) fn used(&self) -> Millis {
        Millis::new(self.used.load(Ordering::Acquire))
    }

    fn idle_ends(&self) -> Millis {
        let used = self.used();
        self.policy.idle_ms.map_or(NEVER, |ms| used.plus_ms(ms))
    }

    /// From when on nobody sees it, unless it is read or touched before.
    pub(crate) fn ends(&self) -> Millis {
        let stale_ends = self.expires().plus_ms(self.policy.stale_ms);
        stale_ends.min(self.idle_ends())
    }

    pub(crate) fn life(&self, now: Millis) -> Life {
        if !self.timed {
            Life::Fresh
        } else if self.ends().has_passed(now) {
            Life::Gone
        } else if self.expires().has_passed(now) {
            Life::Stale
        } else {
            Life::Fresh
        }
    }

    /// Whether a reader sees it: its time is not over, and its namespace was
    /// not flushed since.
    pub(crate) fn is_visible(&self, now: Millis) -> bool {
        self.era.is_live() && self.life(now) != Life::Gone
    }

    /// Notes that it was read.
    pub(crate) fn note_use(&self, now: Millis) {
        let unused = self.used.load(Ordering::Relaxed) < now.get();
        if self.policy.idle_ms.is_some() && unused {
            self.used.fetch_max(now.get(), Ordering::AcqRel);
        }
    }

    /// Whether this reader is the one to renew it: one is asked, and another
    /// only when that one took too long.
    pub(crate) fn claim_renewal(&self, now: Millis) -> bool {
        let until = self.renewing.load(Ordering::Acquire);
        if !Millis::new(until).has_passed(now) {
            return false;
        }
        let next = now.plus_ms(REFRESH_MS).get();
        let claimed =
            self.renewing
                .compare_exchange(until, next, Ordering::AcqRel, Ordering::Acquire);
        claimed.is_ok()
    }

    /// Notes until when somebody is thought to renew it.
    pub(crate) fn leave_renewal(&self, until: Millis) {
        self.renewing.store(until.get(), Ordering::Release);
    }

    /// Lets its time begin anew. Under the lock of its shard.
    pub(crate) fn renew(&self, now: Millis, expires: Millis) {
        self.expires.store(expires.get(), Ordering::Release);
        self.used.fetch_max(now.get(), Ordering::AcqRel);
        self.renewing.store(0, Ordering::Release);
    }

    /// When the sweeper looks at it; `None` if never.
    pub(crate) fn due(&self) -> Option<u64> {
        let due = self.due.load(Ordering::Relaxed);
        (due != NEVER.get()).then_some(due)
    }

    /// Sets when the sweeper looks at it. Under the lock of its shard.
    pub(crate) fn set_due(&self) {
        self.due.store(self.ends().get(), Ordering::Relaxed);
    }

    /// Whether it is passed over this time when room is made; a few times at
    /// most, so that room is always found.
    pub(crate) fn take_reprieve(&self) -> bool {
        let one_less = |left: u8| left.checked_sub(1);
        let taken = self
            .reprieves
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less);
        taken.is_ok()
    }
}

/// What an entry takes: its bytes, its names, a sum for its records, and
/// another for each tag and dependency.
pub(crate) fn charge(put: &Put, place: &Place) -> u64 {
    let tags = put.tags.iter().map(|tag| tag.as_str().len());
    let depends_on = put.depends_on.iter().map(|key| key.as_str().len());
    let names: usize = tags.chain(depends_on).sum::<usize>() + place.key.as_str().len();
    let links = put.tags.len() + put.depends_on.len();
    let links = u64::try_from(links).unwrap_or(u64::MAX) * LINK_BYTES;
    let names = u64::try_from(names).unwrap_or(u64::MAX);
    put.size() + put.metadata.bytes() + names + links + ENTRY_BYTES
}
