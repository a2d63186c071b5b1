//! How much there may be, and what goes first.

use std::sync::Arc;

use windlass_cache::limits::{ENTRY_BYTES, LINK_BYTES};
use windlass_cache::{Admission, CacheError, Config, MemoryCache, Metadata, Policy, Priority, Put};
use windlass_core::{ManualEnv, Millis};

use crate::support::{World, code, key, tag};

/// One shard.
const SMALL: Config = Config {
    l1_bytes_max: 256 << 10,
    blob_bytes_max: 100 << 10,
    entry_bytes_guess: 1_384,
};

fn of(size: usize, policy: Policy) -> Put {
    Put {
        policy,
        ..Put::new(vec![0; size])
    }
}

fn priority(priority: Priority) -> Policy {
    Policy {
        priority,
        ..Policy::default()
    }
}

#[test]
fn a_blob_above_the_limit_of_the_cache_or_of_its_policy_is_refused() {
    let world = World::with(SMALL);
    let own = Policy {
        bytes_max: Some(10),
        admission: Admission::Always,
        ..Policy::default()
    };
    let cases = [
        (
            Policy {
                bytes_max: None,
                ..own.clone()
            },
            100 << 10,
        ),
        (own.clone(), 10),
        (
            Policy {
                bytes_max: Some(1 << 30),
                ..own
            },
            100 << 10,
        ),
    ];
    for (policy, most) in cases {
        assert!(world.put("k", of(most, policy.clone())).held, "{policy:?}");
        let refused = world
            .cache
            .put(&world.space, &key("k"), of(most + 1, policy));
        match refused.expect_err("it is too large") {
            CacheError::BlobTooLarge { size, max } => {
                let expected = u64::try_from(most).unwrap();
                assert_eq!((size, max), (expected + 1, expected));
            }
            other => panic!("{other}"),
        }
    }
}

#[test]
fn the_cache_holds_no_more_than_it_may_whatever_the_priorities() {
    for rank in [Priority::Low, Priority::Normal, Priority::High] {
        let world = World::with(SMALL);
        for number in 0..1_000 {
            world.put(&format!("k{number}"), of(1_000, priority(rank)));
            let bytes = world.cache.stats().bytes;
            assert!(bytes <= SMALL.l1_bytes_max, "{bytes} with {rank:?}");
        }
        let stats = world.cache.stats();
        assert!(stats.bytes > SMALL.l1_bytes_max * 9 / 10, "{stats:?}");
        assert_eq!(stats.insertions, stats.entries + stats.evictions);
    }
}

#[test]
fn entries_are_charged_with_their_bytes_and_a_sum() {
    let world = World::new();
    let put = Put {
        metadata: Metadata::new([("k", "four")]).unwrap(),
        tags: vec![tag("tag")],
        depends_on: vec![key("other")],
        ..Put::new("12345678")
    };
    world.put("name", put);
    let expected = ENTRY_BYTES + 8 + 5 + 4 + (LINK_BYTES + 3) + (LINK_BYTES + 5);
    assert_eq!(world.cache.stats().bytes, expected);
}

#[test]
fn what_is_larger_than_its_shard_is_not_held_whatever_is_asked() {
    let tiny = Config {
        l1_bytes_max: 64 << 10,
        blob_bytes_max: 8 << 10,
        ..SMALL
    };
    let world = World::with(tiny.clone());
    let put = Put {
        policy: Policy {
            admission: Admission::Always,
            priority: Priority::High,
            ..Policy::default()
        },
        tags: (0..32).map(|n| tag(&format!("{n:0128}"))).collect(),
        depends_on: (0..32).map(|n| key(&format!("{n:0512}"))).collect(),
        ..Put::new(vec![0; usize::try_from(tiny.blob_bytes_max).unwrap()])
    };
    world.put("k", Put::new("before"));
    assert!(!world.put("k", put).held, "{:?}", world.cache.stats());
    assert!(world.get("k").is_none(), "it was replaced");
    assert_eq!(world.cache.stats().bytes, 0);
}

/// Entries of a priority that are listed.
fn count(world: &World, rank: Priority) -> usize {
    let page = world.cache.enumerate(&world.space, None, 1_000);
    let prefix = format!("{rank:?}/");
    let keys = page.keys.into_iter();
    keys.filter(|key| key.as_str().starts_with(&prefix)).count()
}

