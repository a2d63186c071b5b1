//! The values of a stash in memory, in parts that are locked apart.
//!
//! Readers take the lock of one part and nothing else. Writers take the locks
//! of all parts they change before they change the first, so that whoever
//! sees one change of a step sees all of them.

use std::mem;

use crate::key::{Key, KeyMap};
use crate::metadata::Metadata;
use crate::rules::Change;
use crate::sync::{PoisonError, RwLock, RwLockWriteGuard};
use crate::value::Value;

/// Parts there are; a power of two.
const SHARDS: usize = 32;

/// An entry as readers find it.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) metadata: Metadata,
    pub(super) value: Value,
}

/// One part. A processor's cache moves it as a whole, so that readers of
/// different parts do not slow each other.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Shard(RwLock<KeyMap<Stored>>);

impl Shard {
    fn write(&self) -> RwLockWriteGuard<'_, KeyMap<Stored>> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All parts.
#[derive(Debug)]
pub(super) struct Shards(Box<[Shard]>);

/// What is no longer held; large values are freed when this is dropped, which
/// must not be under a lock.
#[derive(Debug, Default)]
#[must_use]
pub(super) struct Leftovers {
    _one: Option<Stored>,
    _many: Vec<Stored>,
}

impl Shards {
    pub(super) fn new() -> Self {
        Self((0..SHARDS).map(|_| Shard::default()).collect())
    }

    /// Shows an entry, expired or not, while its part is locked for writers.
    pub(super) fn read<T>(&self, key: &Key, look: impl FnOnce(Option<&Stored>) -> T) -> T {
        let shard = &self.0[number_of(key)];
        let held = shard.0.read().unwrap_or_else(PoisonError::into_inner);
        look(held.get(key))
    }

    /// Applies changes so that no reader sees some of them only.
    pub(super) fn apply(&self, changes: &mut Vec<Change>) -> Leftovers {
        if changes.len() <= 1 {
            let one = changes.pop().and_then(|change| {
                let mut shard = self.0[number_of(&change.key)].write();
                apply_one(&mut shard, change)
            });
            return Leftovers {
                _one: one,
                _many: Vec::new(),
            };
        }
        self.apply_many(changes)
    }

    fn apply_many(&self, changes: &mut Vec<Change>) -> Leftovers {
        let mut touched = [false; SHARDS];
        for change in changes.iter() {
            touched[number_of(&change.key)] = true;
        }
        let parts = self.0.iter().zip(touched);
        let mut locked: Vec<_> = parts
            .map(|(shard, touched)| touched.then(|| shard.write()))
            .collect();
        let old = changes.drain(..).filter_map(|change| {
            let shard = locked[number_of(&change.key)].as_mut();
            apply_one(shard.expect("locked above"), change)
        });
        let many = old.collect();
        Leftovers {
            _one: None,
            _many: many,
        }
    }
}

fn apply_one(shard: &mut KeyMap<Stored>, change: Change) -> Option<Stored> {
    let Some(metadata) = change.after else {
        let old = shard.remove(&change.key);
        if shard.capacity() > 64 && shard.len() < shard.capacity() / 8 {
            shard.shrink_to_fit();
        }
        return old;
    };
    let Some(value) = change.value else {
        let stored = shard.get_mut(&change.key)?;
        stored.metadata = metadata;
        return None;
    };
    let new = Stored { metadata, value };
    match shard.get_mut(&change.key) {
        Some(stored) => Some(mem::replace(stored, new)),
        None => shard.insert(change.key, new),
    }
}

fn number_of(key: &Key) -> usize {
    // Bits that the map itself does not look at first.
    let bits = key.hash_code() >> 40;
    usize::try_from(bits).expect("24 bits") % SHARDS
}
