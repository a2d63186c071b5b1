//! The inner loop: what can be known of a change in about a minute.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use crate::error::TaskError;
use crate::steps::{self, Step};
use crate::{ci, layers, release, selective, suite, tidy, workspace};

/// What is tested when no crate has changed: the ground everything stands on.
const GROUND: [&str; 4] = [
    "windlass-core",
    "windlass-store",
    "windlass-store-memory",
    "windlass-session",
];

/// Runs the quick steps; the tests are those of the crates that differ from
/// the last commit. What depends on them waits for the full run.
pub(crate) fn run() -> Result<ExitCode, TaskError> {
    let directories = workspace::package_directories(&workspace::members()?);
    let packages = or_ground(touched(&directories, &changed_files()));
    Ok(steps::run(vec![
        Step::new("fmt", 3, ci::fmt),
        Step::new("layers", 3, layers::step),
        Step::new("tidy", 2, tidy::step),
        Step::new("selective", 3, selective::step),
        Step::new("manifests", 2, release::rules),
        Step::new("clippy", 20, ci::clippy),
        Step::new("tests", 35, move || suite::run(&packages, |one| one.quick)),
    ]))
}

/// The files that differ from the last commit, new ones included. None where
/// there is no git: then the ground is tested.
fn changed_files() -> Vec<PathBuf> {
    let root = workspace::root();
    let mut command = Command::new("git");
    command.args(["status", "--porcelain", "--untracked-files=all", "-z"]);
    let answer = command.current_dir(&root).output();
    let output = answer.map(|answer| answer.stdout).unwrap_or_default();
    let paths = paths_of(&String::from_utf8_lossy(&output));
    paths.iter().map(|path| root.join(path)).collect()
}

/// The paths in git's short form: two letters and a space before each, and the
/// old name of what was renamed bare after the new one.
fn paths_of(status: &str) -> Vec<String> {
    let mut paths = Vec::new();
    let mut fields = status.split('\0').filter(|field| !field.is_empty());
    while let Some(field) = fields.next() {
        paths.extend(field.get(3..).map(str::to_owned));
        if field.starts_with('R') {
            paths.extend(fields.next().map(str::to_owned));
        }
    }
    paths
}

fn touched(directories: &[(PathBuf, String)], files: &[PathBuf]) -> Vec<String> {
    let holds_one = |directory: &Path| files.iter().any(|file| file.starts_with(directory));
    let touched = directories
        .iter()
        .filter(|(directory, _)| holds_one(directory));
    touched.map(|(_, package)| package.clone()).collect()
}

fn or_ground(packages: Vec<String>) -> Vec<String> {
    if packages.is_empty() {
        GROUND.map(str::to_owned).to_vec()
    } else {
        packages
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changed_new_and_renamed_files_are_read_from_git() {
        let status = " M crates/a/src/lib.rs\0?? new file.rs\0R  to.rs\0from.rs\0";
        let paths = paths_of(status);
        let expected = ["crates/a/src/lib.rs", "new file.rs", "to.rs", "from.rs"];
        assert_eq!(paths, expected);
    }

    #[test]
    fn a_changed_file_selects_its_own_crate_and_no_namesake() {
        let directories = [
            (PathBuf::from("/r/crates/windlass"), "windlass".to_owned()),
            (PathBuf::from("/r/crates/windlass-core"), "core".to_owned()),
        ];
        let files = [PathBuf::from("/r/crates/windlass-core/src/id.rs")];
        assert_eq!(touched(&directories, &files), ["core"]);
        assert!(touched(&directories, &[PathBuf::from("/r/README.md")]).is_empty());
    }

    #[test]
    fn without_a_change_the_ground_is_tested() {
        assert_eq!(or_ground(vec![]), GROUND);
        assert_eq!(or_ground(vec!["xtask".to_owned()]), ["xtask"]);
    }
}
