//! One part of the first tier: the library that readers ask, and the index
//! that writers keep beside it.
//!
//! Readers take the library's own read lock and nothing of ours. Writers take
//! the index's lock, change index and library together, and free what they
//! replaced or pushed out after they let go of it.

use std::hash::BuildHasherDefault;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quick_cache::{Lifecycle, OptionsBuilder, Weighter};
use windlass_core::Millis;

use crate::entry::Entry;
use crate::index::{Among, Index, Start};
use crate::limits::BITE_ENTRIES_MAX;
use crate::names::{Carried, Key, Wanted};
use crate::spaces::Era;

/// What an entry weighs to the library: what it is charged with.
#[derive(Clone, Debug)]
struct Charge;

impl Weighter<u64, Arc<Entry>> for Charge {
    fn weight(&self, _: &u64, entry: &Arc<Entry>) -> u64 {
        entry.charge
    }
}

/// Collects what the library pushes out.
#[derive(Clone, Debug)]
struct Victims;

impl Lifecycle<u64, Arc<Entry>> for Victims {
    type RequestState = Vec<Arc<Entry>>;

    fn is_pinned(&self, _: &u64, entry: &Arc<Entry>) -> bool {
        entry.take_reprieve()
    }

    fn on_evict(&self, victims: &mut Vec<Arc<Entry>>, _: u64, entry: Arc<Entry>) {
        victims.push(entry);
    }
}

/// It knows entries by the hash of their place alone, so that what it walks
/// through stays small: one that is found is compared with what was wanted,
/// and of two with one hash, of which nobody can make any, it holds one.
type Library =
    quick_cache::sync::Cache<u64, Arc<Entry>, Charge, BuildHasherDefault<Carried>, Victims>;

/// How many entries the library remembers that they went, for each that it
/// may hold.
const REMEMBERED: usize = 2;

/// One part. A processor's cache moves its locks as a whole, so that readers
/// of different parts do not slow each other.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Shard {
    library: Library,
    index: Mutex<Index>,
    bytes_max: u64,
}

/// A shard whose writers wait.
#[derive(Debug)]
pub(crate) struct Locked<'a> {
    library: &'a Library,
    pub(crate) index: MutexGuard<'a, Index>,
    bytes_max: u64,
}

/// What came of putting an entry in. What is in here is freed when it is
/// dropped, which must not be under the lock.
#[derive(Debug, Default)]
#[must_use]
pub(crate) struct Inserted {
    /// What it replaced.
    pub(crate) replaced: Option<Arc<Entry>>,
    /// What had to go.
    pub(crate) victims: Vec<Arc<Entry>>,
}

impl Shard {
    /// An empty shard. `entry_bytes_guess` decides for how many entries the
    /// library remembers that they went: twice as many as would fit, which
    /// the recorded traces ask for.
    pub(crate) fn new(bytes_max: u64, entry_bytes_guess: u64) -> Self {
        let items = usize::try_from(bytes_max / entry_bytes_guess).unwrap_or(usize::MAX);
        let options = OptionsBuilder::new()
            .shards(1)
            .estimated_items_capacity(items.saturating_mul(REMEMBERED))
            .ghost_allocation(1.0)
            .weight_capacity(bytes_max)
            .build()
            .expect("capacity and items are set");
        let hasher = BuildHasherDefault::default();
        Self {
            library: Library::with_options(options, Charge, hasher, Victims),
            index: Mutex::default(),
            bytes_max,
        }
    }

    /// The entry at a place, whatever time made of it, and notes that it was
    /// wanted.
    #[inline]
    pub(crate) fn look(&self, wanted: Wanted<'_>) -> Option<Arc<Entry>> {
        let held = self.library.get(&wanted.code());
        held.filter(|entry| entry.is_at(wanted))
    }

    /// The same without a note.
    pub(crate) fn peek(&self, wanted: Wanted<'_>) -> Option<Arc<Entry>> {
        let held = self.library.peek(&wanted.code());
        held.filter(|entry| entry.is_at(wanted))
    }

