//! Other processes: the test binary run again with a role to play.

use std::process::{Child, Command};

use bytes::Bytes;
use windlass_store::{Batch, Commit, Expect, Store, StoreExt};
use windlass_store_postgres::{Options, PostgresStore};

use crate::common::{Place, value};
use crate::settings::variable;

const ROLE: &str = "WINDLASS_TEST_ROLE";
const PATH: &str = "WINDLASS_TEST_PATH";

const PROCESSES: u64 = 3;
const INCREMENTS: u64 = 150;
const COUNTER: &str = "acme/counter";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_count_up_one_key_lose_nothing() {
    if variable(ROLE).is_some() {
        let url = variable(PATH).expect("the parent names the server");
        return count_up(&url).await;
    }
    let place = Place::new();
    let store = place.open().await;
    let mut children: Vec<Child> = (0..PROCESSES).map(|_| child(&place.url())).collect();
    for child in &mut children {
        let status = child.wait().expect("the child ends");
        assert!(status.success(), "a child ended with {status}");
    }
    let expected = (PROCESSES * INCREMENTS).to_string();
    assert_eq!(value(&store, COUNTER).await, Some(expected.into()));
}

fn child(url: &str) -> Child {
    let binary = std::env::current_exe().expect("the test binary has a path");
    let mut command = Command::new(binary);
    command.args([
        "processes::processes_that_count_up_one_key_lose_nothing",
        "--exact",
    ]);
    command.env(ROLE, "Counter").env(PATH, url);
    command.spawn().expect("a child starts")
}

async fn count_up(url: &str) {
    let options = Options::from_url(url).expect("the parent gives an address");
    let store = PostgresStore::connect(options)
        .await
        .expect("the store opens");
    let mut done = 0;
    while done < INCREMENTS {
        let entry = store
            .get(Bytes::from(COUNTER))
            .await
            .expect("it can be read");
        let count = entry.as_ref().map_or(0, |entry| {
            let digits = std::str::from_utf8(&entry.value).expect("it is text");
            digits.parse::<u64>().expect("it is a number")
        });
        let expect = entry.map_or(Expect::Absent, |entry| Expect::Version(entry.version));
        let batch = Batch::new()
            .check(COUNTER, expect)
            .put(COUNTER, (count + 1).to_string());
        if let Commit::Applied(_) = store.commit(batch).await.expect("it is decided") {
            done += 1;
        }
    }
    store.close().await.expect("the store closes");
}
