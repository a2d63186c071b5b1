//! Rows that are not what was written: never data, and never for long.

use bytes::Bytes;
use windlass_cache::{Put, SweepLimit};
use windlass_store::{Batch, KeyRange, StoreExt};

use super::support::{Pair, large, memory};
use crate::support::tag;

const ALL: SweepLimit = SweepLimit::Entries(u64::MAX);

/// Writes a row of the store, past the cache.
async fn write(pair: &Pair, row: Bytes, value: Option<Bytes>) {
    let batch = match value {
        Some(value) => Batch::new().put(row, value),
        None => Batch::new().delete(row),
    };
    let _ = pair.store.commit(batch).await.expect("it is written");
}

async fn row(pair: &Pair, table: &str, number: usize) -> (Bytes, Bytes) {
    let rows = pair
        .store
        .scan_all(KeyRange::prefix(format!("cache/{table}/")))
        .await;
    let row = rows.expect("the store answers").swap_remove(number);
    (row.key, row.value)
}

/// What becomes of a row.
type Change = fn(&[u8]) -> Vec<u8>;

#[tokio::test]
async fn a_record_that_is_not_what_was_put_is_a_miss_and_goes() {
    let changes: [Change; 5] = [
        |_| b"no record".to_vec(),
        |_| Vec::new(),
        // Another blob of the same length.
        |row| [&row[..row.len() - 1], b"!"].concat(),
        |row| row[..row.len() - 1].to_vec(),
        |row| {
            String::from_utf8_lossy(row)
                .replace("\"key\":\"a\"", "\"key\":\"b\"")
                .into()
        },
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let mut pair = Pair::new().await;
        let mut put = Put::new("value");
        put.tags.push(tag("t"));
        pair.put("a", put).await;
        let (name, value) = row(&pair, "entry", 0).await;
        write(&pair, name, Some(change(&value).into())).await;
        pair.reopen("boot-1").await;
        assert!(pair.get("a").await.is_none(), "change {number}");
        let stats = pair.cache.stats().second;
        assert_eq!((stats.damaged, stats.entries), (1, 0), "change {number}");
        assert!(pair.get("a").await.is_none());
        let tagged = pair.cache.invalidate_tags(&pair.space, &[tag("t")]).await;
        assert_eq!(tagged.expect("it answers").entries, 0);
        pair.put("a", Put::new("new")).await;
        assert_eq!(pair.text("a").await.as_deref(), Some("new"));
        assert_eq!(pair.cache.stats().second.entries, 1);
        pair.cache
            .sweep_expired(ALL, None)
            .await
            .expect("it is swept");
    }
}

#[tokio::test]
async fn a_blob_without_one_of_its_pieces_is_a_miss_and_goes() {
    for missing in [0, 1, 2] {
        let mut pair = Pair::with(large(), memory()).await;
        pair.put("a", Put::new(vec![7; (2 << 20) + 9])).await;
        let (name, _) = row(&pair, "blob", missing).await;
        write(&pair, name, None).await;
        pair.reopen("boot-1").await;
        assert!(pair.get("a").await.is_none());
        let stats = pair.cache.stats().second;
        assert_eq!((stats.damaged, stats.entries, stats.bytes), (1, 0, 0));
        let left = pair.store.scan_all(KeyRange::prefix("cache/blob/")).await;
        assert_eq!(left.expect("the store answers"), []);
    }
}

#[tokio::test]
async fn pieces_that_changed_places_are_a_miss() {
    let mut pair = Pair::with(large(), memory()).await;
    let mut bytes = vec![1; 2 << 20];
    bytes[1 << 20..].fill(2);
    pair.put("a", Put::new(bytes)).await;
    let (one, first) = row(&pair, "blob", 0).await;
    let (other, second) = row(&pair, "blob", 1).await;
    write(&pair, one, Some(second)).await;
    write(&pair, other, Some(first)).await;
    pair.reopen("boot-1").await;
    assert!(pair.get("a").await.is_none());
    assert_eq!(pair.cache.stats().second.damaged, 1);
}

#[tokio::test]
async fn a_put_over_a_damaged_record_counts_one_entry() {
    let mut pair = Pair::new().await;
    pair.put("a", Put::new("1")).await;
    let (name, _) = row(&pair, "entry", 0).await;
    write(&pair, name, Some(Bytes::from_static(b"{"))).await;
    pair.reopen("boot-1").await;
    pair.put("a", Put::new("2")).await;
    assert_eq!(pair.text("a").await.as_deref(), Some("2"));
    assert_eq!(pair.cache.stats().second.entries, 1);
    assert_eq!(pair.cache.stats().second.damaged, 1);
}

#[tokio::test]
async fn a_sweep_takes_what_damaged_entries_left() {
    for read in [false, true] {
        let mut pair = Pair::new().await;
        pair.put("a", Put::with_ttl_ms("1", 10)).await;
        pair.put("b", Put::with_ttl_ms("2", 20)).await;
        let charge = pair.cache.stats().second.bytes / 2;
        let (name, _) = row(&pair, "entry", 0).await;
        write(&pair, name, Some(Bytes::from_static(b"{"))).await;
        pair.reopen("boot-1").await;
        if read {
            assert!(pair.get("a").await.is_none());
        }
        pair.env.advance_ms(10);
        pair.cache
            .sweep_expired(ALL, None)
            .await
            .expect("it is swept");
        let stats = pair.cache.stats().second;
        assert_eq!((stats.entries, stats.bytes, stats.damaged), (1, charge, 1));
        let left = pair.store.scan_all(KeyRange::prefix("cache/rank/")).await;
        assert_eq!(left.expect("the store answers").len(), 1);
        assert_eq!(pair.text("b").await.as_deref(), Some("2"));
    }
}
