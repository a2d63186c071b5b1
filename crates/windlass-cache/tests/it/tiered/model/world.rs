//! The map, and the cache that is compared with it.

use std::collections::BTreeMap;
use std::sync::Arc;

use windlass_cache::limits::{ENTRY_BYTES, LINK_BYTES};
use windlass_cache::{CacheError, Found, Invalidated, Key, Policy, Put, Stored, TieredCache};
use windlass_core::{Coded, ErrorKind, Millis};
use windlass_store::{KeyRange, Store, StoreExt};
use windlass_store_testing::{Strict, StrictOptions};

use super::{ALL, Given, PATIENCE};
use crate::support::{START, key, tag};
use crate::tiered::support::{Mortal, Pair, memory, options};

/// What the model keeps of an entry.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Plain {
    pub(super) number: u64,
    pub(super) bytes: usize,
    pub(super) policy: Policy,
    pub(super) version: Option<u64>,
    pub(super) tag: Option<u8>,
    pub(super) of: Option<u8>,
    pub(super) began: u64,
    pub(super) used: u64,
}

impl Plain {
    pub(super) fn expires(&self) -> u64 {
        let ttl = self.policy.ttl_ms.map(|ms| self.began + ms);
        let at = self.policy.expires_at.map(Millis::get);
        ttl.into_iter().chain(at).min().unwrap_or(u64::MAX)
    }

    pub(super) fn ends(&self) -> u64 {
        let idle = self.policy.idle_ms.map_or(u64::MAX, |ms| self.used + ms);
        let stale = self.expires().saturating_add(self.policy.stale_ms);
        stale.min(idle)
    }

    pub(super) fn charge(&self, name: &str) -> u64 {
        let tag = usize::from(self.tag.is_some());
        let names = name.len() + tag + self.of.map_or(0, |of| named(of).len());
        let links = u64::from(self.tag.is_some()) + u64::from(self.of.is_some());
        let bytes = u64::try_from(names + self.bytes).expect("small");
        bytes + links * LINK_BYTES + ENTRY_BYTES
    }

    pub(super) fn value(&self) -> Vec<u8> {
        value(self.number, self.bytes)
    }
}

/// A number, and then one byte over and over, or noise: what is compressed,
/// and what is not.
fn value(number: u64, bytes: usize) -> Vec<u8> {
    let mut state = number;
    let noise = std::iter::repeat_with(|| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    });
    let text = number.to_string().into_bytes().into_iter();
    if number.is_multiple_of(2) {
        text.chain(noise).take(bytes).collect()
    } else {
        text.chain(std::iter::repeat(b'.')).take(bytes).collect()
    }
}

pub(super) fn named(number: u8) -> String {
    format!("{}/{number}", number % 2)
}

pub(super) type Entries = BTreeMap<String, Plain>;

pub(super) struct World {
    pub(super) pair: Pair,
    pub(super) over: Arc<Mortal>,
    pub(super) strict: StrictOptions,
    pub(super) boots: u32,
    pub(super) entries: Entries,
    /// What entries became if the last change was made, where nobody knows.
    pub(super) perhaps: Option<Entries>,
    pub(super) now: u64,
    pub(super) number: u64,
}

impl World {
    pub(super) async fn new(strict: StrictOptions) -> Self {
        let pair = Pair::with(options(), memory()).await;
        let over = Mortal::new(Arc::clone(&pair.store));
        let mut world = Self {
            pair,
            over,
            strict,
            boots: 1,
            entries: Entries::new(),
            perhaps: None,
            now: START,
            number: 0,
        };
        world.open().await;
        world
    }

    /// Opens the cache over a store that has died with the process before.
    pub(super) async fn open(&mut self) {
        let boot = format!("boot-{}", self.boots);
        for _ in 0..PATIENCE {
            self.over = Mortal::new(Arc::clone(&self.pair.store));
            let below: Arc<dyn Store> = Arc::clone(&self.over) as _;
            let strict = Arc::new(Strict::new(below, self.strict));
            let opened =
                TieredCache::open(strict, Arc::clone(&self.pair.env) as _, options(), &boot);
            match opened.await {
                Ok(cache) => {
                    self.pair.cache = cache;
                    return;
                }
                Err(error) => assert_passing(&error),
            }
        }
        panic!("it never opens");
    }

