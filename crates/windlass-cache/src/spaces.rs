//! Namespaces and their generations.
//!
//! An *era* is a namespace at one generation. Every entry belongs to an era,
//! and is visible while that is alive: flushing a namespace ends its era,
//! which costs one store whatever is in it, and the next put begins another.
//! What is left of ended eras is taken back by the sweeper.
//!
//! - At most so many namespaces have a slot. One that holds nothing gives
//!   its slot to the next that needs one.
//! - Generations are drawn from one counter for all namespaces, so none is
//!   used twice, also not for a namespace that lost its slot meanwhile.

use std::collections::HashMap;
use std::mem;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use crate::error::CacheError;
use crate::limits::NAMESPACES_MAX;
use crate::names::Namespace;
use crate::tiered::Below;

/// Ended eras after which those that hold nothing are dropped for the first
/// time; then whenever there are twice as many as were left.
const ENDED_KEPT: usize = 64;

/// A namespace at one generation.
#[derive(Debug)]
pub(crate) struct Era {
    pub(crate) namespace: Namespace,
    pub(crate) generation: u64,
    alive: AtomicBool,
    /// Entries it has in the indexes.
    held: AtomicU64,
    /// Puts that are under way.
    visits: AtomicU64,
    /// Entries that depend on others.
    dependents: AtomicU64,
    /// What a second tier has of it.
    pub(crate) below: Below,
}

impl Era {
    fn new(namespace: Namespace, generation: u64) -> Self {
        Self {
            namespace,
            generation,
            alive: AtomicBool::new(true),
            held: AtomicU64::new(0),
            visits: AtomicU64::new(0),
            dependents: AtomicU64::new(0),
            below: Below::default(),
        }
    }

    /// Whether its namespace was not flushed since.
    #[inline]
    pub(crate) fn is_live(&self) -> bool {
        self.alive.load(Ordering::Acquire)
    }

    pub(crate) fn held(&self) -> u64 {
        self.held.load(Ordering::SeqCst)
    }

    /// Whether any of its entries depends on another.
    pub(crate) fn has_dependents(&self) -> bool {
        self.dependents.load(Ordering::SeqCst) > 0
    }

    /// Counts an entry that came into an index.
    pub(crate) fn count_in(&self, depends: bool) {
        self.held.fetch_add(1, Ordering::SeqCst);
        self.dependents.fetch_add(depends.into(), Ordering::SeqCst);
    }

    /// Counts one that went.
    pub(crate) fn count_out(&self, depends: bool) {
        self.held.fetch_sub(1, Ordering::SeqCst);
        self.dependents.fetch_sub(depends.into(), Ordering::SeqCst);
    }

    /// Whether nothing is in it and nothing can come: puts are counted
    /// before entries go in, and after them they are let go. While nobody
    /// can enter, the answer stays true.
    fn is_empty(&self) -> bool {
        self.is_drained() && self.below.entries() == 0
    }

    /// The same of the first tier alone.
    fn is_drained(&self) -> bool {
        self.visits.load(Ordering::SeqCst) == 0 && self.held() == 0
    }
}

/// An era that keeps its slot for as long as this is held.
#[derive(Debug)]
pub(crate) struct Visit(Arc<Era>);

impl Visit {
    fn new(era: &Arc<Era>) -> Self {
        era.visits.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(era))
    }

    pub(crate) const fn era(&self) -> &Arc<Era> {
        &self.0
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.0.visits.fetch_sub(1, Ordering::SeqCst);
    }
}

/// What is left of ended eras.
#[derive(Debug)]
struct Ended {
    eras: Vec<Arc<Era>>,
    sift_at: usize,
}

/// All namespaces.
#[derive(Debug)]
pub(crate) struct Spaces {
    slots: RwLock<HashMap<Namespace, Arc<Era>>>,
    generations: AtomicU64,
    ended: Mutex<Ended>,
}

impl Spaces {
    pub(crate) fn new() -> Self {
        let ended = Ended {
            eras: Vec::new(),
            sift_at: ENDED_KEPT,
        };
        Self {
            slots: RwLock::default(),
            generations: AtomicU64::new(0),
            ended: Mutex::new(ended),
        }
    }

