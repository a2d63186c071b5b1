//! What a put checks, in which order, and that a refusal changes nothing.

use windlass_core::Coded;
use windlass_stash::limits::ENTRY_BYTES;
use windlass_stash::{Condition, Config, Figures, Put, Quota, StashError};

use crate::support::{World, code, group, key, sized};

/// A stash in which every check of a put can fail: `full` and `mine` are of
/// group `a`, `theirs` of group `b`, and nothing fits any more.
fn crowded(hide_foreign: bool) -> World {
    let world = World::new(|config| {
        config.keys_max = 3;
        config.value_bytes_max = 60;
        config.total_bytes_max = 100;
        config.group_quota = Some(Quota {
            keys_max: Some(2),
            bytes_max: Some(50),
        });
        config.hide_foreign = hide_foreign;
    });
    for (owner, name, size) in [("a", "full", 20), ("a", "mine", 20), ("b", "theirs", 40)] {
        let put = Put::new(key(name), sized(size));
        world.within(owner).store(put).expect("there is room");
    }
    world
}

/// Asks for a put in group `a` that fails every check from one on, and shows
/// the refusal.
fn refused(world: &World, put: Put) -> &'static str {
    let before = world.stash.usage();
    let refusal = code(world.within("a").store(put));
    assert_eq!(world.stash.usage(), before);
    let theirs = world.within("b").entry(&key("theirs")).expect("readable");
    let theirs = theirs.expect("there");
    assert_eq!((theirs.value, theirs.metadata.version), (sized(40), 3));
    refusal
}

#[test]
fn the_first_check_that_fails_is_the_answer() {
    for (hidden, foreign) in [(false, "cross_group_access"), (true, "key_unavailable")] {
        let world = crowded(hidden);
        let put = |name: &str, size: usize| Put::new(key(name), sized(size));
        let stale = Condition::Version(9);
        let cases = [
            (
                put("theirs", 61).ttl_ms(0).condition(stale),
                "value_too_large",
            ),
            (put("theirs", 60).ttl_ms(0).condition(stale), "ttl_zero"),
            (
                put("theirs", 60).ttl_ms(u64::MAX).condition(stale),
                "ttl_too_long",
            ),
            (put("theirs", 60).condition(stale), foreign),
            (put("theirs", 60).condition(Condition::Absent), foreign),
            (put("new", 60).condition(stale), "version_mismatch"),
            (put("new", 60), "key_limit_exceeded"),
            (put("mine", 60), "group_quota_exceeded"),
        ];
        for (put, expected) in cases {
            assert_eq!(refused(&world, put.clone()), expected, "{put:?}");
        }
    }
}

#[test]
fn the_total_is_checked_last() {
    let world = crowded(false);
    let roomy = Config {
        group_quota: None,
        ..Config::clone(&world.stash.config())
    };
    world
        .stash
        .configure(roomy)
        .expect("settings that can stand");
    let put = |size: usize| Put::new(key("mine"), sized(size));
    assert_eq!(refused(&world, put(41)), "total_size_exceeded");
    world.within("a").store(put(40)).expect("exactly full");
}

#[test]
fn a_quota_of_keys_counts_new_keys_of_the_group_only() {
    let world = crowded(false);
    let more = Config {
        keys_max: 10,
        ..Config::clone(&world.stash.config())
    };
    world
        .stash
        .configure(more)
        .expect("settings that can stand");
    assert_eq!(
        refused(&world, Put::new(key("third"), sized(3))),
        "group_quota_exceeded"
    );
    let other = Put::new(key("third"), sized(3));
    world.outside().store(other).expect("no group, no quota");
    let taken = Put::new(key("third"), sized(3));
    assert_eq!(refused(&world, taken), "group_quota_exceeded");
}

#[test]
fn a_group_named_in_the_settings_has_its_own_quota() {
    let world = World::new(|config| {
        let quota = |bytes| Quota {
            keys_max: None,
            bytes_max: Some(bytes),
        };
        config.group_quota = Some(quota(10));
        config.group_quotas.insert(group("big"), quota(20));
    });
    let put = |name: &str, size: usize| {
        let put = Put::new(key(name), sized(size));
        world.within(name).store(put)
    };
    put("big", 20).expect("its own quota");
    assert_eq!(code(put("small", 11)), "group_quota_exceeded");
    put("small", 10).expect("the quota of all others");
}

