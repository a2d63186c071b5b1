//! What is too long for every push: each loop ten times over, and each crate
//! built by itself.

use std::process::ExitCode;

use crate::commands::{self, cargo};
use crate::error::TaskError;
use crate::loops::{LOOPS, Loop};
use crate::steps::{self, Outcome, Step};
use crate::{suite, workspace};

/// Runs every loop at its nightly length, in release, and prints one table.
pub(crate) fn run() -> Result<ExitCode, TaskError> {
    let mut steps = vec![Step::new("each crate alone", 900, each_alone)];
    steps.extend(LOOPS.iter().map(step));
    Ok(steps::run(steps))
}

fn step(one: &'static Loop) -> Step {
    let name = format!("{} {}", one.nightly, one.unit);
    Step::new(&name, one.nightly_seconds, move || suite::nightly(one))
}

/// Checks each crate without the others: in the workspace a crate can live on
/// features of a dependency that only its neighbour asked for.
fn each_alone() -> Result<Outcome, TaskError> {
    let directories = workspace::package_directories(&workspace::members()?);
    for (_, package) in &directories {
        let status = commands::run(&mut cargo(&["check", "-p", package]))?;
        if !status.success() {
            return Ok(Outcome::Failed(format!("`{package}`")));
        }
    }
    Ok(Outcome::Passed(format!("{} crates", directories.len())))
}
