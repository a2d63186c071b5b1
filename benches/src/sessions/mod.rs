//! The table of sessions: what a durable use costs, beside what it would cost
//! without this engine and beside the least that SQLite has to do for it.
//!
//! | module | what is in it |
//! |---|---|
//! | [`fixture`] | stores with sessions in them |
//! | [`ours`] | callers of the engine |
//! | [`rows`] | the same rows, written with plain SQLite |
//! | [`naive`] | one mutex, one transaction a call |
//! | [`bare`] | a thread that commits whatever waits, and nothing else |
//! | [`anchors`] | what a machine fit for this table reaches at least |
//! | [`durable`], [`deep`], [`refusals`], [`audited`], [`opening`], [`processes`] | the rows |

pub mod anchors;
pub mod audited;
pub mod bare;
pub mod deep;
pub mod durable;
pub mod fixture;
pub mod many;
pub mod naive;
pub mod opening;
pub mod ours;
pub mod processes;
pub mod refusals;
pub mod rows;
pub mod worker;

use std::collections::BTreeMap;
use std::path::Path;

use tokio::runtime::Runtime;

use crate::error::BenchError;
use crate::harness::calibration::Disturbance;
use crate::harness::contest::{Durability, Effort};
use crate::harness::machine;
use crate::harness::report::Report;
use crate::harness::row::{Figures, Row};
use crate::harness::spread::Spread;
use crate::harness::throughput::{Throughput, decimal, no_latencies};

/// What every part of the table is given.
#[derive(Debug)]
pub struct Bench<'a> {
    /// Runs the callers of all sides.
    pub runtime: &'a Runtime,
    /// Where databases are made.
    pub directory: &'a Path,
    /// How long and how often is measured.
    pub effort: Effort,
    /// Whether to only show that everything runs.
    pub quick: bool,
    /// The program of `benches/peers`, where it was named.
    pub peer: Option<&'a Path>,
    /// Tells what is being done.
    pub say: &'a dyn Say,
}

/// Where progress is told.
pub trait Say: std::fmt::Debug {
    /// Tells one line.
    fn say(&self, line: &str);
}

/// One part of the table: rows that are measured together.
#[derive(Debug)]
struct Part {
    name: &'static str,
    run: fn(&Bench<'_>) -> Result<Measured, BenchError>,
}

/// What a part of the table gives.
#[derive(Debug, Default)]
pub struct Measured {
    /// Its rows.
    pub rows: Vec<Row>,
    /// What a reader should know beside them.
    pub notes: Vec<String>,
}

const PARTS: [Part; 9] = [
    Part {
        name: "use",
        run: durable::uses,
    },
    Part {
        name: "use-operations",
        run: durable::uses_with_operations,
    },
    Part {
        name: "use-slow-disk",
        run: durable::uses_on_a_slow_disk,
    },
    Part {
        name: "hot",
        run: durable::one_hot_session,
    },
    Part {
        name: "refusal",
        run: refusals::refusals,
    },
    Part {
        name: "audit",
        run: audited::audited,
    },
    Part {
        name: "open",
        run: opening::opening,
    },
    Part {
        name: "deep",
        run: deep::deep,
    },
    Part {
        name: "processes",
        run: processes::two_processes,
    },
];

/// The names of the parts, for choosing one.
#[must_use]
pub fn part_names() -> Vec<&'static str> {
    PARTS.iter().map(|part| part.name).collect()
}

/// Measures every part, or the one called `only`, after the anchors.
///
/// # Errors
///
/// Whatever makes the figures worthless; a missed bar is no error.
pub fn run(bench: &Bench<'_>, only: Option<&str>) -> Result<Report, BenchError> {
    let mut report = Report::default();
    report.notes.push(machine_note(bench)?);
    bench.say.say("anchors");
    let anchors = anchors::anchors(bench)?;
    let fit = anchors::are_met(&anchors);
    add(&mut report, anchors);
    for part in PARTS
        .iter()
        .filter(|part| only.is_none_or(|name| name == part.name))
    {
        bench.say.say(part.name);
        add(&mut report, (part.run)(bench)?);
    }
    if !fit {
        report.void();
        let note = "void: an anchor is far below what the bars were made for";
        report.notes.push(note.to_owned());
    }
    Ok(report)
}

fn add(report: &mut Report, measured: Measured) {
    report.rows.extend(measured.rows);
    report.notes.extend(measured.notes);
}

/// A line about the machine and the effort.
pub(crate) fn machine_note(bench: &Bench<'_>) -> Result<String, BenchError> {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let kind = machine::file_system(bench.directory)?;
    let load = machine::load()?;
    let rounds = bench.effort.rounds;
    let span = bench.effort.span.as_millis();
    Ok(format!(
        "machine: {processors} processors, {kind}, load {load:.2} before; \
         {rounds} rounds of {span} ms a side, medians of ratios within rounds"
    ))
}

/// What a side's samples show together.
pub(crate) fn throughput_figures(samples: &[&Throughput], durability: Durability) -> Figures {
    let mut waits = no_latencies();
    for sample in samples {
        waits
            .add(&sample.latencies)
            .expect("all records of latencies have the same range");
    }
    let quantile = |quantile: f64| Some(decimal(waits.value_at_quantile(quantile)) / 1e3);
    let median = |number: fn(&Throughput) -> f64| {
        Spread::of(samples.iter().map(|sample| number(sample))).map(|spread| spread.median)
    };
    Figures {
        median: median(Throughput::per_second).unwrap_or(f64::NAN),
        p50_us: quantile(0.5),
        p99_us: quantile(0.99),
        cpu_us: median(Throughput::cpu_us_per_call),
        written_bytes: median(Throughput::bytes_per_call),
        durability: Some(durability.as_str()),
    }
}

/// A line about rounds that do not count, if there are any: each kind of
/// disturbance with how often it came.
pub(crate) fn dropped_note(what: &str, dropped: &[Disturbance]) -> Option<String> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for disturbance in dropped {
        *counts.entry(disturbance.as_str()).or_default() += 1;
    }
    let shown: Vec<String> = counts
        .iter()
        .map(|(why, count)| format!("{count} as {why}"))
        .collect();
    (!shown.is_empty()).then(|| format!("{what}: rounds dropped: {}", shown.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropped_rounds_are_told_by_their_reason() {
        use Disturbance::{Others, SlowDisk};
        let note = dropped_note("hot", &[Others, SlowDisk, Others]);
        let expected = "hot: rounds dropped: 2 as others were at work, 1 as the disk was slow";
        assert_eq!(note.as_deref(), Some(expected));
        assert_eq!(dropped_note("hot", &[]), None);
    }

    #[test]
    fn the_names_of_parts_are_all_different() {
        let mut names = part_names();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), PARTS.len());
    }
}
