//! The cache in a backup: on request, at one moment, and of use afterwards.

use windlass::backup::BackupError;
use windlass::cache::{Key, Namespace, Options as Tiers, Put, SweepLimit, TieredCache};
use windlass::core::Coded;
use windlass::{CacheOptions, Options, StoreLocation, Windlass};

use super::*;

const ALL: SweepLimit = SweepLimit::Entries(u64::MAX);

fn names(name: &str) -> (Namespace, Key) {
    ("pages".parse().unwrap(), name.parse().unwrap())
}

async fn has(cache: &TieredCache, name: &str) -> bool {
    let (space, key) = names(name);
    cache.get(&space, &key).await.unwrap().is_some()
}

/// An engine with a cache: something that stays, something that is over, and
/// something that was flushed.
async fn engine(env: &Arc<ManualEnv>) -> Windlass {
    let memory = StoreLocation::Memory;
    let options = Options {
        cache: Some(CacheOptions::at(memory.clone())),
        ..Options::default()
    };
    let engine = Windlass::with_env(&memory, options, env.clone());
    let engine = engine.await.unwrap();
    let cache = engine.cache().unwrap();
    let put = async |name: &str, put: Put| {
        let (space, key) = names(name);
        cache.put(&space, &key, put).await.unwrap();
    };
    put("flushed", Put::new("gone")).await;
    cache.flush_namespace(&names("any").0).await.unwrap();
    for number in 0..50 {
        put(&format!("stays/{number}"), Put::new(vec![7; 40_000])).await;
        let passing = Put::with_ttl_ms("soon over", 1_000);
        put(&format!("passes/{number}"), passing).await;
    }
    env.advance_ms(1_000);
    engine
}

#[tokio::test]
async fn a_cache_is_copied_on_request_and_during_a_sweep_and_can_be_used_again() {
    let directory = tempfile::tempdir().unwrap();
    let env = Arc::new(env());
    let engine = engine(&env).await;
    let with_cache = Backup {
        cache: true,
        ..asked(&directory)
    };
    let cache = engine.cache().unwrap();
    let mut observe = |_| ();
    let (made, swept) = tokio::join!(
        engine.back_up(&with_cache, &mut observe),
        cache.sweep_expired(ALL, None)
    );
    assert_eq!(swept.unwrap().second.evicted, 51);
    let made = made.unwrap();
    let copied = made.manifest.store(Slot::Cache).expect("it is in there");
    assert!(copied.bytes > 50 * 40_000, "{copied:?}");
    // It was not closed, and this is another start of the machine.
    let place = StoreLocation::Sqlite(directory.path().join("cache.db"));
    let restored = Windlass::restore_cache_from(&place, &made.path, &mut |_| ()).await;
    assert_eq!(restored.unwrap().report.moved.entries, copied.entries);
    let opened = Windlass::with_env(&place, Options::default(), env.clone()).await;
    let below = Arc::clone(opened.unwrap().store());
    let again = TieredCache::open(below, env, Tiers::default(), "another boot").await;
    let again = again.unwrap();
    for number in 0..50 {
        assert!(has(&again, &format!("stays/{number}")).await, "{number}");
        assert!(!has(&again, &format!("passes/{number}")).await, "{number}");
    }
    assert!(!has(&again, "flushed").await);
    again.sweep_expired(ALL, None).await.unwrap();
    let (here, there) = (cache.stats().second, again.stats().second);
    assert_eq!((here.entries, here.bytes), (there.entries, there.bytes));
}

#[tokio::test]
async fn a_cache_is_copied_only_on_request_and_where_there_is_one() {
    let directory = tempfile::tempdir().unwrap();
    let env = Arc::new(env());
    let cached = engine(&env).await;
    let plain = asked(&directory);
    let made = cached.back_up(&plain, &mut |_| ()).await.unwrap();
    assert_eq!(made.manifest.store(Slot::Cache), None);
    let place = StoreLocation::Sqlite(directory.path().join("cache.db"));
    let refused = Windlass::restore_cache_from(&place, &made.path, &mut |_| ()).await;
    assert_eq!(refused.unwrap_err().code(), "not_in_backup");
    let without = Windlass::with_env(&StoreLocation::Memory, Options::default(), env).await;
    let wanted = Backup {
        cache: true,
        ..plain
    };
    let refused = without.unwrap().back_up(&wanted, &mut |_| ()).await;
    let refused = refused.unwrap_err();
    assert!(matches!(refused, BackupError::NoCache), "{refused:?}");
}
