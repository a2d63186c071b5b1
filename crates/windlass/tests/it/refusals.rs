//! What cannot be opened, and that refusing it changes nothing.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use windlass::core::{Coded, ErrorKind, Sharing};
use windlass::session::Config;
use windlass::{OpenError, Options, StoreLocation, Windlass};

use crate::chain::{assert_each_layer_speaks_for_itself, printed};

/// A directory, and what opening `store.db` in it has to answer.
struct Case {
    name: &'static str,
    prepare: fn(&Path),
    kind: ErrorKind,
    code: &'static str,
}

const CASES: [Case; 9] = [
    Case {
        name: "a directory instead of a file",
        prepare: |path| fs::create_dir(path).unwrap(),
        kind: ErrorKind::Environment,
        code: "store_environment",
    },
    Case {
        name: "a directory that does not exist",
        prepare: |path| fs::remove_dir(path.parent().unwrap()).unwrap(),
        kind: ErrorKind::Environment,
        code: "store_environment",
    },
    Case {
        name: "a file of 0 bytes",
        prepare: |path| fs::write(path, b"").unwrap(),
        kind: ErrorKind::Corrupt,
        code: "store_corrupt",
    },
    Case {
        name: "a file cut in half",
        prepare: |path| {
            let whole = whole_store(path);
            fs::write(path, &whole[..whole.len() / 2]).unwrap();
        },
        kind: ErrorKind::Corrupt,
        code: "store_corrupt",
    },
    Case {
        name: "a file cut within its first page",
        prepare: |path| {
            let whole = whole_store(path);
            fs::write(path, &whole[..600]).unwrap();
        },
        kind: ErrorKind::Corrupt,
        code: "store_corrupt",
    },
    Case {
        name: "a text file",
        prepare: |path| fs::write(path, "dear diary ".repeat(1_000)).unwrap(),
        kind: ErrorKind::Corrupt,
        code: "store_corrupt",
    },
    Case {
        name: "somebody else's database",
        prepare: |path| copy_fixture("foreign.db", path),
        kind: ErrorKind::Environment,
        code: "store_environment",
    },
    Case {
        name: "a store of a newer format",
        prepare: |path| copy_fixture("newer.db", path),
        kind: ErrorKind::Environment,
        code: "store_environment",
    },
    Case {
        name: "a read-only file",
        prepare: |path| {
            whole_store(path);
            make_read_only(path);
        },
        kind: ErrorKind::Environment,
        code: "store_environment",
    },
];

/// The bytes of a sound store that was made at `path`.
fn whole_store(path: &Path) -> Vec<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let location = StoreLocation::Sqlite(path.to_owned());
        let windlass = Windlass::open(&location, Options::default()).await.unwrap();
        windlass.close().await.unwrap();
    });
    fs::read(path).unwrap()
}

fn copy_fixture(name: &str, path: &Path) {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    fs::write(path, fs::read(fixtures.join(name)).unwrap()).unwrap();
}

/// Takes the write permission away. The system lets root write all the same;
/// the store does not, so this holds for every user.
fn make_read_only(path: &Path) {
    let mut permissions = fs::metadata(path).unwrap().permissions();
    permissions.set_readonly(true);
    fs::set_permissions(path, permissions).unwrap();
}

/// Every file below a directory with its bytes.
fn contents(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let Ok(entries) = fs::read_dir(directory) else {
        return BTreeMap::new();
    };
    let files = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file());
    files
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect()
}

/// The error of opening what the case prepares, and the directory it is in.
fn refused(case: &Case) -> (OpenError, TempDir) {
    let outside = tempfile::tempdir().unwrap();
    let directory = outside.path().join("data");
    fs::create_dir(&directory).unwrap();
    let path = directory.join("store.db");
    (case.prepare)(&path);
    let before = contents(&directory);

    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let location = StoreLocation::Sqlite(path);
    let opened = runtime.block_on(Windlass::open(&location, Options::default()));

    let error = opened.expect_err(case.name);
    assert_eq!(contents(&directory), before, "{}: files changed", case.name);
    (error, outside)
}

