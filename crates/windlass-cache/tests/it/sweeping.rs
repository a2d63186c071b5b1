//! What a sweep takes, how it is bounded, and what it reports.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use windlass_cache::{Config, MemoryCache, Policy, Position, Put, SweepLimit, Swept};
use windlass_core::{BoxFuture, Env, Millis, RandomError};

use crate::support::{START, World, key, namespace};

const ALL: SweepLimit = SweepLimit::Entries(u64::MAX);

fn fill(world: &World, count: usize, ttl_ms: u64) {
    for number in 0..count {
        let put = Put::with_ttl_ms("v", ttl_ms);
        world.put(&format!("{ttl_ms}/{number}"), put);
    }
}

#[test]
fn a_sweep_takes_what_is_over_and_nothing_else() {
    let world = World::new();
    fill(&world, 300, 1_000);
    fill(&world, 200, 9_000);
    world.put("for ever", Put::new("v"));
    let before = world.cache.stats().bytes;
    world.env.advance_ms(1_000);
    let report = world.cache.sweep_expired(ALL, None);
    assert_eq!((report.scanned, report.evicted), (300, 300));
    assert_eq!(report.next, None);
    let stats = world.cache.stats();
    assert_eq!((stats.entries, stats.expirations), (201, 300));
    assert_eq!(before - stats.bytes, report.bytes);
    let swept = Swept {
        evicted: 300,
        bytes: report.bytes,
    };
    let namespaces: Vec<_> = report.namespaces.into_iter().collect();
    assert_eq!(namespaces, [(world.space.clone(), swept)]);
}

#[test]
fn a_sweep_costs_what_is_over_and_not_what_there_is() {
    let scanned = |alive: usize| {
        let world = World::new();
        fill(&world, alive, 1_000_000);
        fill(&world, 50, 1_000);
        world.env.advance_ms(1_000);
        world.cache.sweep_expired(ALL, None).scanned
    };
    assert_eq!((scanned(0), scanned(20_000)), (50, 50));
}

#[test]
fn a_bounded_sweep_scans_so_many_and_goes_on_where_it_stopped() {
    let world = World::new();
    fill(&world, 250, 1_000);
    world.env.advance_ms(1_000);
    let (mut from, mut evicted) = (None, Vec::new());
    loop {
        let report = world.cache.sweep_expired(SweepLimit::Entries(100), from);
        assert!(report.scanned <= 100, "{report:?}");
        evicted.push(report.evicted);
        from = report.next;
        if !report.is_truncated() {
            break;
        }
    }
    assert_eq!(evicted, [100, 100, 50]);
}

#[test]
fn a_sweep_is_truncated_exactly_when_work_is_left() {
    for (limit, truncated) in [(99, true), (100, false), (101, false)] {
        let world = World::new();
        fill(&world, 100, 1_000);
        world.env.advance_ms(1_000);
        let report = world.cache.sweep_expired(SweepLimit::Entries(limit), None);
        assert_eq!(report.is_truncated(), truncated, "{limit}: {report:?}");
    }
}

#[test]
fn a_limit_of_nothing_does_nothing_and_says_whether_there_is_work() {
    let nothing = [
        SweepLimit::Entries(0),
        SweepLimit::Millis(0),
        SweepLimit::Either {
            entries: 0,
            millis: 9,
        },
        SweepLimit::Either {
            entries: 9,
            millis: 0,
        },
    ];
    for limit in nothing {
        let world = World::new();
        fill(&world, 10, 1_000);
        let report = world.cache.sweep_expired(limit, None);
        assert_eq!((report.scanned, report.is_truncated()), (0, false));
        world.env.advance_ms(1_000);
        let report = world.cache.sweep_expired(limit, None);
        assert_eq!((report.scanned, report.is_truncated()), (0, true));
        assert_eq!(world.cache.stats().entries, 10);
    }
}

#[test]
fn a_sweep_goes_on_in_the_shard_where_it_is_told_to() {
    let world = World::new();
    fill(&world, 1_000, 1_000);
    world.env.advance_ms(1_000);
    for shard in 0..8 {
        let from: Position = serde_json::from_value(shard.into()).expect("a position");
        let report = world
            .cache
            .sweep_expired(SweepLimit::Entries(1), Some(from));
        assert_eq!((report.evicted, report.next), (1, Some(from)));
    }
}

#[test]
fn a_sweep_ends_whatever_number_of_flushes_left_something() {
    let world = World::new();
    for number in 0..1_000 {
        world.put(&format!("{number}"), Put::new("v"));
        world.cache.flush_namespace(&world.space);
    }
    let report = world.cache.sweep_expired(SweepLimit::Entries(400), None);
    assert_eq!((report.scanned, report.evicted), (400, 400));
    assert!(report.is_truncated(), "{report:?}");
    let report = world.cache.sweep_expired(ALL, report.next);
    assert_eq!((report.evicted, report.next), (600, None));
}

#[test]
fn a_position_of_another_cache_is_still_one() {
    let world = World::new();
    fill(&world, 10, 1_000);
    world.env.advance_ms(1_000);
    let from: Position = serde_json::from_str("12345").expect("a position");
    let report = world.cache.sweep_expired(ALL, Some(from));
    assert_eq!((report.evicted, report.next), (10, None));
}

