//! What is stored, row by row: the layout that was released is read, and what
//! is written today is the same.

use std::future::ready;
use std::sync::Arc;

use windlass_core::Coded;
use windlass_store::key::segments;
use windlass_stream::{
    Ending, Expiry, NewInput, NewStream, Offset, Row, RowsHasher, Source, Start, Wanted,
};

use crate::cursors::left;
use crate::durable::{self, Desk, by, fork, path, post};
use crate::scanning::Numbers;
use crate::subscriptions::{ack, append, at, create, made, pending, pull};
use crate::support::{Client, World, caller, new, number, row, session, stream, text};

/// One row a line: the key, and the value as text.
const LAYOUT: &str = include_str!("../fixtures/layout-1.ndjson");

/// A little of everything.
async fn world() -> World {
    let world = World::new();
    let fleeting = NewStream {
        expiry: Expiry::IdleMs(60_000),
        ..new("out")
    };
    let mut writer = world
        .streams
        .create(&caller(), &fleeting)
        .await
        .expect("new");
    writer
        .append(&row("{\"token\":\"Hel\"}"))
        .await
        .expect("taken");
    let bytes = Row::Bytes(b"\x00\n\xff"[..].into());
    writer.append(&bytes).await.expect("taken");
    writer.flush().await.expect("stored");
    world.env.advance_ms(7);
    writer.append(&row("null")).await.expect("taken");
    let failed = Ending::Failed {
        code: "model_gone".into(),
        message: "the model went away".into(),
    };
    writer.close(failed).await.expect("open");
    let mut open = world
        .streams
        .create(&caller(), &new("open"))
        .await
        .expect("new");
    open.append(&number(0)).await.expect("taken");
    open.flush().await.expect("stored");
    left(&world, Start::At(Offset::new(1), None)).await;
    let cancelled = left(&world, Start::Earliest).await;
    let cancelled = world.streams.cancel(&caller(), &cancelled).await;
    cancelled.expect("hers");
    let id = "op-1".parse().expect("an identifier");
    let made = world.streams.make(&caller(), &new("made"), Some(&id)).await;
    made.expect("new");
    let source: Arc<dyn Source> = Numbers::new(0, 99, 1);
    let scan = world
        .streams
        .scan(&caller(), ready(Ok(source)), Some(9))
        .await;
    drop(scan.expect("a slot"));
    by_path(&world).await;
    subscribed(&world).await;
    world
}

/// A path with a producer and a fork, and an input that is being sent.
async fn by_path(world: &World) {
    let desk = Desk::new(world);
    let sliding = Wanted {
        expiry: Expiry::SlidingMs(60_000),
        ..durable::text()
    };
    desk.put("runs/7", &sliding).await.expect("a free path");
    for (number, body) in [(0, "ab"), (1, "cd")] {
        let posted = desk.post("runs/7", &by(1, number, body)).await;
        posted.expect("the next one");
    }
    let forked = desk.put("runs/8", &fork("runs/7", Some(1), 1)).await;
    forked.expect("a source");
    let new = NewInput {
        target: path("sent"),
        content_type: durable::text().content_type,
        expiry: Expiry::Never,
        verified: true,
    };
    let input = desk.streams.open_input(&caller(), &new, None).await;
    let input = input.expect("a free path").id;
    let sent = desk
        .streams
        .append_input(&caller(), &input, &post("e"))
        .await;
    sent.expect("an open input");
}

/// A subscription to two streams, of which a worker has worked on one in part.
async fn subscribed(world: &World) {
    for path in ["events/a", "other", "wake/pool"] {
        create(world, path).await;
    }
    let subscriptions = made(world, pull()).await;
    let linked = subscriptions.link(&at(), &["other".into()]).await;
    linked.expect("it is there");
    append(world, "events/a").await;
    append(world, "events/a").await;
    let wake = subscriptions.claim(&at(), "w").await.expect("pending");
    let acks = [ack("events/a", 1)];
    let acked = subscriptions.ack(&at(), &wake.hold, &acks, false).await;
    acked.expect("it holds it");
}

async fn rows(world: &World) -> Vec<(String, String)> {
    let rows = world.rows().await;
    rows.iter()
        .map(|row| (text(&row.key), text(&row.value)))
        .collect()
}

