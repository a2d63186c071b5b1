//! Upkeep of a cache, which is its process's alone.

use windlass::cache::{self, Put, TieredCache};

use super::*;

/// An engine with a cache in which so many entries expire after a second.
async fn cached(engine: Engine, count: usize) -> Engine {
    let Engine { windlass, env } = engine;
    let store = Windlass::with_env(&StoreLocation::Memory, options(), env.clone()).await;
    let store = Arc::clone(store.unwrap().store());
    let settings = cache::Options::default();
    let opened = TieredCache::open(store, env.clone(), settings, "boot").await;
    let cache = opened.unwrap();
    let space = "pages".parse().unwrap();
    for number in 0..count {
        let key = format!("page/{number}").parse().unwrap();
        let put = Put::with_ttl_ms("a page", 1_000);
        cache.put(&space, &key, put).await.unwrap();
    }
    Engine {
        windlass: windlass.with_cache(cache),
        env,
    }
}

fn held(engine: &Engine) -> (u64, u64) {
    let stats = engine.windlass.cache().expect("a cache").stats();
    (stats.first.entries, stats.second.entries)
}

#[tokio::test]
async fn a_round_sweeps_the_cache_and_says_so() {
    let engine = cached(Engine::new().await, 300).await;
    engine.env.advance_ms(1_000);
    round(engine.keeper().turn().await.unwrap());
    assert_eq!(held(&engine), (0, 0));
    let last = engine.task("cache").await.last.expect("it was done");
    assert_eq!(last.counts["memory_evicted"], 300);
    assert_eq!(last.counts["store_evicted"], 300);
    assert!(!last.truncated && last.bytes > Some(0), "{last:?}");
    engine
        .task("cache_orphans")
        .await
        .last
        .expect("it was done");
}

#[tokio::test]
async fn who_has_not_the_lease_sweeps_its_own_cache_and_nothing_else() {
    let one = Engine::new().await;
    let other = cached(one.another(2, &options()), 300).await;
    let (mut here, mut there) = (one.keeper(), other.keeper());
    round(here.turn().await.unwrap());
    one.due_rows("access", 40).await;
    for engine in [&one, &other] {
        engine.env.advance_ms(1_000);
    }
    assert_eq!(there.turn().await.unwrap(), Turned::Elsewhere);
    assert_eq!(held(&other), (0, 0));
    let due = other.windlass.due(100).await.unwrap();
    assert_eq!(due.entries, 40, "that is for who has the lease");
    let kept = one.task("cache").await;
    assert_eq!((kept.last, kept.by_hand), (None, None));
    // The next time is a round later, not a turn.
    let again = cached_entries(&other, 10).await;
    assert_eq!(there.turn().await.unwrap(), Turned::Elsewhere);
    assert_eq!(held(&other), (again, again));
    for engine in [&one, &other] {
        engine.env.advance_ms(40_000);
    }
    here.turn().await.unwrap();
    assert_eq!(there.turn().await.unwrap(), Turned::Elsewhere);
    assert_eq!(held(&other), (0, 0));
}

/// Puts so many more entries, which are over at once; how many those are.
async fn cached_entries(engine: &Engine, count: u64) -> u64 {
    let cache = engine.windlass.cache().expect("a cache");
    let space = "pages".parse().unwrap();
    for number in 0..count {
        let key = format!("page/{number}").parse().unwrap();
        let put = Put::with_ttl_ms("a page", 1);
        cache.put(&space, &key, put).await.unwrap();
    }
    engine.env.advance_ms(1);
    count
}

#[tokio::test]
async fn without_a_cache_its_tasks_have_no_turn_and_nothing_to_do() {
    let engine = Engine::new().await;
    let done = round(engine.keeper().turn().await.unwrap());
    assert!(done.failed.is_empty(), "{done:?}");
    assert_eq!(engine.task("cache").await.last, None);
    let by_hand = engine.by_hand("cache").await.unwrap();
    assert_eq!((by_hand.scanned, by_hand.truncated), (0, false));
}

#[tokio::test]
async fn a_cache_is_swept_by_hand() {
    let engine = cached(Engine::new().await, 300).await;
    engine.env.advance_ms(1_000);
    let done = engine.by_hand("cache").await.unwrap();
    assert_eq!((done.scanned, done.changed), (600, 600));
    let done = engine.by_hand("cache_orphans").await.unwrap();
    assert_eq!((done.scanned, done.changed), (0, 0));
}
