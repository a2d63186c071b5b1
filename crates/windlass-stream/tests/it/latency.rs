//! Rows leave in time also when no further row comes.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use windlass_core::Env;
use windlass_stream::{Flushed, Offset, Reason, Row, Settings};

use crate::support::{World, number, row};

#[tokio::test]
async fn a_source_that_stalls_for_ever_after_one_row_has_it_stored_in_time() {
    let world = World::new();
    let mut writer = world.create().await;
    let opened = world.env.monotonic();
    let mut source = stream::iter([number(0)]).chain(stream::pending()).boxed();
    let first = source.next().await.expect("a row");
    writer.append(&first).await.expect("taken");
    // The clock of this world stands still until somebody sleeps, and then
    // moves to where the sleep ends.
    let placed = writer.idle().await.expect("stored");
    assert_eq!(placed.tail, Offset::new(1));
    assert_eq!(world.env.monotonic() - opened, Duration::from_millis(50));
    assert_eq!(writer.flushed().last, Some(Reason::Latency));
}

#[tokio::test]
async fn a_driven_source_is_flushed_by_latency_while_it_stalls() {
    let world = World::new();
    let mut writer = world.create().await;
    let mut polls = 0;
    // Stalls once after the first row, until the timer has fired.
    let mut source = stream::poll_fn(|context| {
        polls += 1;
        match polls {
            1 => std::task::Poll::Ready(Some(number(0))),
            2 => {
                context.waker().wake_by_ref();
                std::task::Poll::Pending
            }
            3 => std::task::Poll::Ready(Some(number(1))),
            _ => std::task::Poll::Ready(None),
        }
    });
    let placed = writer.drive(&mut source).await.expect("stored");
    assert_eq!(placed.tail, Offset::new(2));
    let Flushed {
        flushes,
        rows,
        last,
        ..
    } = writer.flushed();
    assert_eq!((flushes, rows, last), (2, 2, Some(Reason::End)));
}

#[tokio::test]
async fn pushed_or_pulled_the_bytes_are_the_same() {
    let rows: Vec<Row> = (0..500).map(|n| row(&format!("{{\"n\":{n}}}"))).collect();
    let settings = Settings {
        chunk_rows: 7,
        ..Settings::default()
    };
    let mut stored = Vec::new();
    for pulled in [false, true] {
        let world = World::with(&settings);
        let mut writer = world.create().await;
        if pulled {
            let mut source = stream::iter(rows.clone());
            writer.drive(&mut source).await.expect("stored");
        } else {
            for row in &rows {
                writer.append(row).await.expect("taken");
            }
            writer.flush().await.expect("stored");
        }
        let rows = world.rows().await;
        let chunks = rows
            .iter()
            .filter(|row| row.key.starts_with(b"acme/stream/out/chunk/"));
        stored.push(chunks.map(|row| row.value.clone()).collect::<Vec<_>>());
    }
    assert_eq!(stored[0].len(), 72);
    assert_eq!(stored[0], stored[1]);
}
