//! The command on a store of sled, where it differs from one on SQLite.

use std::fs;
use std::path::Path;

use crate::bench::{Bench, Ran};

const STORE: &str = "--store sled:agents.sled --json";

fn run(bench: &Bench, line: &str) -> Ran {
    bench.run(&format!("{STORE} {line}"))
}

#[test]
fn a_session_is_created_used_and_closed_by_one_process_after_the_other() {
    let bench = Bench::new();
    let create = "session create --id s1 --agent scout --intent errands --tool search --calls 2";
    run(&bench, create).assert_code(0);
    for left in [1, 0] {
        let used = run(&bench, "session use s1 search --agent scout");
        let receipt = used.assert_code(0).objects().remove(0);
        assert_eq!(receipt["left"]["calls"], left, "{receipt}");
    }
    let refused = run(&bench, "session use s1 search --agent scout");
    refused.assert_code(5);
    run(&bench, "stash put s1 plan [1,2,3]").assert_code(0);
    let stashed = run(&bench, "stash get s1 plan");
    let stashed = stashed.assert_code(0).objects().remove(0);
    assert_eq!(stashed["value"].to_string(), "[1,2,3]");
    run(&bench, "session close s1").assert_code(0);
    let shown = run(&bench, "session show s1");
    let shown = shown.assert_code(0).objects().remove(0);
    assert_eq!(shown["status"], "closed", "{shown}");
    let health = run(&bench, "store health");
    let health = health.assert_code(0).objects().remove(0);
    assert_eq!(health["database"], "sled 0.34");
    assert_eq!(health["location"], "sled:agents.sled");
    assert_eq!(health["survives_power_loss"], true);
}

#[test]
fn what_is_in_sled_is_in_sqlite_after_a_move() {
    let bench = Bench::new();
    let create = "session create --id s1 --agent scout --intent errands --all-tools";
    run(&bench, create).assert_code(0);
    run(&bench, "session use s1 search --agent scout").assert_code(0);
    run(&bench, "export one.export").assert_code(0);
    let import = bench.run("import one.export --store sqlite:moved.db");
    import.assert_code(0);
    let export = bench.run("export other.export --store sqlite:moved.db");
    export.assert_code(0);
    let read = |name| fs::read(bench.path(name)).unwrap();
    assert_eq!(read("one.export"), read("other.export"));
}

#[test]
fn a_recorded_run_leaves_the_same_store_on_sled_and_on_sqlite() {
    let bench = Bench::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let recording = root.join("docs/examples/airline.json");
    let read = |store: &str| {
        let file = format!("{}.export", store.replace(':', "-"));
        for words in [["replay", recording.to_str().unwrap()], ["export", &file]] {
            let ran = bench.run_words(&[&["--store", store][..], &words].concat());
            ran.assert_code(0);
        }
        fs::read(bench.path(&file)).unwrap()
    };
    assert_eq!(read("sled:runs.sled"), read("sqlite:runs.db"));
}

#[test]
fn what_is_no_store_of_sled_is_refused_by_its_kind() {
    let bench = Bench::new();
    fs::create_dir(bench.path("agents.sled")).unwrap();
    run(&bench, "session list").assert_code(7);
    fs::write(bench.path("agents.sled").join("notes"), "hello").unwrap();
    run(&bench, "session list").assert_code(8);
}
