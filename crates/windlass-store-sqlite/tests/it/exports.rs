//! Exports: bounded in time, in number and in memory.

use std::time::Duration;

use windlass_store::{Batch, KeyRange, Store, StoreErrorKind};
use windlass_store_sqlite::{Options, SqliteStore};

use crate::common::{Place, apply, kind};

const EXPORTS_MAX: usize = 8;

async fn fill(store: &SqliteStore, entries: usize, value_bytes: usize) {
    for start in (0..entries).step_by(100) {
        let put =
            |batch: Batch, number| batch.put(format!("acme/{number:06}"), vec![5; value_bytes]);
        apply(
            store,
            (start..(start + 100).min(entries)).fold(Batch::new(), put),
        )
        .await;
    }
}

#[tokio::test]
async fn an_export_gives_everything_in_bounded_steps() {
    let place = Place::new();
    let store = place.open().await;
    fill(&store, 3_000, 2_000).await;
    let mut export = store
        .export(KeyRange::all())
        .await
        .expect("an export starts");
    let (mut total, mut last) = (0, None);
    while let Some(entries) = export.next().await.expect("a step is read") {
        let bytes: usize = entries
            .iter()
            .map(|entry| entry.key.len() + entry.value.len())
            .sum();
        assert!(bytes <= (1 << 20) + 2_100, "a step of {bytes} bytes");
        for entry in entries {
            assert!(
                last.is_none_or(|last| last < entry.key),
                "out of order at {:?}",
                entry.key
            );
            last = Some(entry.key);
            total += 1;
        }
    }
    assert_eq!(total, 3_000);
    assert_eq!(export.next().await.expect("it stays at its end"), None);
    store.close().await.expect("the store closes");
}

#[tokio::test]
async fn an_export_that_takes_too_long_ends_and_lets_go() {
    let place = Place::new();
    let options = Options {
        export_time_max: Duration::from_millis(20),
        ..Options::default()
    };
    let store = place.open_with(options).await;
    fill(&store, 200, 20_000).await;
    let mut export = store
        .export(KeyRange::all())
        .await
        .expect("an export starts");
    // Nobody asks for a step: it must end by itself.
    while store.health().oldest_reader.is_some() {
        tokio::task::yield_now().await;
    }
    let error = export.next().await.expect_err("its time is over");
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    assert_eq!(
        error.to_string(),
        "`export` failed: the export was not finished within 20ms"
    );
    assert_eq!(export.next().await.expect("it stays at its end"), None);
    store.close().await.expect("the store closes");
}

#[tokio::test]
async fn exports_are_limited_and_a_dropped_one_makes_room() {
    let place = Place::new();
    let store = place.open().await;
    fill(&store, 200, 20_000).await;
    let mut exports = Vec::new();
    for _ in 0..EXPORTS_MAX {
        exports.push(
            store
                .export(KeyRange::all())
                .await
                .expect("an export starts"),
        );
    }
    assert_eq!(
        kind(store.export(KeyRange::all()).await),
        StoreErrorKind::Unavailable
    );
    assert!(
        store.health().oldest_reader.is_some(),
        "an export counts as a reader"
    );
    drop(exports.pop());
    loop {
        match store.export(KeyRange::all()).await {
            Ok(_) => break,
            Err(error) => assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error:?}"),
        }
    }
    drop(exports);
    store.close().await.expect("the store closes");
}

#[tokio::test]
async fn an_export_of_nothing_ends_at_once() {
    let place = Place::new();
    let store = place.open().await;
    fill(&store, 10, 10).await;
    for range in [
        KeyRange::prefix("zoo/"),
        KeyRange::new("b", "a"),
        KeyRange::point("acme"),
    ] {
        let export = store.export(range).await.expect("an export starts");
        assert_eq!(export.collect().await.expect("it is read"), []);
    }
    store.close().await.expect("the store closes");
}
