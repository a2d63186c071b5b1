//! The stored layout: what a released version wrote is read, and what is
//! written today is what was released.
//!
//! A fixture is an export, one row a line: its key, and its value as it is
//! (`""` for an empty one). When the layout changes on purpose, a further
//! fixture is added beside the old ones, which must still be read.

use std::sync::Arc;

use windlass_core::Millis;
use windlass_stash::durable::limits::{LOOSE_MS, OPERATION_MS};
use windlass_stash::durable::{Execution, Once, Options};
use windlass_stash::{Figures, Key, KeyQuery, Metadata, Operation, Put, Value};
use windlass_store_testing::Faulty;

use super::crashes::Dying;
use super::world::{World, execution, text};
use crate::support::{HOUR, SECOND, START, code, key, sized};

/// The layout of version 1.
const LAYOUT_1: &str = include_str!("../../fixtures/layout-1.ndjson");
/// The rows that operation ids add to it.
const LAYOUT_1_OPERATIONS: &str = include_str!("../../fixtures/layout-1-operations.ndjson");

/// What lies in the row of its entry, as it was put.
const SHORT: [(&str, &str); 4] = [
    ("null", "null"),
    ("number", "-12.50e3"),
    ("object", r#"{"a":[1,"\u00e9\n",{}],"a b":true}"#),
    ("A.b_c-d:0", r#""of a group""#),
];
/// The one of them that a group owns.
const OWNED: &str = "A.b_c-d:0";
/// The bytes of a value in one piece, and of one in three.
const APART: usize = 1_500;
const LONG: usize = 2 * 1_024 * 1_024 + 1;

fn line(key: &str, value: &str) -> String {
    let value = if value.is_empty() { "\"\"" } else { value };
    format!("{{\"key\":\"{key}\",\"value\":{value}}}\n")
}

/// The key and the value of one line.
fn row(line: &str) -> (&str, &str) {
    let inner = line
        .strip_prefix("{\"key\":\"")
        .and_then(|rest| rest.strip_suffix('}'));
    let (key, value) = inner
        .and_then(|inner| inner.split_once("\",\"value\":"))
        .expect("a row");
    (key, if value == "\"\"" { "" } else { value })
}

/// A world that holds the rows of a fixture.
async fn opened(fixture: &str) -> World {
    let world = World::with_options(Options::default());
    for (key, value) in fixture.lines().map(row) {
        world.put(key, value.to_owned()).await;
    }
    world.env.advance_ms(SECOND);
    world
}

async fn export(world: &World) -> String {
    let rows = world.rows().await;
    let lines = rows
        .iter()
        .map(|row| line(&text(&row.key), &text(&row.value)));
    lines.collect()
}

async fn store(execution: &Execution, name: &str, value: Value) -> Metadata {
    let stored = execution.store(Put::new(key(name), value)).await;
    stored.expect("room")
}

/// What the fixture of the present layout holds: an entry of every kind, and
/// notes of pieces that were freed and of pieces that were never used.
async fn written_today() -> World {
    let world = World::with_options(Options::default());
    let (public, group) = (world.outside(), execution(&world.stashes, Some("g")));
    for (name, json) in SHORT {
        let execution = if name == OWNED { &group } else { &public };
        let value = Value::from_json(json).expect("JSON");
        store(execution, name, value).await;
    }
    store(&group, "apart", sized(APART)).await;
    store(&public, "freed", sized(LONG)).await;
    world.env.advance_ms(SECOND);
    store(&public, "freed", sized(2)).await;
    // The freed pieces are megabytes of nothing: their note is enough.
    for piece in world.keys("/piece/").await {
        if piece.contains(":freed/") {
            world.remove(&piece).await;
        }
    }
    let touched = public.touch(&key("number"), Some(2 * HOUR)).await;
    assert_ne!(touched.expect("a store"), None);
    // Its process dies when it has left its note.
    let dying = Dying::after(Faulty::new(Arc::clone(&world.ground)), 1);
    let dead = execution(&world.over(dying), None);
    let cut = dead.store(Put::new(key("cut"), sized(LONG))).await;
    assert_eq!(code(cut), "store_unavailable");
    world
}

#[tokio::test]
async fn what_is_written_today_is_the_released_layout() {
    let written = export(&written_today().await).await;
    assert_eq!(written, LAYOUT_1, "written today:\n{written}");
}

#[tokio::test]
async fn every_kind_of_row_is_in_the_fixture() {
    let keys: Vec<&str> = LAYOUT_1.lines().map(|line| row(line).0).collect();
    let of = |part: &str| keys.iter().filter(|key| key.contains(part)).count();
    assert_eq!(of("acme/stash/s1/head"), 1);
    assert_eq!(of("acme/stash/s1/entry/"), SHORT.len() + 2);
    assert_eq!(of("acme/stash/s1/piece/"), 1);
    assert_eq!(of("acme/stash/s1/loose/"), 2);
    assert_eq!(of("due/"), 3);
}

#[tokio::test]
async fn entries_of_layout_1_are_read() {
    let world = opened(LAYOUT_1).await;
    let (public, group) = (world.outside(), execution(&world.stashes, Some("g")));
    for (name, json) in SHORT {
        let seen = group.get(&key(name)).await.expect("readable");
        let seen = seen.expect("there");
        assert_eq!(seen.as_json(), json, "{name}");
    }
    for name in [OWNED, "apart"] {
        assert_eq!(code(public.get(&key(name)).await), "cross_group_access");
    }
    let apart = group.get(&key("apart")).await.expect("readable");
    assert_eq!(apart, Some(sized(APART)));
    assert_eq!(public.get(&key("cut")).await.expect("readable"), None);
    let page = group.keys(&KeyQuery::default()).await.expect("a page");
    let names: Vec<&str> = page.keys.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, [OWNED, "apart", "freed", "null", "number", "object"]);
}

#[tokio::test]
async fn what_is_known_of_entries_of_layout_1_is_read() {
    let world = opened(LAYOUT_1).await;
    let execution = execution(&world.stashes, Some("g"));
    let entry = |name: &'static str| {
        let execution = &execution;
        async move {
            let entry = execution.entry(&key(name)).await.expect("readable");
            entry.expect("there").metadata
        }
    };
    let at = |ms: u64| Millis::new(START + ms);
    let expected = Metadata {
        group: None,
        size: 8,
        created: at(0),
        updated: at(0),
        expires: at(SECOND + 2 * HOUR),
        version: START + 2,
    };
    assert_eq!(entry("number").await, expected);
    let owned = entry(OWNED).await;
    assert_eq!(owned.group.as_ref().map(|group| group.as_str()), Some("g"));
    let replaced = entry("freed").await;
    let times = (replaced.created, replaced.updated, replaced.expires);
    assert_eq!(times, (at(0), at(SECOND), at(SECOND + HOUR)));
    let usage = world.stash().usage().await.expect("readable");
    let names: usize = page_bytes(&execution).await;
    let value_bytes = 4 + 8 + 34 + 12 + 1_500 + 2;
    let beside = 6 * windlass_stash::limits::ENTRY_BYTES + u64::try_from(names).expect("small");
    let live = Figures {
        keys: 6,
        value_bytes,
        charged_bytes: value_bytes + beside + 2,
    };
    assert_eq!((usage.live, usage.expired), (live, Figures::default()));
}

