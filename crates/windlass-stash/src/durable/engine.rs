//! What all drivers of stashes share: the store, the environment, the
//! settings, the cached values, and how rows are loaded.

use std::sync::{Arc, PoisonError, RwLock};

use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};
use windlass_core::{Env, Sharing, back_off};
use windlass_store::{Page, Scan, Store, Version};

use super::keys::StashKeys;
use super::limits::ROUNDS_MAX;
use super::options::Options;
use super::record::{Head, Kept, Pieces, corrupt, decode};
use super::state::{Row, State, decode_row};
use crate::config::Config;
use crate::error::StashError;
use crate::key::Key;
use crate::metadata::Metadata;
use crate::value::Value;

/// Parts into which the cache of values is divided: few enough that the
/// largest usual value fits into one of them.
const CACHE_SHARDS: usize = 8;
/// What a cached value is taken to cost beside its text.
const CACHED_BYTES: u64 = 192;

/// The surroundings of every driver.
#[derive(Debug)]
pub(super) struct Engine {
    pub(super) store: Arc<dyn Store>,
    pub(super) env: Arc<dyn Env>,
    options: Options,
    config: RwLock<Arc<Config>>,
    values: Values,
}

/// Values of all stashes under one budget of bytes. What is in it never
/// changes: a version of a stash is used once.
type Values = Cache<(StashKeys, u64), Value, ByBytes>;

#[derive(Clone, Copy, Debug)]
struct ByBytes;

impl Weighter<(StashKeys, u64), Value> for ByBytes {
    fn weight(&self, _: &(StashKeys, u64), value: &Value) -> u64 {
        value.size() + CACHED_BYTES
    }
}

/// What a read of a value came to.
#[derive(Debug)]
pub(super) enum Found {
    Value(Value),
    /// The stash is no longer the one that was asked about.
    Moved,
}

impl Engine {
    pub(super) fn new(
        store: Arc<dyn Store>,
        env: Arc<dyn Env>,
        options: Options,
    ) -> Result<Self, StashError> {
        options.check()?;
        let values = usize::try_from(options.cached_value_bytes / 4_096).unwrap_or(usize::MAX);
        let cache = OptionsBuilder::new()
            .shards(CACHE_SHARDS)
            .estimated_items_capacity(values.clamp(CACHE_SHARDS, 1 << 16))
            .weight_capacity(options.cached_value_bytes)
            .build()
            .expect("both capacities are given");
        let (hasher, lifecycle) = (DefaultHashBuilder::default(), DefaultLifecycle::default());
        let values = Cache::with_options(cache, ByBytes, hasher, lifecycle);
        let config = RwLock::new(Arc::new(options.stash.clone()));
        Ok(Self {
            store,
            env,
            options,
            config,
            values,
        })
    }

