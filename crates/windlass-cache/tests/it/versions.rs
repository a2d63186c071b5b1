//! Versions rise, and changes that expect another are refused.

use windlass_cache::{CacheError, Policy, Put};

use crate::support::{World, key};

fn at(version: u64) -> Put {
    Put {
        version: Some(version),
        ..Put::new(format!("v{version}"))
    }
}

#[test]
fn a_version_must_be_higher_than_that_of_the_visible_entry() {
    let world = World::new();
    world.put("k", at(5));
    for attempted in [4, 5] {
        let refused = world.cache.put(&world.space, &key("k"), at(attempted));
        match refused.expect_err("it does not rise") {
            CacheError::VersionMismatch {
                existing,
                attempted: tried,
            } => assert_eq!((existing, tried), (Some(5), Some(attempted))),
            other => panic!("{other}"),
        }
        assert_eq!(world.text("k").as_deref(), Some("v5"));
    }
    assert_eq!(world.put("k", at(6)).version, 6);
    assert_eq!(world.text("k").as_deref(), Some("v6"));
}

#[test]
fn an_entry_nobody_sees_has_no_version_to_rise_above() {
    let world = World::new();
    let put = Put {
        policy: Policy::ttl_ms(10),
        ..at(9)
    };
    world.put("expired", put);
    world.env.advance_ms(10);
    world.put("expired", at(1));
    world.put("invalid", at(9));
    world.cache.invalidate(&world.space, &key("invalid"));
    world.put("invalid", at(1));
    world.cache.flush_namespace(&world.space);
    world.put("expired", at(1));
    assert_eq!(world.text("expired").as_deref(), Some("v1"));
}

#[test]
fn versions_that_the_cache_draws_rise_and_are_never_used_twice() {
    let world = World::new();
    let first = world.put("k", Put::new("a")).version;
    let second = world.put("k", Put::new("b")).version;
    world.cache.invalidate(&world.space, &key("k"));
    let third = world.put("k", Put::new("c")).version;
    assert!(first < second && second < third, "{first} {second} {third}");
    world.put("k", at(1_000));
    assert_eq!(world.put("k", Put::new("d")).version, 1_001);
}

#[test]
fn above_the_highest_version_there_is_none() {
    let world = World::new();
    world.put("k", at(u64::MAX));
    let refused = world.cache.put(&world.space, &key("k"), Put::new("next"));
    match refused.expect_err("there is no version above") {
        CacheError::VersionMismatch {
            existing,
            attempted,
        } => assert_eq!((existing, attempted), (Some(u64::MAX), None)),
        other => panic!("{other}"),
    }
    assert_eq!(world.text("k"), Some(format!("v{}", u64::MAX)));
}

#[test]
fn compare_and_set_changes_only_what_was_expected() {
    let world = World::new();
    let set = |expected, text: &'static str| {
        let put = Put::new(text);
        world
            .cache
            .compare_and_set(&world.space, &key("k"), expected, put)
    };
    let first = set(None, "a").expect("there is none").version;
    for (wrong, text) in [(None, "b"), (Some(first + 1), "c")] {
        match set(wrong, text).expect_err("it is at the first version") {
            CacheError::VersionMismatch {
                existing,
                attempted,
            } => assert_eq!((existing, attempted), (Some(first), wrong)),
            other => panic!("{other}"),
        }
    }
    assert_eq!(world.text("k").as_deref(), Some("a"));
    set(Some(first), "d").expect("it is at the first version");
    assert_eq!(world.text("k").as_deref(), Some("d"));
}

#[test]
fn each_of_many_puts_is_answered_by_itself() {
    let world = World::new();
    world.put("b", at(5));
    let puts = [("a", 1), ("b", 1), ("c", 1)].map(|(name, version)| (key(name), at(version)));
    let answers = world.cache.put_many(&world.space, puts);
    let codes = answers
        .iter()
        .map(|answer| answer.as_ref().ok().map(|it| it.version));
    assert_eq!(codes.collect::<Vec<_>>(), [Some(1), None, Some(1)]);
    let keys = ["c", "x", "b"].map(key);
    let found = world.cache.get_many(&world.space, &keys);
    let texts = found
        .iter()
        .map(|it| it.as_ref().map(|it| it.value().to_vec()));
    let expected = [Some(b"v1".to_vec()), None, Some(b"v5".to_vec())];
    assert_eq!(texts.collect::<Vec<_>>(), expected);
}
