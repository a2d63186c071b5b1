//! What is stored, row by row: the layout that was released is read, and what
//! is written today is the same.

use std::collections::BTreeSet;

use bytes::Bytes;
use windlass_checkpoint::{
    At, Changes, Collect, Config, Expected, Label, NewAttachment, PartChange, Payload, Profile,
    Sweep, Usage,
};
use windlass_store::key::segments;
use windlass_store::{Batch, Commit, KeyRange, Store, StoreExt};

use crate::support::{HOUR, World, caller, id, message, turn};

/// One row a line: the key, and the value with a character for each byte.
/// Nothing in it is compressed, as a later compressor may write other bytes.
const LAYOUT: &str = include_str!("../fixtures/layout-1.ndjson");
/// A state of one message whose rows were made smaller.
const SMALLER: &str = include_str!("../fixtures/smaller-1.ndjson");

fn world() -> World {
    World::with_config(Config {
        compression: Profile::LowLatency.into(),
        ..Config::default()
    })
}

fn part(name: &str) -> windlass_checkpoint::PartName {
    name.parse().expect("a part name")
}

/// Bytes that are cut into so many pieces that their lists are listed, and of
/// which almost all are the same.
fn large() -> Bytes {
    b"0123456789abcdef".repeat(20_000).into()
}

