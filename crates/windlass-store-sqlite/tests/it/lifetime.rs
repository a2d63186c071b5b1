//! Closing, dropping, and what is still done then.

use std::sync::Arc;

use windlass_store::{Batch, Commit, KeyRange, Store, StoreErrorKind, StoreExt};
use windlass_store_sqlite::{Options, Sharing, SqliteStore};

use crate::common::{Place, Turn, apply, kind, value};

const WAITING: usize = 100;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn close_finishes_what_was_accepted() {
    let place = Place::new();
    let store = Arc::new(place.open().await);
    let turn = Turn::hold(&place);
    let mut commits = Vec::new();
    for number in 0..WAITING {
        let mut commit = Box::pin({
            let store = Arc::clone(&store);
            async move {
                store
                    .commit(Batch::new().put(format!("acme/{number:03}"), "1"))
                    .await
            }
        });
        // The first poll hands the batch over.
        assert!(
            poll_once(&mut commit).await.is_none(),
            "commit {number} ended without a turn"
        );
        commits.push(tokio::spawn(commit));
    }
    let closer = Arc::clone(&store);
    let mut closing = Box::pin(async move { closer.close().await });
    assert!(
        poll_once(&mut closing).await.is_none(),
        "close did not wait for what was accepted"
    );
    let late = store.commit(Batch::new().put("acme/late", "1")).await;
    assert_eq!(kind(late), StoreErrorKind::Closed);
    drop(turn);
    for commit in commits {
        let answer = commit.await.expect("a commit ends");
        assert!(matches!(answer, Ok(Commit::Applied(_))), "{answer:?}");
    }
    closing.await.expect("the store closes");
    let store = place.open().await;
    let entries = store
        .scan_all(KeyRange::prefix("acme/0"))
        .await
        .expect("all can be read");
    assert_eq!(entries.len(), WAITING);
    store.close().await.expect("the store closes");
}

async fn poll_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    std::future::poll_fn(|context| {
        let polled = std::pin::Pin::new(&mut *future).poll(context);
        std::task::Poll::Ready(match polled {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        })
    })
    .await
}

/// More reads than may wait at a time, and more bytes of batches: what is
/// dropped makes room again.
#[tokio::test]
async fn calls_that_are_dropped_leave_room_for_others() {
    const READS: usize = 20_000;
    const COMMITS: usize = 80;
    let place = Place::new();
    let store = place.open().await;
    for _ in 0..READS {
        let mut read = store.get("acme/a".into());
        let _ = poll_once(&mut read).await;
        drop(read);
        // A task that never yields gets nothing more from tokio.
        tokio::task::yield_now().await;
    }
    let large = bytes::Bytes::from(vec![1; 1 << 20]);
    for number in 0..COMMITS {
        let mut commit = store.commit(Batch::new().put(format!("acme/{number}"), large.clone()));
        let _ = poll_once(&mut commit).await;
        drop(commit);
        tokio::task::yield_now().await;
    }
    let last = Batch::new().put("acme/last", "1");
    apply(&store, last).await;
    assert!(
        value(&store, "acme/last").await.is_some(),
        "the last commit is there"
    );
    let keys = store
        .scan_all(KeyRange::prefix("acme/"))
        .await
        .expect("all can be read");
    assert!(
        keys.len() > COMMITS / 2,
        "only {} commits were accepted at their first poll",
        keys.len()
    );
    store.close().await.expect("the store closes");
}

#[tokio::test]
async fn every_call_after_close_is_refused_and_close_succeeds_again() {
    let place = Place::new();
    let store = place.open().await;
    apply(&store, Batch::new().put("acme/a", "1")).await;
    let mut changes = store.subscribe(b"acme/");
    let mut export = store
        .export(KeyRange::all())
        .await
        .expect("an export starts");
    store.close().await.expect("the store closes");
    assert_eq!(
        kind(store.get("acme/a".into()).await),
        StoreErrorKind::Closed
    );
    assert_eq!(
        kind(store.commit(Batch::new().put("acme/a", "2")).await),
        StoreErrorKind::Closed
    );
    assert_eq!(
        kind(store.export(KeyRange::all()).await),
        StoreErrorKind::Closed
    );
    assert_eq!(kind(export.next().await), StoreErrorKind::Closed);
    assert!(
        !changes.changed().await,
        "a subscription goes on after close"
    );
    store.close().await.expect("the store closes again");
    assert!(
        !place.names().contains(&"store.db-wal".to_owned()),
        "{:?}",
        place.names()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_store_lets_go_of_its_file() {
    let place = Place::new();
    let store = place.open().await;
    apply(&store, Batch::new().put("acme/a", "1")).await;
    let export = store
        .export(KeyRange::all())
        .await
        .expect("an export starts");
    drop(store);
    drop(export);
    // Its threads end on their own; the last one gives up the claim.
    let exclusive = Options {
        sharing: Sharing::Exclusive,
        ..Options::default()
    };
    let store = loop {
        match SqliteStore::open(place.store(), exclusive.clone()).await {
            Ok(store) => break store,
            Err(error) => assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error:?}"),
        }
    };
    assert!(
        value(&store, "acme/a").await.is_some(),
        "what was committed is there"
    );
    store.close().await.expect("the store closes");
}

#[tokio::test]
async fn opening_that_nobody_waits_for_leaves_nothing_open() {
    let place = Place::new();
    {
        let mut opening = Box::pin(SqliteStore::open(place.store(), Options::default()));
        assert!(poll_once(&mut opening).await.is_none(), "opening blocks");
    }
    let exclusive = Options {
        sharing: Sharing::Exclusive,
        ..Options::default()
    };
    let store = loop {
        match SqliteStore::open(place.store(), exclusive.clone()).await {
            Ok(store) => break store,
            Err(error) => assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error:?}"),
        }
    };
    store.close().await.expect("the store closes");
}