/// The bytes of all keys the execution sees.
async fn page_bytes(execution: &Execution) -> usize {
    let page = execution.keys(&KeyQuery::default()).await.expect("a page");
    page.keys.iter().map(|(name, _)| name.as_str().len()).sum()
}

#[tokio::test]
async fn stashes_of_layout_1_are_changed_and_removed() {
    let world = opened(LAYOUT_1).await;
    let (public, group) = (world.outside(), execution(&world.stashes, Some("g")));
    let number: Key = key("number");
    let version = START + 2;
    let swapped = public.compare_and_swap(&number, version, &41, None).await;
    assert!(swapped.expect("the version it had").version > version);
    let step = [
        Operation::Delete(key("apart")),
        Operation::Get(key("object")),
        Operation::Put(Put::new(key("null"), sized(APART))),
    ];
    assert_eq!(group.step(&step).await.expect("granted").len(), 3);
    let counted = public.increment(&number, 1, None).await;
    assert_eq!(counted.expect("a number").value, 42);
    world.recount().await;
    world.env.advance_ms(2 * LOOSE_MS + 24 * HOUR);
    let report = world.stashes.reap_due(100).await.expect("a store");
    assert_eq!(report.unreadable, []);
    assert_eq!(world.rows().await, []);
}

fn under(world: &World, name: &str) -> Execution {
    let principal = "runtime".parse().expect("an identifier");
    let once = Once::new(principal, name.parse().expect("an identifier"));
    world.outside().once(once)
}

/// Every kind of answer.
fn step() -> [Operation; 7] {
    [
        Operation::Get(key("n")),
        Operation::Get(key("long")),
        Operation::Get(key("nothing")),
        Operation::Touch {
            key: key("n"),
            ttl_ms: Some(2 * HOUR),
        },
        Operation::Touch {
            key: key("nothing"),
            ttl_ms: None,
        },
        Operation::Put(Put::new(key("new"), sized(3))),
        Operation::Delete(key("nothing")),
    ]
}

/// What the answers to these were, as they were written and ever since.
async fn told(world: &World) -> [String; 3] {
    let number = under(world, "count").increment(&key("n"), 1, None).await;
    let answers = under(world, "step").step(&step()).await.expect("granted");
    let cleared = under(world, "clear").clear().await;
    [
        format!("{:?}", number.expect("a number")),
        format!("{answers:?}"),
        format!("{:?}", cleared.expect("a store")),
    ]
}

async fn written_under_ids() -> (World, [String; 3]) {
    let world = World::with_options(Options::default());
    let long = Put::new(key("long"), sized(5_000));
    let group = execution(&world.stashes, Some("g"));
    world
        .outside()
        .put(&key("n"), &40, None)
        .await
        .expect("room");
    world.outside().store(long.clone()).await.expect("room");
    group.put(&key("g"), &1, None).await.expect("room");
    let told = told(&world).await;
    (world, told)
}

#[tokio::test]
async fn what_is_written_under_operation_ids_is_the_released_layout() {
    let (world, first) = written_under_ids().await;
    let written = export(&world).await;
    assert_eq!(written, LAYOUT_1_OPERATIONS, "written today:\n{written}");
    let opened = opened(LAYOUT_1_OPERATIONS).await;
    let [number, _, cleared] = &first;
    let again = under(&opened, "count").increment(&key("n"), 1, None).await;
    assert_eq!(format!("{:?}", again.expect("the first answer")), *number);
    let again = under(&opened, "clear").clear().await;
    assert_eq!(format!("{:?}", again.expect("the first answer")), *cleared);
    let lost = under(&opened, "step").step(&step()).await;
    assert_eq!(
        code(lost),
        "operation_answer_lost",
        "the long value was cleared"
    );
    opened.recount().await;
    opened.env.advance_ms(2 * OPERATION_MS);
    while opened.stashes.reap_due(10).await.expect("a store").scanned > 0 {}
    assert_eq!(opened.rows().await, []);
}
