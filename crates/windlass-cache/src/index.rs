//! What writers need to know about the entries of one shard: by key, by tag,
//! by what they depend on, and by when they are over.
//!
//! Readers never come here. Every entry the library holds is here, and every
//! entry here is in the library, whenever nobody has the shard's lock.

use std::collections::{BTreeMap, BTreeSet, HashMap, btree_map};
use std::hash::Hash;
use std::sync::Arc;

use windlass_core::Millis;

use crate::entry::Entry;
use crate::names::{Key, Tag};
use crate::policy::Priority;
use crate::spaces::Era;

/// The entries of one era.
#[derive(Debug, Default)]
struct Rows {
    keys: BTreeMap<Key, Arc<Entry>>,
    tags: HashMap<Tag, BTreeSet<Key>>,
    dependents: HashMap<Key, BTreeSet<Key>>,
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
    /// The entry of a key, whatever time made of it.
    pub(crate) fn find(&self, era: &Era, key: &Key) -> Option<&Arc<Entry>> {
        self.eras.get(&era.generation)?.keys.get(key)
    }

    /// Puts an entry in and gives the one it replaces.
    pub(crate) fn insert(&mut self, entry: &Arc<Entry>) -> Option<Arc<Entry>> {
        let old = self.find(&entry.era, &entry.place.key).map(Arc::clone);
        if let Some(old) = &old {
            self.remove(old);
        }
        let rows = self.eras.entry(entry.era.generation).or_default();
        let key = &entry.place.key;
        rows.keys.insert(key.clone(), Arc::clone(entry));
        for tag in &entry.tags {
            rows.tags
                .entry(tag.clone())
                .or_default()
                .insert(key.clone());
        }
        for name in &entry.depends_on {
            let dependents = rows.dependents.entry(name.clone()).or_default();
            dependents.insert(key.clone());
        }
        self.schedule(entry);
        if let Some(ranked) = self.ranked(entry) {
            ranked.insert(entry.stamp, Arc::clone(entry));
        }
        self.bytes += entry.charge;
        self.entries += 1;
        entry.era.count_in(!entry.depends_on.is_empty());
        old
    }

    /// Takes an entry out; false if it is not here any more.
    pub(crate) fn remove(&mut self, entry: &Entry) -> bool {
        let generation = entry.era.generation;
        let Some(rows) = self.eras.get_mut(&generation) else {
            return false;
        };
        let key = &entry.place.key;
        match rows.keys.entry(key.clone()) {
            btree_map::Entry::Occupied(held) if held.get().stamp == entry.stamp => held.remove(),
            _ => return false,
        };
        for tag in &entry.tags {
            unlink(&mut rows.tags, tag, key);
        }
        for name in &entry.depends_on {
            unlink(&mut rows.dependents, name, key);
        }
        if rows.keys.is_empty() {
            self.eras.remove(&generation);
        }
        self.unschedule(entry);
        if let Some(ranked) = self.ranked(entry) {
            ranked.remove(&entry.stamp);
        }
        self.bytes -= entry.charge;
        self.entries -= 1;
        entry.era.count_out(!entry.depends_on.is_empty());
        true
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

    /// Any entry of an era.
    pub(crate) fn first_of(&self, era: &Era) -> Option<&Arc<Entry>> {
        let (_, entry) = self.eras.get(&era.generation)?.keys.first_key_value()?;
        Some(entry)
    }

    /// The oldest entry of low priority.
    pub(crate) fn first_low(&self) -> Option<&Arc<Entry>> {
        self.low.first_key_value().map(|(_, entry)| entry)
    }

    /// The oldest entry of high priority.
    pub(crate) fn first_high(&self) -> Option<&Arc<Entry>> {
        self.high.first_key_value().map(|(_, entry)| entry)
    }

    /// Entries from a key on, or behind it, in the order of keys.
    pub(crate) fn from(&self, era: &Era, start: &Start) -> impl Iterator<Item = &Arc<Entry>> {
        let rows = self.eras.get(&era.generation);
        let range = rows.map(|rows| rows.keys.range(start.bounds()));
        range.into_iter().flatten().map(|(_, entry)| entry)
    }

    /// Keys of the entries with a tag.
    pub(crate) fn tagged(&self, era: &Era, tag: &Tag) -> Vec<Key> {
        let rows = self.eras.get(&era.generation);
        let keys = rows.and_then(|rows| rows.tags.get(tag));
        keys.into_iter().flatten().cloned().collect()
    }

    /// Keys of the entries that depend on a name.
    pub(crate) fn dependents(&self, era: &Era, name: &Key) -> Vec<Key> {
        let rows = self.eras.get(&era.generation);
        let keys = rows.and_then(|rows| rows.dependents.get(name));
        keys.into_iter().flatten().cloned().collect()
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
    At(Key),
    After(Key),
}

impl Start {
    fn bounds(&self) -> (std::ops::Bound<&Key>, std::ops::Bound<&Key>) {
        use std::ops::Bound::{Excluded, Included, Unbounded};
        match self {
            Self::At(key) => (Included(key), Unbounded),
            Self::After(key) => (Excluded(key), Unbounded),
        }
    }
}
