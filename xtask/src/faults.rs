//! Putting faults back, to see that the tests notice.
//!
//! A fault is a patch below `crates/*/faults/`. Its first line says which test
//! must fail with it, as the arguments of `cargo test`:
//!
//! `must fail: -p windlass-session --test it -- --exact module::test`
//!
//! The workspace is copied below `target/faults`; each patch is applied to the
//! copy, the test is built and run there, and the patch is taken out again. A
//! test that passes, does not build, or does not exist is a failed step. One
//! that runs too long counts as failing: some faults strand their callers.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::commands;
use crate::error::TaskError;
use crate::steps::{self, Outcome, Step};
use crate::workspace;

const MARK: &str = "must fail: ";
const STEP_SECONDS: u64 = 120;
/// How long a test may take with its fault before it counts as hanging.
const TEST_SECONDS_MAX: u64 = 120;

/// A fault and the test that must notice it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Fault {
    name: String,
    patch: PathBuf,
    test: Vec<String>,
}

/// Puts back each fault whose name contains `only`, and prints one table.
pub(crate) fn run(only: Option<&str>) -> Result<ExitCode, TaskError> {
    let root = workspace::root();
    let faults = find(&root, only)?;
    let copy = root.join("target/faults/tree");
    copy_workspace(&root, &copy)?;
    let steps = faults.into_iter().map(|fault| {
        let copy = copy.clone();
        Step::new(&fault.name.clone(), STEP_SECONDS, move || {
            put_back(&fault, &copy)
        })
    });
    Ok(steps::run(steps.collect()))
}

/// One step for all faults, for longer lists of steps.
pub(crate) fn step() -> Step {
    Step::new("faults", 3_600, || {
        let code = run(None)?;
        if code == ExitCode::SUCCESS {
            return Ok(Outcome::Passed(String::new()));
        }
        Ok(Outcome::Failed("a fault went unnoticed".to_owned()))
    })
}

fn find(root: &Path, only: Option<&str>) -> Result<Vec<Fault>, TaskError> {
    let mut faults = Vec::new();
    for part in list(&root.join("crates"))? {
        let directory = part.join("faults");
        if !directory.is_dir() {
            continue;
        }
        for patch in list(&directory)? {
            if patch
                .extension()
                .is_some_and(|extension| extension == "patch")
            {
                let text =
                    fs::read_to_string(&patch).map_err(|source| unreadable(&patch, source))?;
                faults.push(Fault::parse(patch, &text)?);
            }
        }
    }
    faults.retain(|fault| only.is_none_or(|only| fault.name.contains(only)));
    Ok(faults)
}

impl Fault {
    fn parse(patch: PathBuf, text: &str) -> Result<Self, TaskError> {
        let test = text.lines().next().and_then(|line| line.strip_prefix(MARK));
        let Some(test) = test else {
            let source = io::Error::other(format!("the first line does not begin with `{MARK}`"));
            return Err(unreadable(&patch, source));
        };
        let test = test.split_whitespace().map(str::to_owned).collect();
        let name = patch
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        Ok(Self { name, patch, test })
    }
}

fn list(directory: &Path) -> Result<Vec<PathBuf>, TaskError> {
    let entries = fs::read_dir(directory).map_err(|source| unreadable(directory, source))?;
    let paths: io::Result<Vec<PathBuf>> = entries.map(|entry| Ok(entry?.path())).collect();
    let mut paths = paths.map_err(|source| unreadable(directory, source))?;
    paths.sort();
    Ok(paths)
}

/// Brings the copy to the state of the workspace. Files that are equal keep
/// their times, so that what was built of them stays built.
fn copy_workspace(root: &Path, copy: &Path) -> Result<(), TaskError> {
    let wanted = source_files(root)?;
    for file in source_files_below(copy)? {
        if !wanted.contains(&file) {
            fs::remove_file(copy.join(&file)).map_err(|source| unreadable(&file, source))?;
        }
    }
    for file in wanted {
        let (from, to) = (root.join(&file), copy.join(&file));
        let bytes = fs::read(&from).map_err(|source| unreadable(&from, source))?;
        if fs::read(&to).is_ok_and(|present| present == bytes) {
            continue;
        }
        let written =
            fs::create_dir_all(to.parent().unwrap_or(copy)).and_then(|()| fs::write(&to, bytes));
        written.map_err(|source| unreadable(&to, source))?;
    }
    Ok(())
}

/// The files git knows or would know, relative to the root.
fn source_files(root: &Path) -> Result<BTreeSet<PathBuf>, TaskError> {
    let mut command = Command::new("git");
    command.current_dir(root).args([
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ]);
    let output = command.output().map_err(|source| TaskError::Spawn {
        program: "git".to_owned(),
        source,
    })?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let names = text.split('\0').filter(|name| !name.is_empty());
    Ok(names
        .map(PathBuf::from)
        .filter(|name| root.join(name).is_file())
        .collect())
}

fn source_files_below(copy: &Path) -> Result<Vec<PathBuf>, TaskError> {
    let mut found = Vec::new();
    let mut directories = vec![copy.to_path_buf()];
    while let Some(directory) = directories.pop() {
        if !directory.is_dir() {
            continue;
        }
        for path in list(&directory)? {
            if path.is_dir() {
                directories.push(path);
            } else if let Ok(relative) = path.strip_prefix(copy) {
                found.push(relative.to_path_buf());
            }
        }
    }
    Ok(found)
}

