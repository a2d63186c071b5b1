//! How many streams are read at a time: in all, and for one principal.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::caller::Caller;
use crate::settings::Settings;

/// The slots of a process. Bounded by the cap on all streams: who has no slot
/// leaves nothing behind.
#[derive(Clone, Debug, Default)]
pub struct Capacity(Arc<Mutex<Taken>>);

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by: HashMap<Caller, usize>,
}

/// Why there is no slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// All slots of the process are taken.
    #[error("all {limit} slots for streams are taken")]
    Server {
        /// How many there are.
        limit: usize,
        /// How many are taken.
        current: usize,
    },
    /// All slots of the principal are taken.
    #[error("all {limit} slots of this principal are taken")]
    Principal {
        /// How many there are.
        limit: usize,
        /// How many are taken.
        current: usize,
    },
}

/// A slot, until it is dropped.
#[derive(Debug)]
pub struct Slot {
    caller: Caller,
    taken: Arc<Mutex<Taken>>,
}

/// How many slots are taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Occupancy {
    /// By all.
    pub all: usize,
    /// By each principal that has one, in no order.
    pub by: Vec<(Caller, usize)>,
}

impl Capacity {
    /// Slots of which none is taken.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a slot of all and one of the caller's, both or none.
    ///
    /// # Errors
    ///
    /// [`Refusal`], the one of the process first.
    pub fn take(&self, caller: &Caller, settings: &Settings) -> Result<Slot, Refusal> {
        let mut taken = lock(&self.0);
        let (limit, current) = (settings.streams_max, taken.all);
        if current >= limit {
            return Err(Refusal::Server { limit, current });
        }
        let limit = settings.principal_streams_max;
        let current = taken.by.get(caller).copied().unwrap_or_default();
        if current >= limit {
            return Err(Refusal::Principal { limit, current });
        }
        taken.all += 1;
        taken.by.insert(caller.clone(), current + 1);
        Ok(Slot {
            caller: caller.clone(),
            taken: Arc::clone(&self.0),
        })
    }

    /// How many slots are taken now.
    #[must_use]
    pub fn occupancy(&self) -> Occupancy {
        let taken = lock(&self.0);
        let by = taken
            .by
            .iter()
            .map(|(caller, count)| (caller.clone(), *count));
        Occupancy {
            all: taken.all,
            by: by.collect(),
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut taken = lock(&self.taken);
        taken.all -= 1;
        if let Some(count) = taken.by.get_mut(&self.caller) {
            *count -= 1;
            if *count == 0 {
                taken.by.remove(&self.caller);
            }
        }
    }
}

fn lock(taken: &Mutex<Taken>) -> MutexGuard<'_, Taken> {
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}
