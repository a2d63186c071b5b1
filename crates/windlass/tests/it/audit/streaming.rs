//! The audit, read as a stream.

use windlass::core::Coded;
use windlass::sources::Order;
use windlass::stream::{Cursor, Frame, ScanReader, Start};

use super::{Stage, caller, keeping};

/// The cursor of a read, and the numbers of the events of its first chunks.
async fn seqs(reader: &mut ScanReader, chunks: usize) -> (Cursor, Vec<u64>) {
    let Some(Frame::Open(opened)) = reader.next().await.unwrap() else {
        panic!("a read begins by saying so");
    };
    let (mut seqs, mut left) = (Vec::new(), chunks);
    while left > 0 {
        match reader.next().await.unwrap() {
            Some(Frame::Chunk(chunk)) => {
                seqs.extend(chunk.rows().map(|row| seq(row.content())));
                left -= 1;
            }
            Some(Frame::End(_)) => break,
            other => panic!("{other:?}"),
        }
    }
    (opened.cursor.parse().unwrap(), seqs)
}

fn seq(line: &[u8]) -> u64 {
    let line: serde_json::Value = serde_json::from_slice(line).unwrap();
    line["event"]["seq"].as_u64().unwrap()
}

#[tokio::test]
async fn a_read_ends_where_the_audit_stood_and_goes_on_after_a_cut_in_both_orders() {
    for order in [Order::OldestFirst, Order::NewestFirst] {
        let stage = Stage::new();
        stage.create(300).await;
        let sources = stage.engine.sources();
        let opened = sources.scan_audit(&caller(), order, None).await;
        let (cursor, first) = seqs(&mut opened.unwrap(), 1).await;
        assert!((1..300).contains(&first.len()), "{order:?}: {first:?}");
        stage.create(3).await;
        let resumed = sources
            .resume_audit(&caller(), &cursor, Start::Earliest)
            .await;
        let (_, mut all) = seqs(&mut resumed.unwrap(), usize::MAX).await;
        assert_eq!(all[..first.len()], first, "{order:?}");
        if order == Order::NewestFirst {
            all.reverse();
        }
        assert_eq!(all, (1..=300).collect::<Vec<_>>(), "{order:?}");
    }
}

#[tokio::test]
async fn a_read_whose_events_were_trimmed_ends_with_a_gap_and_one_of_nothing_is_empty() {
    let stage = Stage::with(keeping(None, Some(5)));
    let sources = stage.engine.sources();
    let opened = sources
        .scan_audit(&caller(), Order::OldestFirst, None)
        .await;
    let (_, none) = seqs(&mut opened.unwrap(), usize::MAX).await;
    assert_eq!(none, [0; 0]);
    stage.create(300).await;
    let opened = sources
        .scan_audit(&caller(), Order::OldestFirst, None)
        .await;
    let (cursor, _) = seqs(&mut opened.unwrap(), 1).await;
    stage.create(10).await;
    while stage.engine.audit().sweep(10).await.unwrap().truncated {}
    let resumed = sources
        .resume_audit(&caller(), &cursor, Start::Earliest)
        .await;
    assert_eq!(resumed.map(drop).unwrap_err().code(), "gap");
}
