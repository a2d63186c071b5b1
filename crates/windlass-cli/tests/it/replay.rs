//! `windlass replay` as a process: what it prints, how it ends, and what is
//! left of it when it is killed.

mod crew;
mod live;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::{Value, json};
use windlass::store::KeyRange;
use windlass::{Options, StoreLocation, Windlass};

/// How a replay is killed.
#[derive(Clone, Copy)]
struct Kills {
    /// How often.
    count: usize,
    /// Most acknowledged steps that one life of it has. All lives together
    /// must leave some for the last, which is not killed.
    steps_max: u64,
    seed: u64,
}

const TWENTY: Kills = Kills {
    count: 20,
    steps_max: 45,
    seed: 0x5eed_0001,
};
const SIGKILL: i32 = 9;

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn example(name: &str) -> PathBuf {
    workspace().join("docs/examples").join(name)
}

/// A replay in `directory`, which no setting of the machine reaches.
fn replay(directory: &Path, recording: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_windlass"));
    command
        .env_clear()
        .current_dir(directory)
        .arg("replay")
        .arg(recording)
        .args(arguments);
    command
}

fn outcome(command: &mut Command) -> Output {
    command.output().unwrap()
}

fn objects(output: &Output) -> Vec<Value> {
    let lines = std::str::from_utf8(&output.stdout).unwrap().lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The last line of a replay that ended well.
fn report(output: &Output) -> Value {
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    objects(output).pop().unwrap()
}

#[test]
fn a_replay_with_json_ends_with_one_object_of_its_figures() {
    let directory = tempfile::tempdir().unwrap();
    let arguments = ["--store", "memory:", "--json", "--verify"];
    let recording = example("airline.json");
    let mut report = report(&outcome(&mut replay(
        directory.path(),
        &recording,
        &arguments,
    )));
    for time in ["step_ms_p50", "step_ms_p99"] {
        let ms = report[time].as_f64().unwrap();
        assert!(ms > 0.0, "{report}");
        report[time] = json!("time");
    }
    let entries = report["entries_verified"].as_u64().unwrap();
    let [bytes, state] = ["stored_bytes", "state_bytes"].map(|name| report[name].as_u64().unwrap());
    let expected = json!({
        "runs": 3,
        "steps": 14,
        "uses_allowed": 14,
        "uses_refused": {},
        "steps_found": 0,
        "step_ms_p50": "time",
        "step_ms_p99": "time",
        "stash_puts": 14,
        "stash_bytes": 1_284,
        "commits": 17,
        "forks": 0,
        "nodes": 40,
        "rows": 0,
        "row_bytes": 0,
        "blobs": 0,
        "state_bytes": state,
        "stored_bytes": bytes,
        "full_snapshot_bytes": 19_541,
        "distinct_message_bytes": 5_836,
        "entries_verified": entries,
        "states_verified": 17,
        "rows_verified": 0,
    });
    assert_eq!(report.to_string(), expected.to_string());
    assert!(
        bytes > 10_000 && entries > 14,
        "every use is at least one entry: {report}"
    );
}

#[test]
fn a_trace_has_a_line_for_every_step_and_runs_one_for_every_run() {
    let directory = tempfile::tempdir().unwrap();
    let arguments = [
        "--store", "memory:", "--json", "--trace", "--runs", "--jobs", "1",
    ];
    let restricted = ["--withhold-tool", "most-used", "--calls-percent", "50"];
    let all = [&arguments[..], &restricted[..]].concat();
    let output = outcome(&mut replay(
        directory.path(),
        &example("airline.json"),
        &all,
    ));
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let lines = objects(&output);
    let steps: Vec<String> = lines
        .iter()
        .filter(|line| line["step"].is_u64())
        .map(|line| {
            format!("{} {} {}", line["run"], line["step"], line["outcome"]).replace('"', "")
        })
        .collect();
    let expected = [
        "0.0 1 tool_not_allowed",
        "0.0 2 allowed",
        "0.0 3 budget_exceeded",
        "0.1 1 allowed",
        "0.1 2 allowed",
        "0.1 3 budget_exceeded",
        "0.1 4 budget_exceeded",
        "0.1 5 budget_exceeded",
        "1.0 1 tool_not_allowed",
        "1.0 2 tool_not_allowed",
        "1.0 3 allowed",
        "1.0 4 allowed",
        "1.0 5 allowed",
        "1.0 6 budget_exceeded",
    ];
    assert_eq!(steps, expected);
    let runs: Vec<&Value> = lines
        .iter()
        .filter(|line| line["session"].is_string())
        .map(|run| &run["refused"])
        .collect();
    let expected = [
        json!({ "budget_exceeded": 1, "tool_not_allowed": 1 }),
        json!({ "budget_exceeded": 3 }),
        json!({ "budget_exceeded": 1, "tool_not_allowed": 2 }),
    ];
    assert_eq!(runs, expected.iter().collect::<Vec<_>>());
}

#[test]
fn what_cannot_be_read_is_refused_before_there_is_a_store() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str| {
        let path = directory.path().join(name);
        fs::write(&path, content).unwrap();
        path
    };
    let table = [
        (
            directory.path().join("missing"),
            &[][..],
            4,
            "unreadable_input",
        ),
        (file("empty", ""), &[], 2, "invalid_input"),
        (file("text", "no JSON"), &[], 2, "invalid_input"),
        (file("other", "[{\"a\": 1}]"), &[], 2, "unknown_format"),
        (
            example("airline.json"),
            &["--format", "intercode"],
            2,
            "unknown_format",
        ),
        (example("airline.json"), &["--format", "csv"], 2, "usage"),
        (
            example("airline.json"),
            &["--calls-percent", "0"],
            2,
            "usage",
        ),
        (
            example("airline.json"),
            &["--withhold-tool", "a*"],
            2,
            "usage",
        ),
        (example("airline.json"), &["--agent", "a b"], 2, "usage"),
        (example("airline.json"), &["--jobs", "0"], 2, "usage"),
    ];
    for (recording, arguments, exit, code) in table {
        let arguments = [&["--store", "sqlite:store.db", "--json"], arguments].concat();
        let output = outcome(&mut replay(directory.path(), &recording, &arguments));
        assert_eq!(output.status.code(), Some(exit), "{output:?}");
        let said: Value = serde_json::from_slice(&output.stderr).unwrap();
        assert_eq!(said["error"]["code"], code, "{said}");
        assert_eq!(output.stdout, b"", "{output:?}");
        assert!(!directory.path().join("store.db").exists(), "{recording:?}");
    }
}

