//! Generations and slots.

use windlass_cache::limits::NAMESPACES_MAX;
use windlass_cache::{Flush, Put};

use crate::support::{World, code, key, namespace};

/// The answer for a namespace without a slot.
const UNKNOWN: Flush = Flush {
    before: 0,
    after: 0,
};

#[test]
fn a_flush_makes_everything_invisible_and_raises_the_generation() {
    let world = World::new();
    world.put("a", Put::new("v"));
    world.put("b", Put::new("v"));
    let before = world.cache.namespaces()[0].generation;
    let flush = world.cache.flush_namespace(&world.space);
    assert_eq!(flush.before, before);
    assert!(flush.after > flush.before, "{flush:?}");
    assert_eq!(world.visible(&["a", "b"]), Vec::<&str>::new());
    world.put("a", Put::new("new"));
    assert_eq!(world.text("a").as_deref(), Some("new"));
    assert_eq!(world.cache.namespaces()[0].generation, flush.after);
    let next = world.cache.flush_namespace(&world.space);
    assert_eq!(next.before, flush.after);
    assert_eq!(world.cache.stats().flushes, 2);
}

#[test]
fn a_flush_leaves_other_namespaces_alone() {
    let world = World::new();
    world.put("a", Put::new("v"));
    let other = namespace("other");
    world.cache.put(&other, &key("a"), Put::new("w")).unwrap();
    world.cache.flush_namespace(&other);
    assert_eq!(world.text("a").as_deref(), Some("v"));
    assert!(world.cache.get(&other, &key("a")).is_none());
}

#[test]
fn flushing_an_unknown_namespace_changes_nothing_and_takes_no_slot() {
    let world = World::new();
    for number in 0..2 * NAMESPACES_MAX {
        let flush = world
            .cache
            .flush_namespace(&namespace(&format!("n{number}")));
        assert_eq!(flush, UNKNOWN);
    }
    world.put("a", Put::new("v"));
    assert_eq!(world.cache.namespaces().len(), 1);
    assert_eq!(world.cache.stats().flushes, 0);
}

#[test]
fn one_namespace_too_many_is_refused_until_one_is_emptied() {
    let world = World::new();
    let put = |number: usize| {
        let space = namespace(&format!("n{number}"));
        world.cache.put(&space, &key("k"), Put::new("v"))
    };
    for number in 0..NAMESPACES_MAX {
        put(number).expect("there is a slot");
    }
    assert_eq!(code(put(NAMESPACES_MAX)), "too_many_namespaces");
    put(7).expect("it has a slot");
    world.cache.invalidate(&namespace("n3"), &key("k"));
    put(NAMESPACES_MAX).expect("one gave its slot back");
    assert_eq!(code(put(3)), "too_many_namespaces");
    world.cache.flush_namespace(&namespace("n4"));
    put(3).expect("one gave its slot back");
    assert_eq!(world.cache.namespaces().len(), NAMESPACES_MAX);
}

#[test]
fn a_namespace_that_lost_its_slot_never_has_an_old_generation_again() {
    let world = World::new();
    world.put("k", Put::new("v"));
    let first = world.cache.namespaces()[0].generation;
    world.cache.invalidate(&world.space, &key("k"));
    for number in 0..NAMESPACES_MAX {
        let space = namespace(&format!("n{number}"));
        world.cache.put(&space, &key("k"), Put::new("v")).unwrap();
    }
    world.cache.flush_namespace(&namespace("n0"));
    world.put("k", Put::new("v"));
    let spaces = world.cache.namespaces();
    let own = spaces.iter().find(|it| it.namespace == world.space);
    let second = own.expect("it has a slot").generation;
    assert!(second > first, "{second} after {first}");
}

#[test]
fn a_refused_put_takes_no_slot() {
    let world = World::new();
    let put = Put {
        policy: windlass_cache::Policy::ttl_ms(0),
        ..Put::new("v")
    };
    let refused = world.cache.put(&world.space, &key("k"), put);
    assert_eq!(code(refused), "invalid_request");
    let other = Put::new("v");
    let refused = world
        .cache
        .compare_and_set(&world.space, &key("k"), Some(1), other);
    assert_eq!(code(refused), "version_mismatch");
    assert_eq!(world.cache.flush_namespace(&world.space), UNKNOWN);
}
