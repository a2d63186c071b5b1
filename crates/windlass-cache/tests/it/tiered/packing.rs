//! Blobs that are stored shorter than they are: nothing tells but the figures.

use bytes::Bytes;
use windlass_cache::{Compression, Options, Put};
use windlass_store::{Batch, KeyRange, StoreExt};

use super::support::{Pair, memory, options};

fn plain() -> Options {
    Options {
        compression: Compression::None,
        ..options()
    }
}

fn text(length: usize) -> Vec<u8> {
    let words = b"{\"tool\":\"search\",\"query\":\"suppliers of rivets\"},";
    words.iter().copied().cycle().take(length).collect()
}

async fn stored(pair: &Pair) -> Vec<(Bytes, Bytes)> {
    let rows = pair.store.scan_all(KeyRange::prefix("cache/entry/")).await;
    let rows = rows.expect("the store answers");
    rows.into_iter().map(|row| (row.key, row.value)).collect()
}

#[tokio::test]
async fn what_was_compressed_is_what_was_put_whatever_is_set_later() {
    let mut pair = Pair::with(options(), memory()).await;
    let lengths = [1_023, 1_024, 4_096, 30 << 10];
    for (number, length) in lengths.into_iter().enumerate() {
        pair.put(&number.to_string(), Put::new(text(length))).await;
    }
    let rows: Vec<usize> = stored(&pair).await.iter().map(|row| row.1.len()).collect();
    assert!(rows[0] > 1_023, "a short blob is stored as it is");
    assert!(rows[1..].iter().all(|row| *row < 1_024), "{rows:?}");
    let stats = pair.cache.stats().second;
    let from = 1_024 + 4_096 + (30 << 10);
    assert_eq!((stats.compressed, stats.compressed_from_bytes), (3, from));
    assert!((1..1_200).contains(&stats.compressed_to_bytes));
    for options in [plain(), options()] {
        pair.reopen_with(options).await;
        assert_eq!(pair.cache.stats().second.bytes, stats.bytes);
        for (number, length) in lengths.into_iter().enumerate() {
            let found = pair.get(&number.to_string()).await.expect("it was put");
            assert!(found.value() == &text(length), "{length} bytes differ");
        }
    }
}

#[tokio::test]
async fn nothing_is_compressed_where_that_is_not_wanted() {
    let pair = Pair::with(plain(), memory()).await;
    pair.put("a", Put::new(text(4_096))).await;
    let row = stored(&pair).await.swap_remove(0).1;
    assert!(row.ends_with(&text(4_096)));
    assert_eq!(pair.cache.stats().second.compressed, 0);
}

#[tokio::test]
async fn a_compressed_entry_is_charged_as_it_was_put_and_keeps_its_place() {
    let pair = Pair::new().await;
    let noise = |turn: u8| -> Vec<u8> {
        let mut state = turn;
        let next = std::iter::repeat_with(|| {
            state = state.wrapping_mul(141).wrapping_add(7);
            state
        });
        next.take(100).chain(text(3_996)).collect()
    };
    pair.put("a", Put::new(noise(0))).await;
    let rank = || pair.store.scan_all(KeyRange::prefix("cache/rank/"));
    let before = rank().await.expect("the store answers");
    for turn in 1..4 {
        pair.put("a", Put::new(noise(turn))).await;
        // The blob, the name, and the sum for each entry.
        assert_eq!(pair.cache.stats().second.bytes, 4_096 + 1 + 384);
    }
    assert_eq!(rank().await.expect("the store answers"), before);
}

/// What becomes of a row.
type Change = fn(&str, &[u8]) -> Vec<u8>;

#[tokio::test]
async fn a_compressed_blob_that_is_damaged_is_a_miss_and_goes() {
    let changes: [Change; 4] = [
        |record, blob| [record.as_bytes(), b"\n", &blob[..blob.len() - 1]].concat(),
        |record, blob| [record.as_bytes(), b"\n", b"\xff", &blob[1..]].concat(),
        |record, blob| {
            let longer = record.replace("\"length\":4096", "\"length\":18446744073709551615");
            [longer.as_bytes(), b"\n", blob].concat()
        },
        |record, blob| {
            let plain = record.replace(",\"packing\":\"lz4\"", "");
            [plain.as_bytes(), b"\n", blob].concat()
        },
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let mut pair = Pair::new().await;
        pair.put("a", Put::new(text(4_096))).await;
        let (name, row) = stored(&pair).await.swap_remove(0);
        let end = row.iter().position(|byte| *byte == b'\n').expect("a blob");
        let record = std::str::from_utf8(&row[..end]).expect("text");
        let changed = change(record, &row[end + 1..]);
        assert_ne!(changed, row, "change {number}");
        let batch = Batch::new().put(name, changed);
        let _ = pair.store.commit(batch).await.expect("it is written");
        pair.reopen("boot-1").await;
        assert!(pair.get("a").await.is_none(), "change {number}");
        let stats = pair.cache.stats().second;
        assert_eq!((stats.damaged, stats.entries), (1, 0), "change {number}");
    }
}
