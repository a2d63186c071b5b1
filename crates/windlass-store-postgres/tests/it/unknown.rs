//! Commits of which nobody can say whether they were applied.

use std::time::Duration;

use windlass_store::{Batch, Commit, Store, StoreErrorKind};
use windlass_store_postgres::{Options, PostgresStore};
use windlass_store_testing::postgres::{Cut, Proxy};

use crate::common::{Place, apply, kind, value};

/// A store behind a proxy.
async fn behind_proxy(place: &Place, adjust: impl FnOnce(&mut Options)) -> (PostgresStore, Proxy) {
    let proxy = Proxy::start(place.server().port()).await;
    let proxy = proxy.unwrap_or_else(|error| panic!("{error}"));
    let server = format!(":{}/", place.server().port());
    let url = place.url().replace(&server, &format!(":{}/", proxy.port()));
    let mut options = Options::from_url(&url).expect("the address is one");
    adjust(&mut options);
    (place.open_with(options).await, proxy)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_answer_is_cut_off_is_indeterminate_and_was_applied() {
    let place = Place::new();
    let (store, proxy) = behind_proxy(&place, |_| ()).await;
    apply(&store, Batch::new().put("acme/a", "before")).await;
    proxy.cut_next(Cut::After);
    let answer = store.commit(Batch::new().put("acme/a", "after")).await;
    assert_eq!(kind(answer), StoreErrorKind::Indeterminate);
    assert_eq!(value(&store, "acme/a").await, Some("after".into()));
    apply(&store, Batch::new().put("acme/a", "next")).await;
    assert!(!proxy.was_cancelled(), "a commit was cancelled");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_is_cut_off_on_its_way_is_indeterminate_and_was_not_applied() {
    let place = Place::new();
    let (store, proxy) = behind_proxy(&place, |_| ()).await;
    apply(&store, Batch::new().put("acme/a", "before")).await;
    proxy.cut_next(Cut::Before);
    let answer = store.commit(Batch::new().put("acme/a", "after")).await;
    assert_eq!(kind(answer), StoreErrorKind::Indeterminate);
    assert_eq!(value(&store, "acme/a").await, Some("before".into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_is_not_answered_in_time_is_indeterminate_and_never_cancelled() {
    let place = Place::new();
    let adjust = |options: &mut Options| options.commit_time_max = Duration::from_millis(300);
    let (store, proxy) = behind_proxy(&place, adjust).await;
    apply(&store, Batch::new().put("acme/a", "before")).await;
    proxy.cut_next(Cut::Silence);
    let answer = store.commit(Batch::new().put("acme/a", "after")).await;
    assert_eq!(kind(answer), StoreErrorKind::Indeterminate);
    assert_eq!(value(&store, "acme/a").await, Some("after".into()));
    store.close().await.expect("the store closes");
    assert!(!proxy.was_cancelled(), "a commit was cancelled");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_batch_of_a_group_that_is_cut_off_is_indeterminate() {
    let place = Place::new();
    let adjust = |options: &mut Options| options.committers = 1;
    let (store, proxy) = behind_proxy(&place, adjust).await;
    apply(&store, Batch::new().put("acme/a", "before")).await;
    proxy.cut_next(Cut::Before);
    let put = |number: usize| Batch::new().put(format!("acme/{number}"), "x");
    let commits = (0..20).map(|number| store.commit(put(number)));
    let answers = futures_util::future::join_all(commits).await;
    let mut unknown = 0;
    for (number, answer) in answers.into_iter().enumerate() {
        let found = value(&store, &format!("acme/{number}")).await;
        match answer {
            Ok(_) => assert_eq!(found, Some("x".into())),
            Err(error) => {
                assert_eq!(error.kind(), StoreErrorKind::Indeterminate, "{error:?}");
                assert_eq!(found, None, "it never got to the server");
                unknown += 1;
            }
        }
    }
    assert!(unknown > 0, "nothing was cut off");
}

/// A server whose standby is missing keeps commits waiting. One that is no
/// longer waited for is durable on one machine only, whatever the settings of
/// the user would have hidden.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_standby_is_no_longer_waited_for_is_indeterminate() {
    let place = Place::alone(&[]);
    place.sql("ALTER ROLE postgres SET client_min_messages = error");
    place.sql("ALTER ROLE postgres SET synchronous_commit = off");
    let store = place.open().await;
    apply(&store, Batch::new().put("acme/a", "before")).await;
    place.sql("ALTER SYSTEM SET synchronous_standby_names = 'missing'");
    place.sql("SELECT pg_reload_conf()");
    let waiting = "FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
    let let_go = async || {
        while place.sql(&format!("SELECT pg_cancel_backend(pid) {waiting}")) != "t" {
            tokio::task::yield_now().await;
        }
    };
    // The setting comes into force a while after it is made.
    let answer = loop {
        let commit = store.commit(Batch::new().put("acme/a", "after"));
        let mut commit = std::pin::pin!(commit);
        tokio::select! {
            answer = &mut commit => match answer {
                Ok(Commit::Applied(_)) => {}
                other => break other,
            },
            () = let_go() => break commit.await,
        }
    };
    assert_eq!(kind(answer), StoreErrorKind::Indeterminate);
    assert_eq!(value(&store, "acme/a").await, Some("after".into()));
    place.sql("ALTER SYSTEM RESET synchronous_standby_names");
    place.sql("SELECT pg_reload_conf()");
    apply(&store, Batch::new().put("acme/a", "next")).await;
}
