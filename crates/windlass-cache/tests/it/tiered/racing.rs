//! What happens between the steps of a read or a change.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use windlass_cache::{Admission, Found, Policy, Presence, Put, SweepLimit};
use windlass_store::{Store, StoreErrorKind};
use windlass_store_testing::{Fault, Faulty, Moment, Pausing, Verb};

use super::support::{Pair, memory};
use crate::support::{code, key, namespace, tag};

async fn held() -> (Arc<Pausing<dyn Store>>, Pair) {
    let mut pair = Pair::with(super::support::options(), memory()).await;
    let mut put = Put::new("old");
    put.tags.push(tag("t"));
    pair.put("a", put).await;
    let pausing = Arc::new(Pausing::new(Arc::clone(&pair.store)));
    pair.reopen_over(Arc::clone(&pausing) as _, "boot-1").await;
    (pausing, pair)
}

fn get(pair: &Pair) -> tokio::task::JoinHandle<Option<Found>> {
    let (cache, space) = (pair.cache.clone(), pair.space.clone());
    tokio::spawn(async move { cache.get(&space, &key("a")).await.expect("an answer") })
}

/// Changes that a reader of the old entry must not undo.
const CHANGES: [&str; 7] = [
    "invalidate",
    "prefix",
    "tag",
    "flush",
    "put",
    "not held",
    "over",
];

async fn change(pair: &Pair, what: &str) {
    let (cache, space) = (&pair.cache, &pair.space);
    let taken = match what {
        "invalidate" => cache.invalidate(space, &key("a")).await,
        "prefix" => cache.invalidate_prefix(space, "").await,
        "tag" => cache.invalidate_tags(space, &[tag("t")]).await,
        "flush" => {
            cache.flush_namespace(space).await.expect("it is durable");
            return;
        }
        "put" => {
            pair.put("a", Put::new("new")).await;
            return;
        }
        other => {
            let policy = match other {
                "not held" => Policy {
                    admission: Admission::Never,
                    ..Policy::default()
                },
                _ => Policy {
                    expires_at: Some(windlass_core::Millis::new(1)),
                    ..Policy::default()
                },
            };
            let put = Put {
                policy,
                ..Put::new("new")
            };
            pair.put("a", put).await;
            return;
        }
    };
    taken.expect("it is durable");
}

#[tokio::test]
async fn a_reader_brings_back_nothing_that_was_taken_or_replaced() {
    for what in CHANGES {
        let (pausing, pair) = held().await;
        let pause = pausing.pause(Verb::Read, Moment::After);
        let reader = get(&pair);
        let held = pause.reached().await;
        change(&pair, what).await;
        held.release();
        // It began before.
        drop(reader.await.expect("it ends"));
        let expected = match what {
            "put" | "not held" => Some("new".to_owned()),
            _ => None,
        };
        for _ in 0..3 {
            assert_eq!(pair.text("a").await, expected, "after {what}");
        }
    }
}

#[tokio::test]
async fn what_waits_to_be_taken_up_is_not_taken_up_after_a_change() {
    for what in CHANGES {
        let (_pausing, pair) = held().await;
        assert_eq!(pair.text("a").await.as_deref(), Some("old"));
        change(&pair, what).await;
        // Another key, so that what waits gets its turn.
        assert!(pair.get("b").await.is_none());
        let presence = pair.cache.exists(&pair.space, &key("a"));
        let held = matches!(what, "put").then_some(Presence::Present);
        assert!(
            presence == Presence::Maybe || presence == Presence::Absent || held == Some(presence),
            "{what}"
        );
        let text = pair.text("a").await;
        assert_ne!(text.as_deref(), Some("old"), "after {what}");
    }
}

#[tokio::test]
async fn what_was_read_from_below_is_in_memory_soon() {
    let (_pausing, pair) = held().await;
    for _ in 0..3 {
        assert_eq!(pair.text("a").await.as_deref(), Some("old"));
    }
    let stats = pair.cache.stats();
    assert_eq!((stats.second.hits, stats.second.promotions), (1, 1));
    assert_eq!(stats.first.hits, 2);
}

