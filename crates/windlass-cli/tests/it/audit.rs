//! The audit at a terminal: on a store, and on a server.

use serde_json::Value;

use crate::bench::{Bench, Ran};
use crate::remote::{Serving, key};

const CREATE: &str =
    "session create --id s1 --agent scout --intent errands --tool search --calls 2";

fn run(bench: &Bench, line: &str) -> Ran {
    bench.run(&format!("--json {line}"))
}

/// A store with three events of a session.
fn audited() -> Bench {
    let bench = Bench::new();
    std::fs::write(
        bench.path("windlass.toml"),
        "[audit]\ndetail = \"security\"\n",
    )
    .unwrap();
    run(&bench, CREATE).assert_code(0);
    run(&bench, "session use s1 send_email --agent scout").assert_code(5);
    run(&bench, "session use s1 search --agent scout").assert_code(0);
    run(&bench, "session close s1").assert_code(0);
    bench
}

fn actions(listed: &Ran) -> Vec<String> {
    let events = listed.assert_code(0).objects();
    events
        .iter()
        .map(|event| event["action"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn what_commands_did_is_listed_verified_and_exported_line_by_line() {
    let bench = audited();
    let expected = ["session.created", "session.used", "session.closed"];
    assert_eq!(actions(&run(&bench, "audit list")), expected);
    let newest = run(&bench, "audit list --newest --limit 1");
    assert_eq!(actions(&newest), expected[2..]);
    let verified = run(&bench, "audit verify");
    let verified = verified.assert_code(0).objects().remove(0);
    assert_eq!(
        (&verified["events"], &verified["lost"]),
        (&3.into(), &0.into())
    );
    let exported = run(&bench, "audit export --after 1");
    let lines = exported.assert_code(0).objects();
    let events: Vec<_> = lines.iter().map(|line| &line["event"]).collect();
    assert_eq!(events.len(), 2);
    assert_eq!(events[0]["code"], "tool_not_allowed");
    assert_eq!(events[0]["principal"], "cli");
    assert_eq!(lines[1]["hash"], verified["hash"]);
}

#[test]
fn a_chain_is_held_to_what_was_noted_and_a_broken_one_ends_with_exit_code_7() {
    let bench = audited();
    let head = run(&bench, "audit head");
    let head = head.assert_code(0).objects().remove(0);
    let hash = head["hash"].as_str().unwrap();
    run(&bench, &format!("audit verify --noted 3:{hash}")).assert_code(0);
    let other = "0".repeat(64);
    let broken = run(&bench, &format!("audit verify --noted 3:{other}"));
    broken.assert_code(7);
    let said = broken.objects().remove(0);
    assert_eq!(
        said["break"],
        serde_json::json!({ "seq": 3, "kind": "rewritten" })
    );
    run(&bench, "audit verify --noted 3").assert_code(2);
    let empty = run(&bench, "audit head --chain system");
    let empty = empty.assert_code(0).objects().remove(0);
    assert_eq!((&empty["first"], &empty["last"]), (&1.into(), &0.into()));
}

/// The lines of a bench's export in a file of it, and the noted end.
fn exported(bench: &Bench) -> (Vec<String>, String) {
    let lines = bench.run("audit export").assert_code(0).stdout.clone();
    std::fs::write(bench.path("events"), &lines).unwrap();
    let head = run(bench, "audit head").assert_code(0).objects().remove(0);
    let noted = format!("{}:{}", head["last"], head["hash"].as_str().unwrap());
    (lines.lines().map(str::to_owned).collect(), noted)
}

#[test]
fn an_export_is_verified_by_itself_without_a_store() {
    let bench = audited();
    let (lines, noted) = exported(&bench);
    std::fs::remove_file(bench.path("windlass.db")).unwrap();
    let verified = run(
        &bench,
        &format!("audit verify --file events --noted {noted}"),
    );
    let said = verified.assert_code(0).objects().remove(0);
    assert_eq!(
        (&said["events"], &said["granted"]),
        (&3.into(), &Value::Null)
    );
    assert_eq!(
        (&said["chain"], &said["break"]),
        (&"default".into(), &Value::Null)
    );
    assert_eq!(verified.stderr, "", "nothing is left open");
    let whole = lines.join("\n");
    let by_itself = bench.run_with_input("--json audit verify --file -", whole.as_bytes());
    assert_eq!(
        by_itself.assert_code(0).objects().remove(0)["hash"],
        said["hash"]
    );
    assert!(by_itself.stderr.contains("held_through"), "{by_itself:?}");
    let part = bench.run_with_input(
        "--json audit verify --file -",
        lines[1..].join("\n").as_bytes(),
    );
    let part_said = part.assert_code(0).objects().remove(0);
    assert_eq!(
        (&part_said["events"], &part_said["granted"]),
        (&1.into(), &2.into())
    );
    assert!(part.stderr.contains("\"granted\":2"), "{part:?}");
    let hash = serde_json::from_str::<Value>(&lines[0]).unwrap()["hash"].clone();
    let anchored = format!(
        "--json audit verify --file - --anchor {}",
        hash.as_str().unwrap()
    );
    let anchored = bench.run_with_input(&anchored, lines[1..].join("\n").as_bytes());
    assert_eq!(anchored.assert_code(0).objects().remove(0)["events"], 2);
    assert!(!bench.path("windlass.db").exists(), "no store was opened");
}

#[test]
fn the_first_wrong_line_of_an_export_is_named_with_exit_code_7() {
    let bench = audited();
    let (lines, noted) = exported(&bench);
    let changed = lines[1].replace("send_email", "search");
    let at = |first: &str, second: &str| [first, second].join("\n");
    for (text, line, seq, kind) in [
        (at(&lines[0], &changed), 2, Value::from(2), "changed"),
        (at(&lines[0], &lines[2]), 2, 2.into(), "missing"),
        (at(&lines[1], &lines[0]), 2, 3.into(), "misplaced"),
        (at(&lines[0], "hello"), 2, 2.into(), "no_line"),
        (at(&lines[0], &lines[1]), 3, 3.into(), "cut_off"),
        (String::new(), 1, 1.into(), "cut_off"),
    ] {
        let asked = format!("--json audit verify --file - --noted {noted}");
        let broken = bench.run_with_input(&asked, text.as_bytes());
        let said = broken.assert_code(7).objects().remove(0);
        let expected = serde_json::json!({ "line": line, "seq": seq, "kind": kind });
        assert_eq!(said["break"], expected, "{text}");
        assert_eq!(broken.error()["code"], "audit_broken");
    }
    let noted = format!("3:{}", "0".repeat(64));
    let broken = run(
        &bench,
        &format!("audit verify --file events --noted {noted}"),
    );
    let said = broken.assert_code(7).objects().remove(0);
    assert_eq!(said["break"]["kind"], "rewritten");
    run(&bench, "audit verify --file none").assert_code(8);
    run(&bench, "audit verify --file events --store memory:").assert_code(2);
    run(
        &bench,
        "audit verify --file events --server http://localhost:1",
    )
    .assert_code(2);
    run(&bench, &format!("audit verify --anchor {}", "0".repeat(64))).assert_code(2);
    let foreign = run(&bench, "audit verify --file events --chain acme");
    assert_eq!(
        foreign.assert_code(7).objects()[0]["break"]["kind"],
        "misplaced"
    );
}

#[test]
fn commands_on_a_store_audit_nothing_unless_they_are_told_to() {
    let bench = Bench::new();
    run(&bench, CREATE).assert_code(0);
    assert_eq!(actions(&run(&bench, "audit list")), Vec::<String>::new());
    std::fs::write(bench.path("windlass.toml"), "[audit]\ndetail = \"off\"\n").unwrap();
    run(&bench, "session close s1").assert_code(0);
    assert_eq!(actions(&run(&bench, "audit list")), Vec::<String>::new());
}

#[test]
fn the_audit_of_a_server_names_the_key_and_is_for_whoever_may_read_it() {
    let bench = audited();
    let auditor = key(&bench, "--reach tenant --verb audit.read --verb session.*");
    let other = key(&bench, "--verb session.*");
    let serving = Serving::start(&bench);
    let ask = |key: &str, line: &str| {
        let mut words = vec!["--json", "--server", serving.url.as_str()];
        words.extend(line.split_whitespace());
        let mut command = bench.command(&words);
        Ran::new(&command.env("WINDLASS_KEY", key).output().unwrap())
    };
    ask(&other, "session use s1 search --agent scout").assert_code(3);
    ask(&other, "audit list").assert_code(5);
    ask(&auditor, "audit verify").assert_code(0);
    let events = ask(&auditor, "audit list --after 3");
    let events = events.assert_code(0).objects();
    let told: Vec<_> = events
        .iter()
        .map(|event| (event["action"].as_str().unwrap(), event["code"].as_str()))
        .collect();
    assert_eq!(
        told,
        [
            ("key.created", None),
            ("key.created", None),
            ("session.used", Some("already_closed")),
            ("access.refused", Some("verb_missing")),
        ]
    );
    assert!(
        events[2]["key"].is_string() && events[2]["request"].is_string(),
        "{}",
        events[2]
    );
    let lines = ask(&auditor, "audit export").assert_code(0).objects();
    assert_eq!(lines.len(), 7);
}
