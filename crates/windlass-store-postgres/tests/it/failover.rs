//! Another server takes over.

use std::sync::Arc;
use std::time::Duration;

use windlass_store::{Batch, Commit, Store, StoreErrorKind};
use windlass_store_postgres::Options;
use windlass_store_testing::Random;

use crate::common::{Place, apply, value};
use crate::deaths::{Session, work_until_killed};

const SESSIONS: usize = 8;

/// A commit that comes to a server that no longer takes writes goes to one
/// that does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_waits_for_a_server_that_takes_writes() {
    let place = Place::alone(&[]);
    let mut options = place.options();
    options.committers = 1;
    let store = Arc::new(place.open_with(options).await);
    apply(&*store, Batch::new().put("acme/a", "1")).await;
    let committer = place.sql("SELECT pid FROM pg_stat_activity WHERE query LIKE '%.commit(%' AND pid <> pg_backend_pid()");
    place.sql("ALTER SYSTEM SET default_transaction_read_only = on");
    place.sql("SELECT pg_reload_conf()");
    while place.sql("SHOW default_transaction_read_only") != "on" {
        tokio::task::yield_now().await;
    }
    let writing = Arc::clone(&store);
    let writing =
        tokio::spawn(async move { writing.commit(Batch::new().put("acme/a", "2")).await });
    let connected = format!("SELECT count(*) FROM pg_stat_activity WHERE pid = {committer}");
    while place.sql(&connected) != "0" {
        tokio::task::yield_now().await;
    }
    place.sql("ALTER SYSTEM RESET default_transaction_read_only");
    place.sql("SELECT pg_reload_conf()");
    let answer = writing.await.expect("the task ends");
    assert!(matches!(answer, Ok(Commit::Applied(_))), "{answer:?}");
    assert_eq!(value(&*store, "acme/a").await, Some("2".into()));
}

/// The primary is killed whole and its synchronous standby promoted: nothing
/// that was acknowledged is lost, and the same store goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_synchronous_standby_has_all_that_was_acknowledged() {
    let place = Place::alone(&[]);
    let standby = place
        .server()
        .standby("second", &[])
        .expect("a standby starts");
    place.sql("ALTER SYSTEM SET synchronous_standby_names = 'second'");
    place.sql("SELECT pg_reload_conf()");
    while place.sql("SELECT sync_state FROM pg_stat_replication") != "sync" {
        tokio::task::yield_now().await;
    }
    let (first, second) = (place.server().port(), standby.port());
    let url = format!("postgres://postgres@127.0.0.1:{first},127.0.0.1:{second}/postgres");
    let mut options = Options::from_url(&url).expect("the address is one");
    options.unavailable_time_max = Duration::from_millis(200);
    let store = Arc::new(place.open_with(options).await);
    let sessions = (0..SESSIONS).map(Session::new).collect();
    let ended = work_until_killed(&place, &store, sessions, &mut Random::new(5)).await;
    standby.promote().expect("the standby takes over");
    for (session, kind) in ended {
        let found = session.found(&store).await;
        let last = session.count + u64::from(kind == StoreErrorKind::Indeterminate);
        assert!(
            (session.count..=last).contains(&found.count),
            "{session:?} ended with {kind:?}, but {found:?} is there"
        );
    }
    apply(&*store, Batch::new().put("acme/a", "after")).await;
    assert_eq!(value(&*store, "acme/a").await, Some("after".into()));
}
