//! What the store says of itself.

use windlass_store::{Batch, Store, StoreErrorKind};
use windlass_store_sqlite::{Durability, Options, Sharing, SqliteStore};

use crate::common::{Place, apply, kind};

#[tokio::test]
async fn health_tells_how_safe_the_store_is_and_how_long_its_log() {
    let place = Place::new();
    let store = place.open().await;
    let before = store.health();
    assert!(before.survives_power_loss(), "{before:?}");
    assert!(before.settled, "{before:?}");
    assert_eq!(
        (before.sharing, before.oldest_reader),
        (Sharing::Shared, None)
    );
    apply(&store, Batch::new().put("acme/a", vec![1; 100_000])).await;
    let after = store.health();
    assert!(after.wal_bytes > 100_000, "{after:?}");
    assert_eq!(
        after.wal_bytes,
        std::fs::metadata(place.beside("-wal"))
            .expect("a log")
            .len()
    );
    store.close().await.expect("the store closes");
    assert_eq!(store.health().wal_bytes, 0);
}

#[tokio::test]
async fn what_a_loss_of_power_may_take_shows() {
    let place = Place::new();
    let options = Options {
        durability: Durability::Process,
        ..Options::default()
    };
    let store = place.open_with(options).await;
    assert!(
        !store.health().survives_power_loss(),
        "{:?}",
        store.health()
    );
    store.close().await.expect("the store closes");
}

#[tokio::test]
async fn the_linked_sqlite_is_one_that_keeps_its_log_whole() {
    let place = Place::new();
    let store = place.open().await;
    let version = store.health().sqlite_version;
    let numbers: Vec<u32> = version
        .split('.')
        .map(|part| part.parse().expect("a number"))
        .collect();
    assert!(numbers >= vec![3, 51, 3], "{version}");
    store.close().await.expect("the store closes");
}

#[tokio::test]
async fn an_exclusive_store_keeps_every_other_out_until_it_closes() {
    let place = Place::new();
    let exclusive = Options {
        sharing: Sharing::Exclusive,
        ..Options::default()
    };
    let store = place.open_with(exclusive.clone()).await;
    assert_eq!(store.sharing(), Sharing::Exclusive);
    for options in [Options::default(), exclusive.clone()] {
        let error = SqliteStore::open(place.store(), options)
            .await
            .map(drop)
            .expect_err("kept out");
        assert_eq!(error.kind(), StoreErrorKind::Unavailable);
        assert!(
            error
                .to_string()
                .contains("another store has the file open"),
            "{error}"
        );
    }
    apply(&store, Batch::new().put("acme/a", "1")).await;
    store.close().await.expect("the store closes");
    place.open().await.close().await.expect("the store closes");
}

#[tokio::test]
async fn a_store_that_is_shared_cannot_be_had_alone() {
    let place = Place::new();
    let (one, other) = (place.open().await, place.open().await);
    let exclusive = Options {
        sharing: Sharing::Exclusive,
        ..Options::default()
    };
    one.close().await.expect("the store closes");
    let refused = SqliteStore::open(place.store(), exclusive.clone()).await;
    assert_eq!(kind(refused), StoreErrorKind::Unavailable);
    other.close().await.expect("the store closes");
    place
        .open_with(exclusive)
        .await
        .close()
        .await
        .expect("the store closes");
}
