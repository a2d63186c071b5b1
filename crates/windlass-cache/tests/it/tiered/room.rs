//! What goes when the second tier is full, and what must not.

use windlass_cache::{Config, Options, Policy, Priority, Put, SweepLimit};
use windlass_store::{KeyRange, StoreExt};

use super::support::{Pair, memory};
use crate::support::{code, key};

/// Room for about twenty entries of 4 KB.
fn tight() -> Options {
    Options {
        first: Config {
            l1_bytes_max: 64 << 10,
            blob_bytes_max: 30 << 10,
            entry_bytes_guess: 1 << 10,
        },
        l2_bytes_max: 90 << 10,
        ..Options::default()
    }
}

fn put(priority: Priority, ttl_ms: Option<u64>) -> Put {
    Put {
        policy: Policy {
            priority,
            ttl_ms,
            ..Policy::default()
        },
        ..Put::new(vec![1; 4_000])
    }
}

#[tokio::test]
async fn the_oldest_of_the_lowest_priority_go_first() {
    let pair = Pair::with(tight(), memory()).await;
    for name in ["high", "normal", "low/1", "low/2"] {
        let priority = match name {
            "high" => Priority::High,
            "normal" => Priority::Normal,
            _ => Priority::Low,
        };
        pair.put(name, put(priority, None)).await;
    }
    let mut seen = Vec::new();
    for number in 0..60 {
        pair.put(&format!("new/{number}"), put(Priority::Normal, None))
            .await;
        assert!(pair.cache.stats().second.bytes <= 90 << 10);
        let visible = pair.visible(&["high", "normal", "low/1", "low/2"]).await;
        if seen.last() != Some(&visible) {
            seen.push(visible);
        }
    }
    let expected = [
        vec!["high", "normal", "low/1", "low/2"],
        vec!["high", "normal", "low/2"],
        vec!["high", "normal"],
        vec!["high"],
    ];
    assert_eq!(seen, expected);
    let stats = pair.cache.stats().second;
    assert_eq!(stats.insertions - stats.evictions, stats.entries);
}

#[tokio::test]
async fn what_was_put_anew_is_as_new_as_the_last_put_of_it() {
    let pair = Pair::with(tight(), memory()).await;
    for name in ["a", "b", "c"] {
        pair.put(name, put(Priority::Normal, Some(10_000))).await;
    }
    // Longer ones, and one whose time is over sooner.
    pair.put("a", put(Priority::Normal, Some(20_000))).await;
    pair.put("b", put(Priority::Normal, Some(5_000))).await;
    let mut seen = Vec::new();
    for number in 0..30 {
        pair.put(&format!("new/{number}"), put(Priority::Normal, None))
            .await;
        let visible = pair.visible(&["a", "b", "c"]).await;
        if seen.last() != Some(&visible) {
            seen.push(visible);
        }
    }
    let expected = [vec!["a", "b", "c"], vec!["a", "b"], vec!["b"], vec![]];
    assert_eq!(seen, expected);
    let stats = pair.cache.stats().second;
    assert_eq!(stats.insertions - stats.evictions, stats.entries + 2);
    let left = [
        KeyRange::prefix("cache/rank/"),
        KeyRange::prefix("cache/due/"),
    ];
    let mut rows = Vec::new();
    for range in left {
        rows.push(pair.store.scan_all(range).await.expect("a page").len());
    }
    assert_eq!(rows, [usize::try_from(stats.entries).expect("few"), 0]);
}

#[tokio::test]
async fn the_time_of_what_was_put_anew_is_that_of_the_last_put() {
    let pair = Pair::with(tight(), memory()).await;
    let ttls = [("longer", 10, 30), ("shorter", 30, 10), ("same", 20, 20)];
    for (name, first, second) in ttls {
        pair.put(name, put(Priority::Normal, Some(first))).await;
        pair.put(name, put(Priority::Normal, Some(second))).await;
    }
    pair.put("without", put(Priority::Normal, Some(10))).await;
    pair.put("without", put(Priority::Normal, None)).await;
    let all = SweepLimit::Entries(u64::MAX);
    for (left, evicted) in [(3, 1), (2, 1), (1, 1), (1, 0)] {
        pair.env.advance_ms(10);
        let report = pair.cache.sweep_expired(all, None).await;
        let report = report.expect("the store answers");
        assert_eq!(report.second.evicted, evicted, "with {left} left");
        assert_eq!(pair.cache.stats().second.entries, left);
    }
    let due = pair.store.scan_all(KeyRange::prefix("cache/due/")).await;
    assert_eq!(due.expect("a page").len(), 0);
}

#[tokio::test]
async fn room_is_found_where_all_was_put_anew() {
    let pair = Pair::with(tight(), memory()).await;
    for _ in 0..2 {
        for number in 0..21 {
            pair.put(&number.to_string(), put(Priority::Normal, None))
                .await;
        }
    }
    for number in 0..21 {
        pair.put(&format!("n{number}"), put(Priority::Normal, None))
            .await;
        let stats = pair.cache.stats().second;
        assert!(stats.entries >= 20, "{stats:?}");
    }
    assert_eq!(pair.visible(&["0", "20", "n0", "n20"]).await, ["n0", "n20"]);
}

