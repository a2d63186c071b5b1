//! One part of the first tier: the library that readers ask, and the index
//! that writers keep beside it.
//!
//! Readers take the library's own read lock and nothing of ours. Writers take
//! the index's lock, change index and library together, and free what they
//! replaced or pushed out after they let go of it.

use std::hash::BuildHasherDefault;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quick_cache::{Lifecycle, OptionsBuilder, Weighter};

use crate::entry::Entry;
use crate::index::Index;
use crate::names::{Carried, Place, Wanted};

/// What an entry weighs to the library: what it is charged with.
#[derive(Clone, Debug)]
struct Charge;

impl Weighter<Place, Arc<Entry>> for Charge {
    fn weight(&self, _: &Place, entry: &Arc<Entry>) -> u64 {
        entry.charge
    }
}

/// Collects what the library pushes out.
#[derive(Clone, Debug)]
struct Victims;

impl Lifecycle<Place, Arc<Entry>> for Victims {
    type RequestState = Vec<Arc<Entry>>;

    fn is_pinned(&self, _: &Place, entry: &Arc<Entry>) -> bool {
        entry.take_reprieve()
    }

    fn on_evict(&self, victims: &mut Vec<Arc<Entry>>, _: Place, entry: Arc<Entry>) {
        victims.push(entry);
    }
}

type Library =
    quick_cache::sync::Cache<Place, Arc<Entry>, Charge, BuildHasherDefault<Carried>, Victims>;

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
    /// library remembers that they went: half of those that would fit.
    pub(crate) fn new(bytes_max: u64, entry_bytes_guess: u64) -> Self {
        let items = usize::try_from(bytes_max / entry_bytes_guess).unwrap_or(usize::MAX);
        let options = OptionsBuilder::new()
            .shards(1)
            .estimated_items_capacity(items)
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
        self.library.get(&wanted)
    }

    /// The same without a note.
    pub(crate) fn peek(&self, wanted: Wanted<'_>) -> Option<Arc<Entry>> {
        self.library.peek(&wanted)
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
    /// Puts an entry in, which pushes out others where there is no room.
    pub(crate) fn insert(&mut self, entry: &Arc<Entry>) -> Inserted {
        let mut replaced = self.index.insert(entry);
        if replaced.is_none() {
            replaced = self.library.peek(&entry.place.wanted());
            // One of an ended era is replaced in the library alone.
            if let Some(old) = &replaced {
                self.index.remove(old);
            }
        }
        let mut victims = self.make_room(entry, Index::first_low);
        let mut pushed = Vec::new();
        let place = entry.place.clone();
        self.library
            .insert_with_lifecycle(place, Arc::clone(entry), &mut pushed);
        // It hands out what was replaced as well, which is out already.
        pushed.retain(|victim| self.index.remove(victim));
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
        let wanted = entry.place.wanted();
        self.library
            .remove_if(&wanted, |held| held.stamp == entry.stamp);
        self.index.remove(entry)
    }

    /// What the library says it holds, in entries and bytes.
    #[cfg(test)]
    pub(crate) fn weighed(&self) -> (u64, u64) {
        let entries = u64::try_from(self.library.len()).expect("few");
        (entries, self.library.weight())
    }
}