#[test]
fn other_restrictions_on_the_same_store_are_a_conflict_and_change_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let (recording, store) = (
        example("shell.json"),
        ["--store", "sqlite:store.db", "--json"],
    );
    report(&outcome(&mut replay(directory.path(), &recording, &store)));
    let before = contents(&directory.path().join("store.db"));
    let other = [&store[..], &["--calls-percent", "50"]].concat();
    let output = outcome(&mut replay(directory.path(), &recording, &other));
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert_eq!(contents(&directory.path().join("store.db")), before);
}

#[test]
fn a_store_that_differs_fails_verification_with_exit_code_1_and_the_key() {
    let directory = tempfile::tempdir().unwrap();
    let store = ["--store", "sqlite:store.db", "--json"];
    let mut create = Command::new(env!("CARGO_BIN_EXE_windlass"));
    create.env_clear().current_dir(directory.path()).args(store);
    create.args([
        "session",
        "create",
        "--agent",
        "stranger",
        "--intent",
        "something else",
    ]);
    assert_eq!(outcome(&mut create).status.code(), Some(0));
    let verify = [&store[..], &["--verify"]].concat();
    let output = outcome(&mut replay(
        directory.path(),
        &example("shell.json"),
        &verify,
    ));
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said: Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!(said["error"]["code"], "replay_differs");
    let message = said["error"]["message"].as_str().unwrap();
    assert!(message.contains("/agent/stranger/"), "{message}");
    assert!(message.ends_with("should not be there"), "{message}");
    assert_eq!(
        objects(&output)[0]["runs"],
        2,
        "the report comes all the same"
    );
}

