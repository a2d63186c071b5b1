//! What operations cost the store.

use std::sync::Arc;

use windlass_cache::{Admission, Policy, Presence, Put, SweepLimit};
use windlass_store::{Store, limits::READ_SCANS_MAX};
use windlass_store_testing::{Counting, Moment, Pausing, Verb};

use super::support::{Pair, large, memory};
use crate::support::{key, namespace};

const ALL: SweepLimit = SweepLimit::Entries(u64::MAX);

async fn counted() -> (Arc<Counting<dyn Store>>, Pair) {
    let mut pair = Pair::with(large(), memory()).await;
    let counting = Arc::new(Counting::new(Arc::clone(&pair.store)));
    pair.reopen_over(Arc::clone(&counting) as _, "boot-1").await;
    (counting, pair)
}

#[tokio::test]
async fn a_hit_is_one_read_and_a_hit_in_memory_none() {
    let (counting, mut pair) = counted().await;
    for bytes in [10, 60_000, 3 << 20] {
        pair.put(&bytes.to_string(), Put::new(vec![1; bytes])).await;
        pair.reopen_over(Arc::clone(&counting) as _, "boot-1").await;
        let before = counting.counts();
        assert!(pair.get(&bytes.to_string()).await.is_some());
        let cost = counting.counts() - before;
        assert_eq!((cost.reads, cost.commits), (1, 0), "{bytes} bytes");
        for _ in 0..9 {
            assert!(pair.get(&bytes.to_string()).await.is_some());
        }
        assert_eq!(counting.counts() - before, cost);
    }
}

#[tokio::test]
async fn a_flush_is_one_commit_whatever_is_in_the_namespace() {
    for entries in [1, 2_000] {
        let (counting, pair) = counted().await;
        let puts = (0..entries).map(|number| (key(&number.to_string()), Put::new("v")));
        for stored in pair.cache.put_many(&pair.space, puts).await {
            stored.expect("it is put");
        }
        let before = counting.counts();
        pair.cache
            .flush_namespace(&pair.space)
            .await
            .expect("it is durable");
        let cost = counting.counts() - before;
        assert_eq!(
            (cost.reads, cost.commits, cost.writes),
            (0, 1, 3),
            "{entries}"
        );
        // Nothing more is to be done for it, or for one that is unknown.
        let before = counting.counts();
        pair.cache
            .flush_namespace(&pair.space)
            .await
            .expect("it is flushed");
        let unknown = namespace("unknown");
        pair.cache
            .flush_namespace(&unknown)
            .await
            .expect("it succeeds");
        assert_eq!((counting.counts() - before).commits, 0);
    }
}

#[tokio::test]
async fn puts_of_many_callers_share_commits() {
    let mut pair = Pair::with(large(), memory()).await;
    let pausing = Arc::new(Pausing::new(Arc::clone(&pair.store)));
    let counting = Arc::new(Counting::new(Arc::clone(&pausing)));
    pair.reopen_over(Arc::clone(&counting) as _, "boot-1").await;
    let pause = pausing.pause(Verb::Commit, Moment::Before);
    let put = |number: u32| {
        let (cache, space) = (pair.cache.clone(), pair.space.clone());
        tokio::spawn(async move {
            let name = key(&number.to_string());
            cache.put(&space, &name, Put::new(vec![1; 4_096])).await
        })
    };
    let before = counting.counts();
    let first = put(0);
    let held = pause.reached().await;
    let others: Vec<_> = (1..64).map(put).collect();
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
    held.release();
    for writer in others.into_iter().chain([first]) {
        writer.await.expect("it ends").expect("it is put");
    }
    let cost = counting.counts() - before;
    assert_eq!((cost.commits, cost.reads), (2, 0), "{cost:?}");
}

#[tokio::test]
async fn a_put_that_replaces_writes_the_record_alone() {
    let (counting, mut pair) = counted().await;
    let cost = async |put: Put| {
        let before = counting.counts();
        pair.put("k", put).await;
        let cost = counting.counts() - before;
        assert_eq!((cost.commits, cost.reads), (1, 0));
        cost.writes
    };
    let tagged = Put {
        tags: vec!["t".parse().expect("a tag")],
        ..Put::with_ttl_ms("0", 10)
    };
    // With the head: its namespace, rank and due time.
    assert_eq!(cost(Put::with_ttl_ms("1", 10)).await, 5);
    assert_eq!(cost(Put::with_ttl_ms("2", 10)).await, 2);
    assert_eq!(cost(Put::with_ttl_ms("3", 20)).await, 2);
    // What it is charged with stands in the rank.
    assert_eq!(cost(Put::with_ttl_ms("four", 20)).await, 3);
    // Its time is over before that of the one that was there.
    assert_eq!(cost(Put::with_ttl_ms("five", 5)).await, 4);
    // What is found by tags is listed under its own stamp.
    assert!(cost(tagged.clone()).await > 5);
    assert!(cost(tagged).await > 5);
    // Only what another opening put has to be read.
    pair.reopen_over(Arc::clone(&counting) as _, "boot-1").await;
    // With the first, the names that are there are learned.
    pair.put("other", Put::new("v")).await;
    for reads in [1, 0] {
        let before = counting.counts();
        pair.put("k", Put::new("again")).await;
        let cost = counting.counts() - before;
        assert_eq!((cost.commits, cost.reads), (1, reads));
    }
}

