//! Caches that are asked for numbers and only say whether they had them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use windlass::SystemEnv;
use windlass_cache::limits::ENTRY_BYTES;
use windlass_cache::{Config, Key, MemoryCache, Namespace, Put};

use crate::error::BenchError;

/// A cache that holds so many numbers.
pub trait Policy {
    /// Whether it had the number; it has it then.
    fn request(&mut self, number: u64) -> bool;
}

/// The least recently used goes: the measure of all.
#[derive(Debug)]
pub struct Lru {
    capacity: usize,
    clock: u64,
    used: HashMap<u64, u64>,
    order: BTreeMap<u64, u64>,
}

impl Lru {
    /// An empty one.
    #[must_use]
    pub fn new(capacity: u64) -> Self {
        Self {
            capacity: usize::try_from(capacity).unwrap_or(usize::MAX),
            clock: 0,
            used: HashMap::new(),
            order: BTreeMap::new(),
        }
    }
}

impl Policy for Lru {
    fn request(&mut self, number: u64) -> bool {
        self.clock += 1;
        let before = self.used.insert(number, self.clock);
        if let Some(before) = before {
            self.order.remove(&before);
        }
        self.order.insert(self.clock, number);
        if self.used.len() > self.capacity
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.used.remove(&oldest);
        }
        before.is_some()
    }
}

/// `quick_cache`, undivided.
#[derive(Debug)]
pub struct Quick(quick_cache::unsync::Cache<u64, ()>);

impl Quick {
    /// An empty one.
    #[must_use]
    pub fn new(capacity: u64) -> Self {
        let items = usize::try_from(capacity).unwrap_or(usize::MAX);
        Self(quick_cache::unsync::Cache::new(items))
    }
}

impl Policy for Quick {
    fn request(&mut self, number: u64) -> bool {
        let had = self.0.get(&number).is_some();
        if !had {
            self.0.insert(number, ());
        }
        had
    }
}

/// `moka`, which puts its work off; here it is done after each insertion.
#[derive(Debug)]
pub struct Moka(moka::sync::Cache<u64, ()>);

impl Moka {
    /// An empty one.
    #[must_use]
    pub fn new(capacity: u64) -> Self {
        Self(moka::sync::Cache::new(capacity))
    }
}

impl Policy for Moka {
    fn request(&mut self, number: u64) -> bool {
        let had = self.0.get(&number).is_some();
        if !had {
            self.0.insert(number, ());
            self.0.run_pending_tasks();
        }
        had
    }
}

/// The cache of this project, with entries of one size.
#[derive(Debug)]
pub struct Ours {
    cache: MemoryCache,
    space: Namespace,
    keys: Vec<Key>,
}

/// Digits of a key, and so its bytes.
const KEY_DIGITS: usize = 8;

impl Ours {
    /// An empty one for numbers below `keys`; `None` where its least is more.
    ///
    /// # Errors
    ///
    /// [`BenchError`] if it refuses its settings.
    pub fn new(capacity: u64, keys: u64) -> Result<Option<Self>, BenchError> {
        let key_bytes = u64::try_from(KEY_DIGITS).unwrap_or(0);
        let l1_bytes_max = capacity * (ENTRY_BYTES + key_bytes);
        let config = Config {
            l1_bytes_max,
            blob_bytes_max: (l1_bytes_max / 8).saturating_sub(ENTRY_BYTES).max(1),
            entry_bytes_guess: ENTRY_BYTES + key_bytes,
        };
        if config.check().is_err() {
            return Ok(None);
        }
        let names = (0..keys).map(|number| format!("{number:0KEY_DIGITS$}"));
        Ok(Some(Self {
            cache: MemoryCache::new(Arc::new(SystemEnv::new()), config)?,
            space: "trace".parse()?,
            keys: names.map(Key::try_from).collect::<Result<_, _>>()?,
        }))
    }
}

impl Policy for Ours {
    fn request(&mut self, number: u64) -> bool {
        let key = &self.keys[usize::try_from(number).unwrap_or(usize::MAX)];
        let had = self.cache.get(&self.space, key).is_some();
        if !had {
            let put = self.cache.put(&self.space, key, Put::default());
            debug_assert!(put.is_ok(), "{put:?}");
        }
        had
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_policy_finds_again_what_fits() -> Result<(), BenchError> {
        let ours = Ours::new(400, 100)?.expect("it is large enough");
        let policies: [Box<dyn Policy>; 4] = [
            Box::new(Lru::new(400)),
            Box::new(Quick::new(400)),
            Box::new(Moka::new(400)),
            Box::new(ours),
        ];
        for mut policy in policies {
            let mut hits = || (0..100).filter(|number| policy.request(*number)).count();
            assert_eq!((hits(), hits()), (0, 100));
        }
        Ok(())
    }

    #[test]
    fn the_least_recently_used_goes() {
        let mut lru = Lru::new(2);
        let had = [1, 2, 1, 3, 1, 2].map(|number| lru.request(number));
        assert_eq!(had, [false, false, true, false, true, false]);
    }
}