#[tokio::test]
async fn a_put_is_seen_when_it_is_acknowledged_and_not_before() {
    let (pausing, pair) = held().await;
    let pause = pausing.pause(Verb::Commit, Moment::Before);
    let (cache, space) = (pair.cache.clone(), pair.space.clone());
    let writer = tokio::spawn(async move {
        let stored = cache.put(&space, &key("a"), Put::new("new")).await;
        stored.expect("it is put")
    });
    let held = pause.reached().await;
    for _ in 0..3 {
        assert_eq!(pair.text("a").await.as_deref(), Some("old"));
    }
    held.release();
    writer.await.expect("it ends");
    assert_eq!(pair.text("a").await.as_deref(), Some("new"));
}

#[tokio::test]
async fn a_flush_is_seen_at_once_and_durable_when_it_returns() {
    let (pausing, pair) = held().await;
    assert_eq!(pair.text("a").await.as_deref(), Some("old"));
    let pause = pausing.pause(Verb::Commit, Moment::Before);
    let (cache, space) = (pair.cache.clone(), pair.space.clone());
    let mut flush = tokio::spawn(async move { cache.flush_namespace(&space).await });
    let held = pause.reached().await;
    assert!(pair.get("a").await.is_none(), "all readers see it");
    let early = tokio::time::timeout(Duration::from_millis(20), &mut flush).await;
    assert!(early.is_err(), "it returned before it was durable");
    held.release();
    flush.await.expect("it ends").expect("it is durable");
    let mut pair = pair;
    pair.reopen("boot-1").await;
    assert!(pair.get("a").await.is_none());
}

#[tokio::test]
async fn a_flush_that_is_dropped_is_durable_with_the_next_change() {
    let (pausing, mut pair) = held().await;
    let pause = pausing.pause(Verb::Commit, Moment::Before);
    let (cache, space) = (pair.cache.clone(), pair.space.clone());
    let flush = tokio::spawn(async move { cache.flush_namespace(&space).await });
    let held = pause.reached().await;
    flush.abort();
    assert!(flush.await.is_err_and(|error| error.is_cancelled()));
    held.release();
    pair.put("b", Put::new("new")).await;
    pair.reopen("boot-1").await;
    assert_eq!(pair.visible(&["a", "b"]).await, ["b"]);
}

#[tokio::test]
async fn what_fails_leaves_both_tiers_as_they_were() {
    for kind in [StoreErrorKind::Unavailable, StoreErrorKind::Environment] {
        let (_pausing, mut pair) = held().await;
        let faulty = Arc::new(Faulty::new(Arc::clone(&pair.store)));
        pair.reopen_over(Arc::clone(&faulty) as _, "boot-1").await;
        pair.text("a").await;
        pair.text("a").await;
        let fail = || {
            faulty.plan(Fault {
                verb: Some(Verb::Commit),
                number: faulty.calls(Some(Verb::Commit)) + 1,
                moment: Moment::Before,
                kind,
            });
        };
        fail();
        let refused = pair
            .cache
            .put(&pair.space, &key("a"), Put::new("new"))
            .await;
        assert_eq!(code(refused), kind.code());
        fail();
        let refused = pair.cache.invalidate(&pair.space, &key("a")).await;
        assert_eq!(code(refused), kind.code());
        fail();
        let refused = pair.cache.touch(&pair.space, &key("a")).await;
        assert_eq!(code(refused), kind.code());
        assert_eq!(pair.text("a").await.as_deref(), Some("old"));
        assert_eq!(pair.cache.stats().first.entries, 1);
        pair.reopen("boot-1").await;
        assert_eq!(pair.text("a").await.as_deref(), Some("old"));
        let swept = pair.cache.sweep_expired(SweepLimit::Entries(9), None).await;
        assert_eq!(swept.expect("it answers").second.evicted, 0);
    }
}

#[tokio::test]
async fn what_a_failed_put_was_to_write_is_not_what_the_next_replaces() {
    let (_pausing, mut pair) = held().await;
    let faulty = Arc::new(Faulty::new(Arc::clone(&pair.store)));
    pair.reopen_over(Arc::clone(&faulty) as _, "boot-1").await;
    pair.put("k", Put::new("1")).await;
    let before = pair.cache.stats().second;
    faulty.plan(Fault {
        verb: Some(Verb::Commit),
        number: faulty.calls(Some(Verb::Commit)) + 1,
        moment: Moment::Before,
        kind: StoreErrorKind::Environment,
    });
    let longer = Put::with_ttl_ms(vec![b'2'; 1_000], 10);
    let refused = pair.cache.put(&pair.space, &key("k"), longer).await;
    assert_eq!(code(refused), StoreErrorKind::Environment.code());
    // As large as the first: had it been held against what was refused, it
    // would be charged with less, and leave the row of a time that never was.
    pair.put("k", Put::new("3")).await;
    assert_eq!(pair.cache.stats().second.bytes, before.bytes);
    assert_eq!(pair.cache.stats().second.entries, before.entries);
}

