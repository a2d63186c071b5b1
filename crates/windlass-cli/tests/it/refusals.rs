//! What the command refuses: each with its documented code and exit code,
//! nothing on standard output, and the store as before.

use std::fs;
use std::path::Path;

use crate::bench::{Bench, Ran};
use crate::documents::documented_exits;

/// A line, and what has to be said about it.
pub(crate) type Case = (&'static str, &'static str, i32);

/// On a store with the session `s1` of agent `scout`, which may call `search`
/// and `read_*`.
const REFUSED: [Case; 48] = [
    // What cannot be an identifier.
    ("session show .", "invalid_id", 2),
    ("session show ..", "invalid_id", 2),
    ("session show ../../etc/passwd", "invalid_id", 2),
    ("session show a%2Fb", "invalid_id", 2),
    ("session create --agent a/b --intent x", "invalid_id", 2),
    (
        "session create --agent a --intent x --id s/1",
        "invalid_id",
        2,
    ),
    (
        "session create --agent a --intent x --chain ..",
        "invalid_id",
        2,
    ),
    ("session use s1 search --agent a/b", "invalid_id", 2),
    (
        "session use s1 search --agent scout --operation a/b",
        "invalid_id",
        2,
    ),
    ("session count a/b", "invalid_id", 2),
    ("session tree a/b", "invalid_id", 2),
    ("session tree s2", "not_found", 4),
    ("session tree s1 --limit 0", "invalid_request", 2),
    (
        "session delegate s1 --by a/b --agent helper --intent x",
        "invalid_id",
        2,
    ),
    (
        "session delegate s1 --by helper --agent helper --intent x --calls 1 --ends-with-parent",
        "agent_mismatch",
        5,
    ),
    (
        "session delegate s1 --by scout --agent helper --intent x --calls 1 --ends-with-parent --all-tools",
        "delegation_refused",
        5,
    ),
    ("session close-agent a/b --yes", "invalid_id", 2),
    ("session list --agent a/b", "invalid_id", 2),
    ("session list --tenant a/b", "invalid_setting", 2),
    ("session list --principal ..", "invalid_setting", 2),
    // What is outside its range.
    (
        "session create --agent a --intent x --calls 0",
        "invalid_request",
        2,
    ),
    (
        "session create --agent a --intent x --calls 1000001",
        "invalid_request",
        2,
    ),
    (
        "session create --agent a --intent x --time-limit-ms 0",
        "invalid_request",
        2,
    ),
    (
        "session create --agent a --intent x --time-limit-ms 86400001",
        "invalid_request",
        2,
    ),
    (
        "session create --agent a --intent x --rate-limit 1 --rate-window-ms 9999",
        "invalid_request",
        2,
    ),
    (
        "session create --agent a --intent x --tokens 9999999999999999",
        "invalid_request",
        2,
    ),
    (
        "session create --agent a --intent x --tool a*b",
        "invalid_request",
        2,
    ),
    ("session use s1 sea* --agent scout", "invalid_request", 2),
    (
        "session use s1 search --agent scout --tokens 9999999999999999",
        "invalid_request",
        2,
    ),
    ("session top-up s1", "invalid_request", 2),
    ("session top-up s1 --tokens 1", "invalid_request", 2),
    ("session list --limit 0", "invalid_request", 2),
    ("session list --limit 1001", "invalid_request", 2),
    ("session list --after nowhere", "invalid_request", 2),
    ("session history s1 --limit 0", "invalid_request", 2),
    // What is not there, or not so.
    ("session show s2", "not_found", 4),
    ("session history s2", "not_found", 4),
    ("session use s2 search --any-agent", "not_found", 4),
    ("session close s2", "not_found", 4),
    (
        "session settle s1 1 --agent scout",
        "reservation_not_found",
        4,
    ),
    (
        "session create --agent scout --intent x --id s1",
        "already_exists",
        3,
    ),
    // What a rule refuses.
    ("session use s1 search --agent other", "agent_mismatch", 5),
    ("session use s1 delete --agent scout", "tool_not_allowed", 5),
    (
        "session use s1 search --agent scout --credential key",
        "credential_not_allowed",
        5,
    ),
    (
        "session use s1 search --agent scout --sensitivity internal",
        "sensitivity_exceeded",
        5,
    ),
    (
        "session use s1 a b c d e f g h i j k --agent scout",
        "budget_exceeded",
        5,
    ),
    (
        "session create --agent scout --intent x --cap 1",
        "too_many_sessions",
        5,
    ),
    (
        "session create --agent scout --intent x --cap 0",
        "too_many_sessions",
        5,
    ),
];

