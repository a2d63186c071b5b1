//! One small recording of our own for each format, played to its end, and
//! what becomes of it when it is damaged.

use std::fs;
use std::path::{Path, PathBuf};

use windlass_replay::{
    Format, Percent, ReadOptions, Recording, Replay, ReplayOptions, Restrictions, Withhold,
};

use crate::common::{caller, contents, memory, play, read, sqlite, timeless};
use crate::count::{Denied, refusals};

const TAU_BENCH: &str = r#"[{"task_id": 3, "trial": 0, "traj": [
    {"role": "user", "content": "two beds"},
    {"role": "assistant", "content": null, "tool_calls": [
        {"id": "a", "function": {"name": "find_room", "arguments": "{\"beds\": 2}"}},
        {"id": "b", "function": {"name": "find_room", "arguments": {"beds": 1}}},
        {"id": "c", "function": {"name": "book", "arguments": "{}"}}]},
    {"role": "tool", "tool_call_id": "c", "content": null},
    {"role": "tool", "tool_call_id": "a", "content": "none\r\n"}]}]"#;

const TAU2: &str = r#"{"info": {"max_steps": 3, "agent_info": {"implementation": "innkeeper"}},
    "simulations": [{"id": "9d-1", "task_id": "3", "messages": [
        {"role": "user", "content": "two beds", "tool_calls": null},
        {"role": "assistant", "content": "", "tool_calls": [
            {"id": "a", "name": "find_room", "arguments": {"beds": 2}, "requestor": "assistant"},
            {"id": "b", "name": "find_room", "arguments": "{}", "requestor": "assistant"}]},
        {"role": "tool", "id": "a", "content": "none", "requestor": "assistant"},
        {"role": "user", "content": null, "tool_calls": [{"id": "u", "name": "look_in_purse", "arguments": {}, "requestor": "user"}]},
        {"role": "tool", "id": "u", "content": "12", "requestor": "user"},
        {"role": "assistant", "content": null, "tool_calls": [
            {"id": "d", "name": "book", "arguments": {}, "requestor": "assistant"},
            {"id": "e", "name": "greet", "arguments": {}, "requestor": "assistant"}]}]}]}"#;

const INTERCODE: &str = r#"{"7": {"environment": "inn_shell", "query": "how many beds", "turn_history":
    {"actions": ["ls", "wc -l"], "observations": ["beds", null]}, "summary": {"turns_max": 1}}}"#;

const SWE_AGENT: &str = r#"{"environment": "inn", "trajectory": [
        {"action": "ls -F\n", "observation": "beds.py\r\n", "response": "look", "state": "{\"open_file\": \"n/a\"}"},
        {"action": "open beds.py", "observation": "x = 2", "response": "read", "state": {"open_file": "n/a"}},
        {"action": "ls", "observation": null, "response": "again"},
        {"action": "", "observation": "", "response": "done"}],
    "history": [{"role": "system", "content": "mend it", "agent": "main"},
        {"role": "assistant", "content": "look", "action": "ls -F\n", "agent": "main"}],
    "replay_config": "{\"agent\": {\"model\": {\"per_instance_call_limit\": 0}}}"}"#;

const OPENHANDS: &str = concat!(
    r#"{"instance_id": "inn-1", "metadata": {"agent_class": "Host", "max_iterations": 4}, "history": [{"id": 1, "source": "agent", "action": "run", "args": {"command": "ls"}}, {"id": 2, "source": "agent", "observation": "run", "cause": 1, "content": "beds"}, {"id": 3, "source": "agent", "action": "delegate", "args": {"agent": "Cook"}}, {"id": 4, "source": "agent", "action": "run", "args": {}}, {"id": 5, "source": "agent", "action": "run", "args": {}}, {"id": 6, "source": "agent", "observation": "delegate", "content": "soup"}, {"id": 7, "source": "agent", "action": "finish", "args": {}}]}"#,
    "\n",
    r#"{"instance_id": "inn-2", "history": []}"#,
    "\n"
);

const REFLEXION: &str = r#"[{"name": "cellar", "memory": ["look behind the casks"], "is_success": false},
    {"name": "loft", "memory": [], "is_success": true}]"#;

const TOOLBENCH: &str = r#"{"win": false, "forward_args": {"max_query_count": 9}, "tree": {"size": 4, "tree":
    {"node_type": "Action Input", "description": "", "children": [
        {"node_type": "Action", "description": "beds_of_inns", "children": [
            {"node_type": "Action Input", "description": "{}", "observation": "none", "children": []}]},
        {"node_type": "Thought", "description": "elsewhere", "children": [
            {"node_type": "Action", "description": "beds_of_inns", "children": [
                {"node_type": "Action Input", "description": "{\"town\": 2}", "observation": "", "children": [
                    {"node_type": "Action", "description": "Finish", "children": []}]}]}]}]}},
    "answer_generation": {"query": "two beds"}}"#;

