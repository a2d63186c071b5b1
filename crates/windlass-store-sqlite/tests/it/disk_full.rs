//! Files that cannot grow any further.
//!
//! A full disk needs a file system of its own, and mounting one needs root.
//! What replaces it here: a limit on the size of the database file (the same
//! result code, `SQLITE_FULL`, from the same place: see the module `groups`),
//! and the system's limit on the size of any file (the failed write of a
//! COMMIT, which is what a full disk looks like on a file system that reports
//! it late).

use std::path::Path;

use windlass_store::{Batch, Commit, Store, StoreErrorKind};
use windlass_store_sqlite::{Options, SqliteStore};

use crate::children::{Player, Role, tell};
use crate::common::{Place, value};

const FILE_BYTES_MAX: u64 = 1 << 20;
const TRIES: usize = 200;
const VALUE_BYTES: usize = 9_000;

#[cfg(unix)]
#[tokio::test]
async fn a_commit_that_the_system_refuses_to_write_is_never_answered_falsely() {
    let place = Place::new();
    place.open().await.close().await.expect("the store closes");
    let mut child = Player::start_limited(Role::Growing, &place.store(), FILE_BYTES_MAX);
    let answers: Vec<_> = std::iter::from_fn(|| child.hear()).collect();
    child.finish();
    assert_eq!(answers.len(), TRIES, "{answers:?}");
    let applied = answers.iter().filter(|answer| *answer == "applied").count();
    assert!(
        (20..TRIES).contains(&applied),
        "{applied} commits of 18 kB in files of 1 MiB: {answers:?}"
    );
    let first = answers.iter().find(|answer| *answer != "applied");
    assert_eq!(first.map(String::as_str), Some("Indeterminate"));
    verify(&place, &answers).await;
}

/// With room again: what was acknowledged is there, what certainly did not
/// happen is not, and the rest is whole or not there.
async fn verify(place: &Place, answers: &[String]) {
    let store = place.open().await;
    for (number, answer) in answers.iter().enumerate() {
        let found = [0, 1].map(|half| key(number, half));
        let found = [
            value(&store, &found[0]).await,
            value(&store, &found[1]).await,
        ];
        let there = found
            .each_ref()
            .map(|value| value.as_ref().map(bytes::Bytes::len));
        match answer.as_str() {
            "applied" => assert_eq!(there, [Some(VALUE_BYTES); 2], "commit {number}"),
            "Indeterminate" => assert_eq!(there[0], there[1], "commit {number} is there by half"),
            _ => assert_eq!(there, [None; 2], "commit {number}, answered {answer}"),
        }
    }
    store.close().await.expect("the store closes");
}

fn key(number: usize, half: usize) -> String {
    format!("acme/{number:03}/{half}")
}

/// Commits so many times, whatever the answers, and tells them.
pub(crate) async fn play_growing(path: &Path) {
    let store = SqliteStore::open(path, Options::default())
        .await
        .expect("the store opens");
    for number in 0..TRIES {
        let put = |batch: Batch, half| batch.put(key(number, half), vec![5; VALUE_BYTES]);
        match store
            .commit([0, 1].into_iter().fold(Batch::new(), put))
            .await
        {
            Ok(Commit::Applied(_)) => tell("applied"),
            Ok(Commit::Conflict { key }) => panic!("{key:?} was not checked"),
            Err(error) => {
                assert_ne!(error.kind(), StoreErrorKind::Invalid, "{error:?}");
                tell(&format!("{:?}", error.kind()));
            }
        }
    }
    store.close().await.expect("the store closes");
}
