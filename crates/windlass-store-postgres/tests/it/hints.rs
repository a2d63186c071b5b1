//! Hints between stores that share no memory.

use windlass_store::{Batch, Store};

use crate::common::{Place, apply};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscriber_hears_of_what_another_store_commits() {
    let place = Place::new();
    let (here, there) = (place.open().await, place.open().await);
    let mut changes = there.subscribe(b"acme/");
    // Until the other listens, what is said is lost, so it is said again. The
    // first hint may come from the listening itself.
    for _ in 0..3 {
        tokio::select! {
            open = changes.changed() => assert!(open, "the subscription ended"),
            () = commit_for_ever(&here) => {}
        }
    }
    there.close().await.expect("the store closes");
    while changes.changed().await {}
}

/// A channel's name can be no longer than a schema's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_longest_schema_is_heard_of_as_well() {
    let place = Place::alone(&[]);
    let mut options = place.options();
    options.schema = "s".repeat(63);
    let here = place.open_with(options.clone()).await;
    let there = place.open_with(options).await;
    let listening = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'";
    while place.sql(listening) != "2" {
        tokio::task::yield_now().await;
    }
    let told = "SELECT count(*) FROM pg_stat_activity \
                WHERE query LIKE '%pg_notify($1%' AND state = 'idle'";
    let mut changes = there.subscribe(b"acme/");
    apply(&here, Batch::new().put("acme/a", "1")).await;
    assert!(changes.changed().await, "the subscription ended");
    while place.sql(told) != "1" {
        tokio::task::yield_now().await;
    }
}

async fn commit_for_ever(store: &dyn Store) {
    loop {
        apply(store, Batch::new().put("acme/a", "1")).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_hints_between_processes_nobody_listens() {
    let place = Place::alone(&[]);
    let listening = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'";
    let mut options = place.options();
    options.hints_between_processes = false;
    let quiet = place.open_with(options).await;
    apply(&quiet, Batch::new().put("acme/a", "1")).await;
    assert_eq!(place.sql(listening), "0");
    let loud = place.open().await;
    while place.sql(listening) != "1" {
        tokio::task::yield_now().await;
    }
    loud.close().await.expect("the store closes");
}
