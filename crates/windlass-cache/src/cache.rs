//! The cache in memory: what readers and writers do.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use windlass_core::{Env, Millis};

use crate::config::Config;
use crate::entry::{Birth, Entry, Life};
use crate::error::CacheError;
use crate::found::{Found, Freshness, KeyPage, Presence, Remaining, Stored};
use crate::limits::{AUTO_SHARE, PAGE_KEYS_MAX};
use crate::names::{Key, Namespace, Place, Wanted};
use crate::policy::{Admission, Put};
use crate::shard::{Inserted, Locked, Shard};
use crate::spaces::{Era, Spaces};
use crate::stats::{Count, Counters, Space, Stats};

/// Blobs in memory.
///
/// Cloning gives another handle of the same cache; it ends with the last of
/// them. Nothing here awaits or blocks on anything outside the process. A hit
/// takes the read lock of the library's shard, and no lock of ours.
#[derive(Clone)]
pub struct MemoryCache {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) env: Arc<dyn Env>,
    pub(crate) spaces: Spaces,
    pub(crate) shards: Box<[Shard]>,
    pub(crate) counters: Counters,
    config: Config,
    pub(crate) stamps: AtomicU64,
}

impl fmt::Debug for MemoryCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryCache")
            .field("config", &self.inner.config)
            .finish_non_exhaustive()
    }
}

/// What a writer expects of the visible entry.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Expect {
    /// Nothing but that the version rises.
    Anything,
    /// That it is at this version, or that there is none.
    Version(Option<u64>),
}

impl MemoryCache {
    /// An empty cache.
    ///
    /// # Errors
    ///
    /// [`CacheError::Invalid`] if a setting cannot stand.
    pub fn new(env: Arc<dyn Env>, config: Config) -> Result<Self, CacheError> {
        config.check()?;
        let (bytes, guess) = (config.shard_bytes(), config.entry_bytes_guess);
        let shards = (0..config.shards()).map(|_| Shard::new(bytes, guess));
        Ok(Self {
            inner: Arc::new(Inner {
                env,
                spaces: Spaces::new(),
                shards: shards.collect(),
                counters: Counters::default(),
                config,
                stamps: AtomicU64::new(0),
            }),
        })
    }

