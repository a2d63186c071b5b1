//! `windlass backup` and `windlass restore` as processes.

use std::fs;

use serde_json::Value;

use crate::bench::{Bench, Ran};

fn code_of(ran: &Ran) -> String {
    let said: Value = serde_json::from_str(&ran.stderr).unwrap();
    said["error"]["code"].as_str().unwrap().to_owned()
}

fn object(ran: &Ran) -> Value {
    let mut objects = ran.assert_code(0).objects();
    assert_eq!(objects.len(), 1, "{ran:?}");
    objects.remove(0)
}

#[test]
fn what_was_backed_up_is_listed_verified_and_restored() {
    let bench = Bench::with_session();
    let none = object(&bench.run("--json backup status"));
    assert_eq!(none.to_string(), "{}");
    let made = object(&bench.run("--json backup kept --verify"));
    let path = made["path"].as_str().unwrap();
    let manifest = &made["manifest"];
    assert_eq!(made["verified"], true);
    let status = object(&bench.run("--json backup status"));
    assert_eq!(status["last"]["name"], manifest["name"]);
    let listed = object(&bench.run("--json backup list kept"));
    assert_eq!(&listed["manifest"], manifest);
    let verified = object(&bench.run(&format!("--json backup verify {path}")));
    assert_eq!(&verified, manifest);
    let restored = object(&bench.run(&format!("--json restore {path} --store sqlite:new.db")));
    assert_eq!(restored["digest"], manifest["stores"][0]["digest"]);
    let shown = bench.run("session show s1 --store sqlite:new.db");
    shown.assert_code(0);
    bench
        .run(&format!("restore {path} --store memory:"))
        .assert_code(0);
}

#[test]
fn what_cannot_be_backed_up_or_restored_is_refused_and_changes_nothing() {
    let bench = Bench::with_session();
    let made = object(&bench.run("--json backup kept"));
    let path = made["path"].as_str().unwrap().to_owned();
    let stored = bench.export();
    let damaged = bench.path("kept/damaged");
    fs::create_dir(&damaged).unwrap();
    for file in ["manifest.json", "main.export"] {
        let mut bytes = fs::read(bench.path(&format!("{path}/{file}"))).unwrap();
        if file == "main.export" {
            bytes[40] ^= 1;
        }
        fs::write(damaged.join(file), bytes).unwrap();
    }
    let whole = format!("restore {path}");
    let table = [
        (whole.as_str(), "store_not_empty", 3),
        ("restore kept --store sqlite:new.db", "no_backup", 2),
        (
            "restore kept/damaged --store sqlite:new.db",
            "backup_damaged",
            7,
        ),
        ("backup verify kept/damaged", "backup_damaged", 7),
        ("backup verify kept", "no_backup", 2),
        ("backup list nowhere", "backup_unreadable", 8),
        ("backup windlass.db", "backup_unwritable", 8),
        ("backup", "usage", 2),
        ("backup kept --keep 0", "usage", 2),
        ("backup kept status", "usage", 2),
        ("backup kept --server http://127.0.0.1:1", "needs_store", 2),
        ("restore kept --server http://127.0.0.1:1", "needs_store", 2),
    ];
    for (line, code, exit) in table {
        let refused = bench.run(&format!("--json {line}"));
        assert_eq!(code_of(&refused), code, "{line}");
        refused.assert_code(exit);
    }
    assert!(!bench.path("new.db").exists(), "a store was made for none");
    // That one failed is noted; nothing else has changed.
    let mut changed = bench.export();
    let note = b"system/backup".as_slice();
    assert_ne!(changed.remove(note), stored.get(note).cloned());
    let mut before = stored;
    before.remove(note);
    assert_eq!(changed, before);
}
