//! The second tier of a cache on SQLite: what its files take, and what a
//! restart finds.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;
use windlass::SystemEnv;
use windlass_cache::{Config, Key, Namespace, Options, Put, SweepLimit, TieredCache};
use windlass_store_sqlite::{Durability, Sharing, SqliteStore};

/// Bytes of the blob that is replaced.
const BLOB_BYTES: usize = 200_000;
/// Bytes that the cache may hold.
const BUDGET_BYTES: u64 = 1_000_000;
/// Bytes that its files may take at any time.
const FILES_BYTES_MAX: u64 = 8_000_000;
/// Replacements between two looks at the files.
const BETWEEN_LOOKS: usize = 10;

fn options() -> Options {
    Options {
        first: Config {
            l1_bytes_max: 1 << 20,
            blob_bytes_max: 256 << 10,
            ..Config::default()
        },
        l2_bytes_max: BUDGET_BYTES,
        ..Options::default()
    }
}

async fn open(path: &Path) -> TieredCache {
    let store = windlass_store_sqlite::Options {
        sharing: Sharing::Exclusive,
        durability: Durability::Process,
        wal_copy_bytes: 1 << 20,
        wal_empty_bytes: 4 << 20,
        ..Default::default()
    };
    let store = SqliteStore::open(path, store).await.expect("it opens");
    let env = Arc::new(SystemEnv::new());
    let cache = TieredCache::open(Arc::new(store), env, options(), "boot").await;
    cache.expect("it opens")
}

/// Bytes of all files of the store.
fn files(directory: &TempDir) -> u64 {
    let entries = fs::read_dir(directory.path()).expect("a directory");
    let lengths = entries.map(|entry| entry.and_then(|entry| entry.metadata()));
    lengths
        .map(|metadata| metadata.map_or(0, |it| it.len()))
        .sum()
}

fn replacements() -> usize {
    #[expect(clippy::disallowed_methods, reason = "a test is told its size")]
    let told = std::env::var("WINDLASS_CACHE_REPLACED");
    told.map_or(100, |told| told.parse().expect("a number"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_that_is_replaced_over_and_over_keeps_the_files_small() {
    let directory = TempDir::new().expect("a directory");
    let path = directory.path().join("cache.db");
    let cache = open(&path).await;
    let (space, key) = ("s".parse::<Namespace>(), "k".parse::<Key>());
    let (space, key) = (space.expect("a name"), key.expect("a key"));
    let mut most = 0;
    for round in 0..replacements() {
        let mut blob = vec![0; BLOB_BYTES];
        blob[..8].copy_from_slice(&u64::try_from(round).expect("few").to_le_bytes());
        let stored = cache.put(&space, &key, Put::new(blob)).await;
        assert!(stored.expect("it is put").held);
        if round % BETWEEN_LOOKS == 0 {
            most = most.max(files(&directory));
            assert!(most < FILES_BYTES_MAX, "{most} bytes after {round}");
        }
    }
    let stats = cache.stats().second;
    assert_eq!(stats.entries, 1);
    assert!(
        stats.bytes < BUDGET_BYTES && stats.evictions == 0,
        "{stats:?}"
    );
    let orphans = cache.reclaim_orphans(SweepLimit::Entries(9), None).await;
    assert_eq!(orphans.expect("it answers").scanned, 0);
    cache.close().await.expect("it closes");
    assert!(files(&directory) < FILES_BYTES_MAX, "after closing");
    let cache = open(&path).await;
    let found = cache.get(&space, &key).await.expect("it answers");
    let last = u64::try_from(replacements() - 1).expect("few");
    assert_eq!(found.expect("it is there").value()[..8], last.to_le_bytes());
    cache.close().await.expect("it closes");
}