#[test]
fn what_is_no_store_is_refused_by_kind_and_left_as_it_was() {
    for case in &CASES {
        let (error, _directory) = refused(case);
        assert_eq!(
            (error.kind(), error.code()),
            (case.kind, case.code),
            "{}: {error:?}",
            case.name
        );
    }
}

#[test]
fn each_layer_of_a_refusal_says_its_own_part_and_nothing_twice() {
    let mut chains = String::new();
    for case in &CASES {
        let (error, directory) = refused(case);
        assert_each_layer_speaks_for_itself(&error);
        let canonical = fs::canonicalize(directory.path()).unwrap();
        let chain = printed(&error).replace(&*canonical.to_string_lossy(), "DIR");
        chains.push_str(&format!("# {}\n{chain}\n", case.name));
    }
    insta::assert_snapshot!(chains, @r"
    # a directory instead of a file
    cannot open the store `sqlite:DIR/data/store.db`
      `open` failed: `DIR/data/store.db` is a directory
    # a directory that does not exist
    cannot open the store `sqlite:DIR/data/store.db`
      `open` failed: directory `DIR/data` cannot be used
        No such file or directory (os error 2)
    # a file of 0 bytes
    cannot open the store `sqlite:DIR/data/store.db`
      `open` failed: `DIR/data/store.db` was emptied: it has 0 bytes
    # a file cut in half
    cannot open the store `sqlite:DIR/data/store.db`
      `open` failed: the database file is damaged
        SQLite result 11: database disk image is malformed
    # a file cut within its first page
    cannot open the store `sqlite:DIR/data/store.db`
      `open` failed: the database file is damaged
        SQLite result 11: database disk image is malformed
    # a text file
    cannot open the store `sqlite:DIR/data/store.db`
      `open` failed: the file is damaged or was never a store
        SQLite result 26: file is not a database
    # somebody else's database
    cannot open the store `sqlite:DIR/data/store.db`
      `open` failed: the file is not a store: its mark is 0, expected 1464747084
    # a store of a newer format
    cannot open the store `sqlite:DIR/data/store.db`
      `open` failed: the file has format 1000, writable from format 1000; expected format 1
    # a read-only file
    cannot open the store `sqlite:DIR/data/store.db`
      `open` failed: `DIR/data/store.db` is read-only
    ");
}

#[test]
fn settings_that_contradict_themselves_open_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let location = StoreLocation::Sqlite(directory.path().join("store.db"));
    let exclusive = Config {
        sharing: Sharing::Exclusive,
        ..Config::default()
    };
    let out_of_range = Config {
        cap: 0,
        ..Config::default()
    };
    let table = [
        (exclusive, "contradicting_settings"),
        (out_of_range, "invalid_request"),
    ];
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    for (sessions, code) in table {
        let options = Options {
            sessions,
            ..Options::default()
        };
        let error = runtime
            .block_on(Windlass::open(&location, options))
            .expect_err(code);
        assert_eq!(
            (error.kind(), error.code()),
            (ErrorKind::Invalid, code),
            "{error:?}"
        );
        assert_each_layer_speaks_for_itself(&error);
    }
    assert_eq!(contents(directory.path()), BTreeMap::new());
}

#[test]
fn an_exclusive_store_keeps_others_out_until_it_is_closed() {
    let directory = tempfile::tempdir().unwrap();
    let location = StoreLocation::Sqlite(directory.path().join("store.db"));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let first = Windlass::open(&location, Options::exclusive())
            .await
            .unwrap();
        let error = Windlass::open(&location, Options::default())
            .await
            .expect_err("it is taken");
        assert_eq!(
            (error.kind(), error.code()),
            (ErrorKind::Unavailable, "store_unavailable"),
            "{error:?}"
        );
        first.close().await.unwrap();
        let second = Windlass::open(&location, Options::default()).await.unwrap();
        second.close().await.unwrap();
    });
}
