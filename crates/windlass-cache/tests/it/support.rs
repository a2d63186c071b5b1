//! What the tests of this crate share.

use std::fmt::Debug;
use std::sync::Arc;

use windlass_cache::{Config, Found, Key, MemoryCache, Namespace, Put, Stored, Tag};
use windlass_core::{Coded, ManualEnv, Millis};

pub(crate) const START: u64 = 1_700_000_000_000;

/// A cache and the clock it reads.
pub(crate) struct World {
    pub(crate) env: Arc<ManualEnv>,
    pub(crate) cache: MemoryCache,
    pub(crate) space: Namespace,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(Config::default())
    }

    pub(crate) fn with(config: Config) -> Self {
        let env = Arc::new(ManualEnv::new(1, Millis::new(START)));
        let cache = MemoryCache::new(env.clone(), config).expect("settings that can stand");
        let space = namespace("s");
        Self { env, cache, space }
    }

    pub(crate) fn put(&self, name: &str, put: Put) -> Stored {
        let stored = self.cache.put(&self.space, &key(name), put);
        stored.expect("it can be put")
    }

    pub(crate) fn get(&self, name: &str) -> Option<Found> {
        self.cache.get(&self.space, &key(name))
    }

    /// The blob of a key as text.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        let found = self.get(name)?;
        Some(String::from_utf8(found.value().to_vec()).expect("text"))
    }

    /// Those of the keys that a get finds.
    pub(crate) fn visible<'a>(&self, names: &[&'a str]) -> Vec<&'a str> {
        let names = names.iter().copied();
        names.filter(|name| self.get(name).is_some()).collect()
    }
}

pub(crate) fn key(text: &str) -> Key {
    text.parse().expect("a key")
}

pub(crate) fn tag(text: &str) -> Tag {
    text.parse().expect("a tag")
}

pub(crate) fn namespace(text: &str) -> Namespace {
    text.parse().expect("a namespace")
}

/// The code of the refusal.
pub(crate) fn code<T: Debug, E: Coded>(answer: Result<T, E>) -> &'static str {
    answer.expect_err("a refusal").code()
}
