//! The table of the stash: what an entry in memory costs, beside one mutex
//! around a map that keeps the same promises in the plainest way, and what a
//! durable put costs, beside a transaction for each.
//!
//! | module | what is in it |
//! |---|---|
//! | [`plain`] | the mutex around a map |
//! | [`hot`] | puts and gets of small values, on one thread and on two |
//! | [`large`] | gets of small values while large ones are put |
//! | [`heap`] | what many small numbers take |
//! | [`durable`] | durable puts of many sessions |
//! | [`naive`] | the transaction for each put |

pub mod durable;
pub mod heap;
pub mod hot;
pub mod large;
pub mod naive;
pub mod plain;

use std::sync::Arc;

use windlass::SystemEnv;
use windlass_core::Env;
use windlass_stash::Key;

use crate::error::BenchError;
use crate::harness::report::Report;
use crate::sessions::{Bench, Measured, machine_note};

/// One part of the table: rows that are measured together.
#[derive(Debug)]
struct Part {
    name: &'static str,
    run: fn(&Bench<'_>) -> Result<Measured, BenchError>,
}

const PARTS: [Part; 4] = [
    Part {
        name: "hot",
        run: hot::hot,
    },
    Part {
        name: "large",
        run: large::large,
    },
    Part {
        name: "heap",
        run: heap::heap,
    },
    Part {
        name: "durable",
        run: durable::durable,
    },
];

/// The names of the parts, for choosing one.
#[must_use]
pub fn part_names() -> Vec<&'static str> {
    PARTS.iter().map(|part| part.name).collect()
}

/// Measures every part, or the one called `only`. The limit of the machine
/// for durable rows is in the table of sessions.
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

/// The clock of both sides.
fn system() -> Arc<dyn Env> {
    Arc::new(SystemEnv::new())
}

/// The names of `count` entries.
fn keys(count: usize) -> Vec<Key> {
    let names = (0..count).map(|number| format!("search:result:{number}"));
    let keys: Result<_, _> = names.map(Key::try_from).collect();
    keys.expect("letters, digits and colons")
}

/// Draws places below `count`, the same ones each time it is made.
#[derive(Debug)]
struct Draw {
    state: u64,
    count: u64,
}

impl Draw {
    fn new(seed: usize, count: usize) -> Self {
        let number = |number: usize| u64::try_from(number).unwrap_or(1);
        Self {
            state: number(seed).wrapping_add(0x9e37_79b9_7f4a_7c15),
            count: number(count),
        }
    }

    /// One step of xorshift (Marsaglia, 2003).
    fn place(&mut self) -> usize {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        usize::try_from(self.state % self.count).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_drawn_from_the_whole_range_and_no_further() {
        let mut draw = Draw::new(0, 8);
        let mut seen = [false; 8];
        for _ in 0..1_000 {
            seen[draw.place()] = true;
        }
        assert_eq!(seen, [true; 8]);
    }

    #[test]
    fn the_names_of_parts_are_all_different() {
        let mut names = part_names();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), PARTS.len());
    }
}
