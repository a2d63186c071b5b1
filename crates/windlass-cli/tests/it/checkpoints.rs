//! The commands about states: what they print, what they take, what they
//! refuse.

use std::fs;

use serde_json::json;

use crate::bench::Bench;
use crate::refusals::{Case, assert_refused};
use crate::transcripts::transcript;

/// A conversation that is forked, taken back, tagged and looked at.
const TOLD: [&str; 31] = [
    r#"checkpoint put s1 plan ["search","compare"] --kind plan/1 --append message={"role":"user","content":"hello"} --note first"#,
    r#"checkpoint put s1 plan ["search","compare","buy"] --expected 1 --append message={"role":"assistant","content":"three\nsuppliers"}"#,
    r#"checkpoint put s1 --expected 1 --append message="late""#,
    "checkpoint tag s1 good 1",
    "checkpoint fork s1 s2 --at tag:good",
    "checkpoint fork s1 s3",
    "checkpoint fork s1 s2",
    r#"checkpoint put s1 budget {"calls":3,"by":{"day":[1,2,3]}} --remove plan --append message={"role":"user","content":[{"type":"text","text":"which?"}]} --append note=7"#,
    r#"checkpoint put s1 budget {"by":{"day":[1,9,2,3]},"tokens":1}"#,
    "checkpoint put s2 image hello --bytes --append message=elsewhere",
    r#"checkpoint put s2 image hello --bytes --append message="elsewhere""#,
    "checkpoint rollback s1 2 --expected 3",
    "checkpoint rollback s1 2 --expected 4",
    "checkpoint log s1",
    "checkpoint log s1 --limit 2",
    "checkpoint log s2",
    "checkpoint show s1",
    "checkpoint show s1 tag:good",
    "checkpoint diff s1 1 2",
    "checkpoint diff s1 2 3",
    "checkpoint diff s1 3 4",
    "checkpoint diff s1 4",
    "checkpoint diff s1 2",
    "checkpoint path s1 --at 3",
    "checkpoint path s1 --at 3 --leaf 3 --limit 2",
    "checkpoint get s1 plan",
    "checkpoint get s1 plan --at tag:good",
    "checkpoint get s2 image",
    "checkpoint get s1 nothing",
    "checkpoint untag s1 good",
    "checkpoint untag s1 good",
];

#[test]
fn a_state_is_told_in_words() {
    insta::assert_snapshot!(transcript(&Bench::new(), &TOLD));
}

#[test]
fn a_state_is_told_as_json() {
    let lines = TOLD.map(|line| format!("--json {line}"));
    let lines = lines.each_ref().map(String::as_str);
    insta::assert_snapshot!(transcript(&Bench::new(), &lines));
}

#[test]
fn contents_go_in_and_out_byte_for_byte() {
    let bench = Bench::new();
    let json = "{ \"a\" : 1.50,\n  \"b\" : [ ] }";
    fs::write(bench.path("plan.json"), format!("{json}\n")).unwrap();
    bench
        .run("checkpoint put s1 plan @plan.json")
        .assert_code(0);
    let bytes = b"\xc3\xa9 a\r\n\x01".as_slice();
    let put = bench.run_with_input("checkpoint put s1 raw - --bytes", bytes);
    put.assert_code(0);
    let got = bench.run("checkpoint get s1 plan");
    assert_eq!(got.stdout, format!("{json}\n"));
    let got = bench.run("checkpoint get s1 raw");
    assert_eq!(got.stdout.as_bytes(), bytes);
    let got = bench.run("--json checkpoint get s1 plan");
    assert_eq!(got.objects()[0]["json"], json!({"a": 1.5, "b": []}));
    let got = bench.run("--json checkpoint get s1 raw");
    assert_eq!(got.objects()[0]["bytes"], json!("w6kgYQ0KAQ=="));
    bench.run("checkpoint put s1 --remove raw").assert_code(0);
    bench.run("checkpoint get s1 raw").assert_code(4);
    bench.run("checkpoint get s1 raw --at 2").assert_code(0);
}

#[test]
fn a_change_under_one_operation_is_made_once() {
    let bench = Bench::new();
    let line = "--json checkpoint put s1 --append message=1 --operation turn-1";
    let first = bench.run(line);
    assert_eq!(bench.run(line).stdout, first.stdout);
    let other = bench.run("--json checkpoint put s1 --append message=2 --operation turn-1");
    assert_refused(&other, "turn_conflict", 3, "another commit");
    assert_eq!(bench.run("--json checkpoint log s1").objects().len(), 1);
}

