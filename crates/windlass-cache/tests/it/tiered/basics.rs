//! What is put is found in either tier, after a restart, and no longer than
//! it should be.

use windlass_cache::{
    Admission, Freshness, Metadata, Policy, Presence, Priority, Put, Remaining, SweepLimit,
};
use windlass_core::Millis;

use super::support::{Pair, large, memory};
use crate::support::{START, code, key, namespace, tag};

const ALL: SweepLimit = SweepLimit::Entries(u64::MAX);

fn with(policy: Policy, text: &str) -> Put {
    Put {
        policy,
        ..Put::new(text.to_owned())
    }
}

#[tokio::test]
async fn all_that_is_said_of_an_entry_survives_a_restart() {
    let mut pair = Pair::new().await;
    let policy = Policy {
        ttl_ms: Some(60_000),
        expires_at: Some(Millis::new(START + 50_000)),
        idle_ms: Some(40_000),
        jitter_ms: 5,
        stale_ms: 7,
        admission: Admission::Always,
        priority: Priority::High,
        bytes_max: Some(99),
    };
    let put = Put {
        metadata: Metadata::new([("type", "text"), ("line", "a\nb")]).expect("it is small"),
        version: Some(7),
        tags: vec![tag("t/1"), tag("ü")],
        depends_on: vec![key("source")],
        ..with(policy.clone(), "two\nlines")
    };
    pair.put("a/b", put.clone()).await;
    pair.env.advance_ms(10);
    for boot in ["boot-1", "boot-1"] {
        pair.reopen(boot).await;
        let found = pair.get("a/b").await.expect("it was put");
        assert_eq!(found.value(), "two\nlines");
        assert_eq!(found.metadata(), &put.metadata);
        assert_eq!(found.policy(), &policy);
        assert_eq!((found.version(), found.tags()), (7, &put.tags[..]));
        assert_eq!(found.depends_on(), &put.depends_on[..]);
        assert_eq!(found.created(), Millis::new(START));
        let remaining = pair.cache.remaining(&pair.space, &key("a/b")).await;
        assert_eq!(remaining.expect("it is there"), Some(Remaining::Ms(49_990)));
    }
    let taken = pair.cache.invalidate_tags(&pair.space, &[tag("ü")]).await;
    assert_eq!(taken.expect("it is durable").entries, 1);
    assert!(pair.get("a/b").await.is_none());
}

#[tokio::test]
async fn large_blobs_are_found_whole_after_a_restart() {
    let mut pair = Pair::with(large(), memory()).await;
    let bytes = |length: usize| -> Vec<u8> { (0..=250).cycle().take(length).collect() };
    let lengths = [
        0,
        1,
        32 << 10,
        (32 << 10) + 1,
        1 << 20,
        (1 << 20) + 1,
        8 << 20,
    ];
    for length in lengths {
        pair.put(&length.to_string(), Put::new(bytes(length))).await;
    }
    pair.reopen("boot-1").await;
    for length in lengths {
        let found = pair.get(&length.to_string()).await.expect("it was put");
        assert!(found.value() == &bytes(length), "{length} bytes differ");
    }
    let many: Vec<_> = lengths.iter().map(|it| key(&it.to_string())).collect();
    pair.reopen("boot-1").await;
    let found = pair.cache.get_many(&pair.space, &many).await;
    let found = found.expect("the store answers");
    for (found, length) in found.iter().zip(lengths) {
        let found = found.as_ref().expect("it was put");
        assert!(found.value() == &bytes(length), "{length} bytes differ");
    }
    let page = pair.cache.reclaim_orphans(ALL, None).await;
    assert_eq!(page.expect("the store answers").scanned, 0);
}

