//! The cache of two tiers: what readers and writers do.

use std::fmt;
use std::sync::Arc;

use windlass_core::Combiner;
use windlass_store::Scan;

use super::action::{Action, Answer, Putting, Reply};
use super::counters::TieredStats;
use super::desk::Desk;
use super::fetch::Fetched;
use super::keys;
use super::options::Options;
use super::packing;
use super::shared::{Shared, hash};
use crate::cache::Expect;
use crate::error::CacheError;
use crate::found::{Found, KeyPage, Presence, Remaining, Stored};
use crate::limits::{INLINE_BYTES_MAX, PAGE_KEYS_MAX, PROMOTED_PER_CALL, TOGETHER_MAX};
use crate::names::{Key, Namespace, Place};
use crate::policy::Put;
use crate::spaces::Era;
use crate::stats::Space;

/// Blobs in a store, the wanted ones in memory as well.
///
/// Cloning gives another handle of the same cache. The store is its own, and
/// nobody else opens it meanwhile. What was acknowledged survives whatever
/// the store's commits survive; invalidations and flushes are acknowledged
/// once they do.
///
/// Nothing here spawns or reads a clock. A hit in memory awaits nothing and
/// takes no lock of ours; any other get is one read of the store, or none
/// where a filter knows that there is nothing. Changes of many callers share
/// commits. A future that is dropped leaves its change made or not made.
#[derive(Clone)]
pub struct TieredCache {
    pub(super) shared: Arc<Shared>,
    pub(super) desk: Arc<Combiner<Desk>>,
}

impl fmt::Debug for TieredCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TieredCache")
            .field("options", &self.shared.options)
            .finish_non_exhaustive()
    }
}

impl TieredCache {
    /// The settings it was opened with.
    #[must_use]
    pub fn options(&self) -> &Options {
        &self.shared.options
    }

    /// The entry of a key, if a reader may see it. Counts as a use of it.
    ///
    /// # Errors
    ///
    /// Those of the store. An entry that is damaged is none: it is dropped
    /// and counted.
    pub async fn get(&self, namespace: &Namespace, key: &Key) -> Result<Option<Found>, CacheError> {
        self.shared.ensure_open()?;
        if let Some(found) = self.shared.first.get(namespace, key) {
            return Ok(Some(found));
        }
        self.get_below(namespace, key).await
    }

    async fn get_below(
        &self,
        namespace: &Namespace,
        key: &Key,
    ) -> Result<Option<Found>, CacheError> {
        if self.shared.promote(PROMOTED_PER_CALL) > 0
            && self.shared.first.inner.visible(namespace, key).is_some()
            && let Some(found) = self.shared.first.get(namespace, key)
        {
            return Ok(Some(found));
        }
        let fetched = match self.era_that_may_have(namespace, key) {
            Some(era) => self.fetch(&era, key).await?,
            None => {
                self.shared.counters.negatives.add(1);
                Fetched::Nothing
            }
        };
        self.give(fetched).await
    }

    /// What a reader is given of what was fetched.
    async fn give(&self, fetched: Fetched) -> Result<Option<Found>, CacheError> {
        let found = match fetched {
            Fetched::Nothing => None,
            Fetched::Entry { entry, seen } => self.show(&entry, seen),
            Fetched::Damaged { era, key, stamp } => {
                // If it cannot be dropped now, the next reader will.
                let mend = Action::Mend { era, key, stamp };
                let _ = self.ask(mend).await;
                None
            }
        };
        let counters = &self.shared.counters;
        match &found {
            Some(_) => counters.hits.add(1),
            None => counters.misses.add(1),
        }
        Ok(found)
    }

    /// The era of a namespace, unless it is known that it has no such key.
    fn era_that_may_have(&self, namespace: &Namespace, key: &Key) -> Option<Arc<Era>> {
        let era = self.shared.first.inner.spaces.find(namespace)?;
        era.below.may_have(hash(&era, key)).then_some(era)
    }

    /// The entries of several keys, in their order. Those that are not in
    /// memory are read eight at a time.
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub async fn get_many(
        &self,
        namespace: &Namespace,
        keys: &[Key],
    ) -> Result<Vec<Option<Found>>, CacheError> {
        self.shared.ensure_open()?;
        let mut found: Vec<Option<Found>> = self.shared.first.get_many(namespace, keys);
        let missing = found.iter().enumerate();
        let missing = missing.filter(|(_, found)| found.is_none());
        let missing: Vec<usize> = missing.map(|(place, _)| place).collect();
        let mut wanted = Vec::new();
        for place in missing {
            match self.era_that_may_have(namespace, &keys[place]) {
                Some(era) => wanted.push((place, era)),
                None => {
                    self.shared.counters.negatives.add(1);
                    self.shared.counters.misses.add(1);
                }
            }
        }
        for wanted in wanted.chunks(super::fetch::TOGETHER) {
            let asked = wanted
                .iter()
                .map(|(place, era)| (Arc::clone(era), keys[*place].clone()));
            let fetched = self.fetch_many(asked.collect()).await?;
            for ((place, _), fetched) in wanted.iter().zip(fetched) {
                found[*place] = self.give(fetched).await?;
            }
        }
        Ok(found)
    }

