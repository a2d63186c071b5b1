//! Files that cannot grow any further: the system's limit on the size of any
//! file stands for a full disk, which needs a file system of its own.

use std::path::Path;

use windlass_store::{Batch, Commit, Store, StoreErrorKind};
use windlass_store_sled::{Options, SledStore};

use crate::children::tell;
#[cfg(unix)]
use crate::children::{Player, Role};
#[cfg(unix)]
use crate::common::{Place, value};

/// Three segments of sled's log.
#[cfg(unix)]
const FILE_BYTES_MAX: u64 = 3 * 8 * 1_024 * 1_024;
const TRIES: usize = 400;
const VALUE_BYTES: usize = 12_000;

#[cfg(unix)]
#[tokio::test]
async fn a_commit_that_the_system_refuses_to_write_closes_the_store() {
    let place = Place::new();
    let closed = place.open().await.close().await;
    closed.expect("the store closes");
    let mut child = Player::start_limited(Role::Growing, &place.store(), FILE_BYTES_MAX);
    let answers: Vec<_> = std::iter::from_fn(|| child.hear()).collect();
    child.finish();
    assert_eq!(answers.len(), TRIES, "{answers:?}");
    let applied = answers.iter().filter(|answer| *answer == "applied").count();
    assert!((20..TRIES - 1).contains(&applied), "{applied} applied");
    let after = ["Indeterminate"]
        .into_iter()
        .chain(std::iter::repeat("Closed"));
    for (number, expected) in (applied..TRIES).zip(after) {
        assert_eq!(answers[number], expected, "commit {number}");
    }
    verify(&place, &answers).await;
}

/// With room again: what was acknowledged is there, what certainly did not
/// happen is not, and the rest is whole or not there.
#[cfg(unix)]
async fn verify(place: &Place, answers: &[String]) {
    let store = place.open().await;
    for (number, answer) in answers.iter().enumerate() {
        let mut there = [None, None];
        for (half, there) in there.iter_mut().enumerate() {
            let value = value(&store, &key(number, half)).await;
            *there = value.map(|value| value.len());
        }
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
    let store = SledStore::open(path, Options::default()).await;
    let store = store.expect("the store opens");
    for number in 0..TRIES {
        let put = |batch: Batch, half| batch.put(key(number, half), vec![5; VALUE_BYTES]);
        let batch = [0, 1].into_iter().fold(Batch::new(), put);
        match store.commit(batch).await {
            Ok(Commit::Applied(_)) => tell("applied"),
            Ok(Commit::Conflict { key }) => panic!("{key:?} was not checked"),
            Err(error) => tell(&format!("{:?}", error.kind())),
        }
    }
    assert!(store.health().failed, "{:?}", store.health());
    let late = store.commit(Batch::new().put("acme/late", "1")).await;
    let late = late.expect_err("the store is closed");
    assert_eq!(late.kind(), StoreErrorKind::Closed);
    assert_eq!(
        late.to_string(),
        "`commit` failed: the store closed itself after a failure; open it again"
    );
    store.close().await.expect("the store closes");
}
