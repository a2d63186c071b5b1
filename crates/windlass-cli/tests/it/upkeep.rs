//! Upkeep at a terminal: on a store, and on a server.

use crate::bench::{Bench, Ran};
use crate::remote::{Serving, key};

const CREATE: &str =
    "session create --id s1 --agent scout --intent errands --tool search --time-limit-ms 1000";

fn run(bench: &Bench, line: &str) -> Ran {
    bench.run(&format!("--json {line}"))
}

/// A store in which sessions are not kept, with one that has expired.
fn overdue() -> Bench {
    let bench = Bench::new();
    std::fs::write(
        bench.path("windlass.toml"),
        "[sessions]\nretention_ms = 0\n",
    )
    .unwrap();
    run(&bench, CREATE).assert_code(0);
    bench.shell("sleep 1.1");
    bench
}

/// The fields of a task in a status.
fn task(status: &Ran, name: &str) -> serde_json::Value {
    let status = status.assert_code(0).objects().remove(0);
    let tasks = status["tasks"].as_array().unwrap();
    let found = tasks.iter().find(|task| task["task"] == name);
    found.unwrap().clone()
}

#[test]
fn a_task_is_run_within_bounds_and_its_report_is_shown_by_the_next_command() {
    let bench = overdue();
    let before = task(&run(&bench, "maintenance status"), "sessions");
    assert_eq!(
        (&before["overdue"]["entries"], &before["by_hand"]),
        (&1.into(), &serde_json::Value::Null)
    );
    let nothing = run(&bench, "maintenance run sessions --entries 0");
    let nothing = nothing.assert_code(0).objects().remove(0);
    assert_eq!(
        (&nothing["scanned"], &nothing["truncated"]),
        (&0.into(), &true.into())
    );
    let all = run(&bench, "maintenance run").assert_code(0).objects();
    let names: Vec<_> = all
        .iter()
        .map(|report| report["task"].as_str().unwrap())
        .collect();
    let expected = [
        "sessions",
        "stash",
        "queue",
        "streams",
        "checkpoints",
        "attachments",
        "blobs",
        "keys",
        "audit",
        "cache",
        "cache_orphans",
    ];
    assert_eq!(names, expected);
    assert_eq!(all[0]["counts"]["removed"], 1);
    let after = task(&run(&bench, "maintenance status"), "sessions");
    assert_eq!(after["by_hand"], all[0]);
    assert_eq!(after["overdue"]["entries"], 0);
    run(&bench, "maintenance run sweeping").assert_code(4);
}

#[test]
fn a_server_does_upkeep_and_shows_it_to_operators_alone() {
    let bench = overdue();
    let settings = "[sessions]\nretention_ms = 0\n[maintenance]\non_start = \"yes\"\n";
    std::fs::write(bench.path("windlass.toml"), settings).unwrap();
    let operator = key(&bench, "--operator --verb store.*");
    let tenant = key(&bench, "--verb session.*");
    let serving = Serving::start(&bench);
    let ask = |key: &str, line: &str| {
        let mut words = vec!["--json", "--server", &serving.url];
        words.extend(line.split_whitespace());
        let mut command = bench.command(&words);
        Ran::new(&command.env("WINDLASS_KEY", key).output().unwrap())
    };
    ask(&tenant, "maintenance status").assert_code(5);
    ask(&tenant, "maintenance run keys").assert_code(5);
    let is_done = || {
        let status = ask(&operator, "maintenance status");
        task(&status, "sessions")["last"]["counts"]["removed"] == 1
    };
    // Each look takes a process, so these are seconds.
    assert!((0..200).any(|_| is_done()), "the server did no upkeep");
    let status = ask(&operator, "maintenance status").objects().remove(0);
    assert_eq!(status["holder"]["alive"], true, "{status}");
    assert_eq!(status["clock_refused"], serde_json::Value::Null, "{status}");
    let by_hand = ask(&operator, "maintenance run sessions");
    let report = by_hand.assert_code(0).objects().remove(0);
    assert_eq!(
        (&report["scanned"], &report["truncated"]),
        (&0.into(), &false.into())
    );
    // The store itself says the same, with the server still running.
    let here = task(&run(&bench, "maintenance status"), "sessions");
    assert_eq!(here["by_hand"], report);
    ask(&operator, "maintenance run sweeping").assert_code(4);
}
