//! Plays a recording of one run into an engine in memory, and verifies what it
//! left.
//!
//! `cargo run -p windlass-replay --example play_a_run` brings a small recording
//! of its own; with paths, such as `-- docs/examples/airline.json`, it plays
//! those.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::path::{Path, PathBuf};

use windlass::session::Caller;
use windlass::{Options, Windlass};
use windlass_replay::{ReadOptions, Recording, Replay, ReplayOptions};

/// A run in tau-bench's form: one tool call, and its answer.
const RUN: &str = r#"[{"task_id": 1, "trial": 0, "traj": [
  {"role": "user", "content": "Is there a later flight?"},
  {"role": "assistant", "content": null, "tool_calls": [
    {"id": "c1", "type": "function", "function": {"name": "find_flight", "arguments": "{}"}}]},
  {"role": "tool", "tool_call_id": "c1", "name": "find_flight", "content": "at nine"}
]}]"#;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let given: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    if given.is_empty() {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("run.json");
        std::fs::write(&path, RUN)?;
        return play(&path).await;
    }
    for path in given {
        play(&path).await?;
    }
    Ok(())
}

async fn play(path: &Path) -> Result<(), Box<dyn Error>> {
    let recording = Recording::read(path, &ReadOptions::default())?;
    let engine = Windlass::open(&"memory:".parse()?, Options::default()).await?;
    let caller = Caller::new("acme".parse()?, "replay".parse()?);
    let replay = Replay {
        windlass: &engine,
        caller: &caller,
        recording: &recording,
        options: &ReplayOptions::default(),
    };
    let report = replay.run(&()).await?;
    println!("{} runs, {} steps", report.runs, report.steps);
    println!(
        "{} allowed, refused: {:?}",
        report.uses_allowed, report.uses_refused
    );
    let verified = replay.verify().await?;
    println!(
        "{} entries are as a replay without interruption leaves them",
        verified.entries
    );
    engine.close().await?;
    Ok(())
}