#[test]
fn twenty_kills_with_refusals_leave_what_an_uninterrupted_replay_leaves() {
    let directory = tempfile::tempdir().unwrap();
    let recording = directory.path().join("invented.json");
    fs::write(&recording, invented(40, 40).to_string()).unwrap();
    let denied = ["--withhold-tool", "most-used", "--calls-percent", "60"];
    // So that it also dies between two commits of a step.
    let more = ["--commits", "message", "--outputs", "steps"];
    let restricted = [&denied[..], &more].concat();
    let killed = killed_often(directory.path(), &recording, &restricted, TWENTY);
    assert_eq!(killed, TWENTY.count);
}

#[test]
fn twenty_kills_leave_all_tau_bench_runs_as_an_uninterrupted_replay_leaves_them() {
    let seed = 0x5eed_0002;
    let killed = published_set_killed_often("tau-bench", Kills { seed, ..TWENTY });
    assert!(
        killed.is_none_or(|killed| killed == TWENTY.count),
        "{killed:?}"
    );
}

#[test]
fn kills_leave_runs_of_every_other_format_as_an_uninterrupted_replay_leaves_them() {
    // How often and how far, by how many steps there are.
    let table = [
        ("tau2-toolorchestra", 3, 150),
        ("intercode", 3, 300),
        ("swe-agent", 4, 20),
        ("openhands", 4, 20),
        ("reflexion-snapshots", 3, 3),
        ("toolbench", 4, 25),
        ("autogen-recorder", 3, 6),
    ];
    for (seed, (name, count, steps_max)) in (0x5eed_0010..).zip(table) {
        let kills = Kills {
            count,
            steps_max,
            seed,
        };
        published_set_killed_often(name, kills);
    }
}

#[test]
fn kills_leave_runs_that_were_delegated_to_as_an_uninterrupted_replay_leaves_them() {
    let restricted = ["--withhold-tool", "most-used", "--calls-percent", "80"];
    let kills = Kills {
        count: 5,
        steps_max: 2,
        seed: 0x5eed_0003,
    };
    let directory = tempfile::tempdir().unwrap();
    killed_often(
        directory.path(),
        &example("salvage.jsonl"),
        &restricted,
        kills,
    );
}

/// Plays a published set with kills; says so where it is not at hand.
fn published_set_killed_often(name: &str, kills: Kills) -> Option<usize> {
    let recording = workspace().join("../shared/data/trajectories").join(name);
    if recording.exists() {
        let directory = tempfile::tempdir().unwrap();
        let rows = ["--outputs", "steps"];
        return Some(killed_often(directory.path(), &recording, &rows, kills));
    }
    #[expect(clippy::print_stderr, reason = "a skipped test must say so")]
    {
        eprintln!("skipped: {} is not there", recording.display());
    }
    None
}

/// Kills a replay often, lets it end, and compares it with one that was left
/// in peace. Answers how often: less than asked for if there was too little
/// left to do.
fn killed_often(directory: &Path, recording: &Path, arguments: &[&str], kills: Kills) -> usize {
    let arguments = [arguments, &["--json", "--runs"]].concat();
    let broken = [&arguments[..], &["--store", "sqlite:broken.db", "--trace"]].concat();
    let seed = kills.seed;
    let (mut random, mut acknowledged) = (Random(seed), Acknowledged::default());
    let mut killed = 0;
    for kill in 0..kills.count {
        let steps = 1 + random.next() % kills.steps_max;
        #[expect(clippy::print_stderr, reason = "shown only when the test fails")]
        {
            eprintln!("seed {seed:#x}, kill {kill}: after {steps} steps");
        }
        let child = replay(directory, recording, &broken)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        if !acknowledged.follow(child, steps) {
            break;
        }
        killed += 1;
    }
    assert!(killed > 0, "it ended before it was killed");
    let verify = [&arguments[..], &["--store", "sqlite:broken.db", "--verify"]].concat();
    let whole = [&arguments[..], &["--store", "sqlite:whole.db"]].concat();
    let ended = outcome(&mut replay(directory, recording, &verify));
    let peaceful = outcome(&mut replay(directory, recording, &whole));
    let found = report(&ended)["steps_found"].as_u64().unwrap();
    assert!(
        found >= acknowledged.allowed(),
        "{found} of {}",
        acknowledged.allowed()
    );
    assert_eq!(timeless(&ended), timeless(&peaceful));
    assert_eq!(
        contents(&directory.join("broken.db")),
        contents(&directory.join("whole.db"))
    );
    killed
}

