//! Standard output, standard error and signals: what a script relies on.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::bench::{Bench, Ran, skip};

/// More than any pipe holds, so that whoever wrote it has a reader.
const MORE_THAN_A_PIPE_HOLDS: usize = 512 * 1_024;

#[test]
fn a_reader_that_has_gone_ends_the_command_without_a_word() {
    let bench = Bench::with_session();
    for line in [
        "session list",
        "session list --json",
        "session show s1",
        "config show",
        "--help",
    ] {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let ran = Ran::new(&bench.command(&words).stdout(writer).output().unwrap());
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{line}");
    }
}

#[test]
fn an_answer_that_cannot_be_written_is_an_error_of_its_own() {
    let bench = Bench::with_session();
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let use_search = [
        "--json", "session", "use", "s1", "search", "--agent", "scout",
    ];
    let ran = Ran::new(&bench.command(&use_search).stdout(full).output().unwrap());
    ran.assert_code(6);
    assert_eq!(ran.error()["code"], "output_failed");
    let made =
        bench.run("--json session show s1").assert_code(0).objects()[0]["calls_made"].clone();
    assert_eq!(made, 1, "the use itself was done");
}

#[test]
fn an_interrupt_ends_a_waiting_command_with_130() {
    let bench = Bench::with_session();
    let before = bench.export();
    let mut command = bench.command(&["--json", "session", "create", "--spec", "-"]);
    let piped = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    // The command reads only once it listens for interrupts. It takes no more
    // than its limit, so the rest may find nobody reading.
    let spaces = vec![b' '; MORE_THAN_A_PIPE_HOLDS];
    input.write_all(&spaces).unwrap();

    let pid = Pid::from_child(&child);
    kill_process(pid, Signal::INT).unwrap();
    let ran = Ran::new(&child.wait_with_output().unwrap());
    drop(input);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(130), ""), "{ran:?}");
    assert_eq!(ran.error()["code"], "interrupted");
    assert_eq!(bench.export(), before);
}

#[test]
fn colours_are_used_when_asked_for_and_never_in_a_pipe_otherwise() {
    let bench = Bench::new();
    let stderr = |line: &str| bench.run(line).stderr;
    assert_eq!(stderr("session show s1"), "error: no such session\n");
    assert_eq!(
        stderr("--color never session show s1"),
        "error: no such session\n"
    );
    let coloured = stderr("--color always session show s1");
    assert!(coloured.starts_with("\u{1b}["), "{coloured:?}");
    assert!(coloured.ends_with(" no such session\n"), "{coloured:?}");
    let json = stderr("--color always --json session show s1");
    assert!(json.starts_with('{'), "{json:?}");
}