#[test]
fn refusals_tell_their_figures_and_nothing_of_others() {
    let world = crowded(false);
    let put = |name: &str, size: usize| {
        let put = Put::new(key(name), sized(size));
        world.within("a").store(put).unwrap_err().to_string()
    };
    assert_eq!(
        put("mine", 61),
        "the value has 61 bytes; at most 60 are allowed"
    );
    assert_eq!(put("new", 5), "there are 3 keys already");
    assert_eq!(
        put("mine", 31),
        "the group would have 51 bytes; its quota is 50"
    );
    let foreign = world.within("a").get(&key("theirs")).unwrap_err();
    assert!(
        matches!(&foreign, StashError::CrossGroupAccess { group: Some(own) } if *own == group("a")),
        "{foreign:?}"
    );
    assert_eq!(foreign.to_string(), "the entry belongs to another group");
}

#[test]
fn replacing_works_when_full() {
    let world = World::new(|config| config.keys_max = 2);
    let execution = world.outside();
    for name in ["a", "b", "a", "b"] {
        execution.put(&key(name), name, None).expect("no new key");
    }
    assert_eq!(
        code(execution.put(&key("c"), "c", None)),
        "key_limit_exceeded"
    );
    assert!(execution.delete(&key("a")).expect("mine"), "there was one");
    execution
        .put(&key("c"), "c", None)
        .expect("there is room again");
}

#[test]
fn both_figures_are_exact_and_0_when_empty() {
    let world = World::new(|_| {});
    let owner = world.within("owner");
    owner.put(&key("k"), "four", None).expect("stored");
    let expected = Figures {
        keys: 1,
        value_bytes: 6,
        charged_bytes: 6 + 1 + 5 + ENTRY_BYTES,
    };
    assert_eq!(world.stash.usage().live, expected);
    owner.put(&key("k"), &1, None).expect("replaced");
    assert_eq!(world.stash.usage().live.value_bytes, 1);
    owner.delete(&key("k")).expect("mine");
    assert_eq!(world.stash.usage(), windlass_stash::Usage::default());
}

#[test]
fn memory_is_limited_by_the_charged_bytes() {
    let room = 3 * (ENTRY_BYTES + 11);
    let world = World::new(|config| config.charged_bytes_max = Some(room));
    let execution = world.outside();
    let put = |name: &str, size| execution.store(Put::new(key(name), sized(size)));
    put("a", 10).expect("there is room");
    put("b", 10).expect("there is room");
    let error = put("c", 11).unwrap_err();
    assert_eq!(
        (error.code(), world.stash.usage().live.keys),
        ("total_size_exceeded", 2)
    );
    put("c", 10).expect("exactly full");
    assert_eq!(world.stash.usage().live.charged_bytes, room);
}

#[test]
fn an_execution_stops_at_its_number_of_operations() {
    let world = World::new(|config| config.operations_max = Some(4));
    let execution = world.outside();
    execution.put(&key("k"), &1, None).expect("the first");
    assert_eq!(code(execution.put(&key("k"), &1, Some(0))), "ttl_zero");
    let two = [
        windlass_stash::Operation::Get(key("k")),
        windlass_stash::Operation::Get(key("k")),
    ];
    execution.step(&two).expect("the third and fourth");
    let version = || {
        world
            .outside()
            .entry(&key("k"))
            .expect("readable")
            .expect("there")
    };
    assert_eq!(code(execution.get(&key("k"))), "operation_limit");
    assert_eq!(code(execution.put(&key("k"), &2, None)), "operation_limit");
    assert_eq!(code(execution.clear()), "operation_limit");
    assert_eq!(version().metadata.version, 1);
    let another = world.outside();
    another.get(&key("k")).expect("counts for itself");
    let three: Vec<_> = two
        .iter()
        .chain(&two[..1])
        .chain(&two[..1])
        .cloned()
        .collect();
    assert_eq!(code(another.step(&three)), "operation_limit");
    another
        .get(&key("k"))
        .expect("a refused step took none of the rest");
}
