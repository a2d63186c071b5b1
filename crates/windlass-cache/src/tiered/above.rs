//! What the second tier does to the first: each under the lock of a shard,
//! so that what is taken up from below is never older than what was put,
//! touched or taken meanwhile.
//!
//! Every change raises the mark of its place under that lock. Whoever reads
//! the second tier looks at the mark before; the entry it found is taken up
//! only if the mark is still the same. Places share marks: a mark that was
//! raised for another place costs a promotion and no truth.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use windlass_core::Millis;

use super::uses::Uses;
use crate::cache::Inner;
use crate::entry::Entry;
use crate::limits::MARKS;
use crate::names::{Key, Wanted};
use crate::shard::Inserted;
use crate::spaces::Era;

/// How often what is at a place was changed.
#[derive(Debug)]
pub(super) struct Marks(Box<[AtomicU64]>);

impl Marks {
    pub(super) fn new() -> Self {
        Self((0..MARKS).map(|_| AtomicU64::new(0)).collect())
    }

    fn of(&self, wanted: Wanted<'_>) -> &AtomicU64 {
        let bits = usize::try_from(wanted.code() & 0xffff_ffff).unwrap_or(0);
        &self.0[bits & (MARKS - 1)]
    }

    pub(super) fn look(&self, wanted: Wanted<'_>) -> u64 {
        self.of(wanted).load(Ordering::SeqCst)
    }

    fn raise(&self, wanted: Wanted<'_>) {
        self.of(wanted).fetch_add(1, Ordering::SeqCst);
    }
}

/// The first tier, as the second sees it.
#[derive(Clone, Copy)]
pub(super) struct Above<'a> {
    pub(super) inner: &'a Inner,
    pub(super) marks: &'a Marks,
    pub(super) uses: &'a Uses,
}

impl Above<'_> {
    /// An entry was put: it takes the place of what is there.
    pub(super) fn put(self, entry: &Arc<Entry>) {
        let wanted = entry.place.wanted();
        let mut shard = self.inner.shard(wanted).lock();
        self.marks.raise(wanted);
        let mut inserted = Inserted::default();
        if entry.era.is_live() && self.inner.admits(entry) {
            inserted = shard.insert(entry);
        } else {
            inserted.replaced = shard.find(&entry.era, &entry.place.key);
            if let Some(held) = &inserted.replaced {
                shard.remove(held);
            }
        }
        drop(shard);
        self.let_go(&inserted);
    }

    /// An entry is gone.
    pub(super) fn take(self, era: &Era, key: &Key) {
        let namespace = &era.namespace;
        let wanted = Wanted { namespace, key };
        let mut shard = self.inner.shard(wanted).lock();
        self.marks.raise(wanted);
        let held = shard.find(era, key);
        if let Some(held) = &held {
            shard.remove(held);
        }
        drop(shard);
    }

    /// The time of an entry began anew.
    pub(super) fn touch(self, era: &Era, key: &Key, stamp: u64, now: Millis, expires: Millis) {
        let namespace = &era.namespace;
        let wanted = Wanted { namespace, key };
        let mut shard = self.inner.shard(wanted).lock();
        self.marks.raise(wanted);
        let held = shard.find(era, key);
        if let Some(held) = held.filter(|held| held.stamp == stamp) {
            held.renew(now, expires);
            shard.index.reschedule(&held);
        }
    }

    /// Takes up an entry that was read from below when its mark was `seen`;
    /// whether it is held.
    pub(super) fn promote(self, entry: &Arc<Entry>, seen: u64) -> bool {
        let wanted = entry.place.wanted();
        let mut shard = self.inner.shard(wanted).lock();
        let fits = entry.era.is_live()
            && self.marks.look(wanted) == seen
            && shard.find(&entry.era, &entry.place.key).is_none();
        if !fits {
            return false;
        }
        let inserted = shard.insert(entry);
        drop(shard);
        self.let_go(&inserted);
        inserted
            .victims
            .iter()
            .all(|victim| victim.stamp != entry.stamp)
    }

    /// When the first tier knows an entry to have been used last.
    pub(super) fn used(self, era: &Era, key: &Key, stamp: u64) -> Option<Millis> {
        let namespace = &era.namespace;
        let wanted = Wanted { namespace, key };
        let held = self.inner.shard(wanted).peek(wanted)?;
        (held.stamp == stamp).then(|| held.used())
    }

    /// Keeps the uses of what was pushed out.
    fn let_go(self, inserted: &Inserted) {
        for victim in &inserted.victims {
            self.uses.note(victim);
        }
        let gone = u64::try_from(inserted.victims.len()).unwrap_or(u64::MAX);
        self.inner
            .counters
            .add(crate::stats::Count::Evictions, gone);
    }
}