/// A little of everything.
async fn filled() -> World {
    let world = world();
    let label = Label {
        kind: Some("text/plain".into()),
        number: Some(-7),
        compressible: Some(false),
        large: Some(true),
    };
    let mut first = message(Changes::at(0), "hello").json(part("plan"), r#"{"do":["search"]}"#);
    let put = PartChange::Put(Payload::Bytes(large()), label);
    first.parts.insert(part("file"), put);
    first.usage = Usage {
        calls: 1,
        tokens: 20,
        cost_micros: 300,
    };
    first.note = Some("the first".into());
    let first = first.append("call", Payload::Json(r#"{"call":"search"}"#.into()));
    world
        .commit("s", first.turn(turn("t1")))
        .await
        .expect("the first");
    for text in ["one", "two"] {
        world.say("s", text).await;
    }
    let (who, session) = (caller(), id("s"));
    let packed = world.states.pack(&who.tenant, &session).await;
    packed.expect("commits to pack");
    let tag = "v1".parse().expect("a tag");
    let tagged = world.states.tag(&who, &session, &tag, 2, None).await;
    tagged.expect("a tag");
    let mut gone = Changes::default().remove(part("file"));
    gone.tombstones = vec![3];
    world.commit("s", gone).await.expect("a commit");
    let back = (world.states).rollback(&who, &session, 2, Expected::Revision(4), None);
    back.await.expect("an earlier state");
    condemn(&world).await;
    fork(&world, "f", Some(3)).await;
    attach(&world).await;
    world
}

async fn fork(world: &World, to: &str, revision: Option<u64>) {
    let (who, operation) = (caller(), turn("fork-1"));
    let forked = (world.states)
        .fork(&who, &id("s"), revision, &id(to), Some(&operation))
        .await;
    forked.expect("a fork");
}

/// An attachment that a commit took, and one that is under way.
async fn attach(world: &World) {
    let (states, who, session) = (&world.states, caller(), id("f"));
    for bytes in ["taken", "half of"] {
        let new = NewAttachment {
            kind: Some("text/plain".into()),
            ..NewAttachment::default()
        };
        let begun = states.begin_attachment(&who, &session, new).await;
        let begun = begun.expect("an attachment that may begin");
        let bytes = Bytes::from_static(bytes.as_bytes());
        let filled = states.append_attachment(&who, &session, &begun.id, 0, &bytes);
        filled.await.expect("bytes that fit");
        if bytes == "taken" {
            let whole = states.finish_attachment(&who, &session, &begun.id, None);
            let whole = whole.await.expect("all bytes are there");
            let changes = Changes {
                attachments: vec![whole.id.to_string()],
                ..Changes::default()
            };
            world.commit("f", changes).await.expect("a commit");
        }
    }
}

/// A collection that ends when it has condemned what nothing needs.
async fn condemn(world: &World) {
    let tenant = caller().tenant;
    fork(world, "gone", None).await;
    let unused = Changes::default().json(part("plan"), "[1]");
    world.commit("gone", unused).await.expect("a commit");
    let removed = world.states.remove(&tenant, &id("gone")).await;
    removed.expect("a removal");
    let head = world.states.head(&caller(), &id("s")).await;
    let lineage = head.expect("a head").expect("a state").lineage;
    let options = Collect {
        grace_ms: Some(0),
        ..Collect::default()
    };
    let mut collection = world.states.collection(&tenant, &lineage, options);
    let is_condemned = async || {
        let rows = rows(world).await;
        rows.iter().any(|(key, _)| key.contains("/condemned/"))
    };
    while !is_condemned().await {
        assert!(!collection.is_done(), "nothing was condemned");
        collection.step(1).await.expect("a step");
    }
}

async fn rows(world: &World) -> Vec<(String, String)> {
    let rows = world.ground.scan_all(KeyRange::all()).await;
    let text = |bytes: &Bytes| bytes.iter().map(|byte| char::from(*byte)).collect();
    let rows = rows.expect("a store that works");
    rows.iter()
        .map(|row| (text(&row.key), text(&row.value)))
        .collect()
}

fn parse(layout: &str) -> Vec<(String, String)> {
    let row = |line: &str| serde_json::from_str(line).expect("a key and a value");
    layout.lines().map(row).collect()
}

async fn put_all(world: &World, layout: &str) {
    let bytes = |text: &str| -> Bytes {
        let byte = |it: char| u8::try_from(it).expect("a byte");
        text.chars().map(byte).collect::<Vec<u8>>().into()
    };
    for (key, value) in parse(layout) {
        let put = Batch::new().put(bytes(&key), bytes(&value));
        let put = world.ground.commit(put).await.expect("a store that works");
        assert!(matches!(put, Commit::Applied(_)), "{put:?}");
    }
}

/// A key with its variable parts left out.
fn kind(key: &str) -> String {
    let parts: Vec<&str> = key.split('/').collect();
    match parts[0] {
        "due" => format!("due/{}", parts[2]),
        _ if parts[3] == "attach" && parts.len() > 5 => format!("{}/piece", parts[1]),
        _ => format!("{}/{}", parts[1], parts[3]),
    }
}

#[tokio::test]
async fn what_is_written_today_is_the_released_layout() {
    let written = rows(&filled().await).await;
    for (key, _) in &written {
        assert!(segments(key.as_bytes()).is_some(), "{key}");
    }
    let lines = written
        .iter()
        .map(|row| serde_json::to_string(row).expect("text"));
    let lines: Vec<String> = lines.collect();
    assert_eq!(lines.join("\n"), LAYOUT.trim_end());
}

#[test]
fn every_kind_of_row_is_in_the_released_layout() {
    let rows = parse(LAYOUT);
    let kinds: BTreeSet<String> = rows.iter().map(|(key, _)| kind(key)).collect();
    let expected = [
        "checkpoint/attach",
        "checkpoint/fork",
        "checkpoint/head",
        "checkpoint/log",
        "checkpoint/node",
        "checkpoint/old",
        "checkpoint/piece",
        "checkpoint/tag",
        "checkpoint/turn",
        "due/attachment",
        "due/checkpoint",
        "due/lineage",
        "lineage/blob",
        "lineage/chunk",
        "lineage/condemned",
        "lineage/gc",
        "lineage/list",
        "lineage/member",
    ];
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn the_released_layout_is_read_and_worked_on() {
    let world = world();
    put_all(&world, LAYOUT).await;
    let (states, who, session) = (&world.states, caller(), id("s"));
    assert_eq!(
        world.texts("s", &At::Head).await,
        world.texts("s", &At::Revision(2)).await
    );
    let texts = world.texts("s", &At::Revision(3)).await;
    assert_eq!(texts, ["hello", r#"{"call":"search"}"#, "one", "two"]);
    let tag = At::Tag("v1".parse().expect("a tag"));
    let file = states.part(&who, &session, &tag, &part("file")).await;
    let (file, content) = file.expect("readable").expect("a part");
    assert_eq!(
        (file.label.number, content),
        (Some(-7), Payload::Bytes(large()))
    );
    let attachments = states.attachments(&who, &id("f"), None, 10).await;
    let sizes = attachments.expect("readable").attachments;
    let sizes: BTreeSet<(u64, Option<u64>)> =
        sizes.iter().map(|it| (it.size, it.revision)).collect();
    assert_eq!(sizes, BTreeSet::from([(5, Some(4)), (7, None)]));
    world.env.advance_ms(3 * HOUR);
    let swept = states.sweep(Sweep::All, 1_000).await.expect("a sweep");
    assert_eq!(swept.unreadable, []);
    let collected = states
        .collect_tenant(&who.tenant, Collect::default(), u64::MAX)
        .await;
    assert_eq!(collected.expect("a collection").collected.reasons, []);
    world.say("s", "goes on").await;
    let head = states.head(&who, &session).await.expect("readable");
    assert_eq!(head.expect("a state").revision, 6);
}

#[tokio::test]
async fn rows_that_were_made_smaller_are_read() {
    let rows = parse(SMALLER);
    let smaller = |kind: &str| {
        let mut rows = rows.iter().filter(|(key, _)| key.contains(kind));
        rows.any(|(_, value)| value.starts_with('z') || value[1..].starts_with('\u{1}'))
    };
    assert!(smaller("/log/") && smaller("/chunk/"), "{rows:?}");
    let world = world();
    put_all(&world, SMALLER).await;
    assert_eq!(world.texts("s", &At::Head).await, ["hello ".repeat(200)]);
    let (who, session) = (caller(), id("s"));
    let file = part("file");
    let found = world.states.part(&who, &session, &At::Head, &file).await;
    let (_, content) = found.expect("readable").expect("a part");
    assert_eq!(content, Payload::Bytes(large()));
}
