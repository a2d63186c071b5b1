//! `windlass export` and `windlass import` as processes.

use std::fs;
use std::io::Write;
use std::os::unix::net::UnixListener;
use std::process::Stdio;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::bench::{Bench, Ran};

/// A bench with a session that has been used and has a stash.
fn used() -> Bench {
    let bench = Bench::with_session();
    for line in [
        "session use s1 search --any-agent",
        "stash put s1 plan [1,2,3]",
    ] {
        bench.run(line).assert_code(0);
    }
    bench
}

fn report(ran: &Ran) -> Value {
    let objects = ran.assert_code(0).objects();
    assert_eq!(objects.len(), 1, "{ran:?}");
    objects[0].clone()
}

fn code_of(ran: &Ran) -> String {
    let said: Value = serde_json::from_str(&ran.stderr).unwrap();
    said["error"]["code"].as_str().unwrap().to_owned()
}

#[test]
fn a_store_is_the_same_after_a_file_and_after_a_pipe() {
    let bench = used();
    let exported = report(&bench.run("--json export moved.export"));
    assert_eq!(exported["found"], 0);
    let imported = report(&bench.run("--json import moved.export --store sqlite:file.db"));
    assert_eq!(imported, exported);

    let piped = bench.shell("windlass export - | windlass import - --store sqlite:pipe.db --json");
    assert!(
        piped.contains(exported["digest"].as_str().unwrap()),
        "{piped}"
    );
    for store in ["file.db", "pipe.db"] {
        bench
            .run(&format!("export {store}.export --store sqlite:{store}"))
            .assert_code(0);
        let again = fs::read(bench.path(&format!("{store}.export"))).unwrap();
        assert_eq!(again, fs::read(bench.path("moved.export")).unwrap());
        let ran = bench.run(&format!("--json stash get s1 plan --store sqlite:{store}"));
        assert_eq!(
            ran.assert_code(0).objects()[0]["value"].to_string(),
            "[1,2,3]"
        );
    }
}

#[test]
fn an_import_that_is_killed_is_no_store_until_it_is_finished() {
    let bench = used();
    bench.run("export whole.export").assert_code(0);
    let file = fs::read(bench.path("whole.export")).unwrap();
    let mut command = bench.command(&["import", "-", "--store", "sqlite:half.db"]);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    // All but the end, so that everything is stored and nothing is finished.
    input.write_all(&file[..file.len() - 1]).unwrap();
    input.flush().unwrap();
    let half = bench.path("half.db");
    while !fs::exists(&half).unwrap() {
        let ended = child.try_wait().unwrap();
        assert_eq!(ended, None, "it ended before it was killed");
        thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    drop(input);

    let refused = bench.run("--json session list --store sqlite:half.db");
    let whole = report(&bench.run("--json import whole.export --store sqlite:half.db"));
    // Unless it was killed before its first step.
    if refused.code != Some(0) {
        assert_eq!(code_of(&refused), "import_unfinished");
        refused.assert_code(8);
    }
    assert!(whole["entries"].as_u64() > Some(4), "{whole}");
    let shown = bench.run("session show s1 --store sqlite:half.db");
    shown.assert_code(0);
}

/// The file comes from a program that has stopped in the middle of a frame.
#[test]
fn an_import_that_waits_for_its_file_can_be_interrupted() {
    const FRAME: u32 = 1_024 * 1_024;
    let bench = Bench::new();
    let mut command = bench.command(&["--json", "import", "-"]);
    let piped = command.stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut file = b"WNDLXP01".to_vec();
    file.extend(FRAME.to_le_bytes().repeat(2));
    // More than a pipe holds, so that it is being read once it is written.
    file.resize(512 * 1_024, 0);
    input.write_all(&file).unwrap();
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let (ended, end) = mpsc::channel();
    thread::spawn(move || ended.send(child.wait_with_output()));
    let output = end.recv_timeout(Duration::from_secs(30));
    drop(input);
    let output = output.expect("it ends while nobody ends its input");
    let ran = Ran::new(&output.unwrap());
    ran.assert_code(130);
    assert_eq!(code_of(&ran), "interrupted");
}

#[test]
fn an_import_that_was_cut_short_is_no_store_until_it_is_finished() {
    let bench = used();
    let exported = report(&bench.run("--json export whole.export"));
    let file = fs::read(bench.path("whole.export")).unwrap();
    let import = "--json import - --store sqlite:half.db";
    let cut = bench.run_with_input(import, &file[..file.len() - 1]);
    assert_eq!(code_of(&cut), "export_damaged");
    cut.assert_code(7);
    let refused = bench.run("--json session list --store sqlite:half.db");
    assert_eq!(code_of(&refused), "import_unfinished");
    refused.assert_code(8);
    let whole = report(&bench.run_with_input(import, &file));
    assert_eq!(whole["found"], exported["entries"]);
    bench
        .run("session show s1 --store sqlite:half.db")
        .assert_code(0);
}

#[test]
fn what_cannot_be_moved_is_refused_and_changes_nothing() {
    let bench = used();
    bench.run("export there.export").assert_code(0);
    let before = fs::read(bench.path("there.export")).unwrap();
    bench
        .run("session use s1 search --any-agent")
        .assert_code(0);
    let refused = bench.run("--json export there.export");
    assert_eq!(code_of(&refused), "file_exists");
    refused.assert_code(3);
    assert_eq!(fs::read(bench.path("there.export")).unwrap(), before);
    bench.run("export there.export --yes").assert_code(0);
    assert_ne!(fs::read(bench.path("there.export")).unwrap(), before);

    let stored = bench.export();
    let _socket = UnixListener::bind(bench.path("socket")).unwrap();
    let table = [
        ("import there.export", "store_not_empty", 3),
        (
            "import missing.export --store sqlite:new.db",
            "file_failed",
            8,
        ),
        ("import windlass.db --store sqlite:new.db", "no_export", 2),
        ("export no/such/directory.export", "file_failed", 8),
        ("export socket --yes", "file_failed", 8),
        ("export socket", "file_failed", 8),
        ("export . --yes", "file_failed", 8),
    ];
    for (line, code, exit) in table {
        let refused = bench.run(&format!("--json {line}"));
        assert_eq!(code_of(&refused), code, "{line}");
        refused.assert_code(exit);
    }
    assert_eq!(bench.export(), stored);
    let names = fs::read_dir(bench.directory()).unwrap();
    let names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
    let left = |name: &&std::ffi::OsString| name.to_string_lossy().starts_with(".tmp");
    assert_eq!(names.iter().find(left), None, "{names:?}");
}