    /// What is known of a key without asking the store. Counts as no use.
    #[must_use]
    pub fn exists(&self, namespace: &Namespace, key: &Key) -> Presence {
        if self.shared.first.inner.visible(namespace, key).is_some() {
            return Presence::Present;
        }
        match self.era_that_may_have(namespace, key) {
            Some(_) => Presence::Maybe,
            None => Presence::Absent,
        }
    }

    /// How long an entry is still fresh; `None` if a get would find nothing.
    /// Counts as no use.
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub async fn remaining(
        &self,
        namespace: &Namespace,
        key: &Key,
    ) -> Result<Option<Remaining>, CacheError> {
        self.shared.ensure_open()?;
        if let Some(remaining) = self.shared.first.remaining(namespace, key) {
            return Ok(Some(remaining));
        }
        let Some(era) = self.era_that_may_have(namespace, key) else {
            return Ok(None);
        };
        let row = keys::entry(era.generation, key.as_str());
        let page = self.shared.read_past(Scan::point(row)).await?;
        let row = page.rows.first();
        // A damaged one is dropped by whoever asks for it.
        let Some(kept) = row.and_then(|row| row.kept(era.generation, key)) else {
            return Ok(None);
        };
        let record = kept.record;
        let visible = era.is_live() && self.shared.is_visible(&era, &record);
        Ok(visible.then(|| Remaining::until(record.expires, self.shared.now())))
    }

    /// Puts a blob, in place of what is there.
    ///
    /// # Errors
    ///
    /// [`CacheError::BlobTooLarge`], [`CacheError::Invalid`] for what cannot
    /// be put; [`CacheError::VersionMismatch`] if its version is not higher
    /// than that of the visible entry; [`CacheError::TooManyNamespaces`] if
    /// its namespace holds nothing and as many as may hold something;
    /// [`CacheError::L2Full`] if nothing more may go for it; those of the
    /// store. What is there stays as it is then.
    pub async fn put(
        &self,
        namespace: &Namespace,
        key: &Key,
        put: Put,
    ) -> Result<Stored, CacheError> {
        self.put_if(namespace, key, put, Expect::Anything).await
    }

    /// Puts several blobs, each by itself: the answers come in their order.
    /// They share commits.
    pub async fn put_many(
        &self,
        namespace: &Namespace,
        puts: impl IntoIterator<Item = (Key, Put)>,
    ) -> Vec<Result<Stored, CacheError>> {
        let mut puts = puts.into_iter().peekable();
        let mut stored = Vec::new();
        while puts.peek().is_some() {
            let some: Vec<(Key, Put)> = puts.by_ref().take(TOGETHER_MAX).collect();
            stored.extend(self.put_some(namespace, some).await);
        }
        stored
    }

    async fn put_some(
        &self,
        namespace: &Namespace,
        puts: Vec<(Key, Put)>,
    ) -> Vec<Result<Stored, CacheError>> {
        let (mut refused, mut actions) = (Vec::new(), Vec::new());
        let mut chains = Vec::new();
        for (key, put) in puts {
            match self.prepare(namespace, &key, put, Expect::Anything).await {
                Ok(action) => {
                    refused.push(None);
                    chains.push(action.chain().map(|chain| (key, chain)));
                    actions.push(action);
                }
                Err(error) => refused.push(Some(error)),
            }
        }
        let mut replies = self.ask_all(actions).await.into_iter();
        let mut chains = chains.into_iter();
        let mut answers = Vec::with_capacity(refused.len());
        for refused in refused {
            if let Some(error) = refused {
                answers.push(Err(error));
                continue;
            }
            let stored = stored(replies.next().unwrap_or(Err(CacheError::Closed)));
            if let Some((key, chain)) = chains.next().flatten() {
                self.take_back(&stored, &key, &chain).await;
            }
            answers.push(stored);
        }
        answers
    }

    /// Puts a blob if the visible entry is at version `expected`, or, for
    /// `None`, if there is none.
    ///
    /// # Errors
    ///
    /// [`CacheError::VersionMismatch`] if it is not; otherwise those of
    /// [`TieredCache::put`].
    pub async fn compare_and_set(
        &self,
        namespace: &Namespace,
        key: &Key,
        expected: Option<u64>,
        put: Put,
    ) -> Result<Stored, CacheError> {
        let expect = Expect::Version(expected);
        self.put_if(namespace, key, put, expect).await
    }

    async fn put_if(
        &self,
        namespace: &Namespace,
        key: &Key,
        put: Put,
        expect: Expect,
    ) -> Result<Stored, CacheError> {
        let action = self.prepare(namespace, key, put, expect).await?;
        let chain = action.chain();
        let stored = stored(self.ask(action).await);
        if let Some(chain) = chain {
            self.take_back(&stored, key, &chain).await;
        }
        stored
    }

