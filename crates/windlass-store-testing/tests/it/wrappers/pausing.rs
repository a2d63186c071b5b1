//! The pausing wrapper: a held call is where it was asked to be, and nobody
//! else is held.

use std::sync::Arc;

use futures_util::FutureExt;
use tokio::task::JoinHandle;
use windlass_store::{Batch, Commit, KeyRange, Store, StoreError, StoreExt};
use windlass_store_testing::{Moment, Pausing, Verb};

use super::{below, put, value};
use crate::sim::SimStore;

type Answer = Result<Commit, StoreError>;

fn commit(store: &Arc<Pausing<SimStore>>, value: &'static str) -> JoinHandle<Answer> {
    let store = Arc::clone(store);
    tokio::spawn(async move { store.commit(Batch::new().put("acme/a", value)).await })
}

#[tokio::test]
async fn a_commit_held_before_has_not_happened_and_one_held_after_has() {
    for (moment, expected) in [(Moment::Before, None), (Moment::After, Some("held".into()))] {
        let below = below();
        let store = Arc::new(Pausing::new(Arc::clone(&below)));
        let pause = store.pause(Verb::Commit, moment);
        let call = commit(&store, "held");
        let held = pause.reached().await;
        assert_eq!(value(&*below, "acme/a").await, expected, "{moment:?}");
        assert!(!call.is_finished(), "the call is held");
        held.release();
        let answer = call.await.unwrap().unwrap();
        assert!(matches!(answer, Commit::Applied(_)), "{answer:?}");
        assert_eq!(value(&*below, "acme/a").await, Some("held".into()));
    }
}

#[tokio::test]
async fn a_read_held_after_it_looked_answers_what_it_saw() {
    let store = Arc::new(Pausing::new(below()));
    let pause = store.pause(Verb::Read, Moment::After);
    let reader = Arc::clone(&store);
    let call = tokio::spawn(async move { reader.get("acme/a".into()).await });
    let held = pause.reached().await;
    put(&*store, "acme/a", "1").await;
    held.release();
    assert_eq!(call.await.unwrap().unwrap(), None);
}

#[tokio::test]
async fn one_pause_holds_one_call_and_other_verbs_go_through() {
    let store = Arc::new(Pausing::new(below()));
    let pause = store.pause(Verb::Commit, Moment::Before);
    let call = commit(&store, "first");
    let held = pause.reached().await;
    put(&*store, "acme/b", "1").await;
    assert_eq!(value(&*store, "acme/b").await, Some("1".into()));
    assert_eq!(
        store
            .export(KeyRange::all())
            .await
            .unwrap()
            .collect()
            .await
            .unwrap()
            .len(),
        1
    );
    drop(held);
    let answer = call.await.unwrap().unwrap();
    assert!(
        matches!(answer, Commit::Applied(_)),
        "dropping lets go: {answer:?}"
    );
}

#[tokio::test]
async fn the_oldest_pause_holds_the_first_call() {
    let store = Arc::new(Pausing::new(below()));
    let first = store.pause(Verb::Commit, Moment::Before);
    let second = store.pause(Verb::Commit, Moment::Before);
    let one = commit(&store, "one");
    let first = first.reached().await;
    let two = commit(&store, "two");
    let second = second.reached().await;
    second.release();
    let _ = two.await.unwrap().unwrap();
    assert_eq!(value(&*store, "acme/a").await, Some("two".into()));
    first.release();
    let _ = one.await.unwrap().unwrap();
    assert_eq!(value(&*store, "acme/a").await, Some("one".into()));
}

#[tokio::test]
async fn a_pause_that_was_dropped_holds_nobody() {
    let store = Arc::new(Pausing::new(below()));
    drop(store.pause(Verb::Commit, Moment::Before));
    let answer = store.commit(Batch::new().put("acme/a", "1")).now_or_never();
    assert!(matches!(answer, Some(Ok(Commit::Applied(_)))), "{answer:?}");
}

#[tokio::test]
async fn a_held_call_can_be_dropped() {
    let store = Arc::new(Pausing::new(below()));
    let pause = store.pause(Verb::Commit, Moment::Before);
    let call = commit(&store, "dropped");
    let held = pause.reached().await;
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    held.release();
    assert_eq!(value(&*store, "acme/a").await, None);
}

#[tokio::test]
async fn exports_and_close_can_be_held_too() {
    let store = Arc::new(Pausing::new(below()));
    put(&*store, "acme/a", "1").await;
    let pause = store.pause(Verb::Export, Moment::After);
    let exporter = Arc::clone(&store);
    let export =
        tokio::spawn(async move { exporter.export(KeyRange::all()).await?.collect().await });
    let held = pause.reached().await;
    put(&*store, "acme/b", "1").await;
    held.release();
    assert_eq!(
        export.await.unwrap().unwrap().len(),
        1,
        "the export is from before the put"
    );

    let pause = store.pause(Verb::Close, Moment::Before);
    let closer = Arc::clone(&store);
    let close = tokio::spawn(async move { closer.close().await });
    let held = pause.reached().await;
    put(&*store, "acme/c", "1").await;
    held.release();
    close.await.unwrap().unwrap();
}