#[test]
fn what_was_touched_read_or_replaced_meanwhile_is_left_alone() {
    let world = World::new();
    fill(&world, 3, 1_000);
    let policy = Policy {
        idle_ms: Some(1_000),
        ..Policy::default()
    };
    let idle = || Put {
        policy: policy.clone(),
        ..Put::new("v")
    };
    world.put("read", idle());
    world.put("unread", idle());
    world.env.advance_ms(500);
    assert!(world.cache.touch(&world.space, &key("1000/0")).unwrap());
    world.put("1000/1", Put::with_ttl_ms("new", 1_000));
    assert_eq!(world.text("read").as_deref(), Some("v"));
    world.env.advance_ms(500);
    let report = world.cache.sweep_expired(ALL, None);
    assert_eq!(report.evicted, 2, "the third and the one nobody read");
    assert_eq!(report.scanned, 3, "the one that was read was looked at");
    let names = ["1000/0", "1000/1", "1000/2", "read", "unread"];
    assert_eq!(world.visible(&names), ["1000/0", "1000/1", "read"]);
    let again = world.cache.sweep_expired(ALL, None);
    assert_eq!(again.scanned, 0, "it is looked at again when it is due");
}

#[test]
fn what_is_stale_stays_until_its_window_ends() {
    let world = World::new();
    let policy = Policy {
        stale_ms: 500,
        ..Policy::ttl_ms(1_000)
    };
    let put = Put {
        policy,
        ..Put::new("v")
    };
    world.put("k", put);
    world.env.advance_ms(1_499);
    assert_eq!(world.cache.sweep_expired(ALL, None).scanned, 0);
    world.env.advance_ms(1);
    assert_eq!(world.cache.sweep_expired(ALL, None).evicted, 1);
}

#[test]
fn what_a_flush_left_is_swept_and_what_came_after_stays() {
    let world = World::new();
    fill(&world, 200, 1_000_000);
    world.cache.flush_namespace(&world.space);
    world.put("1000000/0", Put::new("new"));
    let other = namespace("other");
    world.cache.put(&other, &key("k"), Put::new("v")).unwrap();
    let first = world.cache.sweep_expired(SweepLimit::Entries(150), None);
    assert_eq!((first.evicted, first.is_truncated()), (150, true));
    let second = world.cache.sweep_expired(ALL, first.next);
    // The one that was put again has pushed its forerunner out.
    assert_eq!((second.evicted, second.is_truncated()), (49, false));
    assert_eq!(world.text("1000000/0").as_deref(), Some("new"));
    let stats = world.cache.stats();
    assert_eq!((stats.entries, stats.expirations), (2, 0));
}

/// A clock that passes a tenth of a millisecond each time it is read.
#[derive(Debug, Default)]
struct Ticking {
    readings: AtomicU64,
    now: AtomicU64,
}

impl Env for Ticking {
    fn now(&self) -> Millis {
        Millis::new(START + self.now.load(Ordering::Relaxed))
    }

    fn monotonic(&self) -> Duration {
        let readings = self.readings.fetch_add(1, Ordering::Relaxed);
        Duration::from_micros(100 * readings)
    }

    fn random(&self, _: &mut [u8]) -> Result<(), RandomError> {
        Err(RandomError::new("there is none"))
    }

    fn sleep_until(&self, _: Duration) -> BoxFuture<'static, ()> {
        Box::pin(std::future::ready(()))
    }
}

fn expired_by_a_ticking_clock() -> MemoryCache {
    let env = Arc::new(Ticking::default());
    let config = Config {
        l1_bytes_max: 16 << 20,
        blob_bytes_max: 4 << 20,
        ..Config::default()
    };
    let cache = MemoryCache::new(env.clone(), config).expect("settings that can stand");
    for number in 0..10_000 {
        let key = key(&format!("k{number}"));
        let put = Put::with_ttl_ms("v", 1);
        cache.put(&namespace("s"), &key, put).expect("it is put");
    }
    env.now.store(1, Ordering::Relaxed);
    cache
}

#[test]
fn a_limit_of_milliseconds_begins_nothing_after_it() {
    let cache = expired_by_a_ticking_clock();
    let report = cache.sweep_expired(SweepLimit::Millis(5), None);
    // Forty-nine looks at the clock find it not yet over, each before a bite.
    assert_eq!(report.scanned, 49 * 64);
    assert!(report.is_truncated(), "{report:?}");
    assert!(report.elapsed >= Duration::from_millis(5), "{report:?}");
    assert!(report.elapsed < Duration::from_millis(6), "{report:?}");
}

#[test]
fn the_first_of_two_limits_wins() {
    for (entries, millis, scanned) in [(100, 5, 100), (1_000_000, 1, 9 * 64)] {
        let cache = expired_by_a_ticking_clock();
        let limit = SweepLimit::Either { entries, millis };
        assert_eq!(cache.sweep_expired(limit, None).scanned, scanned);
    }
}

#[test]
fn a_jitter_without_random_bytes_is_refused() {
    let cache = expired_by_a_ticking_clock();
    let policy = Policy {
        jitter_ms: 1,
        ..Policy::ttl_ms(10)
    };
    let put = Put {
        policy,
        ..Put::new("v")
    };
    let refused = cache.put(&namespace("s"), &key("k"), put);
    assert_eq!(crate::support::code(refused), "no_randomness");
}
