//! Numbers of versions that cannot be had, or not for certain.

use std::pin::pin;
use std::time::Duration;

use futures_util::future::join_all;
use tokio_postgres::NoTls;
use windlass_store::{Batch, Commit, Store, StoreError, StoreErrorKind};
use windlass_store_postgres::PostgresStore;

use crate::common::{Place, apply, kind, value};

/// Numbers that are on one machine only are not used: its standby would give
/// them out again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn numbers_whose_standby_is_no_longer_waited_for_are_not_used() {
    let place = Place::alone(&[]);
    place.open().await.close().await.expect("the store closes");
    place.sql("ALTER ROLE postgres SET client_min_messages = error");
    place.sql("ALTER SYSTEM SET synchronous_standby_names = 'missing'");
    place.sql("SELECT pg_reload_conf()");
    // The setting comes into force a while after it is made. A store's first
    // commit takes numbers.
    let (store, answer) = loop {
        let store = place.open().await;
        if let Some(answer) = commit_let_go(&place, &store).await {
            break (store, answer);
        }
    };
    place.sql("ALTER SYSTEM RESET synchronous_standby_names");
    place.sql("SELECT pg_reload_conf()");
    assert_eq!(kind(answer), StoreErrorKind::Unavailable);
    apply(&store, Batch::new().put("acme/a", "next")).await;
    assert_eq!(value(&store, "acme/a").await, Some("next".into()));
}

/// The answer to a commit whose first wait for a standby is cancelled; `None`
/// if it was applied without any.
async fn commit_let_go(place: &Place, store: &PostgresStore) -> Option<Result<Commit, StoreError>> {
    let let_go = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity \
                  WHERE wait_event = 'SyncRep'";
    let mut commit = pin!(store.commit(Batch::new().put("acme/a", "1")));
    tokio::select! {
        answer = &mut commit => {
            assert!(matches!(answer, Ok(Commit::Applied(_))), "{answer:?}");
            None
        }
        () = async { while place.sql(let_go) != "t" { tokio::task::yield_now().await } } => {
            Some(commit.await)
        }
    }
}

/// Somebody holds the row of the numbers and does not let go.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn numbers_are_not_waited_for_without_end() {
    let place = Place::alone(&[]);
    let mut options = place.options();
    options.commit_time_max = Duration::from_millis(200);
    let store = place.open_with(options).await;
    let (client, connection) = tokio_postgres::connect(&place.server().url(), NoTls)
        .await
        .expect("the server is there");
    let driving = tokio::spawn(connection);
    let lock = place.with_schema("BEGIN; SELECT 1 FROM {schema}.store FOR UPDATE");
    client.batch_execute(&lock).await.expect("the row is free");
    let answers = join_all(
        (0..20).map(|number| store.commit(Batch::new().put(format!("acme/{number}"), "1"))),
    );
    let answers = tokio::time::timeout(Duration::from_secs(20), answers).await;
    for answer in answers.expect("nobody waits without end") {
        assert_eq!(kind(answer), StoreErrorKind::Unavailable);
    }
    drop(client);
    driving.abort();
    // One with time: the server first does what was given up here.
    let store = place.open().await;
    apply(&store, Batch::new().put("acme/a", "1")).await;
}
