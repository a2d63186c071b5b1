//! `windlass replay --workers` as processes: what is left of it when they are
//! killed.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use super::{Acknowledged, Random, invented, outcome, replay, report, workspace};

/// Kills of one store, at most; then it is let come to its end.
const KILLS_MAX: u64 = 6;
/// Most steps between two kills.
const STEPS_MAX: u64 = 20;
const SEED: u64 = 0x5eed_0100;

#[expect(
    clippy::disallowed_methods,
    reason = "how often is said by the nightly run"
)]
fn kills() -> u64 {
    let kills = std::env::var("WINDLASS_REPLAY_KILLS");
    kills.map_or(4, |kills| kills.parse().unwrap())
}

fn workers(directory: &Path, recording: &Path, more: &[&str]) -> Command {
    let crew = ["--workers", "4", "--claim-ms", "250", "--json"];
    let store = ["--store", "sqlite:crew.db"];
    replay(directory, recording, &[&crew[..], &store, more].concat())
}

/// A process that works beside, and writes what it did into a file.
struct Beside {
    child: Child,
    said: std::path::PathBuf,
}

impl Beside {
    fn begin(directory: &Path, recording: &Path, number: u64) -> Self {
        let said = directory.join(format!("beside-{number}"));
        let mut command = workers(directory, recording, &["--worker", "--trace"]);
        let output = fs::File::create(&said).unwrap();
        let child = command.stdout(output).spawn().unwrap();
        Self { child, said }
    }

    /// Kills it wherever it is, and notes what it had said.
    fn end(mut self, acknowledged: &mut Acknowledged) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        for line in fs::read_to_string(self.said).unwrap().lines() {
            // The last line may be torn.
            if let Ok(line) = serde_json::from_str::<Value>(line) {
                acknowledged.note(&line);
            }
        }
    }
}

/// Kills replays on one store, lets the last one end, and checks what is
/// left. Answers how many were killed.
fn killed(recording: &Path, kills: u64, random: &mut Random) -> u64 {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let mut acknowledged = Acknowledged::default();
    let mut killed = 0;
    while killed < kills {
        let steps = 1 + random.next() % STEPS_MAX;
        let beside = random
            .next()
            .is_multiple_of(2)
            .then(|| Beside::begin(directory, recording, killed));
        let mut command = workers(directory, recording, &["--trace"]);
        let child = command.stdout(Stdio::piped()).spawn().unwrap();
        let died = acknowledged.follow(child, steps);
        if let Some(beside) = beside {
            beside.end(&mut acknowledged);
        }
        if !died {
            break;
        }
        killed += 1;
    }
    let ended = outcome(&mut workers(directory, recording, &["--trace", "--verify"]));
    let told = report(&ended);
    for line in String::from_utf8(ended.stdout).unwrap().lines() {
        acknowledged.note(&serde_json::from_str(line).unwrap());
    }
    let steps = told["steps"].as_u64().unwrap();
    assert_eq!(told["uses_allowed"].as_u64(), Some(steps), "{told}");
    // A commit for each step, and one behind the last of each run.
    let runs = told["runs"].as_u64().unwrap();
    assert_eq!(told["commits"].as_u64(), Some(steps + runs), "{told}");
    assert!(acknowledged.allowed() <= steps, "{told}");
    killed
}

#[test]
fn workers_that_are_killed_anywhere_leave_every_step_done_once() {
    let directory = tempfile::tempdir().unwrap();
    let recording = directory.path().join("invented.json");
    fs::write(&recording, invented(12, 12).to_string()).unwrap();
    let (mut random, mut left) = (Random(SEED), kills());
    while left > 0 {
        let killed = killed(&recording, left.min(KILLS_MAX), &mut random);
        assert!(killed > 0, "it ended before it was killed");
        left -= killed;
    }
}

#[test]
fn runs_begin_as_the_requests_of_a_trace_arrived() {
    let directory = tempfile::tempdir().unwrap();
    let trace = workspace().join("../shared/data/arrivals/azure-llm");
    let trace = trace.join("AzureLLMInferenceTrace_code.csv.zst");
    if !trace.exists() {
        #[expect(clippy::print_stderr, reason = "a skipped test must say so")]
        {
            eprintln!("skipped: {} is not there", trace.display());
        }
        return;
    }
    let recording = directory.path().join("invented.json");
    fs::write(&recording, invented(40, 2).to_string()).unwrap();
    let trace = trace.to_str().unwrap();
    let paced = ["--arrivals", trace, "--compress", "10", "--verify"];
    let mut command = workers(directory.path(), &recording, &paced);
    let told = report(&outcome(&mut command));
    assert_eq!(told["uses_allowed"].as_u64(), Some(80), "{told}");
    let refused = outcome(&mut workers(
        directory.path(),
        &recording,
        &["--arrivals", "missing"],
    ));
    let said: Value = serde_json::from_slice(&refused.stderr).unwrap();
    assert_eq!(said["error"]["code"], "unreadable_input", "{said}");
}
