//! What the audit costs those who use sessions: an engine that audits beside
//! one that does not.

use std::time::Duration;

use tokio::runtime::Runtime;
use windlass::Windlass;
use windlass::audit::{AuditOptions, Detail};

use crate::error::BenchError;
use crate::harness::contest::{Durability, Rounds, Side, contest};
use crate::harness::row::{Bar, Comparison, Row};
use crate::harness::throughput::Throughput;

use super::fixture::{CALLS, Fixture, open_audited};
use super::ours::{Hope, Ours, Spreading, Work};
use super::{Bench, Measured, dropped_note, throughput_figures};

/// Callers, each with a session of its own.
const CALLERS: usize = 256;

/// What is told on each side of uses, in the order of their places: nothing,
/// what a server tells unless it is set otherwise, everything.
const OF_USES: &[Option<Detail>] = &[None, Some(Detail::Security), Some(Detail::Full)];
/// The same of refusals, of which a server tells everything.
const OF_REFUSALS: &[Option<Detail>] = &[None, Some(Detail::Security)];
/// The places.
const NOTHING: usize = 0;
const AS_SERVED: usize = 1;
const EVERYTHING: usize = 2;

/// Uses and refusals, audited and not. Of uses that are granted a server tells
/// nothing, because they are on record already; of refusals each one.
///
/// # Errors
///
/// Whatever makes the figures worthless.
pub fn audited(bench: &Bench<'_>) -> Result<Measured, BenchError> {
    let mut measured = Measured::default();
    let uses = Contest {
        name: "use",
        calls: CALLS,
        hope: Hope::Grants,
        details: OF_USES,
        durability: Durability::PowerLoss,
    };
    let rounds = uses.rounds(bench, &mut measured)?;
    let bar = Bar::RatioAtLeast(0.95);
    let as_served = uses.row("audited as served", AS_SERVED, bar, &rounds);
    let each = uses.row("each audited", EVERYTHING, Bar::Absent, &rounds);
    let refusals = Contest {
        name: "refusal",
        calls: 1,
        hope: Hope::Refusals,
        details: OF_REFUSALS,
        durability: Durability::Reads,
    };
    let rounds = refusals.rounds(bench, &mut measured)?;
    let refused = refusals.row("each audited", AS_SERVED, Bar::Absent, &rounds);
    measured.rows.extend([as_served, each, refused]);
    Ok(measured)
}

/// Sides that do the same and tell more or less of it.
struct Contest {
    name: &'static str,
    /// Calls a session may make, of which one is made already.
    calls: u64,
    hope: Hope,
    details: &'static [Option<Detail>],
    durability: Durability,
}

impl Contest {
    fn rounds(
        &self,
        bench: &Bench<'_>,
        measured: &mut Measured,
    ) -> Result<Rounds<Throughput>, BenchError> {
        let mut engines = Vec::new();
        let mut sides: Vec<Box<dyn Side<Sample = Throughput>>> = Vec::new();
        for (place, detail) in self.details.iter().enumerate() {
            let path = bench
                .directory
                .join(format!("audit-{}-{place}.db", self.name));
            let fixture = Fixture::create(bench.runtime, path, CALLERS, self.calls)?;
            let audit = detail.map(|detail| AuditOptions {
                detail,
                ..AuditOptions::default()
            });
            let windlass = bench.runtime.block_on(open_audited(&fixture.path, audit))?;
            engines.push((windlass.clone(), detail));
            sides.push(Box::new(Audited::over(bench.runtime, windlass, self.hope)));
        }
        let rounds = contest(&mut sides, bench.effort, bench.directory)?;
        for (windlass, detail) in engines {
            let note = detail.map(|detail| told(self.name, detail, &windlass));
            measured.notes.extend(note);
        }
        let dropped = dropped_note(self.name, &rounds.dropped);
        measured.notes.extend(dropped);
        Ok(rounds)
    }

    fn row(&self, how: &str, ours: usize, bar: Bar, rounds: &Rounds<Throughput>) -> Row {
        let name = self.name;
        let comparison = Comparison {
            what: format!("{name}, {how}, {CALLERS} sessions, {CALLERS} callers"),
            versus: "not audited",
            unit: "1/s",
            number: &Throughput::per_second,
            figures: &|samples| throughput_figures(samples, self.durability),
            ours,
            against: Some(NOTHING),
            bar,
        };
        comparison.row(rounds)
    }
}

/// A line about what became of the events of a side.
fn told(name: &str, detail: Detail, windlass: &Windlass) -> String {
    let figures = windlass.audit().figures();
    format!(
        "audit of {name} at {detail:?}: {} events told, {} written, {} lost",
        figures.told,
        figures.written,
        figures.lost()
    )
}

/// Callers of an engine that may audit.
struct Audited<'r> {
    runtime: &'r Runtime,
    windlass: Windlass,
    callers: Ours<'r>,
}

impl<'r> Audited<'r> {
    fn over(runtime: &'r Runtime, windlass: Windlass, hope: Hope) -> Self {
        let work = Work {
            callers: CALLERS,
            spreading: Spreading::OwnSession,
            operations: false,
            hope,
        };
        let callers = Ours::over(runtime, windlass.clone(), work);
        Self {
            runtime,
            windlass,
            callers,
        }
    }
}

impl Side for Audited<'_> {
    type Sample = Throughput;

    fn name(&self) -> &'static str {
        "ours"
    }

    fn run(&mut self, span: Duration) -> Result<Throughput, BenchError> {
        let throughput = self.callers.run(span)?;
        // What still waits is not written in the turn of another side.
        self.runtime.block_on(self.windlass.audit().flush());
        Ok(throughput)
    }
}