    pub(super) fn drop_over(&mut self) {
        let now = self.now;
        let over = |_: &String, plain: &mut Plain| plain.ends() > now;
        self.entries.retain(over);
        if let Some(perhaps) = &mut self.perhaps {
            perhaps.retain(over);
        }
    }

    /// Gets a key until the store answers.
    pub(super) async fn find(&self, name: &str) -> Option<Found> {
        for _ in 0..PATIENCE {
            match self.pair.cache.get(&self.pair.space, &key(name)).await {
                Ok(found) => return found,
                Err(error) => assert_passing(&error),
            }
        }
        panic!("the store never answers");
    }

    /// Looks at what a key has, which must be what the model has, or may
    /// have. An entry whose uses died with the process may be gone.
    pub(super) async fn look(&mut self, name: &str, forgets: bool) {
        let found = self.find(name).await;
        let known = self.entries.get(name).cloned();
        let mut allowed = vec![known];
        if let Some(perhaps) = &self.perhaps {
            allowed.push(perhaps.get(name).cloned());
        }
        if forgets
            && allowed
                .iter()
                .flatten()
                .any(|it| it.policy.idle_ms.is_some())
        {
            allowed.push(None);
        }
        let right = allowed.into_iter().find(|plain| match (&found, plain) {
            (None, None) => true,
            (Some(found), Some(plain)) => {
                *found.value() == plain.value()
                    && plain.version.is_none_or(|it| it == found.version())
            }
            _ => false,
        });
        let Some(right) = right else {
            let found = found.map(|found| (found.version(), found.value().slice(..4)));
            panic!("{name} is {found:?}, not {:?}", self.entries.get(name));
        };
        match (right, found) {
            (Some(mut plain), Some(found)) => {
                plain.version = Some(found.version());
                plain.used = self.now;
                self.entries.insert(name.to_owned(), plain);
            }
            _ => drop(self.entries.remove(name)),
        }
    }

    pub(super) async fn look_at_all(&mut self, forgets: bool) {
        for number in 0..12 {
            self.look(&named(number), forgets).await;
        }
        self.perhaps = None;
    }

    /// Notes an answer: what it leaves, or what it may leave.
    pub(super) async fn settle(&mut self, changed: Entries, failed: Option<&CacheError>) {
        if !self.over.is_dead() {
            // It did not get so far.
            self.over.die_after(u64::MAX, false);
        }
        match failed {
            None => self.entries = changed,
            Some(error) => {
                if !self.over.is_dead() {
                    assert_passing(error);
                }
                self.perhaps = Some(changed);
            }
        }
        if self.over.is_dead() {
            let lost = self.number.is_multiple_of(5);
            self.boots += u32::from(lost);
            if lost {
                self.entries.clear();
                self.perhaps = None;
            }
            self.open().await;
            self.drop_over();
            self.look_at_all(true).await;
        } else if failed.is_some() {
            self.look_at_all(false).await;
        }
    }

    pub(super) async fn sweep(&mut self) {
        for _ in 0..PATIENCE {
            match self.pair.cache.sweep_expired(ALL, None).await {
                Ok(report) => {
                    assert!(!report.is_truncated(), "{report:?}");
                    return;
                }
                Err(error) => assert_passing(&error),
            }
        }
        panic!("the store never answers");
    }

    /// Sweeps, and compares what is left with what the model has.
    pub(super) async fn compare_bytes(&mut self) {
        self.sweep().await;
        self.drop_over();
        let charges = self.entries.iter().map(|(name, plain)| plain.charge(name));
        let stats = self.pair.cache.stats();
        let held = u64::try_from(self.entries.len()).expect("few");
        let expected = (held, charges.sum::<u64>());
        assert_eq!((stats.second.entries, stats.second.bytes), expected);
        assert!(stats.first.entries <= held, "{stats:?}");
        let spaces = self.pair.cache.namespaces();
        let entries: u64 = spaces.iter().map(|space| space.entries).sum();
        assert_eq!(entries, held);
        self.compare_rows().await;
    }

