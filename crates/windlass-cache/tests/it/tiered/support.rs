//! What the tests of two tiers share: stores that outlive their caches, and
//! die at a chosen call.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use async_trait::async_trait;
use windlass_cache::{Compression, Config, Found, Namespace, Options, Put, Stored, TieredCache};
use windlass_core::{ManualEnv, Millis};
use windlass_store::{
    Batch, Changes, Commit, Export, KeyRange, Page, Scan, Store, StoreError, StoreErrorKind,
};
use windlass_store_memory::MemoryStore;

use crate::support::{START, key, namespace};

/// A store that outlives what is over it, and can be made to die: after so
/// many calls more none gets an answer, the last one perhaps applied.
#[derive(Debug)]
pub(crate) struct Mortal {
    inner: Arc<dyn Store>,
    left: AtomicU64,
    applies_last: AtomicBool,
}

impl Mortal {
    pub(crate) fn new(inner: Arc<dyn Store>) -> Arc<Self> {
        Arc::new(Self {
            inner,
            left: AtomicU64::new(u64::MAX),
            applies_last: AtomicBool::new(false),
        })
    }

    /// Dies at the call after `calls` more; that one is applied if asked for.
    pub(crate) fn die_after(&self, calls: u64, applies_last: bool) {
        self.left.store(calls, Ordering::SeqCst);
        self.applies_last.store(applies_last, Ordering::SeqCst);
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.left.load(Ordering::SeqCst) == 0
    }

    /// Whether the call is answered, and whether it is applied if not.
    fn call(&self) -> Result<(), bool> {
        let before = self
            .left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                Some(if left == u64::MAX {
                    left
                } else {
                    left.saturating_sub(1)
                })
            });
        match before {
            Ok(0) => Err(false),
            Ok(1) => Err(self.applies_last.load(Ordering::SeqCst)),
            _ => Ok(()),
        }
    }
}

fn dead(verb: &'static str) -> StoreError {
    let kind = match verb {
        "commit" => StoreErrorKind::Indeterminate,
        _ => StoreErrorKind::Unavailable,
    };
    StoreError::new(kind, verb, "the process died")
}

#[async_trait]
impl Store for Mortal {
    async fn read(&self, scans: &[Scan]) -> Result<Vec<Page>, StoreError> {
        self.call().map_err(|_| dead("read"))?;
        self.inner.read(scans).await
    }

    async fn commit(&self, batch: Batch) -> Result<Commit, StoreError> {
        if let Err(applied) = self.call() {
            if applied {
                let _ = self.inner.commit(batch).await?;
            }
            return Err(dead("commit"));
        }
        self.inner.commit(batch).await
    }

    async fn export(&self, range: KeyRange) -> Result<Export, StoreError> {
        self.inner.export(range).await
    }

    fn subscribe(&self, prefix: &[u8]) -> Changes {
        self.inner.subscribe(prefix)
    }

    /// The store below outlives it.
    async fn close(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// A small first tier, so that entries are pushed out of it.
pub(crate) fn options() -> Options {
    Options {
        first: Config {
            l1_bytes_max: 64 << 10,
            blob_bytes_max: 30 << 10,
            entry_bytes_guess: 1 << 10,
        },
        compression: Compression::Lz4,
        ..Options::default()
    }
}

/// Options under which blobs are written in pieces.
pub(crate) fn large() -> Options {
    Options {
        first: Config {
            l1_bytes_max: 64 << 20,
            blob_bytes_max: 8 << 20,
            ..Config::default()
        },
        ..Options::default()
    }
}

/// A cache over a store, and the clock it reads.
pub(crate) struct Pair {
    pub(crate) env: Arc<ManualEnv>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) cache: TieredCache,
    pub(crate) space: Namespace,
    options: Options,
}

pub(crate) fn memory() -> Arc<dyn Store> {
    Arc::new(MemoryStore::new().expect("random bytes"))
}

impl Pair {
    pub(crate) async fn new() -> Self {
        Self::with(options(), memory()).await
    }

    pub(crate) async fn with(options: Options, store: Arc<dyn Store>) -> Self {
        let env = Arc::new(ManualEnv::new(1, Millis::new(START)));
        let over = Mortal::new(Arc::clone(&store));
        let cache = TieredCache::open(over, env.clone(), options.clone(), "boot-1").await;
        Self {
            env,
            store,
            cache: cache.expect("it opens"),
            space: namespace("s"),
            options,
        }
    }

    /// The same store opened anew, as after a kill.
    pub(crate) async fn reopen(&mut self, boot: &str) {
        let over = Mortal::new(Arc::clone(&self.store));
        self.reopen_over(over, boot).await;
    }

    /// The same store opened with other options.
    pub(crate) async fn reopen_with(&mut self, options: Options) {
        self.options = options;
        self.reopen("boot-1").await;
    }

    pub(crate) async fn reopen_over(&mut self, store: Arc<dyn Store>, boot: &str) {
        let options = self.options.clone();
        let cache = TieredCache::open(store, self.env.clone(), options, boot).await;
        self.cache = cache.expect("it opens");
    }

    pub(crate) async fn put(&self, name: &str, put: Put) -> Stored {
        let stored = self.cache.put(&self.space, &key(name), put).await;
        stored.expect("it can be put")
    }

    pub(crate) async fn get(&self, name: &str) -> Option<Found> {
        let found = self.cache.get(&self.space, &key(name)).await;
        found.expect("the store answers")
    }

    pub(crate) async fn text(&self, name: &str) -> Option<String> {
        let found = self.get(name).await?;
        Some(String::from_utf8(found.value().to_vec()).expect("text"))
    }

    /// Those of the keys that a get finds.
    pub(crate) async fn visible<'a>(&self, names: &[&'a str]) -> Vec<&'a str> {
        let mut visible = Vec::new();
        for name in names {
            if self.get(name).await.is_some() {
                visible.push(*name);
            }
        }
        visible
    }
}

/// How many histories are tried.
pub(crate) fn cases() -> u32 {
    #[expect(clippy::disallowed_methods, reason = "a test is told its size")]
    let told = std::env::var("WINDLASS_CACHE_CASES");
    told.map_or(60, |told| told.parse().expect("a number of histories"))
}
