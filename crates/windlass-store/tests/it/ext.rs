//! The conveniences for callers of a store.

use std::sync::Mutex;

use bytes::Bytes;
use windlass_store::ext::UPDATE_ROUNDS_MAX;
use windlass_store::{Entry, KeyRange, Store, StoreErrorKind, StoreExt};

use crate::plain::Plain;

fn keys(entries: &[Entry]) -> Vec<Bytes> {
    entries.iter().map(|entry| entry.key.clone()).collect()
}

#[tokio::test]
async fn get_gives_the_entry_or_none() {
    let store = Plain::with(&["a", "ab"]);
    let entry = store.get("a".into()).await.unwrap().expect("it is there");
    assert_eq!((entry.key, entry.value), ("a".into(), "a".into()));
    assert_eq!(store.get("aa".into()).await.unwrap(), None);
}

#[tokio::test]
async fn scan_all_goes_on_over_the_shortest_pages() {
    let store = Plain::with(&["a", "b/1", "b/2", "b/3", "c"]);
    let found = store.scan_all(KeyRange::prefix("b/")).await.unwrap();
    assert_eq!(keys(&found), ["b/1", "b/2", "b/3"]);
    assert_eq!(store.calls(), (3, 0), "one read for each page");
    let found = store.scan_all(KeyRange::all()).await.unwrap();
    assert_eq!(keys(&found), ["a", "b/1", "b/2", "b/3", "c"]);
    assert_eq!(store.scan_all(KeyRange::prefix("d")).await.unwrap(), []);
}

#[tokio::test]
async fn update_creates_a_missing_key() {
    let store = Plain::default();
    let version = store
        .update("n".into(), |entry| entry.is_none().then(|| "1".into()))
        .await
        .unwrap();
    let entry = store
        .get("n".into())
        .await
        .unwrap()
        .expect("it was created");
    assert_eq!((entry.value, Some(entry.version)), ("1".into(), version));
}

#[tokio::test]
async fn update_decides_again_after_each_lost_race() {
    let store = Plain::with(&["n"]);
    store.lose(3);
    let seen = Mutex::new(Vec::new());
    let change = |entry: Option<&Entry>| {
        seen.lock()
            .unwrap()
            .push(entry.map(|entry| entry.value.clone()));
        Some("mine".into())
    };
    store
        .update("n".into(), change)
        .await
        .unwrap()
        .expect("it wins in the end");
    let rival = || Some(Bytes::from("rival"));
    assert_eq!(
        seen.into_inner().unwrap(),
        [Some("n".into()), rival(), rival(), rival()]
    );
    assert_eq!(
        store
            .get("n".into())
            .await
            .unwrap()
            .expect("it is there")
            .value,
        "mine"
    );
}

#[tokio::test]
async fn update_gives_up_after_its_last_round() {
    let store = Plain::with(&["n"]);
    store.lose(UPDATE_ROUNDS_MAX - 1);
    store
        .update("n".into(), |_| Some("mine".into()))
        .await
        .unwrap()
        .expect("the last round wins");
    let (_, before) = store.calls();

    store.lose(UPDATE_ROUNDS_MAX);
    let error = store
        .update("n".into(), |_| Some("mine".into()))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    assert_eq!(
        error.to_string(),
        "`commit` failed: lost 64 races for one key"
    );
    assert_eq!(store.calls().1 - before, UPDATE_ROUNDS_MAX);
}

#[tokio::test]
async fn update_leaves_the_key_when_there_is_nothing_to_change() {
    let store = Plain::with(&["n"]);
    assert_eq!(store.update("n".into(), |_| None).await.unwrap(), None);
    assert_eq!(store.calls(), (1, 0));
}

#[tokio::test]
async fn an_error_of_the_store_is_passed_on() {
    let store = Plain::with(&["n"]);
    store.close().await.unwrap();
    let errors = [
        store.get("n".into()).await.unwrap_err(),
        store.scan_all(KeyRange::all()).await.unwrap_err(),
        store
            .update("n".into(), |_| Some("mine".into()))
            .await
            .unwrap_err(),
    ];
    assert_eq!(
        errors.map(|error| error.kind()),
        [StoreErrorKind::Closed; 3]
    );
}

#[tokio::test]
async fn conveniences_work_on_a_store_behind_a_pointer() {
    let store: Box<dyn Store> = Box::new(Plain::with(&["n"]));
    assert_eq!(keys(&store.scan_all(KeyRange::all()).await.unwrap()), ["n"]);
}