#[tokio::test]
async fn room_is_found_where_many_were_put_again_before_their_time_was_over() {
    let mut options = tight();
    options.l2_bytes_max = 2 << 20;
    let pair = Pair::with(options, memory()).await;
    let put = || Put::with_ttl_ms(vec![1; 100], 10);
    let all = (0..9_000).map(|number| (key(&number.to_string()), put()));
    for stored in pair.cache.put_many(&pair.space, all).await {
        stored.expect("the oldest make room");
    }
    let held = pair.cache.stats().second.entries;
    // More than are looked at in all steps for one put.
    assert!(held > 3_000, "{held}");
    pair.env.advance_ms(5);
    let last = (9_000 - i64::try_from(held).expect("few")..9_000).map(|it| it.to_string());
    let again = last.map(|name| (key(&name), put()));
    for stored in pair.cache.put_many(&pair.space, again).await {
        stored.expect("it is replaced");
    }
    let before = pair.cache.stats().second;
    pair.env.advance_ms(6);
    pair.put("new", put()).await;
    let after = pair.cache.stats().second;
    assert_eq!((before.entries, after.entries), (held, held));
    assert_eq!(after.evictions - before.evictions, 1);
}

#[tokio::test]
async fn one_step_makes_room_also_where_most_were_put_again() {
    let pair = Pair::with(tight(), memory()).await;
    // Each third is as old as it was listed.
    for round in 0..2 {
        for number in 0..21 {
            if round == 0 || number % 3 > 0 {
                pair.put(&number.to_string(), put(Priority::Normal, None))
                    .await;
            }
        }
    }
    let large = Put::new(vec![1; 28 << 10]);
    pair.put("large", large).await;
    let expected = ["0", "3", "6", "9", "12", "15", "18"];
    let all: Vec<String> = (0..21).map(|number| number.to_string()).collect();
    let names: Vec<&str> = all.iter().map(String::as_str).collect();
    let visible = pair.visible(&names).await;
    let gone: Vec<_> = names
        .into_iter()
        .filter(|name| !visible.contains(name))
        .collect();
    assert!(gone.starts_with(&expected[..6]), "{gone:?}");
    assert!(gone.len() <= 7, "{gone:?}");
}

#[tokio::test]
async fn what_is_over_goes_before_what_is_not() {
    let pair = Pair::with(tight(), memory()).await;
    pair.put("lasts", put(Priority::Low, None)).await;
    for number in 0..19 {
        pair.put(&number.to_string(), put(Priority::High, Some(10)))
            .await;
    }
    pair.env.advance_ms(10);
    for number in 0..15 {
        pair.put(&format!("n{number}"), put(Priority::Low, None))
            .await;
    }
    assert!(pair.get("lasts").await.is_some());
    assert_eq!(pair.cache.stats().second.evictions, 0);
    let flushed = pair.cache.flush_namespace(&pair.space).await;
    flushed.expect("it is durable");
    for number in 0..15 {
        pair.put(&format!("m{number}"), put(Priority::Low, None))
            .await;
    }
    assert_eq!(
        pair.cache.stats().second.evictions,
        0,
        "what was flushed makes room"
    );
}

#[tokio::test]
async fn a_put_takes_nothing_of_a_higher_priority() {
    let pair = Pair::with(tight(), memory()).await;
    for number in 0..21 {
        pair.put(&number.to_string(), put(Priority::High, None))
            .await;
    }
    let low = pair
        .cache
        .put(&pair.space, &key("low"), put(Priority::Low, None))
        .await;
    assert_eq!(code(low), "l2_full");
    let entries = pair.cache.stats().second.entries;
    assert_eq!(entries, 21);
    // In the place of another there is room.
    pair.put("3", put(Priority::Low, None)).await;
    pair.put("high", put(Priority::High, None)).await;
    assert!(pair.get("3").await.is_none(), "the low one goes first");
}

#[tokio::test]
async fn one_key_that_is_replaced_leaves_room_for_others() {
    let pair = Pair::with(tight(), memory()).await;
    pair.put("other", put(Priority::Low, None)).await;
    for _ in 0..200 {
        pair.put("again", put(Priority::Normal, None)).await;
    }
    assert_eq!(pair.visible(&["other", "again"]).await, ["other", "again"]);
    let report = pair.cache.sweep_expired(SweepLimit::Entries(9), None).await;
    assert_eq!(report.expect("it answers").second.scanned, 0);
}

#[tokio::test]
async fn what_grows_in_a_full_tier_never_takes_more_than_there_is() {
    let pair = Pair::with(tight(), memory()).await;
    // The oldest, which is the first to go for what is to take its place.
    pair.put("grows", Put::new(vec![1; 10_000])).await;
    for number in 0..18 {
        let name = number.to_string();
        pair.put(&name, put(Priority::Normal, None)).await;
    }
    let before = pair.cache.stats().second;
    assert_eq!((before.entries, before.evictions), (19, 0));
    pair.put("grows", Put::new(vec![2; 14_000])).await;
    let after = pair.cache.stats().second;
    assert!(after.bytes <= 90 << 10, "{after:?}");
    let found = pair.get("grows").await.expect("it was put");
    assert_eq!(found.value().len(), 14_000);
}

#[tokio::test]
async fn what_is_refused_for_want_of_room_leaves_what_was_to_be_replaced() {
    let pair = Pair::with(tight(), memory()).await;
    pair.put("mine", put(Priority::Low, None)).await;
    for number in 0..20 {
        pair.put(&number.to_string(), put(Priority::High, None))
            .await;
    }
    let mut larger = put(Priority::Low, None);
    larger.value = vec![2; 20_000].into();
    let refused = pair
        .cache
        .put(&pair.space, &key("mine"), larger.clone())
        .await;
    assert_eq!(code(refused), "l2_full");
    let found = pair.get("mine").await.expect("it was not replaced");
    assert_eq!(found.value().len(), 4_000);
    // Where the others may go, all of them that are older stay behind it.
    larger.policy.priority = Priority::High;
    pair.put("mine", larger).await;
    let stats = pair.cache.stats().second;
    assert!(stats.bytes <= 90 << 10, "{stats:?}");
}
