//! Large values, large batches and awkward keys: where sled itself has limits.

use bytes::Bytes;
use windlass_store::limits::{BATCH_WRITES_MAX, KEY_BYTES_MAX, VALUE_BYTES_MAX};
use windlass_store::{Batch, KeyRange, Scan, Store, StoreExt};
use windlass_store_sled::SledStore;
use windlass_store_testing::Random;

use crate::common::{Place, apply, names, value};
use crate::fixture::open_raw;

/// sled never syncs the files it puts large pages into.
fn assert_no_page_outgrew_the_log(place: &Place) {
    assert_eq!(names(&place.file("blobs")), Vec::<String>::new());
}

#[tokio::test]
async fn values_of_every_size_come_back_and_stay_in_the_log() {
    let place = Place::new();
    let store = place.open().await;
    let sizes = [
        0,
        1,
        16_375,
        16_376,
        32_759,
        32_760,
        500_000,
        VALUE_BYTES_MAX,
    ];
    for (number, size) in sizes.into_iter().enumerate() {
        let batch = Batch::new().put(format!("acme/{number}"), filled(number, size));
        apply(&store, batch).await;
    }
    let together = sizes[..6].iter().enumerate();
    let batch = together.fold(Batch::new(), |batch, (number, size)| {
        batch.put(format!("beta/{number}"), filled(number, *size))
    });
    apply(&store, batch.put("beta/z", filled(9, VALUE_BYTES_MAX))).await;
    // As many as there may be in one node of sled, and more.
    for number in 0..40 {
        let batch = Batch::new().put(format!("gamma/{number}"), filled(1, 400_000));
        apply(&store, batch).await;
    }
    assert_no_page_outgrew_the_log(&place);
    store.close().await.expect("the store closes");
    let store = place.open().await;
    for (number, size) in sizes.into_iter().enumerate() {
        let found = value(&store, &format!("acme/{number}")).await;
        assert_eq!(found, Some(filled(number, size)), "{size} bytes");
    }
    assert_eq!(
        value(&store, "beta/z").await,
        Some(filled(9, VALUE_BYTES_MAX))
    );
}

fn filled(number: usize, size: usize) -> Bytes {
    let byte = u8::try_from(number).expect("it is small");
    vec![byte; size].into()
}

#[tokio::test]
async fn the_largest_batch_is_one_commit_and_can_be_taken_back() {
    let place = Place::new();
    let store = place.open().await;
    let key = |number| format!("acme/{number:04}");
    let put = |batch: Batch, number| batch.put(key(number), vec![7; 15_000]);
    apply(&store, (0..BATCH_WRITES_MAX).fold(Batch::new(), put)).await;
    assert_no_page_outgrew_the_log(&place);
    let entries = store.scan_all(KeyRange::all()).await.expect("all is read");
    assert_eq!(entries.len(), BATCH_WRITES_MAX);
    assert!(entries.iter().all(|entry| entry.value == vec![7; 15_000]));
    let delete = |batch: Batch, number| batch.delete(key(number));
    apply(&store, (0..BATCH_WRITES_MAX).fold(Batch::new(), delete)).await;
    assert_eq!(
        store.scan_all(KeyRange::all()).await.expect("it is read"),
        []
    );
    store.close().await.expect("the store closes");
}

/// Rows of sled, whatever they are for.
fn rows(place: &Place) -> usize {
    open_raw(&place.store())
        .expect("sled opens its files")
        .len()
}

#[tokio::test]
async fn pieces_of_replaced_values_go_away() {
    let place = Place::new();
    let store = place.open().await;
    for _ in 0..20 {
        apply(&store, Batch::new().put("acme/a", vec![1; 500_000])).await;
    }
    apply(&store, Batch::new().put("acme/a", "small")).await;
    apply(&store, Batch::new().put("acme/b", "1")).await;
    store.close().await.expect("the store closes");
    assert_eq!(rows(&place), 3, "two entries and the ledger");
}

/// What a commit that was cut short left behind has the names that the next
/// one uses.
#[tokio::test]
async fn pieces_without_an_entry_go_away_before_the_next_commit() {
    let place = Place::new();
    let closed = place.open().await.close().await;
    closed.expect("the store closes");
    let raw = open_raw(&place.store()).expect("sled opens its files");
    for number in 0..20 {
        let piece = [3, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, number];
        raw.insert(piece, "left behind").expect("it can be written");
    }
    drop(raw);
    let store = place.open().await;
    apply(&store, Batch::new().put("acme/a", vec![1; 100_000])).await;
    apply(&store, Batch::new().put("acme/b", "1")).await;
    assert_eq!(value(&store, "acme/a").await, Some(vec![1; 100_000].into()));
    store.close().await.expect("the store closes");
    let pieces = 100_009_usize.div_ceil(32 * 1_024);
    assert_eq!(
        rows(&place),
        3 + pieces,
        "two entries, the ledger and pieces"
    );
}

/// Keys of the greatest length, many of them in nodes of sled together.
#[tokio::test]
async fn the_longest_keys_stay_in_the_log() {
    let place = Place::new();
    let store = place.open().await;
    for start in (0..4_000).step_by(500) {
        let batch = (start..start + 500).fold(Batch::new(), |batch, number| {
            batch.put(long_key(number), "1")
        });
        apply(&store, batch).await;
    }
    assert_no_page_outgrew_the_log(&place);
    let entries = store.scan_all(KeyRange::all()).await.expect("all is read");
    assert_eq!(entries.len(), 4_000);
    store.close().await.expect("the store closes");
}

/// A key that differs from its neighbours at its beginning, so that no node
/// can shorten it.
fn long_key(number: u64) -> Vec<u8> {
    let mut key = Random::new(number).next().to_be_bytes().to_vec();
    key.resize(KEY_BYTES_MAX, 0xff);
    key
}

/// sled looks for the node before that of `xy` by asking for `x`, `y - 1` and
/// four `ff`, and gives up where that is further back.
#[tokio::test]
async fn keys_of_highest_bytes_are_found_in_both_directions() {
    let place = Place::new();
    let store = place.open().await;
    let mut expected = Vec::new();
    for first in 0..=u8::MAX {
        let behind = (0..40).map(|last| vec![first, 0xff, 0xff, 0xff, 0xff, last]);
        let keys: Vec<Bytes> = [vec![first]]
            .into_iter()
            .chain(behind)
            .map(Bytes::from)
            .collect();
        let put = |batch: Batch, key: &Bytes| batch.put(key.clone(), "1");
        apply(&store, keys.iter().fold(Batch::new(), put)).await;
        expected.extend(keys);
    }
    let ascending = walk(&store, Scan::new(KeyRange::all())).await;
    assert!(ascending == expected, "ascending");
    let mut descending = walk(&store, Scan::new(KeyRange::all()).descending()).await;
    descending.reverse();
    assert!(descending == expected, "descending");
    for three in expected.windows(3) {
        let range = KeyRange::new(three[0].clone(), three[2].clone());
        let found = walk(&store, Scan::new(range).descending()).await;
        assert_eq!(found, [three[1].clone(), three[0].clone()]);
    }
    store.close().await.expect("the store closes");
}

async fn walk(store: &SledStore, mut scan: Scan) -> Vec<Bytes> {
    scan = scan.keys();
    let mut keys = Vec::new();
    loop {
        let pages = store.read(std::slice::from_ref(&scan)).await;
        let page = pages.expect("it can be read").pop().expect("a page a scan");
        keys.extend(page.entries.into_iter().map(|entry| entry.key));
        match keys.last() {
            Some(last) if page.more => scan = scan.after(last),
            _ => return keys,
        }
    }
}