/// A report and its runs without what the interruptions may change.
fn timeless(output: &Output) -> Vec<Value> {
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let mut lines = objects(output);
    for line in &mut lines {
        let object = line.as_object_mut().unwrap();
        for name in [
            "step_ms_p50",
            "step_ms_p99",
            "steps_found",
            "found",
            "entries_verified",
            "states_verified",
            "rows_verified",
        ] {
            object.remove(name);
        }
    }
    lines
}

/// What killed replays had acknowledged: the outcome of each step of each
/// run.
#[derive(Default)]
struct Acknowledged(BTreeMap<(String, String, u64), String>);

impl Acknowledged {
    /// Lets a replay do so many steps that none did before, kills it, and
    /// checks what it said against what was said before. `false` if it was
    /// so near its end that it came there first.
    fn follow(&mut self, mut child: Child, steps: u64) -> bool {
        let mut lines = BufReader::new(child.stdout.take().unwrap())
            .lines()
            .map(Result::unwrap);
        let mut left = steps;
        for line in lines.by_ref() {
            left -= u64::from(self.note(&serde_json::from_str(&line).unwrap()));
            if left == 0 {
                break;
            }
        }
        child.kill().unwrap();
        // What it said before it died counts too, but for a torn last line.
        for line in lines {
            if let Ok(line) = serde_json::from_str(&line) {
                self.note(&line);
            }
        }
        let status = child.wait().unwrap();
        if status.success() {
            return false;
        }
        assert_eq!((status.signal(), left), (Some(SIGKILL), 0));
        true
    }

    /// Whether the line is of a step that nobody had acknowledged before;
    /// the lines at the end of a replay are of none.
    fn note(&mut self, line: &Value) -> bool {
        let Some(number) = line["step"].as_u64() else {
            return false;
        };
        let text = |name: &str| line[name].as_str().unwrap().to_owned();
        let (found, outcome) = (line["found"].as_bool().unwrap(), text("outcome"));
        let step = (text("source"), text("run"), number);
        let Some(before) = self.0.insert(step, outcome.clone()) else {
            return true;
        };
        assert_eq!(outcome, before, "{line}");
        assert!(
            found || outcome != "allowed",
            "an acknowledged use was lost: {line}"
        );
        false
    }

    fn allowed(&self) -> u64 {
        let allowed = self.0.values().filter(|outcome| *outcome == "allowed");
        u64::try_from(allowed.count()).unwrap()
    }
}

/// Everything in a store, without the versions.
fn contents(path: &Path) -> Vec<(Vec<u8>, Vec<u8>)> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let location = StoreLocation::Sqlite(path.to_owned());
        let windlass = Windlass::open(&location, Options::default()).await.unwrap();
        let export = windlass.store().export(KeyRange::all()).await.unwrap();
        let entries = export.collect().await.unwrap();
        windlass.close().await.unwrap();
        entries
            .iter()
            .map(|entry| (entry.key.to_vec(), entry.value.to_vec()))
            .collect()
    })
}

/// A recording in which every run calls some of six tools.
fn invented(runs: u64, calls: u64) -> Value {
    let tools = ["look", "ask", "book", "pay", "write", "think"];
    let mut random = Random(7);
    let mut call = |number: u64| {
        let tool = tools[usize::try_from(random.next() % 6).unwrap()];
        let id = format!("call_{number}");
        [
            json!({ "role": "assistant", "tool_calls": [
                { "id": id, "function": { "name": tool, "arguments": "{}" } }
            ] }),
            json!({ "role": "tool", "tool_call_id": id, "content": format!("{tool} {number}") }),
        ]
    };
    let run = |task: u64| {
        let conversation: Vec<Value> = (0..calls).flat_map(&mut call).collect();
        json!({ "task_id": task, "trial": 0, "traj": conversation })
    };
    (0..runs).map(run).collect()
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
