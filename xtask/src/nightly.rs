//! What is too long for every push: each crate built by itself, each loop ten
//! times over, and every package as a release would make it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::commands::{self, cargo};
use crate::error::TaskError;
use crate::loops::{self, LOOPS, Loop};
use crate::steps::{self, Outcome, Step};
use crate::tidy::tree::Tree;
use crate::{drill, durable, faults, outside, release, suite, workspace};

/// How long the loops of one crate may take.
const LOOPS_SECONDS_MAX: u64 = 3_600;

/// Runs the tests of every crate that has a loop, at its nightly length and in
/// release, and prints one table.
pub(crate) fn run() -> Result<ExitCode, TaskError> {
    let directories = workspace::package_directories(&workspace::members()?);
    let root = workspace::root();
    let tree = Tree::read(&root)?;
    let mut steps = Vec::new();
    for (directory, package) in &directories {
        let directory = directory.strip_prefix(&root).unwrap_or(directory);
        let loops = loops_of(directory, &tree);
        if !loops.is_empty() {
            steps.push(repeat(package.clone(), &loops));
        }
    }
    steps.push(drill::step());
    steps.push(outside::openapi_step(outside::OPENAPI_SECONDS));
    steps.extend(durable::steps(None));
    steps.push(faults::step());
    steps.push(Step::new("release", 180, release::step));
    steps.insert(0, Step::new("each alone", 900, || each_alone(directories)));
    Ok(steps::run(steps))
}

/// The loops that the tests of a crate read.
fn loops_of(directory: &Path, tree: &Tree) -> Vec<&'static Loop> {
    let lines = tree.sources_in(&directory.to_string_lossy());
    let lines = lines.flat_map(|file| file.text.lines());
    let read: Vec<_> = lines.flat_map(loops::variables_in).collect();
    let loops = LOOPS.iter();
    loops.filter(|one| read.contains(&one.variable)).collect()
}

fn repeat(package: String, loops: &[&'static Loop]) -> Step {
    let lengths = loops
        .iter()
        .map(|one| format!("{} {}", one.nightly, one.unit));
    let lengths = lengths.collect::<Vec<_>>().join(", ");
    let name = package.clone();
    Step::new(&name, LOOPS_SECONDS_MAX, move || {
        Ok(suite::nightly(&package)?.with_note(&lengths))
    })
}

/// Checks each crate without the others: in the workspace a crate can live on
/// features of a dependency that only its neighbour asked for.
fn each_alone(directories: Vec<(PathBuf, String)>) -> Result<Outcome, TaskError> {
    let count = directories.len();
    for (_, package) in directories {
        let status = commands::run(&mut cargo(&["check", "-p", &package]))?;
        if !status.success() {
            return Ok(Outcome::Failed(format!("`{package}`")));
        }
    }
    Ok(Outcome::Passed(format!("{count} crates")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loops_of_a_crate_are_those_its_sources_read() {
        let text = format!("\"{}\"", LOOPS[1].variable);
        let tree = Tree::of(&[("crates/a/tests/it/main.rs", &text)]);
        let variables = |directory: &str| {
            let loops = loops_of(Path::new(directory), &tree);
            loops.iter().map(|one| one.variable).collect::<Vec<_>>()
        };
        assert_eq!(variables("crates/a"), [LOOPS[1].variable]);
        assert_eq!(variables("crates/b"), [""; 0]);
    }
}