pub(crate) fn assert_refused(ran: &Ran, code: &str, exit: i32, what: &str) {
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (Some(exit), ""),
        "{what}: {ran:?}"
    );
    assert_eq!(ran.error()["code"], code, "{what}: {ran:?}");
    let documented = documented_exits();
    assert!(
        documented[code].contains(&exit),
        "{code} is documented otherwise"
    );
}

#[test]
fn a_refused_command_says_its_code_and_changes_nothing() {
    let bench = Bench::with_session();
    let before = bench.export();
    for (line, code, exit) in REFUSED {
        assert_refused(&bench.run(&format!("--json {line}")), code, exit, line);
    }
    assert_eq!(bench.export(), before);
}

#[test]
fn what_no_line_can_hold_is_refused_and_not_repeated() {
    let bench = Bench::with_session();
    let before = bench.export();
    let (id, intent, name) = ("i".repeat(129), "secret".repeat(100), "n".repeat(257));
    let table: [(&[&str], &str); 8] = [
        (&["show", &id], "invalid_id"),
        (&["show", ""], "invalid_id"),
        (&["show", "s1\n"], "invalid_id"),
        (
            &["create", "--agent", "a", "--intent", &intent],
            "invalid_request",
        ),
        (
            &["create", "--agent", "a", "--intent", ""],
            "invalid_request",
        ),
        (&["use", "s1", &name, "--any-agent"], "invalid_request"),
        (&["use", "s1", "", "--any-agent"], "invalid_request"),
        (
            &["use", "s1", "sea\u{1b}[2Jrch", "--any-agent"],
            "invalid_request",
        ),
    ];
    for (words, code) in table {
        let ran = bench.run_words(&[&["--json", "session"], words].concat());
        assert_refused(&ran, code, 2, &format!("{words:?}"));
        assert!(ran.stderr.len() < 300, "{ran:?}");
        assert!(
            !ran.stderr.contains("secret") && !ran.stderr.contains('\u{1b}'),
            "{ran:?}"
        );
    }
    assert_eq!(bench.export(), before);
}

