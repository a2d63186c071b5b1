//! What writers need to know about the entries of one shard: which keys there
//! are, by tag, by what they depend on, and by when they are over.
//!
//! Readers never come here. Every entry the library holds is here, and every
//! entry here is in the library, whenever nobody has the shard's lock.

use std::collections::btree_set::Range;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hash;
use std::ops::Bound;
use std::sync::Arc;

use windlass_core::Millis;

use crate::entry::Entry;
use crate::names::{Key, Tag};
use crate::policy::Priority;
use crate::spaces::Era;

/// The entries of one era. They themselves are in the library, so that one
/// that is put in the place of another changes nothing here but its marks.
#[derive(Debug, Default)]
struct Rows {
    keys: BTreeSet<Key>,
    tags: HashMap<Tag, BTreeSet<Key>>,
    dependents: HashMap<Key, BTreeSet<Key>>,
}

/// Keys of an era that have something in common.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Among<'a> {
    /// All of them.
    All,
    /// Those with a tag.
    Tagged(&'a Tag),
    /// Those that depend on a name.
    Dependents(&'a Key),
}

/// The entries of one shard.
#[derive(Debug, Default)]
pub(crate) struct Index {
    /// By generation, which is that of one era alone.
    eras: HashMap<u64, Rows>,
    /// By when they are over, then by stamp.
    due: BTreeMap<(u64, u64), Arc<Entry>>,
    /// Those of low priority, the oldest first.
    low: BTreeMap<u64, Arc<Entry>>,
    /// Those of high priority likewise.
    high: BTreeMap<u64, Arc<Entry>>,
    bytes: u64,
    entries: u64,
}

impl Index {
    /// Puts an entry in whose key has none in its era.
    pub(crate) fn insert(&mut self, entry: &Arc<Entry>) {
        let rows = self.eras.entry(entry.era.generation).or_default();
        rows.keys.insert(entry.place.key.clone());
        self.link(entry);
    }

    /// Puts an entry in the place of one of the same era and key.
    pub(crate) fn replace(&mut self, old: &Entry, entry: &Arc<Entry>) {
        self.unlink(old);
        self.link(entry);
    }

    /// Takes out an entry that is here.
    pub(crate) fn remove(&mut self, entry: &Entry) {
        self.unlink(entry);
        let generation = entry.era.generation;
        if let Some(rows) = self.eras.get_mut(&generation) {
            rows.keys.remove(&entry.place.key);
            if rows.keys.is_empty() {
                self.eras.remove(&generation);
            }
        }
    }

    /// Lists an entry everywhere but among the keys.
    fn link(&mut self, entry: &Arc<Entry>) {
        if entry.has_marks() {
            let rows = self.eras.entry(entry.era.generation).or_default();
            let key = &entry.place.key;
            for tag in &entry.tags {
                let keys = rows.tags.entry(tag.clone()).or_default();
                keys.insert(key.clone());
            }
            for name in &entry.depends_on {
                let dependents = rows.dependents.entry(name.clone()).or_default();
                dependents.insert(key.clone());
            }
        }
        self.schedule(entry);
        if let Some(ranked) = self.ranked(entry) {
            ranked.insert(entry.stamp, Arc::clone(entry));
        }
        self.bytes += entry.charge;
        self.entries += 1;
        entry.era.count_in(!entry.depends_on.is_empty());
    }

    fn unlink(&mut self, entry: &Entry) {
        if entry.has_marks()
            && let Some(rows) = self.eras.get_mut(&entry.era.generation)
        {
            let key = &entry.place.key;
            for tag in &entry.tags {
                unlink(&mut rows.tags, tag, key);
            }
            for name in &entry.depends_on {
                unlink(&mut rows.dependents, name, key);
            }
        }
        self.unschedule(entry);
        if let Some(ranked) = self.ranked(entry) {
            ranked.remove(&entry.stamp);
        }
        self.bytes -= entry.charge;
        self.entries -= 1;
        entry.era.count_out(!entry.depends_on.is_empty());
    }

    /// Where an entry is listed by its priority, if it is.
    fn ranked(&mut self, entry: &Entry) -> Option<&mut BTreeMap<u64, Arc<Entry>>> {
        match entry.policy.priority {
            Priority::Low => Some(&mut self.low),
            Priority::Normal => None,
            Priority::High => Some(&mut self.high),
        }
    }

    fn unschedule(&mut self, entry: &Entry) {
        if let Some(due) = entry.due() {
            self.due.remove(&(due, entry.stamp));
        }
    }

    fn schedule(&mut self, entry: &Arc<Entry>) {
        entry.set_due();
        if let Some(due) = entry.due() {
            self.due.insert((due, entry.stamp), Arc::clone(entry));
        }
    }

    /// Notes that the time of an entry changed.
    pub(crate) fn reschedule(&mut self, entry: &Arc<Entry>) {
        self.unschedule(entry);
        self.schedule(entry);
    }

    /// An entry that is to be looked at by now, if there is one. It is over
    /// unless it was used meanwhile.
    pub(crate) fn first_due(&self, now: Millis) -> Option<&Arc<Entry>> {
        let ((due, _), entry) = self.due.first_key_value()?;
        Millis::new(*due).has_passed(now).then_some(entry)
    }

    /// Any key of an era.
    pub(crate) fn first_of(&self, era: &Era) -> Option<&Key> {
        self.eras.get(&era.generation)?.keys.first()
    }

    /// The oldest entry of low priority.
    pub(crate) fn first_low(&self) -> Option<&Arc<Entry>> {
        self.low.first_key_value().map(|(_, entry)| entry)
    }

    /// The oldest entry of high priority.
    pub(crate) fn first_high(&self) -> Option<&Arc<Entry>> {
        self.high.first_key_value().map(|(_, entry)| entry)
    }

    /// Keys from one on, or behind it, in their order.
    pub(crate) fn keys(&self, era: &Era, among: Among<'_>, start: &Start) -> Keys<'_> {
        let rows = self.eras.get(&era.generation);
        let keys = rows.and_then(|rows| match among {
            Among::All => Some(&rows.keys),
            Among::Tagged(tag) => rows.tags.get(tag),
            Among::Dependents(name) => rows.dependents.get(name),
        });
        Keys(keys.map(|keys| keys.range(start.bounds())))
    }

    /// What all entries are charged with.
    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// How many entries there are.
    pub(crate) const fn entries(&self) -> u64 {
        self.entries
    }
}

/// Keys in their order.
#[derive(Debug)]
pub(crate) struct Keys<'a>(Option<Range<'a, Key>>);

impl<'a> Iterator for Keys<'a> {
    type Item = &'a Key;

    fn next(&mut self) -> Option<&'a Key> {
        self.0.as_mut()?.next()
    }
}

fn unlink<N: Eq + Hash>(rows: &mut HashMap<N, BTreeSet<Key>>, name: &N, key: &Key) {
    let Some(keys) = rows.get_mut(name) else {
        return;
    };
    keys.remove(key);
    if keys.is_empty() {
        rows.remove(name);
    }
}

/// Where a walk through the keys of an era begins.
#[derive(Clone, Debug)]
pub(crate) enum Start {
    First,
    At(Key),
    After(Key),
}

impl Start {
    fn bounds(&self) -> (Bound<Key>, Bound<Key>) {
        match self {
            Self::First => (Bound::Unbounded, Bound::Unbounded),
            Self::At(key) => (Bound::Included(key.clone()), Bound::Unbounded),
            Self::After(key) => (Bound::Excluded(key.clone()), Bound::Unbounded),
        }
    }
}
