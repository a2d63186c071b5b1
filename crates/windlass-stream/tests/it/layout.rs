//! What is stored, row by row: the layout that was released is read, and what
//! is written today is the same.

use std::future::ready;
use std::sync::Arc;

use windlass_store::key::segments;
use windlass_stream::{Ending, Expiry, NewStream, Offset, Row, Source, Start};

use crate::cursors::left;
use crate::scanning::Numbers;
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
    world
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

#[tokio::test]
async fn the_released_layout_is_read_and_written_on() {
    let world = World::new();
    for line in LAYOUT.lines() {
        let (key, value): (String, String) = serde_json::from_str(line).expect("a row");
        world.put(&key, value).await;
    }
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