#[test]
fn no_color_switches_off_what_a_terminal_would_switch_on() {
    let bench = Bench::new();
    let asked = |no_color: &str| {
        // `script` gives the command a terminal.
        let windlass = assert_cmd::cargo::cargo_bin!("windlass")
            .display()
            .to_string();
        let line = format!("{windlass} session show s1; true");
        let mut command = Command::new("script");
        command
            .args(["-q", "-e", "-c", &line, "/dev/null"])
            .current_dir(bench.directory());
        let path = ("PATH", "/usr/local/bin:/usr/bin:/bin");
        command
            .env_clear()
            .env(path.0, path.1)
            .env("NO_COLOR", no_color)
            .stdin(Stdio::null());
        command.output()
    };
    let (Ok(plain), Ok(coloured)) = (asked("1"), asked("")) else {
        skip("there is no `script` to make a terminal with");
        return;
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(!text(&plain.stdout).contains('\u{1b}'), "{plain:?}");
    assert!(text(&coloured.stdout).contains('\u{1b}'), "{coloured:?}");
}

#[test]
fn stored_text_cannot_move_the_cursor_of_a_terminal() {
    let bench = Bench::new();
    let intent = "calm\u{1b}[2J\u{9b}2J\r\nforged row";
    let create = [
        "session", "create", "--id", "s1", "--agent", "a", "--intent", intent,
    ];
    bench.run_words(&create).assert_code(0);
    for line in ["session list", "session show s1"] {
        let shown = bench.run(line).assert_code(0).stdout.clone();
        assert!(
            shown
                .lines()
                .any(|line| line.contains(r"calm\u{1b}[2J\u{9b}2J\r\nforged row")),
            "{shown}"
        );
        assert!(!shown.contains(['\u{1b}', '\u{9b}', '\r']), "{shown}");
    }
    let json = bench.run("--json session show s1").assert_code(0).objects();
    assert_eq!(json[0]["intent"], intent, "JSON gives it as it is");
}

#[test]
fn a_listing_says_where_to_go_on_and_ends_there() {
    let bench = Bench::new();
    for number in 1..=5 {
        let create = format!("session create --id s{number} --agent a --intent x");
        bench.run(&create).assert_code(0);
    }
    let mut seen = Vec::new();
    let mut after = String::new();
    for page in [2, 2, 1] {
        let ran = bench.run(&format!("--json session list --limit 2 {after}"));
        let ids: Vec<String> = ran
            .assert_code(0)
            .objects()
            .iter()
            .map(|row| row["id"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(ids.len(), page, "{ran:?}");
        seen.extend(ids);
        after = match ran.stderr.as_str() {
            "" => String::new(),
            note => {
                let note: serde_json::Value = serde_json::from_str(note).unwrap();
                format!("--after {}", note["next"].as_str().unwrap())
            }
        };
    }
    assert_eq!((seen.len(), after.as_str()), (5, ""));
    let all = bench
        .run("--json session list --all")
        .assert_code(0)
        .clone();
    let ids: Vec<String> = all
        .objects()
        .iter()
        .map(|row| row["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!((ids, all.stderr.as_str()), (seen, ""));
}

#[test]
fn a_history_is_read_on_from_any_event() {
    let bench = Bench::with_session();
    for _ in 0..3 {
        bench
            .run("session use s1 search read_mail --agent scout")
            .assert_code(0);
    }
    let ran = bench.run("--json session history s1 --after 2 --limit 3");
    let numbers: Vec<u64> = ran
        .assert_code(0)
        .objects()
        .iter()
        .map(|row| row["number"].as_u64().unwrap())
        .collect();
    assert_eq!(
        (numbers, ran.stderr.as_str()),
        (vec![3, 4, 5], "{\"next\":\"5\"}\n")
    );
    let all = bench.run("--json session history s1 --all");
    assert_eq!((all.objects().len(), all.stderr.as_str()), (6, ""));
}

#[test]
fn a_file_that_may_not_grow_ends_a_change_with_a_code_and_changes_nothing() {
    let bench = Bench::with_session();
    let before = bench.export();
    let patterns: Vec<String> = (0..1_000)
        .map(|number| format!("\"{number:0200}\""))
        .collect();
    let spec = format!(
        r#"{{"id":"big","agent":"a","intent":"x","tools":{{"only":[{}]}}}}"#,
        patterns.join(",")
    );
    fs::write(bench.path("spec.json"), spec).unwrap();
    // Blocks of 512 bytes: less than a reader needs, and less than the commit.
    for (blocks, code, exit) in [(20, "store_environment", 8), (80, "store_indeterminate", 6)] {
        let windlass = assert_cmd::cargo::cargo_bin!("windlass")
            .display()
            .to_string();
        let line =
            format!("ulimit -f {blocks} && exec {windlass} --json session create --spec spec.json");
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", &line])
            .env_clear()
            .current_dir(bench.directory());
        let ran = Ran::new(&command.output().unwrap());
        assert_eq!(
            (ran.code, ran.stdout.as_str()),
            (Some(exit), ""),
            "{blocks}: {ran:?}"
        );
        assert_eq!(ran.error()["code"], code, "{blocks}: {ran:?}");
    }
    assert_eq!(bench.export(), before);
}

#[test]
fn a_full_disk_ends_a_change_with_a_code_and_changes_nothing() {
    let bench = Bench::new();
    let directory = bench.path("disk");
    fs::create_dir(&directory).unwrap();
    let windlass = assert_cmd::cargo::cargo_bin!("windlass")
        .display()
        .to_string();
    // A name space of its own, so that the small disk goes with the process.
    let script = format!(
        "mount -t tmpfs -o size=512k none disk || exit 99
         w='{windlass} --json --store sqlite:disk/w.db'
         $w session create --id s1 --agent a --intent x > before || exit 98
         dd if=/dev/zero of=disk/rest bs=4k count=95 2> dd.log
         $w session create --spec spec.json; code=$?
         rm disk/rest
         $w session list > after || exit 97
         exit $code"
    );
    let patterns: Vec<String> = (0..1_000)
        .map(|number| format!("\"{number:0200}\""))
        .collect();
    let spec = format!(
        r#"{{"id":"big","agent":"a","intent":"x","tools":{{"only":[{}]}}}}"#,
        patterns.join(",")
    );
    fs::write(bench.path("spec.json"), spec).unwrap();
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "--map-root-user", "/bin/sh", "-c", &script])
        .current_dir(bench.directory());
    let ran = match command.output() {
        Ok(output)
            if output.status.code() != Some(99)
                && !String::from_utf8_lossy(&output.stderr).contains("unshare:") =>
        {
            Ran::new(&output)
        }
        refused => {
            skip(&format!(
                "no small disk can be mounted, a file size limit stands in: {refused:?}"
            ));
            return;
        }
    };
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(8), ""), "{ran:?}");
    assert_eq!(ran.error()["code"], "store_environment");
    let text = |name: &str| fs::read_to_string(bench.path(name)).unwrap();
    assert_eq!(text("after"), text("before"));
}
