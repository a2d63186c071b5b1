//! What the commands of the stash take, and what they refuse.

use std::fs;

use crate::bench::Bench;
use crate::refusals::{Case, assert_refused};

/// On a store whose session `s1` has the entries `mine` of the group `g`
/// and `text`.
const STASH_REFUSED: [Case; 22] = [
    ("stash get .. k", "invalid_id", 2),
    ("stash get a/b k", "invalid_id", 2),
    ("stash get s1 k --group a/b", "invalid_id", 2),
    ("stash get s1 a/b", "invalid_key", 2),
    ("stash get s1 a~b", "invalid_key", 2),
    ("stash delete s1 %2e", "invalid_key", 2),
    ("stash list s1 --prefix a/", "invalid_key", 2),
    ("stash list s1 --after a/b", "invalid_key", 2),
    ("stash list s1 --limit 0", "invalid_request", 2),
    ("stash list s1 --limit 1001", "invalid_request", 2),
    ("stash put s1 k {", "invalid_value", 2),
    ("stash put s1 k plain", "invalid_value", 2),
    ("stash put s1 k 1 --ttl-ms 0", "ttl_zero", 2),
    ("stash put s1 k 1 --ttl-ms 86400001", "ttl_too_long", 2),
    ("stash put s1 k @missing.json", "unreadable_input", 4),
    ("stash put s1 text 1 --if-absent", "version_mismatch", 3),
    ("stash put s1 text 1 --if-version 1", "version_mismatch", 3),
    ("stash increment s1 text", "not_a_number", 3),
    ("stash touch s1 nothing", "not_found", 4),
    ("stash get s2 mine", "not_found", 4),
    ("stash get s1 mine", "cross_group_access", 5),
    ("stash put s1 mine 1 --group other", "cross_group_access", 5),
];

#[test]
fn a_refused_stash_command_says_its_code_and_changes_nothing() {
    let bench = Bench::with_session();
    for line in ["put s1 mine 1 --group g", "put s1 text word --text"] {
        bench.run(&format!("stash {line}")).assert_code(0);
    }
    let before = bench.export();
    for (line, code, exit) in STASH_REFUSED {
        assert_refused(&bench.run(&format!("--json {line}")), code, exit, line);
    }
    let long = "k".repeat(257);
    let ran = bench.run_words(&["--json", "stash", "get", "s1", &long]);
    assert_refused(&ran, "key_too_long", 2, "a long key");
    let ran = bench.run_with_input("--json stash put s1 k -", b"\xff\xfe");
    assert_refused(&ran, "invalid_json", 2, "no text");
    assert_eq!(bench.export(), before);
}

#[test]
fn values_come_from_arguments_files_and_standard_input() {
    let bench = Bench::new();
    fs::write(bench.path("value.json"), "{ \"a\" : null }\n").unwrap();
    let long = format!("\"{}\"", "x".repeat(3_000_000));
    bench.run("stash put s1 file @value.json").assert_code(0);
    let put = bench.run_with_input("stash put s1 long -", long.as_bytes());
    put.assert_code(0);
    bench.run("stash put s1 negative -7").assert_code(0);
    assert_eq!(bench.run("stash get s1 file").stdout, "{\"a\":null}\n");
    assert_eq!(bench.run("stash get s1 long").stdout, format!("{long}\n"));
    assert_eq!(bench.run("stash get s1 negative").stdout, "-7\n");
}
