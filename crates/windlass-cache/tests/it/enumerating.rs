//! Listings of keys.

use windlass_cache::Put;

use crate::support::{World, key};

#[test]
fn pages_show_every_visible_key_once_and_in_order() {
    let world = World::new();
    for number in 0..250 {
        world.put(&format!("k{number:03}"), Put::new("v"));
    }
    world.put("k100", Put::with_ttl_ms("v", 1));
    world.cache.invalidate(&world.space, &key("k200"));
    world.env.advance_ms(1);
    let (mut keys, mut after) = (Vec::new(), None);
    loop {
        let page = world.cache.enumerate(&world.space, after.as_ref(), 100);
        assert!(page.keys.len() == 100 || !page.more, "{page:?}");
        after = page.keys.last().cloned();
        keys.extend(page.keys);
        if !page.more {
            break;
        }
    }
    let expected = (0..250).filter(|number| ![100, 200].contains(number));
    let expected: Vec<_> = expected
        .map(|number| key(&format!("k{number:03}")))
        .collect();
    assert_eq!(keys, expected);
}

#[test]
fn more_is_exact_at_the_end() {
    let world = World::new();
    for name in ["a", "b"] {
        world.put(name, Put::new("v"));
    }
    let more = |limit| world.cache.enumerate(&world.space, None, limit).more;
    assert_eq!(
        [more(0), more(1), more(2), more(3)],
        [true, true, false, false]
    );
}

#[test]
fn flushed_keys_are_not_listed() {
    let world = World::new();
    world.put("a", Put::new("v"));
    world.cache.flush_namespace(&world.space);
    world.put("b", Put::new("v"));
    let page = world.cache.enumerate(&world.space, None, 10);
    assert_eq!(page.keys, [key("b")]);
}
