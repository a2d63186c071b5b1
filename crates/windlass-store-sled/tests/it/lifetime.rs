//! Closing, dropping, who may open, and what is still done then.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use windlass_store::{Batch, Commit, KeyRange, Store, StoreErrorKind, StoreExt};
use windlass_store_sled::{Options, SledStore};
use windlass_store_testing::suite::block_on;

use crate::children::{Player, Role, tell, wait_for_the_end};
use crate::common::{Place, apply, futures_poll, kind, value};
use crate::fixture::open_raw;

const WAITING: usize = 200;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn close_finishes_what_was_accepted() {
    let place = Place::new();
    let store = Arc::new(place.open().await);
    let mut commits = Vec::new();
    for number in 0..WAITING {
        let store = Arc::clone(&store);
        let (started, start) = tokio::sync::oneshot::channel();
        commits.push(tokio::spawn(async move {
            let mut commit = store.commit(Batch::new().put(format!("acme/{number:03}"), "1"));
            // The first poll hands the batch over.
            let first = futures_poll(&mut commit).await;
            started.send(()).expect("the test waits");
            match first {
                Some(answer) => answer,
                None => commit.await,
            }
        }));
        start.await.expect("the commit starts");
    }
    store.close().await.expect("the store closes");
    for commit in commits {
        let answer = commit.await.expect("a commit ends");
        assert!(matches!(answer, Ok(Commit::Applied(_))), "{answer:?}");
    }
    let store = place.open().await;
    let entries = store.scan_all(KeyRange::all()).await;
    assert_eq!(entries.expect("all can be read").len(), WAITING);
    store.close().await.expect("the store closes");
}

#[tokio::test]
async fn hints_arrive_merged_and_only_below_the_prefix() {
    let place = Place::new();
    let store = place.open().await;
    let mut below = store.subscribe(b"acme/");
    let mut beside = store.subscribe(b"other/");
    for value in ["1", "2"] {
        apply(&store, Batch::new().put("acme/a", value)).await;
    }
    assert!(below.changed().await, "a put below the prefix is hinted at");
    store.close().await.expect("the store closes");
    let ended = !below.changed().await;
    assert!(ended, "two puts are one hint, then the subscription ends");
    assert!(!beside.changed().await, "a put elsewhere is no hint");
}

#[tokio::test]
async fn a_dropped_store_can_be_opened_again_at_once() {
    let place = Place::new();
    for number in 0..5 {
        let store = place.open().await;
        let export = store.export(KeyRange::all()).await;
        apply(&store, Batch::new().put(format!("acme/{number}"), "1")).await;
        assert_eq!(store.health().entries, number + 1);
        drop(store);
        drop(export);
    }
    let store = place.open().await;
    assert!(value(&store, "acme/4").await.is_some(), "the last is there");
}

/// Threads that open and close stores of their own, and how often.
const THREADS: usize = 4;
const TURNS: usize = 15;

/// What runs beside starts processes, each of which has copies of all handles
/// for a moment.
#[test]
fn a_store_is_free_at_once_when_it_was_closed() {
    std::thread::scope(|scope| {
        let turns = || block_on(turns());
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(turns)).collect();
        while threads.iter().any(|thread| !thread.is_finished()) {
            let ended = Command::new("true").status();
            assert!(ended.expect("it can be started").success());
        }
    });
}

async fn turns() {
    let place = Place::new();
    let impatient = Options {
        open_time_max: Duration::ZERO,
        ..Options::default()
    };
    place.open().await.close().await.expect("the store closes");
    for turn in 0..TURNS {
        let store = place.open_with(impatient.clone()).await;
        apply(&store, Batch::new().put("acme/turn", turn.to_string())).await;
        store.close().await.expect("the store closes");
    }
}

/// sled lets go of its files on threads of its own, some time after its last
/// handle was dropped; so do other programs that use it.
#[test]
fn opening_waits_until_sled_has_let_go_of_the_files() {
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| block_on(turns_with_another()));
        }
    });
}

async fn turns_with_another() {
    let place = Place::new();
    let store = place.open().await;
    apply(&store, Batch::new().put("acme/a", "1")).await;
    store.close().await.expect("the store closes");
    for _ in 0..TURNS {
        let raw = open_raw(&place.store()).expect("sled opens its files");
        let row = raw.remove(b"\x02acme/a").expect("it can be removed");
        let row = row.expect("the row is there");
        raw.insert(b"\x02acme/a", row).expect("it can be put back");
        raw.flush().expect("it can be flushed");
        drop(raw);
        let store = place.open().await;
        store.close().await.expect("the store closes");
    }
}

#[tokio::test]
async fn files_that_another_program_has_open_are_refused_in_time() {
    let place = Place::new();
    place.open().await.close().await.expect("the store closes");
    let other = open_raw(&place.store()).expect("sled opens its files");
    let impatient = Options {
        open_time_max: Duration::from_millis(20),
        ..Options::default()
    };
    let second = SledStore::open(place.store(), impatient).await;
    let error = second.map(drop).expect_err("it is open");
    assert_eq!(error.kind(), StoreErrorKind::Environment);
    let says = "is locked by another program";
    assert!(error.to_string().contains(says), "{error}");
    drop(other);
    place.open().await.close().await.expect("the store closes");
}

#[tokio::test]
async fn a_second_store_is_refused_while_the_first_is_open() {
    let place = Place::new();
    let store = place.open().await;
    let impatient = Options {
        open_time_max: Duration::from_millis(20),
        ..Options::default()
    };
    let second = SledStore::open(place.store(), impatient).await;
    let error = second.map(drop).expect_err("it is open");
    assert_eq!(error.kind(), StoreErrorKind::Environment);
    assert!(error.to_string().contains("is open already"), "{error}");
    apply(&store, Batch::new().put("acme/a", "1")).await;
    store.close().await.expect("the store closes");
    // The handle is still there, the claim is not.
    let second = place.open().await;
    assert!(value(&second, "acme/a").await.is_some(), "it is there");
    assert_eq!(
        kind(store.get("acme/a".into()).await),
        StoreErrorKind::Closed
    );
}

#[tokio::test]
async fn another_process_keeps_the_store_for_itself_until_it_ends() {
    let place = Place::new();
    let mut child = Player::start(Role::Holding, &place.store());
    assert_eq!(child.hear().as_deref(), Some("open"));
    let impatient = Options {
        open_time_max: Duration::from_millis(20),
        ..Options::default()
    };
    let second = SledStore::open(place.store(), impatient).await;
    assert_eq!(kind(second), StoreErrorKind::Environment);
    child.kill();
    let store = place.open().await;
    assert!(value(&store, "acme/held").await.is_some(), "it is there");
}

pub(crate) async fn play_holding(path: &Path) {
    let store = SledStore::open(path, Options::default()).await;
    let store = store.expect("the store opens");
    apply(&store, Batch::new().put("acme/held", "1")).await;
    tell("open");
    wait_for_the_end();
    store.close().await.expect("the store closes");
}
