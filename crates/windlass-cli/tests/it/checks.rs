//! `windlass check` as a process.

use serde_json::Value;
use windlass::store::{Batch, Commit};
use windlass::{Options, StoreLocation, Windlass};

use crate::bench::{Bench, Ran};

/// Takes the row of due work of the only session out of the store.
fn plant(bench: &Bench) -> String {
    let rows = bench.export();
    let mut due = rows.keys().filter(|key| key.starts_with(b"due/"));
    let row = due.next().unwrap().clone();
    write(bench, Batch::new().delete(row.clone()));
    String::from_utf8(row).unwrap()
}

/// Writes to the store behind the engine's back.
fn write(bench: &Bench, batch: Batch) {
    let location = StoreLocation::Sqlite(bench.path("windlass.db"));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let windlass = Windlass::open(&location, Options::default()).await.unwrap();
        let commit = windlass.store().commit(batch).await.unwrap();
        assert!(matches!(commit, Commit::Applied(_)), "{commit:?}");
        windlass.close().await.unwrap();
    });
}

fn report(ran: &Ran, exit: i32) -> Value {
    let mut objects = ran.assert_code(exit).objects();
    assert_eq!(objects.len(), 1, "{ran:?}");
    objects.remove(0)
}

#[test]
fn what_is_found_is_named_and_put_right_when_that_is_asked_for() {
    let bench = Bench::with_session();
    let sound = report(&bench.run("--json check"), 0);
    assert_eq!(sound["findings"].to_string(), "[]");
    let row = plant(&bench);
    for line in ["check", "check --repair --dry-run"] {
        let ran = bench.run(&format!("--json {line}"));
        let said: Value = serde_json::from_str(&ran.stderr).unwrap();
        assert_eq!(said["error"]["code"], "check_failed", "{line}");
        let found = report(&ran, 1);
        assert_eq!(found["findings"][0]["code"], "index_row_missing", "{line}");
        assert_eq!(found["findings"][0]["key"], *row, "{line}");
        assert_eq!(found["findings"][0]["repair"], "possible", "{line}");
    }
    let repaired = report(&bench.run("--json check --repair"), 0);
    assert_eq!(repaired["repaired"], 1);
    assert_eq!(repaired["findings"][0]["repair"], "done");
    assert!(bench.export().contains_key(row.as_bytes()), "{row}");
    let sound = report(&bench.run("--json check"), 0);
    assert_eq!(sound["findings"].to_string(), "[]");
}

#[test]
fn people_are_told_what_a_finding_is_and_what_to_do() {
    let bench = Bench::with_session();
    let row = plant(&bench);
    let ran = bench.run("check");
    ran.assert_code(1);
    for word in [
        &*row,
        "error",
        "possible",
        "`windlass check --repair` puts it right",
    ] {
        assert!(ran.stdout.contains(word), "no {word} in {}", ran.stdout);
    }
    bench.run("check --dry-run").assert_code(2);
    bench
        .run("check --server http://127.0.0.1:1")
        .assert_code(2);
}

#[test]
fn a_clock_that_is_refused_can_be_accepted() {
    let bench = Bench::with_session();
    let later = r#"{"v":1,"mark":9999999999999}"#;
    write(&bench, Batch::new().put("system/maintenance/clock", later));
    bench.run("session show s1").assert_code(8);
    bench.run("check").assert_code(8);
    let accepted = bench.run("--json check --accept-clock");
    accepted.assert_code(0);
    let said: Value = serde_json::from_str(&accepted.stderr).unwrap();
    assert_eq!(said["seen"], 9_999_999_999_999_u64);
    bench.run("session show s1").assert_code(0);
    bench.run("check").assert_code(0);
}
