//! `windlass replay --serve`: outputs in real time, and who follows them.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::{replay, workspace};
use crate::bench::{Ran, skip};

/// A replay that serves, and what it has said.
struct Playing {
    child: Child,
    said: std::io::Lines<BufReader<ChildStdout>>,
}

impl Playing {
    fn start(directory: &std::path::Path, store: &str, speed: &str) -> Self {
        let words = [
            "--serve",
            "--listen",
            "127.0.0.1:0",
            "--json",
            "--store",
            store,
            "--speed",
            speed,
        ];
        let recording = workspace().join("docs/recordings/answer.yaml");
        let mut command = replay(directory, &recording, &words);
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let said = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, said }
    }

    fn next(&mut self) -> Value {
        serde_json::from_str(&self.said.next().unwrap().unwrap()).unwrap()
    }

    /// Ends it as a service manager does, and gives its exit code.
    fn stop(mut self) -> Option<i32> {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        self.child.wait().unwrap().code()
    }
}

impl Drop for Playing {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs the line that a replay said to try; `None` where there is no curl.
fn tried(line: &Value) -> Option<Ran> {
    if Command::new("curl").arg("--version").output().is_err() {
        skip("there is no curl");
        return None;
    }
    let mut command = Command::new("/bin/sh");
    command.args(["-c", line["try"].as_str().unwrap()]);
    Some(Ran::new(&command.output().unwrap()))
}

/// The rows among the lines of a read.
fn rows(ran: &Ran) -> Vec<Value> {
    let rows = ran.objects().into_iter();
    rows.filter_map(|mut line| line.get_mut("row").map(Value::take))
        .collect()
}

#[test]
fn what_is_played_is_followed_with_the_line_that_was_printed() {
    let directory = tempfile::tempdir().unwrap();
    let mut playing = Playing::start(directory.path(), "memory:", "2");
    let listening = playing.next();
    assert_eq!(listening["open"], true);
    let stream = playing.next();
    assert_eq!(stream["rows"], 8);
    let Some(followed) = tried(&stream) else {
        return;
    };
    let rows = rows(followed.assert_code(0));
    assert_eq!(rows.len(), 8, "{followed:?}");
    assert_eq!(rows[1]["text"], "The");
    let end = followed.objects().pop().unwrap();
    assert_eq!(end["end"]["closed"], true, "{end}");
    assert_eq!(playing.next()["played"], stream["stream"]);
    assert_eq!(playing.stop(), Some(0));
}

#[test]
fn a_replay_that_was_killed_plays_on_behind_the_last_row() {
    let directory = tempfile::tempdir().unwrap();
    let store = "sqlite:played.db";
    for _ in 0..2 {
        let mut playing = Playing::start(directory.path(), store, "1");
        playing.next();
        playing.next();
    }
    let mut playing = Playing::start(directory.path(), store, "100");
    playing.next();
    let stream = playing.next();
    assert_eq!(playing.next()["rows"], 8);
    let Some(followed) = tried(&stream) else {
        return;
    };
    let rows = rows(followed.assert_code(0));
    let texts: Vec<_> = rows.iter().filter_map(|row| row["text"].as_str()).collect();
    assert_eq!(texts.concat(), "The ferry leaves at noon.");
}
