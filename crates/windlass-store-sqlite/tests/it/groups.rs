//! Batches that share a transaction, and keep apart all the same.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use windlass_store::{Batch, Commit, Expect, Store, StoreError, StoreErrorKind, Version};
use windlass_store_sqlite::{Options, SqliteStore};

use crate::common::{Place, Turn, apply, kind, value};

type Waiting = JoinHandle<Result<Commit, StoreError>>;

/// Has all batches wait together, in their order, so that they form a group.
async fn gather(
    place: &Place,
    store: &Arc<SqliteStore>,
    batches: Vec<Batch>,
) -> Vec<Result<Commit, StoreError>> {
    let turn = Turn::hold(place);
    let mut waiting: Vec<Waiting> = Vec::new();
    for batch in batches {
        let store = Arc::clone(store);
        let (started, start) = tokio::sync::oneshot::channel();
        waiting.push(tokio::spawn(async move {
            let mut commit = store.commit(batch);
            // The first poll hands the batch over.
            let first = std::future::poll_fn(|context| {
                std::task::Poll::Ready(commit.as_mut().poll(context))
            })
            .await;
            started.send(()).expect("the test waits");
            match first {
                std::task::Poll::Ready(answer) => answer,
                std::task::Poll::Pending => commit.await,
            }
        }));
        start.await.expect("the commit starts");
    }
    drop(turn);
    let mut answers = Vec::new();
    for commit in waiting {
        answers.push(commit.await.expect("a commit ends"));
    }
    answers
}

#[tokio::test]
async fn a_batch_sees_those_before_it_in_its_group() {
    let place = Place::new();
    let store = Arc::new(place.open().await);
    let absent = Batch::new()
        .check("acme/a", Expect::Absent)
        .put("acme/a", "first");
    let again = Batch::new()
        .check("acme/a", Expect::Absent)
        .put("acme/a", "second")
        .put("acme/b", "2");
    let present = Batch::new()
        .check("acme/a", Expect::Present)
        .put("acme/c", "3");
    let answers = gather(&place, &store, vec![absent, again, present]).await;
    let sequences: Vec<_> = answers
        .into_iter()
        .map(|answer| match answer.expect("no error") {
            Commit::Applied(version) => Ok(version.sequence()),
            Commit::Conflict { key } => Err(key),
        })
        .collect();
    assert_eq!(sequences, [Ok(1), Err("acme/a".into()), Ok(2)]);
    assert_eq!(
        value(&*store, "acme/a").await.as_deref(),
        Some(b"first".as_slice())
    );
    assert_eq!(value(&*store, "acme/b").await, None);
    store.close().await.expect("the store closes");
}

#[tokio::test]
async fn only_the_batch_that_cannot_be_applied_fails() {
    let place = Place::new();
    let options = Options {
        database_bytes_max: Some(1 << 20),
        ..Options::default()
    };
    let store = Arc::new(place.open_with(options).await);
    let small = |number: usize| Batch::new().put(format!("acme/small/{number}"), "1");
    let large = Batch::new()
        .put("acme/beside", "1")
        .put("acme/large", vec![1; 2 << 20]);
    let batches = vec![small(0), small(1), large, small(2), small(3)];
    let answers = gather(&place, &store, batches).await;
    for (place, answer) in answers.into_iter().enumerate() {
        match (place, answer) {
            (2, Err(error)) => {
                assert_eq!(error.kind(), StoreErrorKind::Environment);
                assert_eq!(error.to_string(), "`commit` failed: the disk is full");
            }
            (2, answer) => panic!("expected the large batch to be refused, got {answer:?}"),
            (_, answer) => assert!(matches!(answer, Ok(Commit::Applied(_))), "{answer:?}"),
        }
    }
    assert_eq!(value(&*store, "acme/beside").await, None);
    for number in 0..4 {
        assert!(
            value(&*store, &format!("acme/small/{number}"))
                .await
                .is_some(),
            "small batch {number}"
        );
    }
    store.close().await.expect("the store closes");
}