    /// The settings it was made with.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.inner.config
    }

    /// The entry of a key, if a reader may see it. Counts as a use of it.
    #[must_use]
    pub fn get(&self, namespace: &Namespace, key: &Key) -> Option<Found> {
        let wanted = Wanted { namespace, key };
        let held = self.inner.shard(wanted).look(wanted);
        let found = held.and_then(|entry| self.inner.show(entry));
        let count = match found {
            Some(_) => Count::Hits,
            None => Count::Misses,
        };
        self.inner.counters.add(count, 1);
        found
    }

    /// The entries of several keys, in their order.
    #[must_use]
    pub fn get_many(&self, namespace: &Namespace, keys: &[Key]) -> Vec<Option<Found>> {
        keys.iter().map(|key| self.get(namespace, key)).collect()
    }

    /// Whether a get would find something. Counts as no use.
    #[must_use]
    pub fn exists(&self, namespace: &Namespace, key: &Key) -> Presence {
        match self.inner.visible(namespace, key) {
            Some(_) => Presence::Present,
            None => Presence::Absent,
        }
    }

    /// How long an entry is still fresh; `None` if a get would find nothing.
    /// Counts as no use.
    #[must_use]
    pub fn remaining(&self, namespace: &Namespace, key: &Key) -> Option<Remaining> {
        let entry = self.inner.visible(namespace, key)?;
        Some(Remaining::until(entry.expires(), self.inner.env.now()))
    }

    /// Puts a blob, in place of what is there.
    ///
    /// # Errors
    ///
    /// [`CacheError::BlobTooLarge`], [`CacheError::Invalid`] for what cannot
    /// be put; [`CacheError::VersionMismatch`] if its version is not higher
    /// than that of the visible entry; [`CacheError::TooManyNamespaces`] if
    /// its namespace holds nothing and as many as may hold something.
    pub fn put(&self, namespace: &Namespace, key: &Key, put: Put) -> Result<Stored, CacheError> {
        self.inner.put(namespace, key, put, Expect::Anything)
    }

    /// Puts several blobs, each by itself: the answers come in their order.
    pub fn put_many(
        &self,
        namespace: &Namespace,
        puts: impl IntoIterator<Item = (Key, Put)>,
    ) -> Vec<Result<Stored, CacheError>> {
        let puts = puts.into_iter();
        puts.map(|(key, put)| self.put(namespace, &key, put))
            .collect()
    }

    /// Puts a blob if the visible entry is at version `expected`, or, for
    /// `None`, if there is none.
    ///
    /// # Errors
    ///
    /// [`CacheError::VersionMismatch`] if it is not; otherwise those of
    /// [`MemoryCache::put`].
    pub fn compare_and_set(
        &self,
        namespace: &Namespace,
        key: &Key,
        expected: Option<u64>,
        put: Put,
    ) -> Result<Stored, CacheError> {
        let expect = Expect::Version(expected);
        self.inner.put(namespace, key, put, expect)
    }

    /// Lets the time of an entry begin anew, as if it was put now; an absolute
    /// expiry stays. False if a get would find nothing.
    ///
    /// # Errors
    ///
    /// [`CacheError::Random`] if the policy has jitter and there are no random
    /// bytes.
    pub fn touch(&self, namespace: &Namespace, key: &Key) -> Result<bool, CacheError> {
        let Some(entry) = self.inner.visible(namespace, key) else {
            return Ok(false);
        };
        let jitter_ms = entry.policy.draw_jitter(&*self.inner.env)?;
        let now = self.inner.env.now();
        let mut shard = self.inner.shard(Wanted { namespace, key }).lock();
        let held = shard.find(&entry.era, key);
        let same = held.is_some_and(|held| held.stamp == entry.stamp);
        if !same || !entry.is_visible(now) {
            return Ok(false);
        }
        entry.renew(now, entry.policy.expires(now, jitter_ms));
        shard.index.reschedule(&entry);
        Ok(true)
    }

    /// Keys of a namespace behind `after`, or from the first on, in their
    /// order: at most `limit`, and never more than 1,000. Those that are put
    /// or go meanwhile may be there or not.
    #[must_use]
    pub fn enumerate(&self, namespace: &Namespace, after: Option<&Key>, limit: usize) -> KeyPage {
        let limit = limit.min(PAGE_KEYS_MAX);
        let Some(era) = self.inner.spaces.find(namespace) else {
            return KeyPage::default();
        };
        let now = self.inner.env.now();
        let mut keys = Vec::new();
        for shard in &self.inner.shards {
            shard.list(&era, after, now, limit + 1, &mut keys);
        }
        keys.sort_unstable();
        let more = keys.len() > limit;
        keys.truncate(limit);
        KeyPage { keys, more }
    }

    /// Namespaces that hold something, by name.
    #[must_use]
    pub fn namespaces(&self) -> Vec<Space> {
        let listed = self.inner.spaces.list().into_iter();
        let spaces = listed.map(|(namespace, generation, entries)| Space {
            namespace,
            generation,
            entries,
        });
        spaces.collect()
    }

    /// What the cache did and holds. Figures that change meanwhile may be of
    /// different moments.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let (mut entries, mut bytes) = (0, 0);
        for shard in &self.inner.shards {
            let locked = shard.lock();
            entries += locked.index.entries();
            bytes += locked.index.bytes();
        }
        self.inner.counters.stats(entries, bytes)
    }
}

impl Inner {
    /// The part that an entry is in.
    #[inline]
    pub(crate) fn shard(&self, wanted: Wanted<'_>) -> &Shard {
        // Bits that the library does not look at first.
        let bits = usize::try_from((wanted.code() >> 40) & 0xffff).expect("16 bits");
        &self.shards[bits & (self.shards.len() - 1)]
    }

    /// What a reader is given of an entry.
    #[inline]
    fn show(&self, entry: Arc<Entry>) -> Option<Found> {
        if !entry.era.is_live() {
            return None;
        }
        if !entry.is_timed() {
            return Some(Found::new(entry, Freshness::Fresh));
        }
        let now = self.env.now();
        let freshness = match entry.life(now) {
            Life::Gone => return None,
            Life::Fresh => Freshness::Fresh,
            Life::Stale => {
                self.counters.add(Count::StaleServes, 1);
                let renew = entry.claim_renewal(now);
                Freshness::Stale { renew }
            }
        };
        entry.note_use(now);
        Some(Found::new(entry, freshness))
    }

