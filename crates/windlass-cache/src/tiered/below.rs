//! What the second tier has of an era, as readers and callers see it without
//! asking the store.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::filter::Filter;

/// The names of an era that are in the second tier.
#[derive(Clone, Debug)]
enum Names {
    /// Not all were looked at since the cache was opened.
    Unknown,
    /// These at most.
    Among(Arc<Filter>),
}

/// What the second tier has of an era. One run at a time changes it.
#[derive(Debug)]
pub(crate) struct Below {
    entries: AtomicU64,
    dependents: AtomicU64,
    names: RwLock<Names>,
}

impl Default for Below {
    /// Nothing, and that is known.
    fn default() -> Self {
        Self {
            entries: AtomicU64::new(0),
            dependents: AtomicU64::new(0),
            names: RwLock::new(Names::Among(Arc::default())),
        }
    }
}

impl Below {
    /// Entries of it.
    pub(crate) fn entries(&self) -> u64 {
        self.entries.load(Ordering::SeqCst)
    }

    /// Whether any of them depends on another.
    pub(super) fn has_dependents(&self) -> bool {
        self.dependents.load(Ordering::SeqCst) > 0
    }

    /// Notes what there is.
    pub(super) fn set(&self, entries: u64, dependents: u64) {
        self.entries.store(entries, Ordering::SeqCst);
        self.dependents.store(dependents, Ordering::SeqCst);
    }

    /// Whether a name of this hash may be there.
    pub(super) fn may_have(&self, hash: u64) -> bool {
        match &*self.names.read().unwrap_or_else(PoisonError::into_inner) {
            Names::Unknown => true,
            Names::Among(filter) => filter.may_have(hash),
        }
    }

    /// The filter, if it is known which names there are.
    pub(super) fn filter(&self) -> Option<Arc<Filter>> {
        match &*self.names.read().unwrap_or_else(PoisonError::into_inner) {
            Names::Unknown => None,
            Names::Among(filter) => Some(Arc::clone(filter)),
        }
    }

    /// Forgets which names there are.
    pub(super) fn forget_names(&self) {
        *self.names.write().unwrap_or_else(PoisonError::into_inner) = Names::Unknown;
    }

    /// These are the names from now on.
    pub(super) fn know(&self, filter: Arc<Filter>) {
        *self.names.write().unwrap_or_else(PoisonError::into_inner) = Names::Among(filter);
    }
}
