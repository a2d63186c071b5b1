//! What all operations of a cache of two tiers share.

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use windlass_core::{Env, Millis};
use windlass_store::{Page, Scan, Store, StoreError};

use super::above::{Above, Marks};
use super::counters::Counters;
use super::keys::ChainId;
use super::options::Options;
use super::record::{Record, corrupt};
use super::uses::Uses;
use crate::cache::MemoryCache;
use crate::entry::Entry;
use crate::error::CacheError;
use crate::index::{Among, Start};
use crate::limits::{PROMOTION_BYTES_MAX, PROMOTIONS_MAX, STEP_ROWS};
use crate::names::Key;
use crate::spaces::Era;

/// Both tiers and what lies between them.
pub(super) struct Shared {
    pub(super) store: Arc<dyn Store>,
    pub(super) first: MemoryCache,
    pub(super) options: Options,
    /// Which opening of the cache this is.
    pub(super) incarnation: u64,
    pub(super) marks: Marks,
    pub(super) uses: Uses,
    pub(super) counters: Counters,
    promotions: Mutex<Promotions>,
    /// Chains of pieces that are being written.
    writing: Mutex<HashSet<u64>>,
    chains: AtomicU64,
    closed: AtomicBool,
    done: AtomicBool,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("incarnation", &self.incarnation)
            .finish_non_exhaustive()
    }
}

/// Entries that wait for the first tier.
#[derive(Debug, Default)]
struct Promotions {
    waiting: VecDeque<(Arc<Entry>, u64)>,
    bytes: u64,
}

impl Shared {
    pub(super) fn new(
        store: Arc<dyn Store>,
        first: MemoryCache,
        options: Options,
        incarnation: u64,
    ) -> Self {
        Self {
            store,
            first,
            options,
            incarnation,
            marks: Marks::new(),
            uses: Uses::default(),
            counters: Counters::default(),
            promotions: Mutex::default(),
            writing: Mutex::default(),
            chains: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            done: AtomicBool::new(false),
        }
    }

    pub(super) fn env(&self) -> &dyn Env {
        &*self.first.inner.env
    }

    pub(super) fn now(&self) -> Millis {
        self.env().now()
    }

    pub(super) fn above(&self) -> Above<'_> {
        Above {
            inner: &self.first.inner,
            marks: &self.marks,
            uses: &self.uses,
        }
    }

    /// Refuses what comes after the end.
    pub(super) fn ensure_open(&self) -> Result<(), CacheError> {
        if self.closed.load(Ordering::Acquire) {
            Err(CacheError::Closed)
        } else {
            Ok(())
        }
    }

    /// Lets nothing new begin.
    pub(super) fn end(&self) {
        self.closed.store(true, Ordering::Release);
    }

    /// Whether the end was written.
    pub(super) fn is_done(&self) -> bool {
        self.done.load(Ordering::Acquire)
    }

    /// Notes that it was.
    pub(super) fn note_done(&self) {
        self.done.store(true, Ordering::Release);
    }

    /// Reads as many pages as there are scans.
    pub(super) async fn read<const N: usize>(
        &self,
        scans: [Scan; N],
    ) -> Result<[Page; N], StoreError> {
        let pages = self.store.read(&scans).await?;
        let count = pages.len();
        let pages = pages.try_into();
        pages.map_err(|_| corrupt("pages", format!("{count} for {N} scans")))
    }

    /// When an entry was last used, as far as anybody knows.
    pub(super) fn used(&self, era: &Era, record: &Record) -> Millis {
        let above = self.above().used(era, &record.key, record.stamp);
        let noted = self.uses.last(record.stamp);
        let known = [above, noted].into_iter().flatten();
        known.fold(record.used, Millis::max)
    }

    /// Whether a reader sees an entry of a live era.
    pub(super) fn is_visible(&self, era: &Era, record: &Record) -> bool {
        let used = match record.policy.idle_ms {
            Some(_) => self.used(era, record),
            None => record.used,
        };
        !record.ends(used).has_passed(self.now())
    }

    /// Keeps the uses of what is in the first tier, as far as there is room.
    pub(super) fn note_uses_above(&self) {
        for era in self.first.inner.spaces.eras() {
            for shard in &self.first.inner.shards {
                let mut start = Start::First;
                loop {
                    let entries = shard.lock().walk(&era, Among::All, &start, STEP_ROWS);
                    let Some(last) = entries.last() else { break };
                    start = Start::After(last.place.key.clone());
                    entries.iter().for_each(|entry| self.uses.note(entry));
                }
            }
        }
    }

    /// Lets an entry wait for the first tier, if there is room to wait.
    pub(super) fn queue(&self, entry: &Arc<Entry>, seen: u64) {
        let mut promotions = self.lock_promotions();
        let bytes = promotions.bytes.saturating_add(entry.charge);
        if promotions.waiting.len() < PROMOTIONS_MAX && bytes <= PROMOTION_BYTES_MAX {
            promotions.bytes = bytes;
            promotions.waiting.push_back((Arc::clone(entry), seen));
        }
    }

    /// Takes up at most so many entries that wait for the first tier; how
    /// many waited.
    pub(super) fn promote(&self, most: usize) -> usize {
        for done in 0..most {
            let mut promotions = self.lock_promotions();
            let Some((entry, seen)) = promotions.waiting.pop_front() else {
                return done;
            };
            promotions.bytes -= entry.charge;
            drop(promotions);
            if self.above().promote(&entry, seen) {
                self.counters.promotions.add(1);
            } else {
                self.uses.note(&entry);
            }
        }
        most
    }

    fn lock_promotions(&self) -> MutexGuard<'_, Promotions> {
        self.promotions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// A chain of pieces to be written now.
    pub(super) fn begin_chain(self: &Arc<Self>) -> Writing {
        let number = self.chains.fetch_add(1, Ordering::SeqCst) + 1;
        self.lock_writing().insert(number);
        let id = ChainId {
            incarnation: self.incarnation,
            number,
        };
        Writing {
            shared: Arc::clone(self),
            id,
        }
    }

    /// Whether a chain is being written.
    pub(super) fn is_writing(&self, id: ChainId) -> bool {
        id.incarnation == self.incarnation && self.lock_writing().contains(&id.number)
    }

    fn lock_writing(&self) -> MutexGuard<'_, HashSet<u64>> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The era of a namespace, if it is at this generation.
    pub(super) fn era(
        &self,
        namespace: &crate::names::Namespace,
        generation: u64,
    ) -> Option<Arc<Era>> {
        let era = self.first.inner.spaces.find(namespace)?;
        (era.generation == generation).then_some(era)
    }
}

/// A chain that is being written for as long as this is held.
#[derive(Debug)]
pub(super) struct Writing {
    shared: Arc<Shared>,
    pub(super) id: ChainId,
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.shared.lock_writing().remove(&self.id.number);
    }
}

/// The hash by which filters know a name.
pub(super) fn hash(era: &Era, key: &Key) -> u64 {
    let namespace = &era.namespace;
    crate::names::Wanted { namespace, key }.code()
}
