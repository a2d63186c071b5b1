//! Listings: prefix, order, pages.

use windlass_stash::{Execution, Key, KeyPage, KeyQuery};

use crate::support::{World, code, key};

fn stocked() -> (World, Execution) {
    let world = World::new(|_| {});
    let execution = world.outside();
    for name in ["b:2", "a", "b:10", "b:1", "b", "c", "b-x", "B"] {
        execution.put(&key(name), name, None).expect("stored");
    }
    (world, execution)
}

fn names(page: &KeyPage) -> Vec<&str> {
    page.keys.iter().map(|(name, _)| name.as_str()).collect()
}

fn query(prefix: &str, after: Option<Key>, limit: usize) -> KeyQuery {
    KeyQuery {
        prefix: prefix.to_owned(),
        after,
        limit,
    }
}

#[test]
fn keys_come_sorted_by_their_bytes() {
    let (_world, execution) = stocked();
    let page = execution.keys(&KeyQuery::default()).expect("readable");
    assert_eq!(
        names(&page),
        ["B", "a", "b", "b-x", "b:1", "b:10", "b:2", "c"]
    );
    assert!(!page.more, "{page:?}");
    assert_eq!(page.keys[1].1.size, 3);
}

#[test]
fn a_prefix_selects_the_keys_that_begin_with_it() {
    let (_world, execution) = stocked();
    let page = execution.keys(&query("b:", None, 10)).expect("readable");
    assert_eq!(names(&page), ["b:1", "b:10", "b:2"]);
    let page = execution.keys(&query("z", None, 10)).expect("readable");
    assert_eq!(page, KeyPage::default());
}

#[test]
fn pages_follow_each_other_without_gap_or_repeat() {
    let (_world, execution) = stocked();
    for limit in 1..=4 {
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = execution.keys(&query("b", after, limit)).expect("readable");
            assert!(page.keys.len() <= limit, "{page:?}");
            seen.extend(names(&page).into_iter().map(str::to_owned));
            after = page.keys.last().map(|(name, _)| name.clone());
            if !page.more {
                break;
            }
        }
        assert_eq!(seen, ["b", "b-x", "b:1", "b:10", "b:2"], "limit {limit}");
    }
}

#[test]
fn a_page_may_begin_after_a_key_outside_the_prefix() {
    let (_world, execution) = stocked();
    let before = execution
        .keys(&query("b:", Some(key("a")), 10))
        .expect("readable");
    assert_eq!(names(&before), ["b:1", "b:10", "b:2"]);
    let beyond = execution
        .keys(&query("b:", Some(key("c")), 10))
        .expect("readable");
    assert_eq!(beyond, KeyPage::default());
}

#[test]
fn what_no_key_begins_with_is_refused_like_a_key() {
    let (_world, execution) = stocked();
    let refused = |prefix: &str, limit| code(execution.keys(&query(prefix, None, limit)));
    assert_eq!(refused("a/", 1), "invalid_key");
    assert_eq!(refused(&"k".repeat(257), 1), "key_too_long");
    assert_eq!(refused("", 0), "invalid_request");
    assert_eq!(refused("", 1_001), "invalid_request");
}