fn put_back(fault: &Fault, copy: &Path) -> Result<Outcome, TaskError> {
    if !apply(fault, copy, &[])? {
        return Ok(Outcome::Failed(
            "the patch does not apply any more".to_owned(),
        ));
    }
    let outcome = try_test(fault, copy);
    if !apply(fault, copy, &["--reverse"])? {
        return Ok(Outcome::Failed(
            "the patch cannot be taken out again".to_owned(),
        ));
    }
    outcome
}

fn apply(fault: &Fault, copy: &Path, flags: &[&str]) -> Result<bool, TaskError> {
    let mut command = Command::new("git");
    // The copy lies inside a repository it must not be taken for.
    command
        .env("GIT_CEILING_DIRECTORIES", copy.parent().unwrap_or(copy))
        .current_dir(copy);
    Ok(commands::run(command.arg("apply").args(flags).arg(&fault.patch))?.success())
}

fn try_test(fault: &Fault, copy: &Path) -> Result<Outcome, TaskError> {
    let build = fault.test.iter().take_while(|argument| *argument != "--");
    let mut command = cargo_test(copy);
    command.args(build).arg("--no-run");
    if !commands::run(&mut command)?.success() {
        return Ok(Outcome::Failed(
            "it does not build with the fault".to_owned(),
        ));
    }
    let mut command = cargo_test(copy);
    command
        .args(&fault.test)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0);
    let spawned = command.spawn();
    let child = spawned.map_err(|source| TaskError::Spawn {
        program: "cargo".to_owned(),
        source,
    })?;
    Ok(verdict(
        output_within(child, Duration::from_secs(TEST_SECONDS_MAX)).as_deref(),
    ))
}

fn cargo_test(copy: &Path) -> Command {
    let mut command = Command::new("cargo");
    let build = copy.with_file_name("build");
    command
        .current_dir(copy)
        .env("CARGO_TARGET_DIR", build)
        .args(["test", "--quiet"]);
    command
}

/// What a child printed until it ended; `None` if it had to be killed, with
/// every process it started.
fn output_within(mut child: Child, limit: Duration) -> Option<String> {
    let mut stdout = child.stdout.take().expect("was asked to be piped");
    let (sender, receiver) = mpsc::channel();
    let reader = thread::spawn(move || {
        let mut bytes = Vec::new();
        // What cannot be read any more was not printed.
        let _ = stdout.read_to_end(&mut bytes);
        let _ = sender.send(String::from_utf8_lossy(&bytes).into_owned());
    });
    let heard = receiver.recv_timeout(limit).ok();
    if heard.is_none() {
        let group = format!("-{}", child.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
    }
    let _ = child.wait();
    let _ = reader.join();
    heard
}

fn verdict(output: Option<&str>) -> Outcome {
    let Some(output) = output else {
        return Outcome::Passed("noticed: the test hangs".to_owned());
    };
    let results = || {
        output
            .lines()
            .filter_map(|line| line.trim().strip_prefix("test result: "))
    };
    if results().any(|result| result.starts_with("FAILED")) {
        return Outcome::Passed("noticed".to_owned());
    }
    if results().any(|result| result.starts_with("ok. ") && !result.starts_with("ok. 0 passed")) {
        return Outcome::Failed("the test passes with the fault".to_owned());
    }
    Outcome::Failed("no such test".to_owned())
}

fn unreadable(path: &Path, source: io::Error) -> TaskError {
    TaskError::Read {
        path: path.to_path_buf(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_failing_or_hanging_test_has_noticed_its_fault() {
        let failed = "\ntest result: FAILED. 0 passed; 1 failed; 0 ignored";
        let passed = "\ntest result: ok. 1 passed; 0 failed; 0 ignored";
        let absent = "\ntest result: ok. 0 passed; 0 failed; 0 ignored; 9 filtered out";
        assert!(!verdict(Some(failed)).is_failed(), "a failure notices");
        assert!(!verdict(None).is_failed(), "a hang notices");
        for output in [passed, absent, ""] {
            assert!(verdict(Some(output)).is_failed(), "{output}");
        }
    }

    #[test]
    fn a_patch_names_its_test_in_its_first_line() {
        let patch = PathBuf::from("crates/a/faults/spends-twice.patch");
        let fault = Fault::parse(patch.clone(), "must fail: -p a -- --exact b::c\nwhy\n").unwrap();
        assert_eq!(fault.name, "spends-twice");
        assert_eq!(fault.test, ["-p", "a", "--", "--exact", "b::c"]);
        let error = Fault::parse(patch, "diff --git").unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot read `crates/a/faults/spends-twice.patch`"
        );
    }

    #[test]
    fn every_fault_of_the_workspace_names_its_test() {
        let faults = find(&workspace::root(), None).unwrap();
        assert!(faults.len() >= 20, "{} faults", faults.len());
    }

    #[test]
    fn a_child_that_takes_too_long_is_killed() {
        let mut command = Command::new("sh");
        command
            .args(["-c", "echo begun; exec cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0);
        let mut child = command.spawn().unwrap();
        let held_open = child.stdin.take();
        assert_eq!(output_within(child, Duration::from_millis(50)), None);
        drop(held_open);
    }
}
