//! When an entry is fresh, stale, and gone.

use windlass_cache::{Freshness, Policy, Presence, Put, Remaining};
use windlass_core::Millis;

use crate::support::{START, World, key};

fn put(policy: Policy) -> Put {
    Put {
        policy,
        ..Put::new("v")
    }
}

#[test]
fn an_entry_is_gone_at_exactly_its_deadline() {
    let world = World::new();
    world.put("k", put(Policy::ttl_ms(1_000)));
    world.env.advance_ms(999);
    assert_eq!(world.text("k").as_deref(), Some("v"));
    world.env.advance_ms(1);
    assert_eq!(world.text("k"), None);
    let presence = world.cache.exists(&world.space, &key("k"));
    assert_eq!(presence, Presence::Absent);
}

#[test]
fn an_entry_without_a_deadline_stays() {
    let world = World::new();
    world.put("k", Put::new("v"));
    world.env.advance_ms(u64::MAX / 4);
    assert_eq!(world.text("k").as_deref(), Some("v"));
    let remaining = world.cache.remaining(&world.space, &key("k"));
    assert_eq!(remaining, Some(Remaining::Unlimited));
}

#[test]
fn the_earliest_deadline_wins() {
    let at = |ms| Some(Millis::new(START + ms));
    for (ttl_ms, expires_at, expected) in [(500, at(900), 500), (900, at(500), 500)] {
        let world = World::new();
        let policy = Policy {
            expires_at,
            ..Policy::ttl_ms(ttl_ms)
        };
        world.put("k", put(policy));
        let remaining = world.cache.remaining(&world.space, &key("k"));
        assert_eq!(remaining, Some(Remaining::Ms(expected)));
    }
}

#[test]
fn an_expiry_in_the_past_replaces_what_is_there_and_is_never_visible() {
    for past in [0, START] {
        let world = World::new();
        world.put("k", Put::new("old"));
        let policy = Policy {
            expires_at: Some(Millis::new(past)),
            stale_ms: 60_000,
            ..Policy::default()
        };
        assert!(!world.put("k", put(policy)).held);
        assert_eq!(world.text("k"), None);
        assert_eq!(world.cache.stats().entries, 0);
    }
}

#[test]
fn an_idle_entry_is_gone_and_one_that_is_read_stays() {
    let world = World::new();
    let policy = Policy {
        idle_ms: Some(1_000),
        ..Policy::default()
    };
    world.put("read", put(policy.clone()));
    world.put("idle", put(policy));
    world.env.advance_ms(999);
    assert_eq!(world.text("read").as_deref(), Some("v"));
    world.env.advance_ms(1);
    assert_eq!(world.visible(&["read", "idle"]), ["read"]);
    world.env.advance_ms(999);
    assert_eq!(world.visible(&["read"]), ["read"]);
    world.env.advance_ms(1_000);
    assert_eq!(world.text("read"), None);
}

#[test]
fn looking_whether_it_is_there_is_no_use() {
    let world = World::new();
    let policy = Policy {
        idle_ms: Some(1_000),
        ..Policy::default()
    };
    world.put("k", put(policy));
    world.env.advance_ms(999);
    let presence = world.cache.exists(&world.space, &key("k"));
    assert_eq!(presence, Presence::Present);
    world.env.advance_ms(1);
    assert_eq!(world.text("k"), None);
}

#[test]
fn jitter_shortens_and_differs() {
    let world = World::new();
    let policy = Policy {
        jitter_ms: 400,
        ..Policy::ttl_ms(1_000)
    };
    let mut seen = Vec::new();
    for number in 0..50 {
        let name = format!("k{number}");
        world.put(&name, put(policy.clone()));
        match world.cache.remaining(&world.space, &key(&name)) {
            Some(Remaining::Ms(ms)) => seen.push(ms),
            other => panic!("{other:?}"),
        }
    }
    assert!(seen.iter().all(|ms| (600..=1_000).contains(ms)), "{seen:?}");
    seen.sort_unstable();
    seen.dedup();
    assert!(seen.len() > 25, "{seen:?}");
}

#[test]
fn one_reader_of_a_stale_entry_is_asked_to_renew_it() {
    let world = World::new();
    let policy = Policy {
        stale_ms: 60_000,
        ..Policy::ttl_ms(1_000)
    };
    world.put("k", put(policy));
    let freshness = || world.get("k").map(|found| found.freshness());
    assert_eq!(freshness(), Some(Freshness::Fresh));
    world.env.advance_ms(1_000);
    let stale = |renew| Some(Freshness::Stale { renew });
    assert_eq!([freshness(), freshness()], [stale(true), stale(false)]);
    world.env.advance_ms(9_999);
    assert_eq!(freshness(), stale(false));
    world.env.advance_ms(1);
    assert_eq!([freshness(), freshness()], [stale(true), stale(false)]);
    world.env.advance_ms(49_999);
    assert_eq!(freshness(), stale(true));
    world.env.advance_ms(1);
    assert_eq!(freshness(), None);
    assert_eq!(world.cache.stats().stale_serves, 6);
}

#[test]
fn a_touch_begins_the_time_anew_but_not_past_an_absolute_expiry() {
    let world = World::new();
    let policy = Policy {
        expires_at: Some(Millis::new(START + 1_500)),
        stale_ms: 10,
        ..Policy::ttl_ms(1_000)
    };
    world.put("k", put(policy));
    world.env.advance_ms(1_005);
    assert!(world.cache.touch(&world.space, &key("k")).unwrap());
    let found = world.get("k").expect("it was touched");
    assert_eq!(found.freshness(), Freshness::Fresh);
    let remaining = world.cache.remaining(&world.space, &key("k"));
    assert_eq!(remaining, Some(Remaining::Ms(495)));
    world.env.advance_ms(505);
    assert_eq!(world.text("k"), None);
    assert!(!world.cache.touch(&world.space, &key("k")).unwrap());
}

#[test]
fn what_was_found_outlives_the_entry() {
    let world = World::new();
    world.put("k", Put::new("v"));
    let found = world.get("k").expect("it was put");
    world.cache.invalidate(&world.space, &key("k"));
    assert_eq!(found.value(), "v");
    assert_eq!((found.created(), found.version()), (Millis::new(START), 1));
}
