//! A store whose runtime has ended, used from another.

use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use windlass_store::{Batch, KeyRange, Scan, Store, StoreErrorKind};
use windlass_store_postgres::PostgresStore;

use crate::common::{Place, apply, kind};

/// Longer than anything here takes, so that what waits for ever is noticed.
const PATIENCE: Duration = Duration::from_secs(20);

fn runtime() -> Runtime {
    let built = Builder::new_current_thread().enable_all().build();
    built.expect("a runtime can be built")
}

/// A store whose tasks have gone.
fn orphan(place: &Place) -> PostgresStore {
    let first = runtime();
    first.block_on(async {
        let store = place.open().await;
        apply(&store, Batch::new().put("acme/a", "1")).await;
        store
    })
}

/// The answer to what must not wait for ever.
fn answered<T>(answer: impl Future<Output = T>) -> T {
    let answer = async { tokio::time::timeout(PATIENCE, answer).await };
    runtime().block_on(answer).expect("there is an answer")
}

#[test]
fn a_commit_after_the_runtime_of_the_store_has_ended_is_refused() {
    let place = Place::new();
    let store = orphan(&place);
    let answer = answered(store.commit(Batch::new().put("acme/a", "2")));
    assert_eq!(kind(answer), StoreErrorKind::Closed);
    let kept = place.sql("SELECT count(*) FROM {schema}.entry WHERE version = 1");
    assert_eq!(kept, "1", "the first commit stands alone");
}

#[test]
fn a_read_after_the_runtime_of_the_store_has_ended_is_answered() {
    let place = Place::new();
    let store = orphan(&place);
    let points = answered(store.read(&[Scan::point("acme/a")]));
    assert_eq!(kind(points), StoreErrorKind::Closed);
    let pages = answered(store.read(&[Scan::new(KeyRange::all())]));
    assert_eq!(pages.expect("it needs no task")[0].entries.len(), 1);
}

#[test]
fn a_store_whose_runtime_has_ended_can_be_closed() {
    let place = Place::new();
    let store = orphan(&place);
    answered(store.close()).expect("the store closes");
}