/// What is read as a specification, and the code it is refused with. The word
/// that must not be repeated is `secret`.
const SPECIFICATIONS: [(&[u8], &str); 19] = [
    (b"", "invalid_json"),
    (b"null", "invalid_json"),
    (b"\xff\xfe", "invalid_json"),
    (br#"{"agent":"a","intent":"secret"} {}"#, "invalid_json"),
    (br#"{"agent":"a"}"#, "invalid_json"),
    (br#"{"agent":"a","intent":"x","secret":1}"#, "invalid_json"),
    (
        br#"{"agent":"a","intent":"x","intent":"secret"}"#,
        "invalid_json",
    ),
    (br#"{"agent":["secret"],"intent":"x"}"#, "invalid_json"),
    (
        br#"{"agent":"a","intent":"x","budget":{"calls":"secret"}}"#,
        "invalid_json",
    ),
    (
        br#"{"agent":"a","intent":"x","budget":{"calls":1.5}}"#,
        "invalid_json",
    ),
    (
        br#"{"agent":"a","intent":"x","budget":{"calls":-1}}"#,
        "invalid_json",
    ),
    (
        br#"{"agent":"a","intent":"x","budget":{"calls":18446744073709551616}}"#,
        "invalid_json",
    ),
    (
        br#"{"agent":"a","intent":"x","budget":{"secret":1}}"#,
        "invalid_json",
    ),
    (
        br#"{"agent":"a","intent":"x","tools":"secret"}"#,
        "invalid_json",
    ),
    (
        br#"{"agent":"a","intent":"x","tools":["secret"]}"#,
        "invalid_json",
    ),
    (
        br#"{"agent":"a","intent":"x","ceiling":"secret"}"#,
        "invalid_json",
    ),
    (br#"{"agent":"a","intent":""}"#, "invalid_request"),
    (br#"{"agent":"secret/","intent":"x"}"#, "invalid_id"),
    (br#"{"agent":"a","intent":"sec"#, "invalid_json"),
];

#[test]
fn a_specification_that_is_not_one_is_refused_and_not_repeated() {
    let bench = Bench::with_session();
    let before = bench.export();
    let with = |field: &str| format!(r#"{{"agent":"a","intent":"x",{field}}}"#).into_bytes();
    let agents = r#""a","#.repeat(1_024);
    let large: [(Vec<u8>, &str); 4] = [
        (
            with(&format!(r#""id":"{}""#, "secret".repeat(200_000))),
            "input_too_large",
        ),
        (
            with(&format!(r#""chain":[{agents}"a"]"#)),
            "invalid_request",
        ),
        (
            with(&format!(r#""tools":{{"only":[{agents}"a"]}}"#)),
            "invalid_request",
        ),
        ("[".repeat(100_000).into_bytes(), "invalid_json"),
    ];
    let small = SPECIFICATIONS.iter().map(|(spec, code)| (*spec, *code));
    for (spec, code) in small.chain(large.iter().map(|(spec, code)| (spec.as_slice(), *code))) {
        let ran = bench.run_with_input("--json session create --spec -", spec);
        let shown = String::from_utf8_lossy(&spec[..spec.len().min(80)]);
        assert_refused(&ran, code, 2, &shown);
        assert!(
            !ran.stderr.contains("secret") && ran.stderr.len() < 300,
            "{shown}: {ran:?}"
        );
    }
    assert_eq!(bench.export(), before);
}

#[test]
fn a_specification_that_cannot_be_read_is_refused() {
    let bench = Bench::with_session();
    fs::create_dir(bench.path("directory")).unwrap();
    fs::write(bench.path("spec.json"), r#"{"agent":"a","intent":"x"}"#).unwrap();
    let table: [Case; 4] = [
        ("--spec missing.json", "unreadable_input", 4),
        ("--spec directory", "unreadable_input", 2),
        ("--spec spec.json --agent a", "usage", 2),
        ("--spec spec.json --all-tools", "usage", 2),
    ];
    let before = bench.export();
    for (arguments, code, exit) in table {
        assert_refused(
            &bench.run(&format!("--json session create {arguments}")),
            code,
            exit,
            arguments,
        );
    }
    assert_eq!(bench.export(), before);
}

#[test]
fn a_specification_says_all_that_flags_say() {
    let bench = Bench::new();
    let spec =
        br#"{"id":"s1","agent":"a","intent":"x","tools":{"only":["search"]},"credentials":"all",
        "ceiling":"internal","time_limit_ms":5000,"budget":{"calls":7,"tokens":8,"cost_micros":9},
        "rate":{"limit":3,"window_ms":10000},"chain":["b","c"]}"#;
    let flags = "--id s2 --agent a --intent x --tool search --all-credentials --ceiling internal \
        --time-limit-ms 5000 --calls 7 --tokens 8 --cost-micros 9 --rate-limit 3 --rate-window-ms 10000 \
        --chain b --chain c";
    let by_spec = bench.run_with_input("--json session create --spec -", spec);
    let by_flags = bench.run(&format!("--json session create {flags}"));
    let mut sessions = [by_spec, by_flags].map(|ran| ran.assert_code(0).objects().remove(0));
    for session in &mut sessions {
        let time = |name: &str| session[name].as_u64().unwrap();
        assert_eq!(time("expires_at") - time("created_at"), 5_000);
        for own in ["id", "created_at", "expires_at", "changed_at"] {
            session[own].take();
        }
    }
    assert_eq!(sessions[0], sessions[1]);
}

#[test]
fn a_foreign_session_is_answered_exactly_like_one_that_does_not_exist() {
    let bench = Bench::with_session();
    let before = bench.export();
    let lines = [
        "session show ID",
        "session history ID",
        "session use ID search --agent scout",
        "session use ID search --any-agent",
        "session settle ID 1 --agent scout",
        "session refund ID 1 --any-agent",
        "session top-up ID --calls 1",
        "session close ID",
        "session close ID --operation again",
    ];
    for line in lines {
        for form in ["", "--json "] {
            let ask =
                |id: &str| bench.run(&format!("{form}--tenant other {}", line.replace("ID", id)));
            let (foreign, absent) = (ask("s1"), ask("s9"));
            assert_eq!(foreign, absent, "{line}");
            assert_eq!(
                (foreign.code, foreign.stdout.as_str()),
                (Some(4), ""),
                "{line}: {foreign:?}"
            );
        }
    }
    for line in ["session list", "session list --json", "session count scout"] {
        let foreign = bench.run(&format!("--tenant other {line}"));
        let empty = bench.run(&format!("--tenant nobody {line}"));
        assert_eq!(foreign, empty, "{line}");
        foreign.assert_code(0);
    }
    assert_eq!(bench.export(), before);
}

#[test]
fn a_change_under_an_operation_takes_effect_once_and_no_other_may_have_its_name() {
    let bench = Bench::with_session();
    let search = "--json session use s1 search --agent scout --operation once";
    let first = bench.run(search);
    let calls = |ran: &Ran| ran.assert_code(0).objects()[0]["last_call"].clone();
    assert_eq!(
        (calls(&first), calls(&bench.run(search))),
        (1.into(), 1.into())
    );
    let other = bench.run("--json session use s1 read_mail --agent scout --operation once");
    assert_refused(&other, "operation_conflict", 3, "another request");
    bench.run("session close s1").assert_code(0);
    assert_refused(
        &bench.run("--json session close s1"),
        "already_closed",
        3,
        "twice",
    );
    let late = bench.run("--json session use s1 search --agent scout");
    assert_refused(&late, "already_closed", 3, "after the end");
}

#[test]
fn a_rate_limit_says_when_to_try_again() {
    let bench = Bench::new();
    bench
        .run("session create --id s1 --agent a --intent x --all-tools --rate-limit 1")
        .assert_code(0);
    bench.run("session use s1 search --agent a").assert_code(0);
    let ran = bench.run("--json session use s1 search --agent a");
    assert_refused(&ran, "rate_limited", 5, "a second call");
    let details = ran.error()["details"].clone();
    let wait = details["retry_after_ms"].as_u64().unwrap();
    assert!(
        (1..=61_000).contains(&wait) && details["limit"] == 1,
        "{details}"
    );
}

/// What stands at `windlass.db`, and how opening it has to end.
type Damage = (&'static str, fn(&Path), &'static str, i32);

const DAMAGED: [Damage; 7] = [
    (
        "a directory",
        |path| {
            fs::remove_file(path).unwrap();
            fs::create_dir(path).unwrap();
        },
        "store_environment",
        8,
    ),
    (
        "an emptied file",
        |path| fs::write(path, b"").unwrap(),
        "store_corrupt",
        7,
    ),
    (
        "a truncated file",
        |path| {
            let whole = fs::read(path).unwrap();
            fs::write(path, &whole[..whole.len() / 2]).unwrap();
        },
        "store_corrupt",
        7,
    ),
    (
        "a text file",
        |path| fs::write(path, "dear diary ".repeat(1_000)).unwrap(),
        "store_corrupt",
        7,
    ),
    (
        "somebody else's database",
        |path| copy_fixture("foreign.db", path),
        "store_environment",
        8,
    ),
    (
        "a newer format",
        |path| copy_fixture("newer.db", path),
        "store_environment",
        8,
    ),
    (
        "a read-only file",
        |path| {
            let mut permissions = fs::metadata(path).unwrap().permissions();
            permissions.set_readonly(true);
            fs::set_permissions(path, permissions).unwrap();
        },
        "store_environment",
        8,
    ),
];

fn copy_fixture(name: &str, path: &Path) {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../windlass/tests/fixtures");
    fs::write(path, fs::read(fixtures.join(name)).unwrap()).unwrap();
}

#[test]
fn a_store_that_cannot_be_used_is_refused_by_kind_and_left_as_it_was() {
    for (what, damage, code, exit) in DAMAGED {
        let bench = Bench::with_session();
        let path = bench.path("windlass.db");
        damage(&path);
        let before = fs::read(&path).ok();
        for line in [
            "--json session list",
            "--json session use s1 search --agent scout",
        ] {
            assert_refused(&bench.run(line), code, exit, what);
        }
        assert_eq!(fs::read(&path).ok(), before, "{what}");
    }
}

#[test]
fn a_directory_that_does_not_exist_is_not_made() {
    let bench = Bench::new();
    let ran = bench.run("--json --store sqlite:no/such/place.db session list");
    assert_refused(&ran, "store_environment", 8, "no directory");
    assert!(!bench.path("no").exists(), "it was made");
}