const AUTOGEN: &str = r#"[
    {"mode": "create", "messages": [{"content": "which", "source": "User", "type": "UserMessage"}], "response": {"content": "left"}, "stream": []},
    {"mode": "create", "messages": [{"content": ["which"], "source": "User", "type": "UserMessage"}], "response": {"content": "left"}, "stream": []},
    {"mode": "create", "messages": [{"content": "which", "source": "User", "type": "UserMessage"},
        {"content": "left", "source": "Assistant", "type": "AssistantMessage"},
        {"content": "sure?", "source": "User", "type": "UserMessage"}], "response": {"content": null}, "stream": []}]"#;

/// Each format with its text, its runs and its calls.
const TABLE: [(Format, &str, u64, u64); 8] = [
    (Format::TauBench, TAU_BENCH, 1, 3),
    (Format::Tau2, TAU2, 1, 4),
    (Format::InterCode, INTERCODE, 1, 2),
    (Format::SweAgent, SWE_AGENT, 1, 3),
    (Format::OpenHands, OPENHANDS, 3, 5),
    (Format::Reflexion, REFLEXION, 1, 1),
    (Format::ToolBench, TOOLBENCH, 1, 3),
    (Format::AutoGen, AUTOGEN, 2, 3),
];

/// A run of which the second call goes on from before the first.
pub(crate) fn searching() -> Recording {
    let directory = tempfile::tempdir().unwrap();
    read(&written(directory.path(), TOOLBENCH))
}

fn written(directory: &Path, text: &str) -> PathBuf {
    let path = directory.join("input");
    fs::write(&path, text).unwrap();
    path
}

/// What is said about a text, with what caused it.
fn refusal(directory: &Path, text: &str, options: &ReadOptions) -> String {
    let path = written(directory, text);
    let error = Recording::read(&path, options).unwrap_err();
    let mut said = error.to_string();
    let mut next = std::error::Error::source(&error);
    while let Some(cause) = next {
        said = format!("{said}: {cause}");
        next = cause.source();
    }
    said.replace(&path.display().to_string(), "PATH")
}

#[tokio::test]
async fn every_format_leaves_equal_stores_and_as_many_refusals_as_are_counted_apart() {
    let denials = [
        (false, None),
        (true, None),
        (false, Some(50)),
        (true, Some(50)),
    ];
    for (format, text, runs, steps) in TABLE {
        let directory = tempfile::tempdir().unwrap();
        let path = written(directory.path(), text);
        let recording = read(&path);
        assert_eq!(recording.runs[0].source.format, format);
        for (most_used_tool, calls_percent) in denials {
            let denied = Denied {
                most_used_tool,
                calls_percent,
            };
            let percent = calls_percent.and_then(|percent| Percent::new(percent.try_into().ok()?));
            let restrictions = Restrictions {
                withhold: most_used_tool.then_some(Withhold::MostUsed),
                calls_percent: percent,
            };
            let options = ReplayOptions {
                restrictions,
                ..ReplayOptions::default()
            };
            let stores = tempfile::tempdir().unwrap();
            let (volatile, durable) = (memory().await, sqlite(stores.path()).await);
            let report = play(&volatile, &recording, &options).await;
            assert_eq!((report.runs, report.steps), (runs, steps), "{format}");
            let on_disk = play(&durable, &recording, &options).await;
            assert_eq!(timeless(&on_disk), timeless(&report), "{format}");
            assert_eq!(
                contents(&durable).await,
                contents(&volatile).await,
                "{format}"
            );
            let counted = refusals(&path, denied).unwrap();
            for run in &report.by_run {
                let refused = run.refused.iter();
                let refused = refused.map(|(code, count)| ((*code).to_owned(), *count));
                assert_eq!(
                    refused.collect::<std::collections::BTreeMap<_, _>>(),
                    counted[&run.run],
                    "{format} {denied:?}"
                );
            }
            let caller = caller();
            let replay = Replay {
                windlass: &durable,
                caller: &caller,
                recording: &recording,
                options: &options,
            };
            replay.verify().await.unwrap();
            durable.close().await.unwrap();
        }
    }
}

#[test]
fn a_file_cut_short_anywhere_is_refused_and_never_read_in_part() {
    let directory = tempfile::tempdir().unwrap();
    for (format, text, ..) in TABLE {
        let text = text.trim_end();
        for length in (0..text.len())
            .step_by(7)
            .filter(|at| text.is_char_boundary(*at))
        {
            // Whole lines of a log are a shorter log.
            if text.as_bytes().get(length.wrapping_sub(1)) == Some(&b'\n')
                && format == Format::OpenHands
            {
                continue;
            }
            let said = refusal(directory.path(), &text[..length], &ReadOptions::default());
            let expected = ["`PATH` is empty", "`PATH` is no JSON"];
            assert!(
                expected.iter().any(|begins| said.starts_with(begins)),
                "{format} {length}: {said}"
            );
        }
    }
}

