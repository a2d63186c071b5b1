//! The index: what is known of every entry that is held, and the sums of it.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::mem;
use std::ops::Bound;

use windlass_core::{GroupId, Millis};

use crate::key::{Key, KeyMap};
use crate::metadata::{Figures, Metadata, Usage};

use super::Change;

/// The number of an entry's place; free ones are used again.
pub(super) type Place = u32;

/// When an entry's time is over. Of two with one deadline, that with the lower
/// version comes first, so that every form takes back the same.
type Due = (Millis, u64);

/// One entry.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) key: Key,
    pub(super) metadata: Metadata,
    /// Where it is in `order`: at its deadline or earlier. A put that moves
    /// the deadline on leaves it there; it moves when it is looked at.
    bound: Due,
    /// Known to be expired: out of `order`, `live` and its group's figures.
    lapsed: bool,
}

fn due(metadata: &Metadata) -> Due {
    (metadata.expires, metadata.version)
}

impl Held {
    fn figures(&self) -> Figures {
        Figures::of(&self.key, self.metadata.group.as_ref(), self.metadata.size)
    }
}

/// What is known of every entry that is held, expired ones included until
/// their space is taken back.
#[derive(Clone, Debug, Default)]
pub(crate) struct Index {
    places: Vec<Option<Held>>,
    free: Vec<Place>,
    by_key: KeyMap<Place>,
    by_name: BTreeMap<Key, Place>,
    order: BTreeSet<(Due, Place)>,
    lapsed: BTreeSet<(Due, Place)>,
    held: Figures,
    live: Figures,
    groups: HashMap<GroupId, Figures>,
    last_version: u64,
}

impl Index {
    /// An index of these entries; `last_version` is the highest version ever
    /// given out.
    #[cfg(feature = "durable")]
    pub(crate) fn load(
        entries: impl IntoIterator<Item = (Key, Metadata)>,
        last_version: u64,
    ) -> Self {
        let mut index = Self {
            last_version,
            ..Self::default()
        };
        for (key, metadata) in entries {
            index.store(&key, metadata);
        }
        index
    }

    /// The highest version given out so far.
    #[cfg(feature = "durable")]
    pub(crate) const fn last_version(&self) -> u64 {
        self.last_version
    }

    pub(super) const fn next_version(&mut self) -> u64 {
        self.last_version += 1;
        self.last_version
    }

    /// What all entries amount to, expired or not. O(1).
    pub(crate) const fn held(&self) -> Figures {
        self.held
    }

    /// What the entries not known to be expired amount to. O(1).
    pub(super) const fn live(&self) -> Figures {
        self.live
    }

    /// The same of one group. O(1).
    pub(super) fn live_of(&self, group: &GroupId) -> Figures {
        self.groups.get(group).copied().unwrap_or_default()
    }

    /// The figures at `now`. O(log n) for each entry that expired since they
    /// were last asked for.
    pub(crate) fn usage(&mut self, now: Millis) -> Usage {
        while self.lapse_next(now) {}
        Usage {
            live: self.live,
            expired: self.held.minus(self.live),
        }
    }

    /// The entry of a key if its time is not over. O(1).
    pub(crate) fn find(&self, key: &Key, now: Millis) -> Option<&Metadata> {
        let held = self.held_at(*self.by_key.get(key)?);
        (!held.lapsed && !held.metadata.is_expired(now)).then_some(&held.metadata)
    }

    /// Whatever is held under a key. O(1).
    pub(crate) fn find_held(&self, key: &Key) -> Option<&Metadata> {
        let place = *self.by_key.get(key)?;
        Some(&self.held_at(place).metadata)
    }

