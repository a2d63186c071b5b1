//! What cannot be seen from outside: that index and library hold the same.

use std::sync::Arc;

use proptest::prelude::*;
use windlass_core::{ManualEnv, Millis};

use crate::{Config, Key, MemoryCache, Policy, Priority, Put, SweepLimit};

/// One shard of 64 KiB, which some hundred entries overflow.
fn small(env: &Arc<ManualEnv>) -> MemoryCache {
    let config = Config {
        l1_bytes_max: 64 << 10,
        blob_bytes_max: 8 << 10,
        entry_bytes_guess: 2 << 10,
    };
    MemoryCache::new(Arc::clone(env) as _, config).expect("settings that can stand")
}

/// What is done to a cache.
#[derive(Clone, Copy, Debug)]
enum Act {
    Put(u8, u16, Priority),
    Get(u8),
    Invalidate(u8),
    Flush,
    Sweep(u64),
    Wait(u64),
}

fn act() -> impl Strategy<Value = Act> {
    let priority = prop_oneof![
        Just(Priority::Low),
        Just(Priority::Normal),
        Just(Priority::High)
    ];
    prop_oneof![
        8 => (0..40_u8, 0..4_000_u16, priority).prop_map(|(k, s, p)| Act::Put(k, s, p)),
        4 => (0..40_u8).prop_map(Act::Get),
        2 => (0..40_u8).prop_map(Act::Invalidate),
        1 => Just(Act::Flush),
        1 => (0..50_u64).prop_map(Act::Sweep),
        1 => (0..2_000_u64).prop_map(Act::Wait),
    ]
}

fn apply(env: &ManualEnv, cache: &MemoryCache, act: Act) {
    let space = "s".parse().expect("a name");
    let key = |number: u8| format!("k{number}").parse().expect("a key");
    match act {
        Act::Put(number, size, priority) => {
            let mut put = Put::with_ttl_ms(vec![0; size.into()], 3_000);
            put.policy = Policy {
                priority,
                ..put.policy
            };
            put.tags = vec![format!("t{}", number % 3).parse().expect("a tag")];
            cache.put(&space, &key(number), put).expect("it is put");
        }
        Act::Get(number) => drop(cache.get(&space, &key(number))),
        Act::Invalidate(number) => drop(cache.invalidate(&space, &key(number))),
        Act::Flush => drop(cache.flush_namespace(&space)),
        Act::Sweep(most) => drop(cache.sweep_expired(SweepLimit::Entries(most), None)),
        Act::Wait(ms) => env.advance_ms(ms),
    }
}

#[test]
fn keys_of_one_hash_take_each_others_place_and_are_never_mixed_up() {
    let env = Arc::new(ManualEnv::new(1, Millis::new(1_000)));
    let cache = small(&env);
    let space = "s".parse().expect("a name");
    let first: Key = "first".parse().expect("a key");
    let second = Key::colliding("second", &first);
    let mut put = Put::new("1");
    put.tags = vec!["t".parse().expect("a tag")];
    cache.put(&space, &first, put).expect("it is put");
    assert!(cache.get(&space, &second).is_none(), "it was not put");
    assert_eq!(cache.invalidate(&space, &second).entries, 0);
    cache
        .put(&space, &second, Put::new("2"))
        .expect("it is put");
    assert!(cache.get(&space, &first).is_none(), "it made room");
    let found = cache.get(&space, &second).expect("it is there");
    assert_eq!(found.value(), "2");
    let page = cache.enumerate(&space, None, 9);
    assert_eq!(page.keys, [second]);
    let taken = cache.invalidate_tags(&space, &["t".parse().expect("a tag")]);
    assert_eq!((taken.entries, cache.stats().entries), (0, 1));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn index_and_library_hold_the_same_and_no_more_than_there_may_be(
        acts in prop::collection::vec(act(), 1..200)
    ) {
        let env = Arc::new(ManualEnv::new(1, Millis::new(1_000)));
        let cache = small(&env);
        for act in acts {
            apply(&env, &cache, act);
            for shard in &cache.inner.shards {
                let locked = shard.lock();
                let indexed = (locked.index.entries(), locked.index.bytes());
                prop_assert_eq!(locked.weighed(), indexed, "after {:?}", act);
            }
            let bytes = cache.stats().bytes;
            prop_assert!(bytes <= cache.config().l1_bytes_max, "{} after {:?}", bytes, act);
        }
    }
}
