//! What is remembered of entries beside both tiers, for as long as the
//! process lives: when they were last used, and who renews them.
//!
//! A use writes nothing. Before an entry goes because it was idle, what is
//! known here, and by the first tier, is asked; if it was used, its record
//! is written anew then. Both lists are bounded: a use that finds no room is
//! forgotten, and its entry counts as used when its record was last written.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use windlass_core::Millis;

use crate::entry::Entry;
use crate::limits::{REFRESH_MS, RENEWALS_MAX, USES_MAX};
use crate::names::Key;

/// The last use of an entry.
#[derive(Clone, Debug)]
pub(super) struct Use {
    pub(super) generation: u64,
    pub(super) key: Key,
    pub(super) stamp: u64,
    pub(super) at: Millis,
}

/// By the stamps of entries.
#[derive(Debug, Default)]
pub(super) struct Uses {
    used: Mutex<HashMap<u64, Use>>,
    renewals: Mutex<HashMap<u64, Millis>>,
}

impl Uses {
    /// Notes when an entry was last used, if that makes a difference.
    pub(super) fn note(&self, entry: &Entry) {
        if entry.policy.idle_ms.is_none() {
            return;
        }
        let (stamp, at) = (entry.stamp, entry.used());
        let mut used = lock(&self.used);
        let room = used.len() < USES_MAX;
        if let Some(last) = used.get_mut(&stamp) {
            last.at = at.max(last.at);
        } else if room {
            let last = Use {
                generation: entry.era.generation,
                key: entry.place.key.clone(),
                stamp,
                at,
            };
            used.insert(stamp, last);
        }
    }

    /// When an entry was last used, as far as it is remembered.
    pub(super) fn last(&self, stamp: u64) -> Option<Millis> {
        lock(&self.used).get(&stamp).map(|last| last.at)
    }

    /// Forgets an entry, or what was written of it.
    pub(super) fn forget(&self, stamp: u64) {
        lock(&self.used).remove(&stamp);
        lock(&self.renewals).remove(&stamp);
    }

    /// All that are remembered.
    pub(super) fn all(&self) -> Vec<Use> {
        lock(&self.used).values().cloned().collect()
    }

    /// Until when somebody renews a stale entry, and whether that is this
    /// reader. Where there is no room to remember it, it is.
    pub(super) fn claim(&self, stamp: u64, now: Millis) -> (Millis, bool) {
        let mut renewals = lock(&self.renewals);
        if let Some(until) = renewals.get(&stamp)
            && !until.has_passed(now)
        {
            return (*until, false);
        }
        if renewals.len() >= RENEWALS_MAX {
            renewals.retain(|_, until| !until.has_passed(now));
        }
        let until = now.plus_ms(REFRESH_MS);
        if renewals.len() < RENEWALS_MAX {
            renewals.insert(stamp, until);
        }
        (until, true)
    }
}

fn lock<T>(map: &Mutex<HashMap<u64, T>>) -> MutexGuard<'_, HashMap<u64, T>> {
    map.lock().unwrap_or_else(PoisonError::into_inner)
}
