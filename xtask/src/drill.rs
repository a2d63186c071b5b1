//! Drills: what has to happen when a machine is lost, done on this one.

use std::process::ExitCode;

use crate::commands::{self, cargo};
use crate::error::TaskError;
use crate::steps::{Outcome, Step};

/// Fail-overs of a nightly run.
const NIGHTLY_CYCLES: &str = "10";
/// How long those may take, in seconds: each takes about twelve.
const NIGHTLY_SECONDS_MAX: u64 = 600;

/// A drill there is.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum Drill {
    /// A primary is killed, its synchronous standby takes over
    Failover,
}

impl Drill {
    const fn name(self) -> &'static str {
        match self {
            Self::Failover => "failover",
        }
    }
}

/// Runs a drill; fails if anything was lost.
pub(crate) fn run(drill: Drill, flags: &[String]) -> Result<ExitCode, TaskError> {
    let succeeded = passes(drill, flags)?;
    Ok(if succeeded {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Every drill as a step of the nightly run.
pub(crate) fn step() -> Step {
    Step::new("drill failover", NIGHTLY_SECONDS_MAX, || {
        let flags = ["--cycles".to_owned(), NIGHTLY_CYCLES.to_owned()];
        let said = format!("{NIGHTLY_CYCLES} fail-overs");
        Ok(if passes(Drill::Failover, &flags)? {
            Outcome::Passed(said)
        } else {
            Outcome::Failed(said)
        })
    })
}

fn passes(drill: Drill, flags: &[String]) -> Result<bool, TaskError> {
    let name = drill.name();
    let arguments = ["run", "--release", "-p", "windlass-benches", "--", name];
    Ok(commands::run(cargo(&arguments).args(flags))?.success())
}