    /// Checks a put, and writes its blob ahead if that is large.
    async fn prepare(
        &self,
        namespace: &Namespace,
        key: &Key,
        put: Put,
        expect: Expect,
    ) -> Result<Action, CacheError> {
        self.shared.ensure_open()?;
        put.check(self.shared.options.first.blob_bytes_max)?;
        let jitter_ms = put.policy.draw_jitter(self.shared.env())?;
        let visit = self.shared.first.inner.spaces.enter(namespace)?;
        let crc = crc32fast::hash(&put.value);
        let chain = if put.size() > INLINE_BYTES_MAX {
            Some(self.write_ahead(visit.era(), key, &put.value).await?)
        } else {
            None
        };
        let packed = match chain {
            Some(_) => None,
            None => packing::pack(&put.value, self.shared.options.compression),
        };
        let place = Place {
            namespace: namespace.clone(),
            key: key.clone(),
        };
        Ok(Action::Put(Box::new(Putting {
            visit,
            place,
            put,
            crc,
            packed,
            jitter_ms,
            expect,
            chain,
        })))
    }

    /// Lets the time of an entry begin anew, as if it was put now; an absolute
    /// expiry stays. False if a get would find nothing.
    ///
    /// # Errors
    ///
    /// [`CacheError::Random`] if the policy has jitter and there are no random
    /// bytes; those of the store.
    pub async fn touch(&self, namespace: &Namespace, key: &Key) -> Result<bool, CacheError> {
        self.shared.ensure_open()?;
        let Some(era) = self.era_that_may_have(namespace, key) else {
            return Ok(false);
        };
        let key = key.clone();
        match self.ask(Action::Touch { era, key }).await? {
            Answer::Touched(touched) => Ok(touched),
            _ => Err(CacheError::Abandoned(windlass_core::Abandoned)),
        }
    }

    /// Keys of a namespace behind `after`, or from the first on, in their
    /// order: at most `limit`, and never more than 1,000. Those that are put
    /// or go meanwhile may be there or not. Reads the records, with such blobs
    /// as are stored with them.
    ///
    /// # Errors
    ///
    /// Those of the store.
    pub async fn enumerate(
        &self,
        namespace: &Namespace,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<KeyPage, CacheError> {
        self.shared.ensure_open()?;
        let limit = limit.min(PAGE_KEYS_MAX);
        let mut page = KeyPage::default();
        let Some(era) = self.shared.first.inner.spaces.find(namespace) else {
            return Ok(page);
        };
        let mut scan = Scan::new(keys::entries(era.generation));
        if let Some(after) = after {
            scan = scan.after(&keys::entry(era.generation, after.as_str()));
        }
        loop {
            let rows = self.shared.read_past(scan.clone()).await?;
            for row in &rows.rows {
                let Some(key) = keys::entry_of(era.generation, &row.key) else {
                    continue;
                };
                // A damaged one is dropped by whoever asks for it.
                let Some(kept) = row.kept(era.generation, &key) else {
                    continue;
                };
                if !era.is_live() || !self.shared.is_visible(&era, &kept.record) {
                    continue;
                }
                if page.keys.len() == limit {
                    page.more = true;
                    return Ok(page);
                }
                page.keys.push(key);
            }
            match rows.rows.last().filter(|_| rows.more) {
                Some(last) => scan = scan.after(&last.key),
                None => return Ok(page),
            }
        }
    }

    /// Namespaces that hold something, by name.
    #[must_use]
    pub fn namespaces(&self) -> Vec<Space> {
        let eras = self.shared.first.inner.spaces.eras().into_iter();
        let held = eras.filter(|era| era.below.entries() > 0);
        let spaces = held.map(|era| Space {
            namespace: era.namespace.clone(),
            generation: era.generation,
            entries: era.below.entries(),
        });
        let mut spaces: Vec<Space> = spaces.collect();
        spaces.sort_unstable_by(|one, other| one.namespace.cmp(&other.namespace));
        spaces
    }

    /// What both tiers did and hold. Figures that change meanwhile may be of
    /// different moments.
    #[must_use]
    pub fn stats(&self) -> TieredStats {
        let eras = self.shared.first.inner.spaces.eras().into_iter();
        let filters = eras.filter_map(|era| era.below.filter());
        let filter_bytes = filters.map(|filter| filter.bytes()).sum();
        let first = self.shared.first.stats();
        self.shared.counters.stats(first, filter_bytes)
    }

    /// Has one change made.
    pub(super) async fn ask(&self, action: Action) -> Reply {
        let mut replies = self.ask_all(vec![action]).await;
        replies.pop().unwrap_or(Err(CacheError::Closed))
    }

    /// Has several made, in their order.
    pub(super) async fn ask_all(&self, actions: Vec<Action>) -> Vec<Reply> {
        let count = actions.len();
        if count == 0 {
            return Vec::new();
        }
        match self.desk.submit(actions).await {
            Ok(replies) => replies,
            Err(abandoned) => {
                let refuse = |_| Err(CacheError::Abandoned(abandoned));
                (0..count).map(refuse).collect()
            }
        }
    }
}

fn stored(reply: Reply) -> Result<Stored, CacheError> {
    match reply? {
        Answer::Stored(stored) => Ok(stored),
        _ => Err(CacheError::Abandoned(windlass_core::Abandoned)),
    }
}