    /// The entries from a name on, in the order of their names.
    pub(super) fn names_from<'a>(
        &'a self,
        start: Bound<&Key>,
        now: Millis,
    ) -> impl Iterator<Item = (&'a Key, &'a Metadata)> {
        let range = self.by_name.range::<Key, _>((start, Bound::Unbounded));
        range.filter_map(move |(key, place)| {
            let held = self.held_at(*place);
            let live = !held.lapsed && !held.metadata.is_expired(now);
            live.then_some((key, &held.metadata))
        })
    }

    fn held_at(&self, place: Place) -> &Held {
        let held = self.places.get(slot(place)).and_then(Option::as_ref);
        held.expect("an index names no free place")
    }

    fn held_at_mut(&mut self, place: Place) -> &mut Held {
        let held = self.places.get_mut(slot(place)).and_then(Option::as_mut);
        held.expect("an index names no free place")
    }

    /// Holds `metadata` under a key, and gives what was held before. O(1)
    /// where a live entry is replaced and its deadline moves on; else
    /// O(log n).
    pub(super) fn store(&mut self, key: &Key, metadata: Metadata) -> Option<Metadata> {
        self.last_version = self.last_version.max(metadata.version);
        match self.by_key.get(key) {
            Some(place) => Some(self.replace(*place, metadata)),
            None => {
                self.insert(key.clone(), metadata);
                None
            }
        }
    }

    fn replace(&mut self, place: Place, metadata: Metadata) -> Metadata {
        let next = due(&metadata);
        let held = self.held_at_mut(place);
        let (lapsed, bound, old) = (held.lapsed, held.bound, held.figures());
        let before = mem::replace(&mut held.metadata, metadata);
        let new = held.figures();
        let group = held.metadata.group.clone();
        held.lapsed = false;
        if lapsed {
            self.lapsed.remove(&(due(&before), place));
            self.place_in_order(place, next);
        } else {
            self.live = self.live.minus(old);
            self.leave_group(before.group.as_ref(), old);
            if next < bound {
                self.order.remove(&(bound, place));
                self.place_in_order(place, next);
            }
        }
        self.held = self.held.minus(old).plus(new);
        self.live = self.live.plus(new);
        self.join_group(group.as_ref(), new);
        before
    }

    fn insert(&mut self, key: Key, metadata: Metadata) {
        let place = self.free.pop().unwrap_or_else(|| {
            self.places.push(None);
            Place::try_from(self.places.len() - 1).expect("far fewer entries than numbers")
        });
        let held = Held {
            key: key.clone(),
            bound: due(&metadata),
            metadata,
            lapsed: false,
        };
        let new = held.figures();
        self.held = self.held.plus(new);
        self.live = self.live.plus(new);
        self.join_group(held.metadata.group.as_ref(), new);
        self.order.insert((held.bound, place));
        self.places[slot(place)] = Some(held);
        self.by_name.insert(key.clone(), place);
        self.by_key.insert(key, place);
    }

    /// Lets go of whatever is held under a key, and gives it. O(log n).
    pub(super) fn remove(&mut self, key: &Key) -> Option<Metadata> {
        let place = self.by_key.remove(key)?;
        self.by_name.remove(key);
        self.free.push(place);
        let held = self.places[slot(place)].take();
        let held = held.expect("an index names no free place");
        let old = held.figures();
        self.held = self.held.minus(old);
        if held.lapsed {
            self.lapsed.remove(&(due(&held.metadata), place));
        } else {
            self.live = self.live.minus(old);
            self.leave_group(held.metadata.group.as_ref(), old);
            self.order.remove(&(held.bound, place));
        }
        Some(held.metadata)
    }

    fn place_in_order(&mut self, place: Place, bound: Due) {
        self.held_at_mut(place).bound = bound;
        self.order.insert((bound, place));
    }

    fn join_group(&mut self, group: Option<&GroupId>, figures: Figures) {
        let Some(group) = group else { return };
        match self.groups.get_mut(group) {
            Some(sum) => *sum = sum.plus(figures),
            None => {
                self.groups.insert(group.clone(), figures);
            }
        }
    }

    /// A group without entries is forgotten, so that the groups are never
    /// more than the entries.
    fn leave_group(&mut self, group: Option<&GroupId>, figures: Figures) {
        let Some(group) = group else { return };
        let sum = self.groups.get_mut(group).expect("it has this entry");
        *sum = sum.minus(figures);
        if sum.keys == 0 {
            self.groups.remove(group);
        }
    }

    /// Notices the next entry whose time is over; whether there was one.
    /// O(log n), and as much for each put that moved a deadline on since it
    /// was last looked at.
    pub(super) fn lapse_next(&mut self, now: Millis) -> bool {
        while let Some(&(bound, place)) = self.order.first() {
            if !bound.0.has_passed(now) {
                return false;
            }
            self.order.pop_first();
            let held = self.held_at_mut(place);
            let due = due(&held.metadata);
            if bound < due {
                self.place_in_order(place, due);
                continue;
            }
            held.lapsed = true;
            let (old, group) = (held.figures(), held.metadata.group.clone());
            self.live = self.live.minus(old);
            self.leave_group(group.as_ref(), old);
            self.lapsed.insert((due, place));
            return true;
        }
        false
    }

    /// The entry that expired first, other than that of `spared`. O(log n).
    pub(super) fn first_expired(&mut self, now: Millis, spared: Option<&Key>) -> Option<Key> {
        // What an undo put back may have expired before those that are known.
        while self.has_earlier() && self.lapse_next(now) {}
        loop {
            let keys = self.lapsed.iter();
            let mut keys = keys.map(|(_, place)| &self.held_at(*place).key);
            if let Some(key) = keys.find(|key| Some(*key) != spared) {
                return Some(key.clone());
            }
            if !self.lapse_next(now) {
                return None;
            }
        }
    }

    /// Whether an entry not known to be expired may have a deadline before
    /// those that are.
    fn has_earlier(&self) -> bool {
        let (order, lapsed) = (self.order.first(), self.lapsed.first());
        matches!((order, lapsed), (Some((bound, _)), Some((first, _))) if bound < first)
    }

    /// Makes changes again that were taken back.
    #[cfg(feature = "durable")]
    pub(crate) fn redo(&mut self, changes: &[Change]) {
        for change in changes {
            match &change.after {
                Some(after) => {
                    self.store(&change.key, after.clone());
                }
                None => {
                    self.remove(&change.key);
                }
            }
        }
    }

    /// A time before which no entry expires that has not yet: the earliest
    /// deadline, or one that a put has moved on since. O(log n).
    #[cfg(feature = "durable")]
    pub(crate) fn next_deadline(&self) -> Option<Millis> {
        let first = self.lapsed.first().or(self.order.first());
        first.map(|((at, _), _)| *at)
    }

    /// Takes changes back, the last first. The versions they used stay used.
    pub(crate) fn undo(&mut self, changes: &[Change]) {
        for change in changes.iter().rev() {
            match &change.before {
                Some(before) => {
                    self.store(&change.key, before.clone());
                }
                None => {
                    self.remove(&change.key);
                }
            }
        }
    }
}

fn slot(place: Place) -> usize {
    usize::try_from(place).expect("addresses have 32 bits at least")
}
