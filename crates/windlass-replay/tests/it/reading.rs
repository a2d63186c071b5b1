//! What can be read, and how everything else is refused.

use std::fs;
use std::path::Path;

use windlass::core::{Coded, ErrorKind};
use windlass_replay::{Format, ReadError, ReadOptions, Recording};

use crate::common::{examples, read};

fn refusal(path: &Path, options: &ReadOptions) -> (String, ErrorKind) {
    let error = Recording::read(path, options).unwrap_err();
    (
        chain(&error).replace(&path.display().to_string(), "PATH"),
        error.kind(),
    )
}

fn chain(error: &ReadError) -> String {
    let mut said = vec![error.to_string()];
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        said.push(cause.to_string());
        next = cause.source();
    }
    said.join(": ")
}

#[test]
fn the_examples_are_read_in_the_order_of_their_files() {
    let recording = read(&examples());
    let found: Vec<_> = recording
        .runs
        .iter()
        .map(|run| (run.source.name.as_str(), run.key.as_str()))
        .collect();
    let expected = [
        ("airline.json", "0.0"),
        ("airline.json", "0.1"),
        ("airline.json", "1.0"),
        ("salvage.jsonl", "wreck-12"),
        ("salvage.jsonl", "wreck-12.2"),
        ("salvage.jsonl", "wreck-12.2.3"),
        ("salvage.jsonl", "wreck-13"),
        ("shell.json", "0"),
        ("shell.json", "1"),
    ];
    assert_eq!(found, expected);
    assert_eq!(recording.steps(), 37);
    assert_eq!(recording.runs[3].source.format, Format::OpenHands);
    assert_eq!(recording.runs[7].source.format, Format::InterCode);
    assert_eq!(recording.runs[7].calls_budget, Some(4));
    assert_eq!(
        recording.runs[1].most_used_tool().unwrap().as_str(),
        "search_flights"
    );
    assert_eq!(
        recording.runs[2].most_used_tool().unwrap().as_str(),
        "find_booking",
        "of two, the first by name"
    );
}

#[test]
fn a_compressed_file_under_any_name_holds_the_same_runs() {
    let directory = tempfile::tempdir().unwrap();
    let plain = examples().join("airline.json");
    let compressed = directory.path().join("whatever.txt");
    fs::write(
        &compressed,
        zstd::encode_all(fs::read(&plain).unwrap().as_slice(), 3).unwrap(),
    )
    .unwrap();
    let ids = |path: &Path| {
        read(path)
            .runs
            .iter()
            .map(windlass_replay::Run::id)
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(&compressed), ids(&plain));
    assert!(
        ids(&plain)[0].starts_with("tau-bench:"),
        "{:?}",
        ids(&plain)
    );
}

#[test]
fn volumes_are_counted_over_messages_as_compact_json() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.json");
    let run = r#"{"environment": "sh", "query": "q", "turn_history": {"actions": ["a", "a"], "observations": ["o", "o"]}}"#;
    fs::write(&path, format!("{{\"0\": {run}}}")).unwrap();
    let recording = read(&path);
    let query = r#"{"role":"user","content":"q"}"#.len();
    let action = r#"{"role":"assistant","content":"a"}"#.len();
    let observation = r#"{"role":"tool","content":"o"}"#.len();
    let first = "[,,]".len() + query + action + observation;
    let second = "[,,,,]".len() + query + 2 * (action + observation);
    assert_eq!(
        recording.full_snapshot_bytes(),
        u64::try_from(first + second).unwrap()
    );
    assert_eq!(
        recording.distinct_message_bytes(),
        u64::try_from(query + action + observation).unwrap()
    );
}

#[test]
fn a_run_takes_its_agent_from_its_record_then_from_the_options_then_from_its_format() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.json");
    let runs = r#"[{"task_id": 0, "trial": 0, "traj": [], "agent": "mine"}, {"task_id": 1, "trial": 0, "traj": []}]"#;
    fs::write(&path, runs).unwrap();
    let agents = |options: &ReadOptions| -> Vec<String> {
        let recording = Recording::read(&path, options).unwrap();
        recording
            .runs
            .iter()
            .map(|run| run.agent.to_string())
            .collect()
    };
    assert_eq!(agents(&ReadOptions::default()), ["mine", "tau-bench-agent"]);
    let named = ReadOptions {
        agent: Some("theirs".parse().unwrap()),
        ..ReadOptions::default()
    };
    assert_eq!(agents(&named), ["mine", "theirs"]);
}

const RUN: &str = r#"{"task_id": 0, "trial": 0, "traj": []}"#;
const TURN: &str =
    r#"{"environment": "sh", "query": "q", "turn_history": {"actions": [], "observations": []}}"#;