#[test]
fn low_priority_goes_first() {
    let world = World::with(SMALL);
    let ranks = [Priority::Low, Priority::Normal, Priority::High];
    for number in 0..180 {
        let rank = ranks[number % 3];
        world.put(&format!("{rank:?}/{number}"), of(1_000, priority(rank)));
    }
    let counts = || ranks.map(|rank| count(&world, rank));
    assert_eq!(counts(), [60, 60, 60], "all fit");
    for number in 0..60 {
        world.put(&format!("new/{number}"), of(1_000, Policy::default()));
    }
    let [low, normal, high] = counts();
    assert!(low < 10, "{low}");
    assert_eq!([normal, high], [60, 60]);
}

#[test]
fn high_priority_outlives_normal_priority() {
    let world = World::with(SMALL);
    for number in 0..600 {
        let rank = [Priority::Normal, Priority::High][number % 2];
        world.put(&format!("{rank:?}/{number}"), of(1_000, priority(rank)));
    }
    let [normal, high] = [Priority::Normal, Priority::High].map(|rank| count(&world, rank));
    assert!(high > normal, "{high} of high, {normal} of normal priority");
}

#[test]
fn admission_decides_what_is_held() {
    let cases = [
        (Admission::Auto, 1_000, true),
        (Admission::Auto, 90 << 10, false),
        (Admission::Always, 90 << 10, true),
        (Admission::Never, 1, false),
    ];
    for (admission, size, held) in cases {
        let world = World::with(SMALL);
        world.put("k", Put::new("old"));
        let policy = Policy {
            admission,
            ..Policy::default()
        };
        let stored = world.put("k", of(size, policy));
        assert_eq!(stored.held, held, "{admission:?} {size}");
        let length = world.get("k").map(|found| found.value().len());
        assert_eq!(length, held.then_some(size), "the old one is gone");
    }
}

#[test]
fn too_many_tags_and_dependencies_are_refused() {
    let world = World::new();
    let tags = (0..33).map(|number| tag(&format!("t{number}"))).collect();
    let depends_on = (0..33).map(|number| key(&format!("k{number}"))).collect();
    let puts = [
        Put {
            tags,
            ..Put::new("v")
        },
        Put {
            depends_on,
            ..Put::new("v")
        },
    ];
    let words = puts.map(|put| {
        let refused = world.cache.put(&world.space, &key("k"), put);
        refused.unwrap_err().to_string()
    });
    let expected = [
        "`tags` are 33; at most 32 are allowed",
        "`depends_on` are 33; at most 32 are allowed",
    ];
    assert_eq!(words, expected);
}

#[test]
fn settings_that_cannot_stand_are_refused() {
    type Adjust = fn(&mut Config);
    let bad: [(Adjust, &str); 4] = [
        (
            |config| config.l1_bytes_max = 1_024,
            "`l1_bytes_max` is 1024; 65536 to 1099511627776 are allowed",
        ),
        (
            |config| config.blob_bytes_max = 0,
            "`blob_bytes_max` is 0; 1 to 134217344 are allowed",
        ),
        (
            |config| config.l1_bytes_max = 64 << 10,
            "`blob_bytes_max` is 8388608; 1 to 32384 are allowed",
        ),
        (
            |config| config.entry_bytes_guess = 0,
            "`entry_bytes_guess` is 0; 384 to 1099511627776 are allowed",
        ),
    ];
    for (adjust, words) in bad {
        let mut config = Config::default();
        adjust(&mut config);
        assert_eq!(config.check().unwrap_err().to_string(), words);
        let env = Arc::new(ManualEnv::new(1, Millis::new(0)));
        assert_eq!(code(MemoryCache::new(env, config)), "invalid_request");
    }
    let unknown = serde_json::from_str::<Config>(r#"{"l2_bytes_max": 1}"#);
    let words = unknown.unwrap_err().to_string();
    assert!(words.starts_with("unknown field"), "{words}");
}

#[test]
fn figures_tell_hits_from_misses() {
    let world = World::new();
    world.put("k", Put::new("v"));
    assert!(world.get("k").is_some() && world.get("x").is_none());
    world.cache.invalidate(&world.space, &key("k"));
    let stats = world.cache.stats();
    let counted = (
        stats.hits,
        stats.misses,
        stats.insertions,
        stats.invalidations,
    );
    assert_eq!(counted, (1, 1, 1, 1));
}

#[test]
fn what_is_replaced_is_not_counted_as_evicted() {
    let world = World::new();
    for _ in 0..3 {
        world.put("k", Put::new("v"));
    }
    world.cache.flush_namespace(&world.space);
    world.put("k", Put::new("v"));
    let stats = world.cache.stats();
    let counted = (stats.insertions, stats.evictions, stats.entries);
    assert_eq!(counted, (4, 0, 1));
}