#[tokio::test]
async fn what_was_flushed_stays_so_and_gives_its_bytes_back() {
    let mut pair = Pair::new().await;
    pair.put("a", Put::new("1")).await;
    let flush = pair.cache.flush_namespace(&pair.space).await;
    let flush = flush.expect("it is durable");
    assert!(flush.after > flush.before, "{flush:?}");
    assert!(pair.get("a").await.is_none());
    let again = pair.cache.flush_namespace(&pair.space).await;
    let again = again.expect("nothing is to be done");
    assert_eq!(again.before, again.after);
    let unknown = pair.cache.flush_namespace(&namespace("unknown")).await;
    assert_eq!(unknown.expect("it succeeds").after, 0);
    pair.reopen("boot-1").await;
    assert!(pair.get("a").await.is_none());
    assert!(pair.cache.stats().second.bytes > 0);
    let report = pair.cache.sweep_expired(ALL, None).await;
    let report = report.expect("the store answers");
    assert_eq!((report.second.evicted, report.is_truncated()), (1, false));
    assert_eq!(report.second.namespaces[&pair.space].evicted, 1);
    assert_eq!(pair.cache.stats().second.bytes, 0);
    pair.put("a", Put::new("2")).await;
    assert_eq!(pair.text("a").await.as_deref(), Some("2"));
}

#[tokio::test]
async fn another_start_of_the_machine_raises_generations_unless_it_was_closed() {
    let mut pair = Pair::new().await;
    pair.put("a", Put::new("1")).await;
    pair.reopen("boot-1").await;
    assert_eq!(pair.visible(&["a"]).await, ["a"], "a kill takes nothing");
    let before = pair.cache.namespaces()[0].generation;
    pair.reopen("boot-2").await;
    assert_eq!(pair.cache.namespaces(), [], "the power was lost");
    assert!(pair.get("a").await.is_none());
    pair.put("a", Put::new("2")).await;
    assert!(pair.cache.namespaces()[0].generation > before);
    pair.cache.close().await.expect("it closes");
    assert_eq!(
        code(pair.cache.get(&pair.space, &key("a")).await),
        "cache_closed"
    );
    pair.cache.close().await.expect("it is closed");
    pair.reopen("boot-3").await;
    assert_eq!(pair.text("a").await.as_deref(), Some("2"));
    // An unknown start is another one.
    pair.reopen("").await;
    assert!(pair.get("a").await.is_none());
}

#[tokio::test]
async fn who_opens_the_store_meanwhile_keeps_it() {
    let mut pair = Pair::new().await;
    pair.put("a", Put::new("1")).await;
    let first = pair.cache.clone();
    pair.reopen("boot-1").await;
    let refused = first.put(&pair.space, &key("a"), Put::new("2")).await;
    assert_eq!(code(refused), "cache_taken");
    assert_eq!(pair.text("a").await.as_deref(), Some("1"));
}

#[tokio::test]
async fn names_that_are_not_there_are_known_without_the_store() {
    let mut pair = Pair::new().await;
    for number in 0..50 {
        pair.put(&number.to_string(), Put::new("v")).await;
    }
    let there = key("7");
    assert_eq!(pair.cache.exists(&pair.space, &there), Presence::Present);
    let absent = |pair: &Pair| {
        let names = (0..1_000).map(|number| key(&format!("absent/{number}")));
        let known = names.filter(|name| pair.cache.exists(&pair.space, name) == Presence::Absent);
        known.count()
    };
    assert!(absent(&pair) > 950, "{}", absent(&pair));
    pair.reopen("boot-1").await;
    assert_eq!(pair.cache.exists(&pair.space, &there), Presence::Maybe);
    assert_eq!(absent(&pair), 0, "nothing is known yet");
    pair.cache
        .sweep_expired(ALL, None)
        .await
        .expect("the store answers");
    assert!(absent(&pair) > 950, "{}", absent(&pair));
    assert_eq!(pair.cache.exists(&pair.space, &there), Presence::Maybe);
    let none = namespace("none");
    assert_eq!(pair.cache.exists(&none, &there), Presence::Absent);
    let before = pair.cache.stats().second.negatives;
    assert!(pair.get("absent").await.is_none());
    assert_eq!(pair.cache.stats().second.negatives, before + 1);
}