#[tokio::test]
async fn a_full_store_takes_no_more_but_can_be_read_and_emptied() {
    let place = Place::new();
    let options = Options {
        database_bytes_max: Some(1 << 20),
        ..Options::default()
    };
    let store = place.open_with(options).await;
    let put = |number: usize| Batch::new().put(format!("acme/{number:04}"), vec![3; 50_000]);
    let mut stored = 0;
    let refused = loop {
        match store.commit(put(stored)).await {
            Ok(Commit::Applied(_)) => stored += 1,
            other => break other,
        }
    };
    assert_eq!(kind(refused), StoreErrorKind::Environment);
    assert!(
        (15..21).contains(&stored),
        "{stored} values of 50 kB in 1 MiB"
    );
    assert!(
        value(&store, "acme/0000").await.is_some(),
        "what was stored can be read"
    );
    apply(&store, Batch::new().delete("acme/0000").delete("acme/0001")).await;
    apply(&store, put(stored)).await;
    store.close().await.expect("the store closes");
}

#[tokio::test]
async fn the_first_check_that_does_not_hold_is_named_wherever_it_stands() {
    let place = Place::new();
    let store = place.open().await;
    let stale = apply(&store, Batch::new().put("acme/head", "1")).await;
    let fresh = apply(&store, Batch::new().put("acme/head", "2")).await;
    for (batch, expected) in refused_batches(stale, fresh) {
        let answer = store.commit(batch.clone()).await.expect("no error");
        assert_eq!(
            answer,
            Commit::Conflict {
                key: expected.into()
            },
            "{batch:?}"
        );
    }
    assert_eq!(
        value(&store, "acme/head").await.as_deref(),
        Some(b"2".as_slice())
    );
    apply(
        &store,
        Batch::new()
            .check("acme/head", Expect::Version(fresh))
            .delete("acme/head"),
    )
    .await;
    store.close().await.expect("the store closes");
}

/// Batches that do not apply where only `acme/head` exists, with the key of
/// the first check that fails.
fn refused_batches(stale: Version, fresh: Version) -> [(Batch, &'static str); 8] {
    let check = |batch: Batch, key: &'static str, expect| batch.check(key, expect);
    let missing = |batch| check(batch, "acme/missing", Expect::Present);
    let head = |batch, expect| check(batch, "acme/head", expect).put("acme/head", "3");
    let (stale, fresh) = (Expect::Version(stale), Expect::Version(fresh));
    [
        (head(missing(Batch::new()), stale), "acme/missing"),
        (missing(head(Batch::new(), stale)), "acme/head"),
        (missing(head(Batch::new(), fresh)), "acme/missing"),
        (head(Batch::new(), stale), "acme/head"),
        (head(Batch::new(), Expect::Absent), "acme/head"),
        (
            check(Batch::new(), "acme/head", stale).delete("acme/head"),
            "acme/head",
        ),
        (missing(Batch::new()).delete("acme/missing"), "acme/missing"),
        (
            missing(Batch::new()).put("acme/missing", "3"),
            "acme/missing",
        ),
    ]
}

#[tokio::test]
async fn a_version_of_another_store_matches_nothing() {
    let (place, other) = (Place::new(), Place::new());
    let (store, foreign) = (place.open().await, other.open().await);
    apply(&store, Batch::new().put("acme/a", "1")).await;
    let version = apply(&foreign, Batch::new().put("acme/a", "1")).await;
    let batch = Batch::new()
        .check("acme/a", Expect::Version(version))
        .put("acme/a", "2");
    let answer = store.commit(batch).await.expect("no error");
    assert_eq!(
        answer,
        Commit::Conflict {
            key: "acme/a".into()
        }
    );
    store.close().await.expect("the store closes");
    foreign.close().await.expect("the store closes");
}

/// As when a process is stopped in the middle of a commit.
#[tokio::test]
async fn a_turn_that_never_comes_is_not_waited_for_for_ever() {
    let place = Place::new();
    let options = Options {
        busy_time_max: Duration::from_millis(10),
        ..Options::default()
    };
    let store = place.open_with(options).await;
    let turn = Turn::hold(&place);
    for _ in 0..2 {
        let refused = store.commit(Batch::new().put("acme/refused", "1")).await;
        assert_eq!(kind(refused), StoreErrorKind::Unavailable);
    }
    assert_eq!(
        value(&store, "acme/refused").await,
        None,
        "reads need no turn"
    );
    drop(turn);
    while store.commit(Batch::new().put("acme/a", "1")).await.is_err() {}
    assert_eq!(value(&store, "acme/refused").await, None);
    store.close().await.expect("the store closes");
}
