//! What a reader reads before it is asked for.

use std::sync::Arc;

use windlass_core::{Coded, ManualEnv};
use windlass_store::{Store, StoreErrorKind};
use windlass_store_memory::MemoryStore;
use windlass_store_testing::{Fault, Faulty, Moment, Slow, Verb};
use windlass_stream::{Frame, Offset, Open, Settings, Streams};

use crate::support::{START, caller, new, number, row, stream};

fn world(settings: &Settings) -> (Arc<Faulty<MemoryStore>>, Streams) {
    let store = store();
    (Arc::clone(&store), over(store, settings))
}

fn store() -> Arc<Faulty<MemoryStore>> {
    let ground = Arc::new(MemoryStore::new().expect("an incarnation"));
    Arc::new(Faulty::new(ground))
}

fn over(store: Arc<dyn Store>, settings: &Settings) -> Streams {
    let env = Arc::new(ManualEnv::new(7, START));
    Streams::new(store, env, settings).expect("in range")
}

#[tokio::test]
async fn a_reader_holds_no_more_than_its_read_size_and_a_page() {
    // Four of 4 KiB fit: two are read at a time, while two are given. Of 16 KiB
    // only one fits, which is given before more is read.
    for (bytes, at_a_time, ahead) in [(4_096, 2, 1), (16_384, 1, 0)] {
        let (store, streams) = world(&Settings {
            chunk_pages: 1,
            read_pages: 1,
            ..Settings::default()
        });
        let mut writer = streams.create(&caller(), &new("out")).await.expect("new");
        let row = row(&format!("\"{}\"", "x".repeat(bytes)));
        for _ in 0..16 {
            writer.append(&row).await.expect("taken");
            writer.flush().await.expect("stored");
        }
        let all = Open::all(stream("out"));
        let mut reader = streams.open(&caller(), &all).await.expect("there");
        reader.next().await.expect("it begins");
        let before = store.calls(Some(Verb::Read));
        for chunk in 1..=16_u64 {
            reader.next().await.expect("a chunk");
            let reads = store.calls(Some(Verb::Read)) - before;
            let in_all = 16_u64.div_ceil(at_a_time);
            let expected = (chunk.div_ceil(at_a_time) + ahead).min(in_all);
            assert_eq!(reads, expected, "after {chunk} chunks of {bytes}");
        }
    }
}

/// Reads of the store that it takes to read 256 chunks of a page.
async fn reads(store: &Faulty<MemoryStore>, streams: &Streams) -> u64 {
    let mut writer = streams.create(&caller(), &new("out")).await.expect("new");
    let row = row(&format!("\"{}\"", "x".repeat(16_000)));
    for _ in 0..256 {
        writer.append(&row).await.expect("taken");
        writer.flush().await.expect("stored");
    }
    let all = Open::all(stream("out"));
    let mut reader = streams.open(&caller(), &all).await.expect("there");
    reader.next().await.expect("it begins");
    let before = store.calls(Some(Verb::Read));
    for _ in 0..256 {
        reader.next().await.expect("a chunk");
    }
    store.calls(Some(Verb::Read)) - before
}

#[tokio::test]
async fn a_reader_holds_more_the_more_often_it_waits_for_the_store() {
    let settings = Settings {
        chunk_pages: 1,
        read_pages: 64,
        ..Settings::default()
    };
    // Sixteen are held, of which eight are read at a time.
    let (ready, streams) = world(&settings);
    assert_eq!(reads(&ready, &streams).await, 256 / 8);
    // Eight are read at first, then sixteen, then no more than thirty-two.
    for seed in 0..8 {
        let counted = store();
        let slow = Slow::new(Arc::clone(&counted), seed);
        let streams = over(Arc::new(slow), &settings);
        let reads = reads(&counted, &streams).await;
        assert!((9..=16).contains(&reads), "{reads} with the seed {seed}");
    }
}

#[tokio::test]
async fn a_read_ahead_that_failed_is_told_once_and_made_again() {
    let (store, streams) = world(&Settings {
        chunk_rows: 1,
        chunk_pages: 1,
        read_pages: 1,
        ..Settings::default()
    });
    let mut writer = streams.create(&caller(), &new("out")).await.expect("new");
    for count in 0..3_000 {
        writer.append(&number(count)).await.expect("taken");
    }
    let all = Open::all(stream("out"));
    let mut reader = streams.open(&caller(), &all).await.expect("there");
    let (mut rows, mut failures, mut planned) = (0, 0, 0);
    loop {
        // Every other read fails.
        let next = store.calls(Some(Verb::Read)) + 1;
        if next.is_multiple_of(2) && next > planned {
            planned = next;
            store.plan(Fault {
                verb: Some(Verb::Read),
                number: next,
                moment: Moment::Before,
                kind: StoreErrorKind::Unavailable,
            });
        }
        match reader.next().await {
            Ok(Some(Frame::Chunk(chunk))) => {
                assert_eq!(chunk.first, Offset::new(rows));
                rows += chunk.row_count();
            }
            Ok(Some(Frame::Open(_) | Frame::Piece(_))) => {}
            Ok(Some(Frame::End(_) | Frame::Failed(_)) | None) => break,
            Err(error) => {
                assert_eq!(error.code(), "store_unavailable");
                failures += 1;
            }
        }
    }
    assert_eq!(rows, 3_000);
    assert!(failures > 10 && failures == store.hits(), "{failures}");
}
