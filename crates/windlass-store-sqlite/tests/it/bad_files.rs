//! What is not a store is refused, named, and left as it was.

use std::fs;
use std::path::Path;

use rusqlite::Connection;
use windlass_store::{Batch, Store, StoreErrorKind};
use windlass_store_sqlite::{Options, SqliteStore};

use crate::common::{Place, apply};

struct Case {
    what: &'static str,
    arrange: fn(&Path),
    kind: StoreErrorKind,
    says: &'static str,
}

const CASES: [Case; 16] = [
    Case {
        what: "a file without a byte",
        arrange: |path| write(path, ""),
        kind: StoreErrorKind::Corrupt,
        says: "was emptied",
    },
    Case {
        what: "a text",
        arrange: |path| write(path, &"no database at all\n".repeat(500)),
        kind: StoreErrorKind::Corrupt,
        says: "the file is damaged or was never a store",
    },
    Case {
        what: "a text shorter than a header",
        arrange: |path| write(path, "hello"),
        kind: StoreErrorKind::Corrupt,
        says: "the file is damaged or was never a store",
    },
    Case {
        what: "a log without its database",
        arrange: |path| write(&beside(path, "-wal"), "left behind"),
        kind: StoreErrorKind::Corrupt,
        says: "is there without its database",
    },
    Case {
        what: "a rollback journal without its database",
        arrange: |path| write(&beside(path, "-journal"), "left behind"),
        kind: StoreErrorKind::Corrupt,
        says: "is there without its database",
    },
    Case {
        what: "the database of another program",
        arrange: |path| sql(path, &["CREATE TABLE customers (name TEXT)"]),
        kind: StoreErrorKind::Environment,
        says: "its mark is 0, expected 1464747084",
    },
    Case {
        what: "a database with our mark and nothing else",
        arrange: |path| {
            sql(
                path,
                &[
                    "PRAGMA application_id = 1464747084",
                    "CREATE TABLE customers (name TEXT)",
                ],
            )
        },
        kind: StoreErrorKind::Corrupt,
        says: "does not have the expected tables",
    },
    Case {
        what: "a newer format",
        arrange: |path| {
            store_then(
                path,
                "UPDATE windlass SET format = 7, readable_from = 6, writable_from = 5",
            )
        },
        kind: StoreErrorKind::Environment,
        says: "the file has format 7, writable from format 5; expected format 1",
    },
    Case {
        what: "an older format",
        arrange: |path| store_then(path, "UPDATE windlass SET format = 0"),
        kind: StoreErrorKind::Environment,
        says: "the file has format 0, writable from format 1; expected format 1",
    },
    Case {
        what: "a header whose number was set back",
        arrange: |path| store_then(path, "UPDATE windlass SET sequence = 0"),
        kind: StoreErrorKind::Corrupt,
        says: "the header of the store is damaged",
    },
    Case {
        what: "a store without its header",
        arrange: |path| store_then(path, "DELETE FROM windlass"),
        kind: StoreErrorKind::Corrupt,
        says: "the header of the store is missing",
    },
    Case {
        what: "a store that was taken out of its journal mode",
        arrange: |path| store_then(path, "PRAGMA journal_mode = DELETE"),
        kind: StoreErrorKind::Environment,
        says: "the journal mode of the file is `delete`; expected `wal`",
    },
    Case {
        what: "a store cut within its last page",
        arrange: |path| cut(path, |length| length - 1),
        kind: StoreErrorKind::Corrupt,
        says: "bytes are left",
    },
    Case {
        what: "a store cut in half",
        arrange: |path| cut(path, |length| length / 2),
        kind: StoreErrorKind::Corrupt,
        says: "the database file is damaged",
    },
    Case {
        what: "a directory",
        arrange: |path| fs::create_dir(path).expect("a directory can be made"),
        kind: StoreErrorKind::Environment,
        says: "is a directory",
    },
    Case {
        what: "a store that must not be written",
        arrange: |path| {
            store_then(path, "SELECT 1");
            let mut permissions = fs::metadata(path)
                .expect("the store is there")
                .permissions();
            permissions.set_readonly(true);
            fs::set_permissions(path, permissions).expect("it can be made read-only");
        },
        kind: StoreErrorKind::Environment,
        says: "is read-only",
    },
];

#[test]
fn what_is_not_a_store_is_refused_and_left_as_it_was() {
    for case in CASES {
        let place = Place::new();
        (case.arrange)(&place.store());
        let before = contents(&place);
        let opened = block_on(SqliteStore::open(place.store(), Options::default()));
        let error = opened.map(drop).expect_err(case.what);
        assert_eq!(error.kind(), case.kind, "{}: {error:?}", case.what);
        assert!(
            error.to_string().contains(case.says),
            "{}: {error:?}",
            case.what
        );
        assert_eq!(contents(&place), before, "{} was changed", case.what);
    }
}