#[test]
fn a_file_that_holds_no_runs_is_refused_with_its_reason() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("input");
    let table: [(&[u8], &str); 8] = [
        (b"", "`PATH` is empty"),
        (b" \n\t ", "`PATH` is empty"),
        (b"[]", "there is no run in `PATH`"),
        (b"{}", "there is no run in `PATH`"),
        (
            b"\xff\xfe[]",
            "`PATH` is not UTF-8: invalid utf-8 sequence of 1 bytes from index 0",
        ),
        (
            b"task,trial\n",
            "`PATH` is no JSON array or object: expected ident at line 1 column 2",
        ),
        (
            b"\"traj\"",
            "`PATH` is no JSON array or object: invalid type: string \"traj\", expected an array or an object of runs at line 1 column 6",
        ),
        (
            b"[{\"messages\": []}]",
            "the runs in `PATH` are in none of the formats `tau-bench`, `tau2`, `intercode`, `swe-agent`, `openhands`, `reflexion`, `toolbench`, `autogen`, `cassette`, `rows`",
        ),
    ];
    for (content, expected) in table {
        fs::write(&path, content).unwrap();
        assert_eq!(
            refusal(&path, &ReadOptions::default()),
            (expected.to_owned(), ErrorKind::Invalid)
        );
    }
}

#[test]
fn a_run_that_is_wrong_is_named_by_its_place() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("input");
    let call = |name: &str| {
        format!(
            r#"{{"role": "assistant", "tool_calls": [{{"id": "a", "function": {{"name": "{name}", "arguments": "{{}}"}}}}]}}"#
        )
    };
    let chat =
        |message: &str| format!(r#"[{RUN}, {{"task_id": 1, "trial": 0, "traj": [{message}]}}]"#);
    let table = [
        (format!("[{RUN}, {RUN}]"), "`PATH` has two runs `0.0`"),
        (format!("[{RUN}, {TURN}]"), "run 1 of `PATH` is in the format `intercode`, not `tau-bench` like the first"),
        (
            format!(r#"[{RUN}, {{"task_id": 1, "traj": []}}]"#),
            "cannot read run 1 of `PATH`: it does not have the form of its format: missing field `trial` at line 1 column 26",
        ),
        (
            chat(r#"{"role": "user", "role": "user"}"#),
            "cannot read run 1 of `PATH`: it does not have the form of its format: an object has the same key twice at line 1 column 32",
        ),
        (
            chat(&call("")),
            "cannot read run 1 of `PATH`: the tool of call 1 cannot be used: must not be empty",
        ),
        (
            chat(r#"{"role": "tool", "tool_call_id": "a", "content": "x"}"#),
            "cannot read run 1 of `PATH`: message 0 answers a tool call that nobody made",
        ),
        (format!(r#"{{"0": {TURN}, "0": {TURN}}}"#), "`PATH` has two runs `0`"),
        (
            format!(r#"{{"0/1": {TURN}}}"#),
            "cannot read run 0 of `PATH`: its key cannot be used: `session` has a character at byte 1 that is none of A-Z a-z 0-9 . _ ~ : -",
        ),
        (
            format!(r#"{{"{}": {TURN}}}"#, "k".repeat(65)),
            "cannot read run 0 of `PATH`: its key has 65 bytes; at most 64 are allowed",
        ),
        (
            r#"{"0": {"environment": "sh", "query": "q", "turn_history": {"actions": [], "observations": []}, "summary": {"turns_max": 0}}}"#.to_owned(),
            "cannot read run 0 of `PATH`: its budget of tool calls is 0",
        ),
    ];
    for (content, expected) in table {
        fs::write(&path, content).unwrap();
        assert_eq!(
            refusal(&path, &ReadOptions::default()),
            (expected.to_owned(), ErrorKind::Invalid)
        );
    }
}

#[test]
fn a_format_that_was_asked_for_is_not_guessed_around() {
    let options = ReadOptions {
        format: Some(Format::InterCode),
        ..ReadOptions::default()
    };
    let (said, kind) = refusal(&examples().join("airline.json"), &options);
    assert_eq!(
        (said.as_str(), kind),
        (
            "`PATH` is not in the format `intercode`, which is an object of runs, each with `turn_history`",
            ErrorKind::Invalid
        )
    );
}

#[test]
fn what_is_no_file_of_runs_is_refused_before_anything_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("missing");
    let (said, kind) = refusal(&missing, &ReadOptions::default());
    assert!(said.starts_with("cannot read `PATH`: "), "{said}");
    assert_eq!(kind, ErrorKind::NotFound);
    let (said, kind) = refusal(directory.path(), &ReadOptions::default());
    assert_eq!(
        (said.as_str(), kind),
        ("there is no file in `PATH`", ErrorKind::Invalid)
    );
    let (said, _) = refusal(Path::new("/dev/null"), &ReadOptions::default());
    assert_eq!(said, "`PATH` is neither a file nor a directory");
}

#[test]
fn two_files_of_one_content_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["a.json", "b.json"] {
        fs::copy(examples().join("airline.json"), directory.path().join(name)).unwrap();
    }
    let (said, _) = refusal(directory.path(), &ReadOptions::default());
    assert_eq!(said, "`PATH/b.json` has the same content as `PATH/a.json`");
}
