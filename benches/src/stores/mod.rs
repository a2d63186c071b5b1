//! The table of stores: uses of many sessions on PostgreSQL, beside what one
//! writes by hand for it, and on the other stores.
//!
//! | module | what is in it |
//! |---|---|
//! | [`plain`] | the sides that are written by hand for PostgreSQL |
//! | [`uses`] | the row |

pub mod plain;
pub mod uses;

use crate::error::BenchError;
use crate::harness::report::Report;
use crate::sessions::{Bench, machine_note};

/// Measures the table.
///
/// # Errors
///
/// Whatever makes the figures worthless; a missed bar is no error.
pub fn run(bench: &Bench<'_>) -> Result<Report, BenchError> {
    let mut report = Report::default();
    report.notes.push(machine_note(bench)?);
    bench.say.say("uses");
    let measured = uses::uses(bench)?;
    report.rows.extend(measured.rows);
    report.notes.extend(measured.notes);
    Ok(report)
}