    /// Each entry has one row for when room is needed, and one for its time
    /// if that is ever over.
    async fn compare_rows(&self) {
        let ends = |plain: &&Plain| plain.ends() != u64::MAX;
        let ending = self.entries.values().filter(ends).count();
        let tables = [("rank", self.entries.len()), ("due", ending)];
        for (table, expected) in tables {
            let range = KeyRange::prefix(format!("cache/{table}/"));
            let rows = self.pair.store.scan_all(range).await;
            let found = rows.expect("the store itself never fails").len();
            // An entry that has no end any more is listed until it is looked at.
            let is_right = found == expected || (table == "due" && found > expected);
            assert!(is_right, "{found} rows of {table}, not {expected}");
        }
    }

    /// What is left once these and all that depend on them are taken.
    pub(super) fn without(&self, first: Vec<String>) -> Entries {
        let mut left = self.entries.clone();
        let (mut names, mut seen) = (first, Vec::new());
        while let Some(next) = names.pop() {
            left.remove(&next);
            let depends = |plain: &Plain| plain.of.map(named).as_ref() == Some(&next);
            let made = self.entries.iter().filter(|(_, plain)| depends(plain));
            let made: Vec<String> = made.map(|(name, _)| name.clone()).collect();
            names.extend(made.into_iter().filter(|name| !seen.contains(name)));
            seen.push(next);
        }
        left
    }

    pub(super) fn matching(&self, wanted: impl Fn(&str, &Plain) -> bool) -> Vec<String> {
        let entries = self.entries.iter();
        let found = entries.filter(|(name, plain)| wanted(name, plain));
        found.map(|(name, _)| name.clone()).collect()
    }

    pub(super) async fn took(&mut self, left: Entries, taken: Result<Invalidated, CacheError>) {
        if let Ok(taken) = &taken {
            let expected = self.entries.len() - left.len();
            assert_eq!(taken.entries, u64::try_from(expected).expect("few"));
        }
        self.settle(left, taken.as_ref().err()).await;
    }

    pub(super) fn put_of(&mut self, given: &Given) -> (Key, Put, Plain) {
        self.number += 1;
        let plain = Plain {
            number: self.number,
            bytes: given.bytes,
            policy: given.policy.clone(),
            version: given.version,
            tag: given.tag,
            of: given.of,
            began: self.now,
            used: self.now,
        };
        let put = Put {
            policy: given.policy.clone(),
            version: given.version,
            tags: given.tag.iter().map(|it| tag(&it.to_string())).collect(),
            depends_on: given.of.map(named).iter().map(|it| key(it)).collect(),
            ..Put::new(plain.value())
        };
        (key(&named(given.name)), put, plain)
    }

    /// What one answer to a put leaves of these.
    pub(super) fn answered(
        &self,
        entries: &mut Entries,
        name: &str,
        mut plain: Plain,
        stored: &Result<Stored, CacheError>,
    ) {
        match stored {
            Ok(stored) => {
                let past = plain.policy.expires_at;
                let past = past.is_some_and(|at| at.get() <= self.now);
                assert_eq!(stored.held, !past, "{stored:?}");
                entries.remove(name);
                plain.version = Some(stored.version);
                if stored.held {
                    entries.insert(name.to_owned(), plain);
                }
            }
            Err(_) if plain.ends() > self.now => {
                entries.insert(name.to_owned(), plain);
            }
            Err(_) => drop(entries.remove(name)),
        }
    }

    pub(super) fn is_refused(&self, entries: &Entries, name: &str, given: Option<u64>) -> bool {
        let old = entries.get(name).and_then(|plain| plain.version);
        old.is_some_and(|old| given.is_some_and(|version| version <= old))
    }
}

/// An error that a store which fails now and then explains.
pub(super) fn assert_passing(error: &CacheError) {
    let kind = error.kind();
    let passing = matches!(kind, ErrorKind::Unavailable | ErrorKind::Indeterminate);
    assert!(passing, "{error:?}");
}
