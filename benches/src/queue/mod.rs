//! The table of the queue: jobs a second beside another queue on SQLite, and
//! what waiting costs.
//!
//! | module | what is in it |
//! |---|---|
//! | [`jobs`] | enqueue, claim, complete: claims of one and of 32 |
//! | [`peer`] | the other queue, in a process of its own |
//! | [`waiting`] | workers that wait, and how soon they wake |

pub mod jobs;
pub mod peer;
pub mod waiting;

use windlass::queue::Caller;

use crate::error::BenchError;
use crate::harness::report::Report;
use crate::sessions::fixture::{PRINCIPAL, TENANT};
use crate::sessions::{Bench, machine_note};

/// The parts of the table.
pub const PARTS: [&str; 2] = ["jobs", "waiting"];

/// Measures every part, or the one called `only`.
///
/// # Errors
///
/// Whatever makes the figures worthless; a missed bar is no error.
pub fn run(bench: &Bench<'_>, only: Option<&str>) -> Result<Report, BenchError> {
    let mut report = Report::default();
    report.notes.push(machine_note(bench)?);
    let chosen = |part: &str| only.is_none_or(|name| name == part);
    let mut measured = Vec::new();
    if chosen("jobs") {
        bench.say.say("jobs");
        measured.push(jobs::jobs(bench)?);
    }
    if chosen("waiting") {
        bench.say.say("waiting");
        measured.push(waiting::waiting(bench)?);
    }
    for part in measured {
        report.rows.extend(part.rows);
        report.notes.extend(part.notes);
    }
    Ok(report)
}

/// Who works.
fn caller() -> Caller {
    Caller::new(
        TENANT.parse().expect("a valid tenant"),
        PRINCIPAL.parse().expect("a valid principal"),
    )
}