#[tokio::test]
async fn a_namespace_keeps_its_slot_while_its_first_put_is_committed() {
    let (pausing, pair) = held().await;
    for number in 1..255 {
        let name = namespace(&format!("n{number}"));
        let stored = pair.cache.put(&name, &key("k"), Put::new("v")).await;
        stored.expect("there is a slot");
    }
    let pause = pausing.pause(Verb::Commit, Moment::Before);
    let last = namespace("last");
    let (cache, space) = (pair.cache.clone(), last.clone());
    let writer = tokio::spawn(async move { cache.put(&space, &key("k"), Put::new("v")).await });
    let held = pause.reached().await;
    let (cache, other) = (pair.cache.clone(), namespace("other"));
    let refused = cache.put(&other, &key("k"), Put::new("v")).await;
    assert_eq!(code(refused), "too_many_namespaces");
    held.release();
    writer.await.expect("it ends").expect("it is put");
    let found = pair.cache.get(&last, &key("k")).await;
    assert!(found.expect("it answers").is_some());
    assert_eq!(pair.cache.namespaces().len(), 256);
}

#[tokio::test]
async fn an_invalidation_takes_what_was_put_before_it_whoever_still_listens() {
    for what in ["tag", "prefix", "dependents", "source"] {
        let (pausing, pair) = held().await;
        let pause = pausing.pause(Verb::Commit, Moment::Before);
        let (cache, space) = (pair.cache.clone(), pair.space.clone());
        let put = Put {
            tags: vec![tag("mine")],
            depends_on: vec![key("source")],
            ..Put::new("new")
        };
        let writer = tokio::spawn(async move { cache.put(&space, &key("k"), put).await });
        let held = pause.reached().await;
        // Its caller loses patience while it is on its way.
        writer.abort();
        assert!(writer.await.is_err_and(|error| error.is_cancelled()));
        held.release();
        let (cache, space) = (&pair.cache, &pair.space);
        let taken = match what {
            "tag" => cache.invalidate_tags(space, &[tag("mine")]).await,
            "prefix" => cache.invalidate_prefix(space, "k").await,
            "dependents" => cache.invalidate_dependents(space, &[key("source")]).await,
            _ => cache.invalidate(space, &key("source")).await,
        };
        assert_eq!(taken.expect("it answers").entries, 1, "{what}");
        assert!(pair.get("k").await.is_none(), "{what}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_never_see_an_older_value_than_was_acknowledged() {
    let pair = Pair::new().await;
    pair.put("a", Put::new("0")).await;
    let acknowledged = Arc::new(AtomicU64::new(0));
    let mut readers = Vec::new();
    for _ in 0..3 {
        let (cache, space) = (pair.cache.clone(), pair.space.clone());
        let acknowledged = Arc::clone(&acknowledged);
        readers.push(tokio::spawn(async move {
            let mut last = 0;
            while last < 300 {
                last = acknowledged.load(Ordering::SeqCst);
                let found = cache.get(&space, &key("a")).await.expect("an answer");
                let Some(found) = found else {
                    // Another put follows that one, unless more has happened.
                    let still = acknowledged.load(Ordering::SeqCst) == last;
                    assert!(!still || last % 3 != 2, "{last} is gone");
                    continue;
                };
                let text = String::from_utf8(found.value().to_vec()).expect("text");
                let number: u64 = text.parse().expect("a number");
                assert!(number >= last, "{number} after {last}");
            }
        }));
    }
    for round in 1..=300_u64 {
        if round % 3 == 1 {
            // What takes the place of nothing, in the end.
            let taken = pair.cache.invalidate(&pair.space, &key("a")).await;
            taken.expect("it is durable");
            acknowledged.store(round, Ordering::SeqCst);
            continue;
        }
        let policy = Policy {
            admission: if round % 2 == 0 {
                Admission::Auto
            } else {
                Admission::Never
            },
            ..Policy::default()
        };
        let put = Put {
            policy,
            ..Put::new(round.to_string())
        };
        pair.put("a", put).await;
        acknowledged.store(round, Ordering::SeqCst);
    }
    for reader in readers {
        reader.await.expect("no reader sees what is over");
    }
}