    pub(super) fn config(&self) -> Arc<Config> {
        Arc::clone(&self.config.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn configure(&self, config: Config) {
        let config = Arc::new(config);
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = config;
    }

    pub(super) fn is_alone(&self) -> bool {
        self.options.sharing == Sharing::Exclusive
    }

    pub(super) fn cached(&self, keys: &StashKeys, version: u64) -> Option<Value> {
        self.values.get(&(keys.clone(), version))
    }

    pub(super) fn keep(&self, keys: &StashKeys, version: u64, value: &Value) {
        self.values.insert((keys.clone(), version), value.clone());
    }

    pub(super) fn forget(&self, keys: &StashKeys, version: u64) {
        self.values.remove(&(keys.clone(), version));
    }

    /// Bytes of values that are held now, as they are counted.
    pub(super) fn cached_bytes(&self) -> u64 {
        self.values.weight()
    }

    /// Head and entry rows of one point in time: one read for each thousand
    /// rows. Where somebody writes between two reads, all over again.
    pub(super) async fn load(&self, keys: &StashKeys) -> Result<State, StashError> {
        let mut lost = 0;
        loop {
            if let Some(state) = self.try_load(keys).await? {
                return Ok(state);
            }
            lost += 1;
            self.back_off(lost).await?;
        }
    }

    async fn try_load(&self, keys: &StashKeys) -> Result<Option<State>, StashError> {
        let mut scans = [Scan::point(keys.head()), Scan::new(keys.entries())];
        let [first, mut page] = self.read(&scans).await?;
        let head = match first.entries.first() {
            Some(entry) => Some((decode::<Head>("stash head", &entry.value)?, entry.version)),
            None => None,
        };
        let version = head.as_ref().map(|(_, version)| *version);
        let mut rows: Vec<Row> = Vec::new();
        loop {
            for row in &page.entries {
                rows.push(decode_row(keys, row)?);
            }
            let Some(last) = page.entries.last().filter(|_| page.more) else {
                break;
            };
            scans = [
                Scan::point(keys.head()).keys(),
                Scan::new(keys.entries()).after(&last.key),
            ];
            let [head, next] = self.read(&scans).await?;
            if version_in(&head) != version {
                return Ok(None);
            }
            page = next;
        }
        let state = State::of(head, &rows, self.env.now())?;
        for (_, metadata, kept) in &rows {
            if let Kept::Within(value) = kept {
                self.keep(keys, metadata.version, value);
            }
        }
        Ok(Some(state))
    }

    /// Whether the head still has `version`.
    pub(super) async fn is_at(
        &self,
        keys: &StashKeys,
        version: Option<Version>,
    ) -> Result<bool, StashError> {
        let [head] = self.read(&[Scan::point(keys.head()).keys()]).await?;
        Ok(version_in(&head) == version)
    }

    /// The value of an entry, if the head still has `version`: from the
    /// entry's row, or from its pieces.
    pub(super) async fn value(
        &self,
        keys: &StashKeys,
        version: Option<Version>,
        (key, metadata): (&Key, &Metadata),
        pieces: Option<&Pieces>,
    ) -> Result<Found, StashError> {
        let found = match pieces {
            None => self.value_within(keys, version, key, metadata).await?,
            Some(pieces) => self.value_apart(keys, version, metadata, pieces).await?,
        };
        if let Found::Value(value) = &found {
            self.keep(keys, metadata.version, value);
        }
        Ok(found)
    }

    async fn value_within(
        &self,
        keys: &StashKeys,
        version: Option<Version>,
        key: &Key,
        metadata: &Metadata,
    ) -> Result<Found, StashError> {
        let row = keys.entry(key.as_str());
        let [head, page] = self
            .read(&[Scan::point(keys.head()).keys(), Scan::point(row)])
            .await?;
        if version_in(&head) != version {
            return Ok(Found::Moved);
        }
        let row = page.entries.first();
        let row = row.ok_or_else(|| corrupt("entry", "its row is missing"))?;
        match decode_row(keys, row)? {
            (_, found, Kept::Within(value)) if found == *metadata => Ok(Found::Value(value)),
            _ => Err(corrupt("entry", "it is not the one that the stash has")),
        }
    }

    /// Pieces, once written, do not change, so that those of one value may be
    /// read one after the other.
    async fn value_apart(
        &self,
        keys: &StashKeys,
        version: Option<Version>,
        metadata: &Metadata,
        pieces: &Pieces,
    ) -> Result<Found, StashError> {
        let length = usize::try_from(metadata.size).unwrap_or(usize::MAX);
        let mut text = Vec::new();
        let mut next = pieces.1;
        while next < pieces.end() {
            let scan = keys.pieces(&pieces.0, next, pieces.end());
            let [head, page] = self.read(&[Scan::point(keys.head()).keys(), scan]).await?;
            if version_in(&head) != version {
                return Ok(Found::Moved);
            }
            if page.entries.is_empty() {
                return Err(corrupt("value", "a piece of it is missing"));
            }
            for piece in page.entries {
                if piece.key != keys.piece(&pieces.0, next) {
                    return Err(corrupt("value", "a piece of it is missing"));
                }
                text.extend_from_slice(&piece.value);
                next += 1;
            }
        }
        if text.len() != length {
            return Err(corrupt("value", "its pieces have another length"));
        }
        let text = str::from_utf8(&text).map_err(|cause| corrupt("value", cause))?;
        Ok(Found::Value(Value::from_compact(text)))
    }

    async fn read<const N: usize>(&self, scans: &[Scan; N]) -> Result<[Page; N], StashError> {
        let pages = self.store.read(scans).await?;
        let count = pages.len();
        let pages = pages.try_into();
        pages.map_err(|_| corrupt("read", format!("{count} pages for {N} scans")))
    }

    /// Waits a random while after lost races, longer after more of them, and
    /// gives up after too many.
    pub(super) async fn back_off(&self, lost: u32) -> Result<(), StashError> {
        if lost >= ROUNDS_MAX {
            return Err(StashError::Busy);
        }
        Ok(back_off(self.env.as_ref(), lost).await?)
    }
}

fn version_in(page: &Page) -> Option<Version> {
    page.entries.first().map(|entry| entry.version)
}
