//! The table of the cache: what its eviction is worth on recorded traces, and
//! what a hit and a put cost, beside the libraries it could stand on.
//!
//! | module | what is in it |
//! |---|---|
//! | [`traces`] | recorded requests for keys |
//! | [`policies`] | caches that only count hits |
//! | [`ratio`] | hit ratios on the traces |
//! | [`l1`] | gets and puts in memory, on one thread and on two |
//! | [`l2`] | hits and flushes of the second tier |
//! | [`puts`] | puts of many callers into it |
//! | [`peer`] | another hybrid cache, in a process of its own |
//! | [`sweeps`] | what upkeep costs, and what readers notice of it |

pub mod l1;
pub mod l2;
pub mod peer;
pub mod policies;
pub mod puts;
pub mod ratio;
pub mod sweeps;
pub mod traces;

use crate::error::BenchError;
use crate::harness::report::Report;
use crate::sessions::{Bench, Measured, machine_note};

/// One part of the table: rows that are measured together.
#[derive(Debug)]
struct Part {
    name: &'static str,
    run: fn(&Bench<'_>) -> Result<Measured, BenchError>,
}

const PARTS: [Part; 5] = [
    Part {
        name: "ratio",
        run: ratio::ratio,
    },
    Part {
        name: "l1",
        run: l1::l1,
    },
    Part {
        name: "l2",
        run: l2::l2,
    },
    Part {
        name: "puts",
        run: puts::puts,
    },
    Part {
        name: "sweeps",
        run: sweeps::sweeps,
    },
];

/// The names of the parts, for choosing one.
#[must_use]
pub fn part_names() -> Vec<&'static str> {
    PARTS.iter().map(|part| part.name).collect()
}

/// Measures every part, or the one called `only`.
///
/// # Errors
///
/// Whatever makes the figures worthless; a missed bar is no error.
pub fn run(bench: &Bench<'_>, only: Option<&str>) -> Result<Report, BenchError> {
    let mut report = Report::default();
    report.notes.push(machine_note(bench)?);
    let chosen = |part: &&Part| only.is_none_or(|name| name == part.name);
    for part in PARTS.iter().filter(chosen) {
        bench.say.say(part.name);
        let measured = (part.run)(bench)?;
        report.rows.extend(measured.rows);
        report.notes.extend(measured.notes);
    }
    Ok(report)
}