#[test]
fn long_logs_come_in_pages_or_whole() {
    let bench = Bench::new();
    for number in 1..=5 {
        let line = format!("checkpoint put s1 --append message={number}");
        bench.run(&line).assert_code(0);
    }
    let revisions = |line: &str| -> Vec<u64> {
        let rows = bench.run(line).objects();
        rows.iter()
            .map(|row| row["revision"].as_u64().unwrap())
            .collect()
    };
    assert_eq!(revisions("--json checkpoint log s1 --limit 2"), [5, 4]);
    let rest = revisions("--json checkpoint log s1 --limit 2 --before 4");
    assert_eq!(rest, [3, 2]);
    assert_eq!(revisions("--json checkpoint log s1 --all"), [5, 4, 3, 2, 1]);
}

#[test]
fn garbage_is_shown_before_it_is_collected() {
    let bench = Bench::new();
    let long = "x".repeat(20_000);
    fs::write(bench.path("long"), long).unwrap();
    bench
        .run("checkpoint put s1 a @long --bytes")
        .assert_code(0);
    bench.run("checkpoint put s1 b 1").assert_code(0);
    let gc = |flags: &str| {
        let ran = bench.run(&format!("--json gc {flags}"));
        ran.assert_code(0);
        let report = ran.objects()[0].clone();
        (
            report["lineages"].as_u64().unwrap(),
            report["collected"]["deleted"].as_u64().unwrap(),
        )
    };
    assert_eq!(gc(""), (0, 0));
    assert_eq!(gc("--grace-ms 0 --tenant default"), (1, 0));
    assert_eq!(gc("--grace-ms 0 --tenant other"), (0, 0));
    let words = bench.run("gc --tenant default --dry-run");
    assert!(words.stdout.contains("would_delete  0\n"), "{words:?}");
    let words = bench.run("gc --tenant default --limit 1 --grace-ms 0");
    assert!(
        words.stdout.contains("  the limit was reached"),
        "{words:?}"
    );
}

/// On a store whose session `s1` has one commit, with the part `p` and a node.
const REFUSED: [Case; 27] = [
    ("checkpoint log ..", "invalid_id", 2),
    ("checkpoint log s9", "not_found", 4),
    ("checkpoint show s9", "not_found", 4),
    ("checkpoint show s1 2", "not_found", 4),
    ("checkpoint show s1 tag:none", "not_found", 4),
    ("checkpoint show s1 +1", "invalid_request", 2),
    ("checkpoint show s1 tag:a/b", "invalid_request", 2),
    ("checkpoint diff s1 2", "not_found", 4),
    ("checkpoint diff s1 latest", "invalid_request", 2),
    ("checkpoint path s1 --leaf 9", "node_not_found", 4),
    ("checkpoint get s1 nothing", "not_found", 4),
    ("checkpoint get s1 a/b", "invalid_request", 2),
    ("checkpoint put s1 a/b 1", "invalid_request", 2),
    ("checkpoint put s1 p {", "invalid_request", 2),
    ("checkpoint put s1 p", "usage", 2),
    ("checkpoint put s1 p @missing", "unreadable_input", 4),
    ("checkpoint put s1 --append message", "invalid_request", 2),
    ("checkpoint put s1 --append message=", "invalid_request", 2),
    (
        "checkpoint put s1 --expected 0",
        "head_revision_conflict",
        3,
    ),
    ("checkpoint put s1 --expected x", "usage", 2),
    ("checkpoint rollback s1 9", "revision_not_found", 4),
    ("checkpoint rollback s1 tag:none", "not_found", 4),
    ("checkpoint fork s1 s1", "state_exists", 3),
    ("checkpoint fork s9 s2", "revision_not_found", 4),
    ("checkpoint tag s1 good 9", "revision_not_found", 4),
    ("checkpoint tag s1 a/b", "invalid_request", 2),
    ("gc --tenant default --limit 0", "usage", 2),
];

#[test]
fn a_refused_command_about_states_says_its_code_and_changes_nothing() {
    let bench = Bench::new();
    let put = "checkpoint put s1 p 1 --append message=1";
    bench.run(put).assert_code(0);
    let before = bench.export();
    for (line, code, exit) in REFUSED {
        assert_refused(&bench.run(&format!("--json {line}")), code, exit, line);
    }
    assert_eq!(bench.export(), before);
}
