//! What only the memory store promises.

use windlass_store::{Batch, Commit, Incarnation, KeyRange, Store, StoreErrorKind, Version};
use windlass_store_memory::{EXPORTS_MAX, MemoryStore};

#[tokio::test]
async fn the_same_incarnation_and_commits_give_the_same_versions() {
    let incarnation = Incarnation::from_number(7);
    for _ in 0..2 {
        let store = MemoryStore::with_incarnation(incarnation);
        for number in 1..4 {
            let answer = store.commit(Batch::new().put("acme/a", "1")).await.unwrap();
            assert_eq!(answer, Commit::Applied(Version::new(incarnation, number)));
        }
    }
}

#[tokio::test]
async fn hints_arrive_merged_and_only_below_the_prefix() {
    let store = MemoryStore::new().unwrap();
    let mut below = store.subscribe(b"acme/");
    let mut beside = store.subscribe(b"other/");
    for value in ["1", "2"] {
        let _ = store
            .commit(Batch::new().put("acme/a", value))
            .await
            .unwrap();
    }
    assert!(below.changed().await, "a put below the prefix is hinted at");
    store.close().await.unwrap();
    assert!(
        !below.changed().await,
        "two puts are one hint, then the subscription ends"
    );
    assert!(!beside.changed().await, "a put elsewhere is no hint");
}

#[tokio::test]
async fn exports_beyond_the_limit_are_unavailable_until_one_is_dropped() {
    let store = MemoryStore::new().unwrap();
    let mut open = Vec::new();
    for _ in 0..EXPORTS_MAX {
        open.push(store.export(KeyRange::all()).await.unwrap());
    }
    let refused = store.export(KeyRange::all()).await.unwrap_err();
    assert_eq!(refused.kind(), StoreErrorKind::Unavailable);
    open.pop();
    assert_eq!(
        store
            .export(KeyRange::all())
            .await
            .unwrap()
            .collect()
            .await
            .unwrap(),
        []
    );
}

#[tokio::test]
async fn an_open_export_fails_once_the_store_is_closed() {
    let store = MemoryStore::new().unwrap();
    let _ = store.commit(Batch::new().put("acme/a", "1")).await.unwrap();
    let mut export = store.export(KeyRange::all()).await.unwrap();
    store.close().await.unwrap();
    let refused = export.next().await.unwrap_err();
    assert_eq!(refused.kind(), StoreErrorKind::Closed);
}

#[tokio::test]
async fn debug_names_the_incarnation_and_shows_no_data() {
    let store = MemoryStore::with_incarnation(Incarnation::from_number(7));
    let _ = store
        .commit(Batch::new().put("acme/secret", "hidden"))
        .await
        .unwrap();
    let shown = format!("{store:?}");
    assert_eq!(
        shown,
        "MemoryStore { incarnation: Incarnation(0000000000000007), rows: Some(1), .. }"
    );
}