#[test]
fn a_format_asked_for_is_told_with_what_it_looks_like() {
    let directory = tempfile::tempdir().unwrap();
    let said = |format, text| {
        let options = ReadOptions {
            format: Some(format),
            ..ReadOptions::default()
        };
        refusal(directory.path(), text, &options)
    };
    let outputs = [Format::Cassette, Format::Rows];
    for format in outputs {
        assert_eq!(said(format, "[]"), "there is no run in `PATH`");
    }
    assert_eq!(
        said(Format::Cassette, "interactions: \""),
        "line 1 of `PATH` is no YAML"
    );
    let formats = Format::ALL.into_iter();
    for format in formats.filter(|format| !outputs.contains(format)) {
        // A number is nothing in any format, an empty list no run.
        assert_eq!(said(format, "[]"), "there is no run in `PATH`");
        assert!(
            said(format, "1").starts_with("`PATH` is no JSON array or object: "),
            "{format}"
        );
    }
    assert_eq!(
        said(Format::Tau2, TAU_BENCH),
        "`PATH` is not in the format `tau2`, which is an object with `simulations`"
    );
    assert_eq!(
        said(Format::AutoGen, SWE_AGENT),
        "`PATH` is not in the format `autogen`, which is an array of calls with `mode`, `messages` and `response`"
    );
    assert_eq!(
        said(Format::ToolBench, SWE_AGENT),
        "run 0 of `PATH` is in the format `swe-agent`, not `toolbench` like the first"
    );
    assert_eq!(
        said(Format::Tau2, "{\"simulations\": 3}"),
        "`PATH` does not have the form of `tau2`, which is an object with `simulations`: invalid type: integer `3`, expected a sequence at line 1 column 17"
    );
}

#[test]
fn damage_is_named_by_file_run_and_place() {
    let directory = tempfile::tempdir().unwrap();
    let said = |text: &str| refusal(directory.path(), text, &ReadOptions::default());
    let missing =
        |what: &str| format!("it does not have the form of its format: missing field `{what}`");
    let table = [
        (
            TAU2.replace(r#""role": "tool", "id": "a""#, r#""role": "tool", "id": "z""#),
            "cannot read run 0 of `PATH`: message 2 answers a tool call that nobody made".to_owned(),
        ),
        (
            SWE_AGENT.replace("open beds.py", "* beds.py"),
            "cannot read run 0 of `PATH`: the tool of call 2 cannot be used: ".to_owned(),
        ),
        (
            OPENHANDS.replace(r#""id": 7, "source": "agent", "action": "finish""#, r#""id": 7"#),
            "cannot read run 0 of `PATH`: cannot read event 6: it is neither an action nor an observation".to_owned(),
        ),
        (
            OPENHANDS.replace("inn-2", "inn-1"),
            "`PATH` has two runs `inn-1`".to_owned(),
        ),
        (
            OPENHANDS.replace("inn-2", "inn 2"),
            "cannot read run 1 of `PATH`: its key cannot be used: ".to_owned(),
        ),
        (
            format!("{OPENHANDS}{}", SWE_AGENT.replace('\n', " ")),
            "run 2 of `PATH` is in the format `swe-agent`, not `openhands` like the first".to_owned(),
        ),
        (
            format!("{OPENHANDS}[]"),
            "`PATH` is no JSON array or object: of 3 values one behind the other, value 2 is no object".to_owned(),
        ),
        (
            REFLEXION.replace(r#", "is_success": true"#, ""),
            format!("cannot read environment 1 of `PATH`: {}", missing("is_success")),
        ),
        (
            TOOLBENCH.replace(r#""Thought""#, r#""Guess""#),
            "cannot read run 0 of `PATH`: it does not have the form of its format: unknown variant `Guess`".to_owned(),
        ),
        (
            AUTOGEN.replace(r#"{"mode": "create", "messages": [{"content": ["#, r#"{"mode": "create", "letters": [{"content": ["#),
            format!("cannot read call 1 of `PATH`: {}", missing("messages")),
        ),
        (
            AUTOGEN.replace(r#""mode": "create", "messages": [{"content": ["#, r#""traj": [{"content": ["#),
            "call 1 of `PATH` is in the format `tau-bench`, not `autogen` like the first".to_owned(),
        ),
    ];
    for (text, expected) in table {
        let said = said(&text);
        assert!(said.starts_with(&expected), "{said}\n{expected}");
    }
}
