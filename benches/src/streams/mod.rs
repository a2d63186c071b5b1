//! The table of streams: how fast rows leave over HTTP beside the least that
//! has to be done for the same bytes, what a durable row costs, and that
//! neither a long stream nor a waiting reader costs much.
//!
//! | module | what is in it |
//! |---|---|
//! | [`fixture`] | stores with recorded streams |
//! | [`served`] | the server that they are read from |
//! | [`plain`] | servers that send the same bytes in fewer steps |
//! | [`fetch`] | a client that only counts |
//! | [`out`] | rows out over HTTP |
//! | [`append`] | durable rows of many streams |
//! | [`opening`] | the first row, and opening deep within a stream |
//! | [`followers`] | readers that wait |

pub mod append;
pub mod fetch;
pub mod fixture;
pub mod followers;
pub mod opening;
pub mod out;
pub mod plain;
pub mod served;

use crate::error::BenchError;
use crate::harness::contest::{Durability, Rounds};
use crate::harness::report::Report;
use crate::harness::row::{Bar, Comparison, Figures, Row};
use crate::sessions::{Bench, Measured, machine_note};

/// One part of the table: rows that are measured together.
#[derive(Debug)]
struct Part {
    name: &'static str,
    run: fn(&Bench<'_>) -> Result<Measured, BenchError>,
}

const PARTS: [Part; 5] = [
    Part {
        name: "out",
        run: out::out,
    },
    Part {
        name: "append",
        run: append::append,
    },
    Part {
        name: "first",
        run: opening::first_row,
    },
    Part {
        name: "deep",
        run: opening::deep,
    },
    Part {
        name: "followers",
        run: followers::followers,
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

/// A row of sides that give one number a round; ours is the first.
struct Plain {
    what: String,
    versus: &'static str,
    unit: &'static str,
    against: Option<usize>,
    bar: Bar,
    durability: Durability,
}

impl Plain {
    fn row(self, rounds: &Rounds<f64>) -> Row {
        let durability = self.durability;
        let comparison = Comparison {
            what: self.what,
            versus: self.versus,
            unit: self.unit,
            number: &|number: &f64| *number,
            figures: &|samples| Figures::plain(samples.iter().map(|it| **it), durability),
            ours: 0,
            against: self.against,
            bar: self.bar,
        };
        comparison.row(rounds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_parts_are_all_different() {
        let mut names = part_names();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), PARTS.len());
    }
}