#[tokio::test]
async fn a_sweep_costs_what_is_over_and_not_what_there_is() {
    let mut costs = Vec::new();
    for others in [10, 2_000] {
        let (counting, pair) = counted().await;
        let name = |number: i32| key(&number.to_string());
        let lasting = (0..others).map(|number| (name(number), Put::with_ttl_ms("v", 9_999)));
        let over = (0..100).map(|number| (name(9_000 + number), Put::with_ttl_ms("v", 10)));
        let puts: Vec<_> = lasting.chain(over).collect();
        pair.cache.put_many(&pair.space, puts).await;
        // Filters that grew are made by then.
        pair.cache
            .sweep_expired(ALL, None)
            .await
            .expect("it answers");
        pair.env.advance_ms(10);
        let before = counting.counts();
        let report = pair.cache.sweep_expired(ALL, None).await;
        let report = report.expect("the store answers");
        assert_eq!((report.second.scanned, report.second.evicted), (100, 100));
        costs.push(counting.counts() - before);
        assert_eq!(pair.cache.stats().second.expirations, 100);
    }
    assert_eq!(costs[0], costs[1]);
}

#[tokio::test]
async fn a_sweep_keeps_to_its_limit_and_says_exactly_whether_work_is_left() {
    let (_counting, pair) = counted().await;
    let puts = (0..50).map(|number| (key(&number.to_string()), Put::with_ttl_ms("v", 10)));
    pair.cache.put_many(&pair.space, puts).await;
    let other = namespace("other");
    let puts = (0..50).map(|number| (key(&number.to_string()), Put::new("v")));
    pair.cache.put_many(&other, puts).await;
    pair.cache
        .flush_namespace(&other)
        .await
        .expect("it is durable");
    pair.env.advance_ms(10);
    // What is in memory counts as well: all of that goes first.
    let first = pair
        .cache
        .sweep_expired(SweepLimit::Entries(100), None)
        .await;
    let first = first.expect("it answers");
    assert_eq!((first.first.scanned, first.second.scanned), (100, 0));
    assert!(first.is_truncated());
    let mut taken = Vec::new();
    let mut from = first.next;
    while let Some(position) = from {
        let limit = SweepLimit::Entries(30);
        let report = pair.cache.sweep_expired(limit, Some(position)).await;
        let report = report.expect("the store answers");
        taken.push(report.second.evicted);
        from = report.next;
        assert!(taken.len() < 9, "{taken:?}");
    }
    assert_eq!(taken, [30, 30, 30, 10]);
    for limit in [SweepLimit::Entries(0), SweepLimit::Millis(0)] {
        let report = pair.cache.sweep_expired(limit, None).await;
        assert!(!report.expect("it answers").is_truncated());
    }
    assert_eq!(pair.cache.stats().second.entries, 0);
}

#[tokio::test]
async fn filters_grow_with_what_is_in_them() {
    let (counting, mut pair) = counted().await;
    let count = 6_000;
    // Not in memory, so that the filter is asked.
    let put = || Put {
        policy: Policy {
            admission: Admission::Never,
            ..Policy::default()
        },
        ..Put::new("v")
    };
    let puts = (0..count).map(|number| (key(&number.to_string()), put()));
    pair.cache.put_many(&pair.space, puts).await;
    for round in ["grown", "opened anew"] {
        pair.cache
            .sweep_expired(ALL, None)
            .await
            .expect("the store answers");
        let absent = (0..1_000).map(|number| key(&format!("absent/{number}")));
        let known = absent.filter(|name| pair.cache.exists(&pair.space, name) == Presence::Absent);
        let known = known.count();
        assert!(known > 940, "{known} of 1000, {round}");
        for number in 0..count {
            let name = key(&number.to_string());
            let presence = pair.cache.exists(&pair.space, &name);
            assert_ne!(presence, Presence::Absent, "{number}, {round}");
        }
        let bytes = pair.cache.stats().second.filter_bytes;
        assert!(bytes < 20 * count, "{bytes}");
        pair.reopen_over(Arc::clone(&counting) as _, "boot-1").await;
        // Names that come while a filter is made, before and behind the place
        // it has come to; and one that goes.
        for name in ["!", "5000/x", "~"] {
            pair.put(name, put()).await;
        }
        let gone = pair.cache.invalidate(&pair.space, &key("!")).await;
        gone.expect("it is durable");
        pair.put("!!", put()).await;
        pair.cache
            .sweep_expired(ALL, None)
            .await
            .expect("the store answers");
        for name in ["!!", "5000/x", "~"] {
            let presence = pair.cache.exists(&pair.space, &key(name));
            assert_eq!(presence, Presence::Maybe, "{name}, {round}");
        }
    }
}

#[tokio::test]
async fn many_are_read_with_few_reads() {
    let (counting, mut pair) = counted().await;
    let names: Vec<_> = (0..40).map(|number| key(&number.to_string())).collect();
    let puts = names.iter().map(|name| (name.clone(), Put::new("v")));
    pair.cache.put_many(&pair.space, puts).await;
    pair.reopen_over(Arc::clone(&counting) as _, "boot-1").await;
    let before = counting.counts();
    let found = pair.cache.get_many(&pair.space, &names).await;
    assert!(found.expect("it answers").iter().all(Option::is_some));
    let reads = (counting.counts() - before).reads;
    assert_eq!(reads, 80_u64.div_ceil(READ_SCANS_MAX as u64));
}
