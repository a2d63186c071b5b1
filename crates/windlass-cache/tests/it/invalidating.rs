//! What an invalidation takes, and what it leaves.

use windlass_cache::Put;

use crate::support::{World, code, key, namespace, tag};

fn tagged(tags: &[&str]) -> Put {
    Put {
        tags: tags.iter().map(|text| tag(text)).collect(),
        ..Put::new("12345")
    }
}

fn made_of(names: &[&str]) -> Put {
    Put {
        depends_on: names.iter().map(|name| key(name)).collect(),
        ..Put::new("v")
    }
}

#[test]
fn a_key_takes_its_entry_and_no_other() {
    let world = World::new();
    world.put("a", Put::new("123"));
    world.put("b", Put::new("v"));
    world
        .cache
        .put(&namespace("other"), &key("a"), Put::new("v"))
        .unwrap();
    let taken = world.cache.invalidate(&world.space, &key("a"));
    assert_eq!((taken.entries, taken.bytes), (1, 3));
    assert_eq!(world.visible(&["a", "b"]), ["b"]);
    let other = world.cache.get(&namespace("other"), &key("a"));
    assert_eq!(other.expect("another namespace").value(), "v");
    let again = world.cache.invalidate(&world.space, &key("a"));
    assert_eq!((again.entries, again.bytes), (0, 0));
}

#[test]
fn a_prefix_takes_all_that_begin_with_it() {
    let world = World::new();
    for number in 0..500 {
        world.put(&format!("page/{number}"), Put::new("v"));
    }
    for name in ["pag", "page", "page0", "q"] {
        world.put(name, Put::new("v"));
    }
    let taken = world
        .cache
        .invalidate_prefix(&world.space, "page/")
        .unwrap();
    assert_eq!(taken.entries, 500);
    let left = world.cache.enumerate(&world.space, None, 1_000);
    assert_eq!(left.keys, ["pag", "page", "page0", "q"].map(key));
    let all = world.cache.invalidate_prefix(&world.space, "").unwrap();
    assert_eq!((all.entries, world.cache.stats().entries), (4, 0));
    let bad = world.cache.invalidate_prefix(&world.space, "a\n");
    assert_eq!(code(bad), "invalid_request");
}

#[test]
fn tags_take_all_that_have_one_of_them() {
    let world = World::new();
    world.put("x", tagged(&["x"]));
    world.put("xy", tagged(&["x", "y"]));
    world.put("z", tagged(&["z"]));
    world.put("plain", Put::new("v"));
    let taken = world
        .cache
        .invalidate_tags(&world.space, &[tag("x"), tag("y")]);
    assert_eq!((taken.entries, taken.bytes), (2, 10));
    assert_eq!(world.visible(&["x", "xy", "z", "plain"]), ["z", "plain"]);
}

#[test]
fn a_replaced_entry_leaves_its_tags_behind() {
    let world = World::new();
    world.put("k", tagged(&["old"]));
    world.put("k", tagged(&["new"]));
    let taken = world.cache.invalidate_tags(&world.space, &[tag("old")]);
    assert_eq!((taken.entries, world.visible(&["k"])), (0, vec!["k"]));
}

#[test]
fn what_was_made_of_an_entry_goes_with_it_and_so_on() {
    let world = World::new();
    world.put("source", Put::new("v"));
    world.put("summary", made_of(&["source"]));
    world.put("answer", made_of(&["summary", "other"]));
    world.put("alone", made_of(&["other-source"]));
    let taken = world.cache.invalidate(&world.space, &key("source"));
    assert_eq!(taken.entries, 3);
    let names = ["source", "summary", "answer", "alone"];
    assert_eq!(world.visible(&names), ["alone"]);
}

#[test]
fn dependents_go_though_what_they_are_made_of_is_not_held() {
    let world = World::new();
    world.put("summary", made_of(&["source"]));
    let taken = world.cache.invalidate(&world.space, &key("source"));
    assert_eq!((taken.entries, world.text("summary")), (1, None));
}

#[test]
fn dependents_alone_can_be_taken_and_circles_end() {
    let world = World::new();
    world.put("a", made_of(&["b"]));
    world.put("b", made_of(&["a"]));
    world.put("c", made_of(&["a"]));
    world.put("source", Put::new("v"));
    world.put("d", made_of(&["source"]));
    let taken = world
        .cache
        .invalidate_dependents(&world.space, &[key("a"), key("source")]);
    assert_eq!(taken.entries, 4);
    let names = ["a", "b", "c", "d", "source"];
    assert_eq!(world.visible(&names), ["source"]);
}

#[test]
fn tags_and_prefixes_take_dependents_along() {
    let world = World::new();
    for way in ["tag", "prefix"] {
        world.put("p/1", tagged(&["t"]));
        world.put("made", made_of(&["p/1"]));
        let taken = match way {
            "tag" => world.cache.invalidate_tags(&world.space, &[tag("t")]),
            _ => world.cache.invalidate_prefix(&world.space, "p/").unwrap(),
        };
        assert_eq!(taken.entries, 2, "{way}");
        assert_eq!(world.text("made"), None, "{way}");
    }
}

#[test]
fn a_put_of_the_source_leaves_what_was_made_of_it() {
    let world = World::new();
    world.put("made", made_of(&["source"]));
    world.put("source", Put::new("again"));
    assert_eq!(world.visible(&["made"]), ["made"]);
}

#[test]
fn entries_that_nobody_saw_are_not_counted() {
    let world = World::new();
    world.put("k", Put::with_ttl_ms("v", 10));
    world.env.advance_ms(10);
    let taken = world.cache.invalidate(&world.space, &key("k"));
    assert_eq!((taken.entries, taken.bytes), (0, 0));
    assert_eq!(world.cache.stats().entries, 0);
}

#[test]
fn an_unknown_namespace_has_nothing_to_invalidate_and_takes_no_slot() {
    let world = World::new();
    let unknown = namespace("unknown");
    let taken = world.cache.invalidate(&unknown, &key("k"));
    assert_eq!(taken.entries, 0);
    let flush = world.cache.flush_namespace(&unknown);
    assert_eq!((flush.before, flush.after), (0, 0), "it has no slot");
}