    /// The entry of a key that a get would find.
    pub(crate) fn visible(&self, namespace: &Namespace, key: &Key) -> Option<Arc<Entry>> {
        let wanted = Wanted { namespace, key };
        let held = self.shard(wanted).peek(wanted);
        held.filter(|entry| entry.is_visible(self.env.now()))
    }

    fn put(
        &self,
        namespace: &Namespace,
        key: &Key,
        put: Put,
        expect: Expect,
    ) -> Result<Stored, CacheError> {
        put.check(self.config.blob_bytes_max)?;
        let jitter_ms = put.policy.draw_jitter(&*self.env)?;
        let place = Place {
            namespace: namespace.clone(),
            key: key.clone(),
        };
        // What is refused takes no slot.
        if let Expect::Version(attempted @ Some(_)) = expect
            && self.spaces.find(namespace).is_none()
        {
            let existing = None;
            return Err(CacheError::VersionMismatch {
                existing,
                attempted,
            });
        }
        loop {
            let visit = self.spaces.enter(namespace)?;
            let era = visit.era();
            let shard = self.shard(place.wanted()).lock();
            // A flush came between: what is put now is put after it.
            if !era.is_live() {
                continue;
            }
            let now = self.env.now();
            let birth = self.conceive(&shard, era, place, &put, (now, jitter_ms), expect)?;
            return Ok(self.give_birth(shard, put, birth));
        }
    }

    /// Decides whether a blob may be put, and its version.
    fn conceive(
        &self,
        shard: &Locked<'_>,
        era: &Arc<Era>,
        place: Place,
        put: &Put,
        (now, jitter_ms): (Millis, u64),
        expect: Expect,
    ) -> Result<Birth, CacheError> {
        let held = shard.find(era, &place.key);
        let existing = held.filter(|entry| entry.is_visible(now));
        let existing = existing.map(|entry| entry.version);
        let stamp = self.stamps.fetch_add(1, Ordering::Relaxed) + 1;
        let version = decide_version(existing, put.version, expect, stamp)?;
        Ok(Birth {
            stamp,
            era: Arc::clone(era),
            place,
            version,
            now,
            expires: put.policy.expires(now, jitter_ms),
        })
    }

    /// Puts an entry in the place of what is there, or only removes that if
    /// the new one is not to be held.
    fn give_birth(&self, mut shard: Locked<'_>, put: Put, birth: Birth) -> Stored {
        let (version, now, stamp) = (birth.version, birth.now, birth.stamp);
        let over = put.policy.expires_at.is_some_and(|at| at.has_passed(now));
        let entry = Arc::new(Entry::new(put, birth));
        // An absolute expiry in the past has no time in which it is stale.
        if over || !self.admits(&entry) {
            let old = shard.find(&entry.era, &entry.place.key);
            if let Some(old) = &old {
                shard.remove(old);
            }
            drop(shard);
            let held = false;
            return Stored { version, held };
        }
        let Inserted { replaced, victims } = shard.insert(&entry);
        drop(shard);
        drop(replaced);
        self.counters.add(Count::Insertions, 1);
        let gone = u64::try_from(victims.len()).unwrap_or(u64::MAX);
        self.counters.add(Count::Evictions, gone);
        let held = victims.iter().all(|victim| victim.stamp != stamp);
        Stored { version, held }
    }

    pub(crate) fn admits(&self, entry: &Entry) -> bool {
        let most = self.config.shard_bytes();
        match entry.policy.admission {
            Admission::Never => false,
            Admission::Always => entry.charge <= most,
            Admission::Auto => entry.charge <= most / AUTO_SHARE,
        }
    }
}

/// The version of an entry to be put, if it may be.
pub(crate) fn decide_version(
    existing: Option<u64>,
    attempted: Option<u64>,
    expect: Expect,
    stamp: u64,
) -> Result<u64, CacheError> {
    if let Expect::Version(expected) = expect
        && expected != existing
    {
        return Err(CacheError::VersionMismatch {
            existing,
            attempted: expected,
        });
    }
    let refused = CacheError::VersionMismatch {
        existing,
        attempted,
    };
    let Some(attempted) = attempted else {
        // Above the highest there is, nothing is higher.
        let next = existing.map_or(Some(0), |version| version.checked_add(1));
        return next.map(|next| next.max(stamp)).ok_or(refused);
    };
    match existing {
        Some(existing) if existing >= attempted => Err(refused),
        _ => Ok(attempted),
    }
}