#[tokio::test]
async fn stale_entries_of_the_store_are_renewed_by_one_reader() {
    let pair = Pair::new().await;
    let policy = Policy {
        stale_ms: 60_000,
        admission: Admission::Never,
        ..Policy::ttl_ms(10)
    };
    pair.put("a", with(policy, "1")).await;
    pair.env.advance_ms(10);
    let mut asked = Vec::new();
    for _ in 0..3 {
        let found = pair.get("a").await.expect("it is stale");
        asked.push(found.freshness());
    }
    let stale = |renew| Freshness::Stale { renew };
    assert_eq!(asked, [stale(true), stale(false), stale(false)]);
    pair.env.advance_ms(10_000);
    let found = pair.get("a").await.expect("it is stale");
    assert_eq!(found.freshness(), stale(true));
    assert!(
        pair.cache
            .touch(&pair.space, &key("a"))
            .await
            .expect("it is there")
    );
    let found = pair.get("a").await.expect("it is fresh");
    assert_eq!(found.freshness(), Freshness::Fresh);
}

#[tokio::test]
async fn what_is_used_does_not_go_for_being_idle() {
    for admission in [Admission::Auto, Admission::Never] {
        let mut pair = Pair::new().await;
        let policy = Policy {
            idle_ms: Some(1_000),
            admission,
            ..Policy::default()
        };
        for name in ["used", "unused"] {
            pair.put(name, with(policy.clone(), "v")).await;
        }
        for _ in 0..5 {
            pair.env.advance_ms(700);
            assert!(pair.get("used").await.is_some(), "{admission:?}");
            pair.cache.sweep_expired(ALL, None).await.expect("swept");
        }
        assert_eq!(pair.cache.stats().second.entries, 1);
        pair.env.advance_ms(900);
        pair.cache.close().await.expect("it closes");
        pair.reopen("boot-1").await;
        assert_eq!(pair.visible(&["used", "unused"]).await, ["used"]);
        pair.env.advance_ms(1_000);
        assert!(pair.get("used").await.is_none());
    }
}

#[tokio::test]
async fn keys_are_enumerated_in_their_order_across_pages() {
    let pair = Pair::new().await;
    let names = ["a", "a/b", "a b", "b", "ä", "z%"];
    for name in names {
        pair.put(name, Put::new("v")).await;
    }
    pair.put("gone", Put::with_ttl_ms("v", 1)).await;
    pair.env.advance_ms(1);
    let mut sorted = names.to_vec();
    sorted.sort_unstable();
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let page = pair.cache.enumerate(&pair.space, after.as_ref(), 4).await;
        let page = page.expect("the store answers");
        found.extend(page.keys.iter().map(|key| key.as_str().to_owned()));
        after = page.keys.last().cloned();
        if !page.more {
            break;
        }
    }
    assert_eq!(found, sorted);
}

#[tokio::test]
async fn an_emptied_namespace_gives_its_slot_to_the_next() {
    let mut pair = Pair::new().await;
    let names: Vec<_> = (0..256).map(|it| namespace(&format!("n{it}"))).collect();
    for name in &names {
        let stored = pair.cache.put(name, &key("k"), Put::new("v")).await;
        stored.expect("there is a slot");
    }
    let refused = pair.cache.put(&pair.space, &key("k"), Put::new("v")).await;
    assert_eq!(code(refused), "too_many_namespaces");
    pair.cache
        .invalidate(&names[9], &key("k"))
        .await
        .expect("it is durable");
    pair.put("k", Put::new("v")).await;
    pair.reopen("boot-1").await;
    assert_eq!(pair.cache.namespaces().len(), 256);
    assert_eq!(pair.visible(&["k"]).await, ["k"]);
    pair.cache.close().await.expect("it closes");
}