#[tokio::test]
async fn what_is_written_today_is_the_released_layout() {
    let written = rows(&world().await).await;
    let lines = written
        .iter()
        .map(|row| serde_json::to_string(row).expect("text"));
    assert_eq!(lines.collect::<Vec<_>>().join("\n"), LAYOUT.trim_end());
    for (key, _) in &written {
        assert!(segments(key.as_bytes()).is_some(), "{key}");
    }
}

/// A store in which the released rows are.
async fn released() -> World {
    let world = World::new();
    for line in LAYOUT.lines() {
        let (key, value): (String, String) = serde_json::from_str(line).expect("a row");
        world.put(&key, value).await;
    }
    world
}

#[tokio::test]
async fn released_paths_are_read_and_written_on() {
    let world = released().await;
    let desk = Desk::new(&world);
    assert_eq!(desk.body("runs/7").await, "abcd");
    assert_eq!(desk.body("runs/8").await, "abc");
    let again = desk.post("runs/7", &by(1, 1, "cd")).await;
    assert!(again.expect("a producer that is known").repeated);
    let next = desk.post("runs/7", &by(1, 2, "ef")).await;
    assert!(!next.expect("the next one").repeated);
    desk.post("runs/8", &post("x")).await.expect("open");
    assert_eq!(desk.body("runs/7").await, "abcdef");
    assert_eq!(desk.body("runs/8").await, "abcx");
    let key = LAYOUT.lines().find_map(|line| {
        let (_, rest) = line.split_once("acme/input/ann/")?;
        rest.split('"').next()
    });
    let input = key.expect("an input").parse().expect("its name");
    let sent = desk
        .streams
        .append_input(&caller(), &input, &post("f"))
        .await;
    sent.expect("an open input");
    let mut hasher = RowsHasher::new();
    [b"e", b"f"].iter().for_each(|row| hasher.row(*row));
    let digest = hasher.finish().to_string();
    let finished = desk
        .streams
        .finish_input(&caller(), &input, Some(&digest))
        .await;
    assert_eq!(finished.expect("all of it").tail, Offset::new(2));
    assert_eq!(desk.body("sent").await, "ef");
}

#[tokio::test]
async fn a_released_subscription_is_worked_on() {
    let world = released().await;
    let subscriptions = world.streams.subscriptions();
    let taken = subscriptions.claim(&at(), "other").await;
    let taken = taken.expect_err("held").code().to_owned();
    assert_eq!(taken, "already_claimed");
    world.env.advance_ms(10_000);
    let wake = subscriptions.claim(&at(), "other").await.expect("free");
    let expected = vec![("events/a".to_owned(), 1, 2)];
    assert_eq!(pending(&wake), expected);
    let acks = [ack("events/a", 2)];
    let done = subscriptions.ack(&at(), &wake.hold, &acks, true).await;
    assert!(!done.expect("it holds it").is_pending, "all is done");
    append(&world, "other").await;
    let wake = subscriptions.claim(&at(), "other").await.expect("pending");
    assert_eq!(pending(&wake), [("other".to_owned(), 0, 1)]);
}

#[tokio::test]
async fn the_released_layout_is_read_and_written_on() {
    let world = released().await;
    let body = world.body(Start::Earliest).await;
    let mut client = Client::new();
    let end = body
        .windows(9)
        .position(|it| it == b"{\"error\":")
        .expect("it failed");
    client.take(&body[..end]);
    assert_eq!(client.at.0, Offset::new(3));
    let rows: Vec<&[u8]> = client.proven.iter().map(AsRef::as_ref).collect();
    assert_eq!(rows, [&b"{\"token\":\"Hel\"}"[..], b"\x00\n\xff", b"null"]);
    let mut writer = world
        .streams
        .writer(&caller(), &stream("open"))
        .await
        .expect("open");
    writer.append(&number(1)).await.expect("taken");
    let placed = writer.flush().await.expect("stored");
    assert_eq!(placed.tail, Offset::new(2));
    let listed = world.streams.list(&caller(), &session("s1"), None, 9).await;
    assert_eq!(
        listed.expect("a list").streams,
        ["made", "open", "out"].map(stream)
    );
    let id = "op-1".parse().expect("an identifier");
    let made = world.streams.make(&caller(), &new("made"), Some(&id)).await;
    assert!(made.expect("made before").repeated, "its record is read");
}