#[test]
fn a_directory_that_is_not_there_is_named() {
    let place = Place::new();
    let path = place.directory().join("missing").join("store.db");
    let error = block_on(SqliteStore::open(&path, Options::default()))
        .map(drop)
        .expect_err("no directory");
    assert_eq!(error.kind(), StoreErrorKind::Environment);
    assert!(
        error.to_string().contains("missing` cannot be used"),
        "{error}"
    );
    assert_eq!(place.names(), Vec::<String>::new());
}

#[test]
fn options_out_of_range_are_refused_before_anything_happens() {
    let wrong = [
        Options {
            reader_threads: 0,
            ..Options::default()
        },
        Options {
            reader_threads: 65,
            ..Options::default()
        },
        Options {
            wal_copy_bytes: 0,
            ..Options::default()
        },
        Options {
            wal_copy_bytes: 2,
            wal_empty_bytes: 1,
            ..Options::default()
        },
    ];
    for options in wrong {
        let place = Place::new();
        let error = block_on(SqliteStore::open(place.store(), options))
            .map(drop)
            .expect_err("out of range");
        assert_eq!(error.kind(), StoreErrorKind::Invalid);
        assert_eq!(place.names(), Vec::<String>::new());
    }
}

#[test]
fn a_vfs_that_nobody_registered_is_named() {
    let place = Place::new();
    let options = Options {
        vfs: Some("imaginary".into()),
        ..Options::default()
    };
    let error = block_on(SqliteStore::open(place.store(), options))
        .map(drop)
        .expect_err("no VFS");
    assert_eq!(error.kind(), StoreErrorKind::Environment);
    assert_eq!(
        error.context(),
        "no SQLite VFS is registered as `imaginary`"
    );
    assert_eq!(place.names(), Vec::<String>::new());
}

/// What is written to a file without a name is lost when it is closed, so it
/// is not acknowledged.
#[cfg(unix)]
#[test]
fn a_store_whose_file_is_taken_away_commits_nothing_more() {
    block_on(async {
        let place = Place::new();
        let store = place.open().await;
        apply(&store, Batch::new().put("acme/a", "1")).await;
        let aside = place.beside(".aside");
        fs::rename(place.store(), &aside).expect("the file can be moved");
        for replaced in [false, true] {
            if replaced {
                fs::copy(&aside, place.store()).expect("a copy can be put in its place");
            }
            let error = store
                .commit(Batch::new().put("acme/b", "1"))
                .await
                .expect_err("it is refused");
            assert_eq!(error.kind(), StoreErrorKind::Environment);
            assert!(
                error
                    .context()
                    .ends_with("was moved or removed while it was open"),
                "{error}"
            );
        }
        fs::rename(aside, place.store()).expect("the file can be put back");
        apply(&store, Batch::new().put("acme/c", "1")).await;
        store.close().await.expect("the store closes");
    });
}

/// The log that a crash leaves behind is part of the store, not an orphan.
#[test]
fn a_store_that_was_copied_with_its_log_opens_with_all_of_it() {
    let (place, copy) = (Place::new(), Place::new());
    block_on(async {
        let store = place.open().await;
        apply(&store, Batch::new().put("acme/a", "1")).await;
        for suffix in ["", "-wal"] {
            fs::copy(place.beside(suffix), copy.beside(suffix)).expect("a file can be copied");
        }
        store.close().await.expect("the store closes");
        let store = copy.open().await;
        assert_eq!(
            crate::common::value(&store, "acme/a").await.as_deref(),
            Some(b"1".as_slice())
        );
        store.close().await.expect("the store closes");
    });
}

/// Names and bytes of everything in the directory.
fn contents(place: &Place) -> Vec<(String, Option<Vec<u8>>)> {
    let read = |name: String| {
        let bytes = fs::read(place.directory().join(&name)).ok();
        (name, bytes)
    };
    place.names().into_iter().map(read).collect()
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).expect("a file can be written");
}

fn beside(path: &Path, suffix: &str) -> std::path::PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn sql(path: &Path, statements: &[&str]) {
    let connection = Connection::open(path).expect("SQLite opens the file");
    for statement in statements {
        let mut prepared = connection
            .prepare(statement)
            .expect("the statement is valid");
        let mut rows = prepared.query([]).expect("the statement starts");
        while rows.next().expect("the statement runs").is_some() {}
    }
}

/// Makes a store, closes it, and runs a statement on its file.
fn store_then(path: &Path, statement: &str) {
    block_on(async {
        let store = SqliteStore::open(path, Options::default())
            .await
            .expect("the store opens");
        let fill = |batch: Batch, number| batch.put(format!("acme/{number:03}"), vec![7; 300]);
        apply(&store, (0..100).fold(Batch::new(), fill)).await;
        store.close().await.expect("the store closes");
    });
    sql(path, &[statement]);
}

fn cut(path: &Path, length: impl Fn(u64) -> u64) {
    store_then(path, "SELECT 1");
    let file = fs::OpenOptions::new()
        .write(true)
        .open(path)
        .expect("the store is there");
    let before = file.metadata().expect("its length is known").len();
    file.set_len(length(before)).expect("it can be cut");
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime starts")
        .block_on(future)
}
