//! Exports: bounded in steps, in number and in memory.

use windlass_store::{Batch, KeyRange, Store, StoreErrorKind};
use windlass_store_sled::{Options, SledStore};

use crate::common::{Place, apply, futures_poll, kind, value};

const EXPORTS_MAX: usize = 8;

/// A caller that goes away between the beginning of an export and its answer.
#[tokio::test]
async fn an_export_that_nobody_waits_for_holds_nothing() {
    let place = Place::new();
    let options = Options {
        reader_threads: 1,
        ..Options::default()
    };
    let store = place.open_with(options).await;
    for _ in 0..4 * EXPORTS_MAX {
        let mut export = store.export(KeyRange::all());
        // The first poll asks for it; what the one thread reads next is read
        // after it was answered.
        let polled = futures_poll(&mut export).await;
        assert_eq!(value(&store, "acme/a").await, None);
        drop((export, polled));
    }
    let export = store.export(KeyRange::all()).await;
    assert!(export.is_ok(), "{export:?}");
}

async fn fill(store: &SledStore, entries: usize, value_bytes: usize) {
    for start in (0..entries).step_by(100) {
        let put =
            |batch: Batch, number| batch.put(format!("acme/{number:06}"), vec![5; value_bytes]);
        let numbers = start..(start + 100).min(entries);
        apply(store, numbers.fold(Batch::new(), put)).await;
    }
}

#[tokio::test]
async fn an_export_gives_everything_in_bounded_steps() {
    let place = Place::new();
    let store = place.open().await;
    fill(&store, 2_000, 2_000).await;
    let export = store.export(KeyRange::all()).await;
    let mut export = export.expect("an export starts");
    let mut keys = Vec::new();
    while let Some(entries) = export.next().await.expect("a step is read") {
        let sizes = entries
            .iter()
            .map(|entry| entry.key.len() + entry.value.len());
        let bytes: usize = sizes.sum();
        assert!(bytes <= (1 << 20) + 2_100, "a step of {bytes} bytes");
        keys.extend(entries.into_iter().map(|entry| entry.key));
    }
    assert_eq!(keys.len(), 2_000);
    assert!(keys.is_sorted(), "out of order");
    assert_eq!(export.next().await.expect("it stays at its end"), None);
    store.close().await.expect("the store closes");
}

/// What was replaced shows as it was, pieces of large values included.
#[tokio::test]
async fn an_export_shows_large_values_that_were_replaced_since() {
    let place = Place::new();
    let store = place.open().await;
    fill(&store, 4, 300_000).await;
    let export = store.export(KeyRange::all()).await;
    let export = export.expect("an export starts");
    for number in 0..4 {
        let key = format!("acme/{number:06}");
        let batch = match number {
            0 => Batch::new().delete(key),
            _ => Batch::new().put(key, vec![6; 200_000]),
        };
        apply(&store, batch).await;
    }
    let entries = export.collect().await.expect("it is read");
    assert_eq!(entries.len(), 4);
    for entry in entries {
        assert_eq!(entry.value, vec![5; 300_000], "{:?}", entry.key);
    }
    store.close().await.expect("the store closes");
}

#[tokio::test]
async fn an_export_that_would_keep_too_much_ends() {
    let place = Place::new();
    let options = Options {
        export_kept_bytes_max: 10_000,
        ..Options::default()
    };
    let store = place.open_with(options).await;
    fill(&store, 1_500, 1_000).await;
    let export = store.export(KeyRange::all()).await;
    let mut export = export.expect("an export starts");
    let first = export.next().await.expect("it is read");
    assert!(first.is_some(), "an export of many begins with some");
    fill(&store, 20, 1_000).await;
    let error = export.next().await.expect_err("too much changed");
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    assert_eq!(
        error.to_string(),
        "`export` failed: more than 10000 bytes changed while the export was open"
    );
    assert_eq!(export.next().await.expect("it stays at its end"), None);
    store.close().await.expect("the store closes");
}

#[tokio::test]
async fn exports_are_limited_and_a_dropped_one_makes_room() {
    let place = Place::new();
    let store = place.open().await;
    let mut exports = Vec::new();
    for _ in 0..EXPORTS_MAX {
        let export = store.export(KeyRange::all()).await;
        exports.push(export.expect("an export starts"));
    }
    let refused = store.export(KeyRange::all()).await;
    assert_eq!(kind(refused), StoreErrorKind::Unavailable);
    drop(exports.pop());
    // The room is made by a thread, in its turn.
    while let Err(error) = store.export(KeyRange::all()).await {
        assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error:?}");
    }
    store.close().await.expect("the store closes");
}