    /// Adds the first keys of an era behind `after` whose entries are visible:
    /// at most so many, and a few at a time under the lock.
    pub(crate) fn list(
        &self,
        era: &Era,
        after: Option<&Key>,
        now: Millis,
        most: usize,
        keys: &mut Vec<Key>,
    ) {
        let bite = usize::try_from(BITE_ENTRIES_MAX).unwrap_or(usize::MAX);
        let mut start = after.map_or(Start::First, |key| Start::After(key.clone()));
        let mut left = most;
        while left > 0 {
            let entries = self.lock().walk(era, Among::All, &start, bite);
            let Some(last) = entries.last() else { return };
            start = Start::After(last.place.key.clone());
            for entry in entries {
                if left > 0 && entry.is_visible(now) {
                    keys.push(entry.place.key.clone());
                    left -= 1;
                }
            }
        }
    }

    /// Lets other writers wait.
    pub(crate) fn lock(&self) -> Locked<'_> {
        Locked {
            library: &self.library,
            index: self.index.lock().unwrap_or_else(PoisonError::into_inner),
            bytes_max: self.bytes_max,
        }
    }
}

impl Locked<'_> {
    /// The entry of a key in an era, whatever time made of it.
    pub(crate) fn find(&self, era: &Era, key: &Key) -> Option<Arc<Entry>> {
        let namespace = &era.namespace;
        let wanted = Wanted { namespace, key };
        let held = self.library.peek(&wanted.code());
        held.filter(|held| held.era.generation == era.generation && held.is_at(wanted))
    }

    /// At most so many entries of an era whose keys have something in common,
    /// in the order of keys.
    pub(crate) fn walk(
        &self,
        era: &Era,
        among: Among<'_>,
        start: &Start,
        most: usize,
    ) -> Vec<Arc<Entry>> {
        let keys = self.index.keys(era, among, start).take(most);
        keys.filter_map(|key| self.find(era, key)).collect()
    }

    /// Any entry of an era.
    pub(crate) fn first_of(&self, era: &Era) -> Option<Arc<Entry>> {
        self.find(era, self.index.first_of(era)?)
    }

    /// Puts an entry in, which pushes out others where there is no room.
    pub(crate) fn insert(&mut self, entry: &Arc<Entry>) -> Inserted {
        let code = entry.place.wanted().code();
        let replaced = self.library.peek(&code);
        match &replaced {
            Some(old) if old.era.generation == entry.era.generation && old.place == entry.place => {
                self.index.replace(old, entry);
            }
            // One of an ended era goes with its place, or one whose place has
            // the same hash.
            Some(old) => {
                self.index.remove(old);
                self.index.insert(entry);
            }
            None => self.index.insert(entry),
        }
        let mut victims = self.make_room(entry, Index::first_low);
        let mut pushed = Vec::new();
        self.library
            .insert_with_lifecycle(code, Arc::clone(entry), &mut pushed);
        // It hands out what was replaced as well, which is out already.
        let stamp = replaced.as_ref().map(|old| old.stamp);
        pushed.retain(|victim| Some(victim.stamp) != stamp);
        for victim in &pushed {
            self.index.remove(victim);
        }
        victims.append(&mut pushed);
        // The library gives up where it passed over all there are.
        victims.append(&mut self.make_room(entry, Index::first_high));
        Inserted { replaced, victims }
    }

    /// Takes out other entries, as `first` names them, while there is more
    /// than there may be.
    fn make_room(
        &mut self,
        entry: &Entry,
        first: fn(&Index) -> Option<&Arc<Entry>>,
    ) -> Vec<Arc<Entry>> {
        let mut gone = Vec::new();
        while self.index.bytes() > self.bytes_max {
            let next = first(&self.index).map(Arc::clone);
            let Some(next) = next.filter(|next| next.stamp != entry.stamp) else {
                break;
            };
            self.remove(&next);
            gone.push(next);
        }
        gone
    }

    /// Takes an entry out; false if it is not here any more.
    pub(crate) fn remove(&mut self, entry: &Entry) -> bool {
        let code = entry.place.wanted().code();
        let same = |held: &Arc<Entry>| held.stamp == entry.stamp;
        let was_here = self.library.remove_if(&code, same).is_some();
        if was_here {
            self.index.remove(entry);
        }
        was_here
    }

    /// What the library says it holds, in entries and bytes.
    #[cfg(test)]
    pub(crate) fn weighed(&self) -> (u64, u64) {
        let entries = u64::try_from(self.library.len()).expect("few");
        (entries, self.library.weight())
    }
}
