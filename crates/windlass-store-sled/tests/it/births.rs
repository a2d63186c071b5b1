//! How a store comes to be, and who may see it.

use std::fs;
use std::sync::Arc;

use windlass_store::{Batch, Store, StoreErrorKind};
use windlass_store_sled::{Options, SledStore};

use crate::common::{Place, apply, names, value};

#[tokio::test]
async fn a_new_store_is_there_whole_and_nothing_beside_it() {
    let place = Place::new();
    let store = place.open().await;
    assert_eq!(names(place.directory()), ["store.sled"]);
    store.close().await.expect("the store closes");
    let found = names(&place.store());
    for name in ["blobs", "conf", "db", "lock", "windlass"] {
        assert!(found.contains(&name.to_owned()), "{name} in {found:?}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn nobody_but_the_owner_may_look() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    for _ in 0..2 {
        let store = place.open().await;
        apply(&store, Batch::new().put("acme/a", "1")).await;
        let mode = |path: &std::path::Path| {
            let metadata = fs::metadata(path).expect("it is there");
            metadata.permissions().mode() & 0o777
        };
        assert_eq!(mode(&place.store()), 0o700);
        for name in names(&place.store()) {
            let path = place.file(&name);
            let expected = if path.is_dir() { 0o700 } else { 0o600 };
            assert_eq!(mode(&path), expected, "{name}");
        }
        store.close().await.expect("the store closes");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_that_open_first_take_turns() {
    let place = Arc::new(Place::new());
    let open = |number: usize| {
        let place = Arc::clone(&place);
        tokio::spawn(async move {
            let store = place.open().await;
            apply(&store, Batch::new().put(format!("acme/{number}"), "1")).await;
            store.close().await.expect("the store closes");
        })
    };
    let tasks: Vec<_> = (0..4).map(open).collect();
    for task in tasks {
        task.await.expect("it opens in its turn");
    }
    let store = place.open().await;
    for number in 0..4 {
        let found = value(&store, &format!("acme/{number}")).await;
        assert_eq!(found.as_deref(), Some(&b"1"[..]), "{number}");
    }
    assert_eq!(names(place.directory()), ["store.sled"]);
}

#[tokio::test]
async fn what_a_birth_left_behind_long_ago_is_removed_by_the_next() {
    let place = Place::new();
    let old = place.directory().join("store.sled.init-0123456789abcdef");
    let young = place.directory().join("store.sled.init-fedcba9876543210");
    for path in [&old, &young] {
        fs::create_dir(path).expect("it can be made");
        fs::write(path.join("db"), "half").expect("it can be written");
    }
    let then = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    let directory = fs::File::open(&old).expect("it can be opened");
    directory.set_modified(then).expect("it can be made old");
    let store = place.open().await;
    assert_eq!(
        names(place.directory()),
        ["store.sled", "store.sled.init-fedcba9876543210"]
    );
    store.close().await.expect("the store closes");
}

#[tokio::test]
async fn options_out_of_range_are_refused_before_anything_happens() {
    for reader_threads in [0, 65] {
        let place = Place::new();
        let options = Options {
            reader_threads,
            ..Options::default()
        };
        let opened = SledStore::open(place.store(), options).await;
        let error = opened.map(drop).expect_err("out of range");
        assert_eq!(error.kind(), StoreErrorKind::Invalid);
        assert_eq!(names(place.directory()), Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_snapshot_that_sled_did_not_finish_is_no_damage() {
    let place = Place::new();
    let store = place.open().await;
    apply(&store, Batch::new().put("acme/a", "1")).await;
    store.close().await.expect("the store closes");
    let unfinished = place.file("snap.7FFFFFFFFFFFFFFF.generating");
    fs::write(&unfinished, "half").expect("it can be written");
    let store = place.open().await;
    assert_eq!(value(&store, "acme/a").await.as_deref(), Some(&b"1"[..]));
    assert!(!unfinished.exists(), "it is still there");
}
