//! Making entries invisible before their time.
//!
//! Whatever was in the cache when an invalidation began is gone when it
//! returns: a read that starts then finds what was put since, or nothing.
//! Entries go in bites, so that others who want the same shard get their
//! turn; what is put meanwhile may stay or go.

use std::collections::HashSet;
use std::sync::Arc;

use crate::cache::{Inner, MemoryCache};
use crate::entry::Entry;
use crate::error::CacheError;
use crate::found::{Flush, Invalidated};
use crate::index::{Among, Start};
use crate::limits::BITE_ENTRIES_MAX;
use crate::names::{Key, Namespace, Tag, Wanted, check_prefix};
use crate::shard::Shard;
use crate::spaces::Era;
use crate::stats::Count;

impl MemoryCache {
    /// Invalidates an entry, and all that depend on its key, held or not.
    pub fn invalidate(&self, namespace: &Namespace, key: &Key) -> Invalidated {
        self.run(namespace, |round| round.take_key(key))
    }

    /// Invalidates all entries whose keys begin with `prefix`, and all that
    /// depend on them. Looks at each shard once, and once more for each key
    /// that is taken where anything in the namespace depends on another.
    ///
    /// # Errors
    ///
    /// [`CacheError::Invalid`] if no key can begin so.
    pub fn invalidate_prefix(
        &self,
        namespace: &Namespace,
        prefix: &str,
    ) -> Result<Invalidated, CacheError> {
        check_prefix(prefix)?;
        Ok(self.run(namespace, |round| round.take_all(Among::All, prefix)))
    }

    /// Invalidates all entries that have one of these tags, and all that
    /// depend on them.
    pub fn invalidate_tags(&self, namespace: &Namespace, tags: &[Tag]) -> Invalidated {
        self.run(namespace, |round| {
            for tag in tags {
                round.take_all(Among::Tagged(tag), "");
            }
        })
    }

    /// Invalidates all entries that depend on one of these keys, directly or
    /// through others; not the entries of the keys themselves.
    pub fn invalidate_dependents(&self, namespace: &Namespace, keys: &[Key]) -> Invalidated {
        self.run(namespace, |round| {
            for key in keys {
                round.follow(key.clone());
            }
        })
    }

    /// Invalidates a whole namespace: O(1), whatever is in it. Every read that
    /// starts after this returns sees it; the memory is taken back by
    /// [`MemoryCache::sweep_expired`] and by what is put. A namespace that
    /// holds nothing stays as it is, and one that is unknown takes no slot.
    pub fn flush_namespace(&self, namespace: &Namespace) -> Flush {
        let (before, after) = self.inner.spaces.flush(namespace);
        if before != after {
            self.inner.counters.add(Count::Flushes, 1);
        }
        Flush { before, after }
    }

    fn run(&self, namespace: &Namespace, take: impl FnOnce(&mut Round<'_>)) -> Invalidated {
        let Some(era) = self.inner.spaces.find(namespace) else {
            return Invalidated::default();
        };
        let mut round = Round {
            inner: &self.inner,
            era,
            seen: HashSet::new(),
            follow: Vec::new(),
            taken: Invalidated::default(),
        };
        take(&mut round);
        round.take_dependents();
        let entries = round.taken.entries;
        self.inner.counters.add(Count::Invalidations, entries);
        round.taken
    }
}

/// One invalidation.
struct Round<'a> {
    inner: &'a Inner,
    era: Arc<Era>,
    /// Keys whose dependents were looked for, or will be.
    seen: HashSet<Key>,
    follow: Vec<Key>,
    taken: Invalidated,
}

impl Round<'_> {
    /// Takes an entry, if it is held, and notes to take what depends on it.
    fn take_key(&mut self, key: &Key) {
        let namespace = &self.era.namespace;
        let mut shard = self.inner.shard(Wanted { namespace, key }).lock();
        let held = shard.find(&self.era, key);
        if let Some(entry) = &held {
            shard.remove(entry);
        }
        drop(shard);
        if let Some(entry) = held {
            self.count(&entry);
        }
        self.follow(key.clone());
    }

    fn count(&mut self, entry: &Entry) {
        if entry.is_visible(self.inner.env.now()) {
            self.taken.entries += 1;
            self.taken.bytes += u64::try_from(entry.value.len()).unwrap_or(u64::MAX);
        }
    }

    /// Notes to take what depends on a key.
    fn follow(&mut self, key: Key) {
        if self.era.has_dependents() && !self.seen.contains(&key) {
            self.seen.insert(key.clone());
            self.follow.push(key);
        }
    }

    /// Takes all entries that have something in common and whose keys begin
    /// with `prefix`.
    fn take_all(&mut self, among: Among<'_>, prefix: &str) {
        for shard in &self.inner.shards {
            let mut start = Start::At(Key::bound(prefix));
            while let Some(last) = self.take_bite(shard, among, prefix, &start) {
                start = Start::After(last);
            }
        }
    }

    /// Takes a few entries of a shard, and gives the last of their keys.
    fn take_bite(
        &mut self,
        shard: &Shard,
        among: Among<'_>,
        prefix: &str,
        start: &Start,
    ) -> Option<Key> {
        let mut locked = shard.lock();
        let most = usize::try_from(BITE_ENTRIES_MAX).unwrap_or(usize::MAX);
        let mut bite = locked.walk(&self.era, among, start, most);
        bite.retain(|entry| entry.place.key.as_str().starts_with(prefix));
        for entry in &bite {
            locked.remove(entry);
        }
        drop(locked);
        for entry in &bite {
            self.count(entry);
            self.follow(entry.place.key.clone());
        }
        bite.last().map(|entry| entry.place.key.clone())
    }

    /// Takes what depends on what was taken, and so on. Circles end where
    /// they began.
    fn take_dependents(&mut self) {
        while let Some(name) = self.follow.pop() {
            self.take_all(Among::Dependents(&name), "");
        }
    }
}
