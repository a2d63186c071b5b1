//! How a database comes to be.

use std::fs::{self, File, FileTimes};
use std::time::Duration;

use windlass_store::{Batch, Expect, Store, StoreExt};
use windlass_store_sqlite::{Options, SqliteStore};

use crate::common::{Place, apply};

const OPENERS: usize = 12;
const ROUNDS: usize = 30;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn any_number_of_first_opens_share_one_whole_store() {
    for _ in 0..ROUNDS {
        let place = Place::new();
        let openers: Vec<_> = (0..OPENERS)
            .map(|number| tokio::spawn(open_and_put(place.store(), number)))
            .collect();
        for opener in openers {
            opener.await.expect("an opener ends");
        }
        let store = place.open().await;
        let entries = store
            .scan_all(windlass_store::KeyRange::all())
            .await
            .expect("all can be read");
        assert_eq!(entries.len(), OPENERS);
        let incarnation = entries[0].version.incarnation();
        assert!(
            entries
                .iter()
                .all(|entry| entry.version.incarnation() == incarnation),
            "{entries:?}"
        );
        store.close().await.expect("the store closes");
        assert_eq!(
            place.names(),
            [
                "store.db",
                "store.db-next",
                "store.db-sharing",
                "store.db-turn"
            ]
        );
    }
}

async fn open_and_put(path: std::path::PathBuf, number: usize) {
    let store = SqliteStore::open(path, Options::default())
        .await
        .expect("a first open succeeds");
    let key = format!("acme/opener/{number}");
    apply(
        &store,
        Batch::new()
            .check(key.clone(), Expect::Absent)
            .put(key, "1"),
    )
    .await;
    store.close().await.expect("the store closes");
}

#[cfg(unix)]
#[tokio::test]
async fn all_files_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;

    let place = Place::new();
    let store = place.open().await;
    apply(&store, Batch::new().put("acme/a", "1")).await;
    for name in place.names() {
        let mode = fs::metadata(place.directory().join(&name))
            .expect("a file is there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "the mode of {name}");
    }
    assert!(
        place.names().contains(&"store.db-wal".to_owned()),
        "{:?}",
        place.names()
    );
    store.close().await.expect("the store closes");
}

#[tokio::test]
async fn what_a_dead_birth_left_is_removed_by_a_later_one() {
    let place = Place::new();
    let old =
        [".init-00000000000000aa", ".init-00000000000000aa-wal"].map(|suffix| place.beside(suffix));
    let young = place.beside(".init-00000000000000bb");
    let other = place.directory().join("other.db.init-00000000000000cc");
    for path in old.iter().chain([&young, &other]) {
        fs::write(path, "half a database").expect("a file can be written");
    }
    for path in old.iter().chain([&other]) {
        age(path, Duration::from_secs(3_600));
    }
    place.open().await.close().await.expect("the store closes");
    assert_eq!(old.each_ref().map(|path| path.exists()), [false, false]);
    assert_eq!([&young, &other].map(|path| path.exists()), [true, true]);
}

fn age(path: &std::path::Path, by: Duration) {
    let file = File::options()
        .write(true)
        .open(path)
        .expect("the file is there");
    let modified = file
        .metadata()
        .and_then(|metadata| metadata.modified())
        .expect("its age is known");
    file.set_times(FileTimes::new().set_modified(modified - by))
        .expect("its age can be set");
}

#[tokio::test]
async fn a_birth_that_died_half_way_leaves_no_store() {
    let place = Place::new();
    fs::write(place.beside(".init-00000000000000aa"), "half a database")
        .expect("a file can be written");
    let store = place.open().await;
    assert_eq!(
        store
            .scan_all(windlass_store::KeyRange::all())
            .await
            .expect("it can be read"),
        []
    );
    store.close().await.expect("the store closes");
}

#[tokio::test]
async fn each_store_has_an_incarnation_of_its_own_and_keeps_it() {
    let (one, other) = (Place::new(), Place::new());
    let mut versions = Vec::new();
    for place in [&one, &other, &one] {
        let store = place.open().await;
        versions.push(apply(&store, Batch::new().put("acme/a", "1")).await);
        store.close().await.expect("the store closes");
    }
    assert_eq!(versions[0].incarnation(), versions[2].incarnation());
    assert_ne!(versions[0].incarnation(), versions[1].incarnation());
    assert_eq!(
        versions
            .iter()
            .map(|version| version.sequence())
            .collect::<Vec<_>>(),
        [1, 1, 2]
    );
}

#[cfg(unix)]
#[tokio::test]
async fn two_names_of_one_file_are_one_store() {
    let place = Place::new();
    let link = place.directory().join("alias.db");
    let store = place.open().await;
    std::os::unix::fs::symlink(place.store(), &link).expect("a link can be made");
    let alias = SqliteStore::open(&link, Options::default())
        .await
        .expect("the alias opens");
    assert_eq!(alias.path(), store.path());
    apply(&alias, Batch::new().put("acme/a", "1")).await;
    assert_eq!(
        crate::common::value(&store, "acme/a").await.as_deref(),
        Some(b"1".as_slice())
    );
    assert!(
        !place
            .names()
            .iter()
            .any(|name| name.starts_with("alias.db-")),
        "{:?}",
        place.names()
    );
    alias.close().await.expect("the alias closes");
    store.close().await.expect("the store closes");
}