    fn draw_generation(&self) -> u64 {
        self.generations.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// The last generation that was drawn.
    pub(crate) fn generation(&self) -> u64 {
        self.generations.load(Ordering::SeqCst)
    }

    /// Draws no generation up to this one.
    pub(crate) fn resume(&self, generation: u64) {
        self.generations.fetch_max(generation, Ordering::SeqCst);
    }

    /// Gives a namespace its slot back, at the generation it had.
    pub(crate) fn restore(&self, namespace: &Namespace, generation: u64) -> Arc<Era> {
        self.resume(generation);
        let era = Arc::new(Era::new(namespace.clone(), generation));
        let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        slots.insert(namespace.clone(), Arc::clone(&era));
        era
    }

    /// The era of a namespace, if it has a slot.
    pub(crate) fn find(&self, namespace: &Namespace) -> Option<Arc<Era>> {
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        slots.get(namespace).map(Arc::clone)
    }

    /// The era to put into; takes a slot if the namespace has none.
    pub(crate) fn enter(&self, namespace: &Namespace) -> Result<Visit, CacheError> {
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(era) = slots.get(namespace) {
            return Ok(Visit::new(era));
        }
        drop(slots);
        self.take_slot(namespace)
    }

    fn take_slot(&self, namespace: &Namespace) -> Result<Visit, CacheError> {
        let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(era) = slots.get(namespace) {
            return Ok(Visit::new(era));
        }
        if slots.len() >= NAMESPACES_MAX {
            slots.retain(|_, era| !era.is_empty());
        }
        if slots.len() >= NAMESPACES_MAX {
            return Err(CacheError::TooManyNamespaces {
                max: u64::try_from(NAMESPACES_MAX).unwrap_or(u64::MAX),
            });
        }
        let era = Arc::new(Era::new(namespace.clone(), self.draw_generation()));
        let visit = Visit::new(&era);
        slots.insert(namespace.clone(), era);
        Ok(visit)
    }

    /// Ends the era of a namespace and begins another: the generations before
    /// and after. They are equal where nothing is held and nothing is being
    /// put, 0 for a namespace without a slot.
    pub(crate) fn flush(&self, namespace: &Namespace) -> (u64, u64) {
        let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        let Some(slot) = slots.get_mut(namespace) else {
            return (0, 0);
        };
        if slot.is_empty() {
            return (slot.generation, slot.generation);
        }
        let next = Arc::new(Era::new(namespace.clone(), self.draw_generation()));
        let (before, after) = (slot.generation, next.generation);
        let old = mem::replace(slot, next);
        old.alive.store(false, Ordering::SeqCst);
        drop(slots);
        self.keep(old);
        (before, after)
    }

    fn keep(&self, era: Arc<Era>) {
        let mut ended = self.lock_ended();
        ended.eras.push(era);
        if ended.eras.len() >= ended.sift_at {
            ended.eras.retain(|era| !era.is_drained());
            ended.sift_at = ENDED_KEPT.max(2 * ended.eras.len());
        }
    }

    /// Ended eras of which something is left.
    pub(crate) fn ended(&self) -> Vec<Arc<Era>> {
        let mut ended = self.lock_ended();
        ended.eras.retain(|era| !era.is_drained());
        ended.eras.clone()
    }

    /// The eras of all slots.
    pub(crate) fn eras(&self) -> Vec<Arc<Era>> {
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        slots.values().map(Arc::clone).collect()
    }

    /// Namespaces that hold something, by name: generation and entries held.
    pub(crate) fn list(&self) -> Vec<(Namespace, u64, u64)> {
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        let held = slots.values().filter(|era| era.held() > 0);
        let mut all: Vec<_> = held
            .map(|era| (era.namespace.clone(), era.generation, era.held()))
            .collect();
        drop(slots);
        all.sort_unstable();
        all
    }

    fn lock_ended(&self) -> MutexGuard<'_, Ended> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
