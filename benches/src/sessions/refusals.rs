//! Rows about refusals: they change nothing, so they cost a read.

use crate::error::BenchError;
use crate::harness::contest::{Durability, Side, contest};
use crate::harness::row::{Bar, Comparison};
use crate::harness::throughput::Throughput;

use super::fixture::{CALLS, Fixture};
use super::ours::{Hope, Ours, Spreading, Work};
use super::{Bench, Measured, dropped_note, throughput_figures};

/// Callers of either kind.
const CALLERS: usize = 64;
/// Sessions for turns at one hot session: more than there can be turns.
const HOT_SESSIONS: usize = 64;

/// Refusals by a spent budget beside grants, with a session a caller and with
/// one session for all.
///
/// # Errors
///
/// Whatever makes the figures worthless.
pub fn refusals(bench: &Bench<'_>) -> Result<Measured, BenchError> {
    let own = measure(bench, "64 sessions, 64 callers", Spreading::OwnSession)?;
    let mut all = own;
    let hot = measure(bench, "one session, 64 callers", Spreading::OneSession)?;
    all.rows.extend(hot.rows);
    all.notes.extend(hot.notes);
    Ok(all)
}

fn measure(bench: &Bench<'_>, whom: &str, spreading: Spreading) -> Result<Measured, BenchError> {
    let name = match spreading {
        Spreading::OwnSession => "refusal",
        Spreading::OneSession => "refusal-hot",
    };
    let path = |side: &str| bench.directory.join(format!("{name}-{side}.db"));
    let work = |hope| Work {
        callers: CALLERS,
        spreading,
        operations: false,
        hope,
    };
    let open = |side, calls, hope| -> Result<Ours<'_>, BenchError> {
        let fixture = Fixture::create(bench.runtime, path(side), HOT_SESSIONS, calls)?;
        Ours::open(bench.runtime, &fixture.path, None, work(hope))
    };
    let mut sides: Vec<Box<dyn Side<Sample = Throughput>>> = vec![
        Box::new(open("spent", 1, Hope::Refusals)?),
        Box::new(open("granted", CALLS, Hope::Grants)?),
    ];
    let rounds = contest(&mut sides, bench.effort, bench.directory)?;
    let comparison = Comparison {
        what: format!("refusal (budget spent), {whom}"),
        versus: "grant",
        unit: "1/s",
        number: &Throughput::per_second,
        figures: &|samples| throughput_figures(samples, Durability::PowerLoss),
        ours: 0,
        against: Some(1),
        bar: Bar::RatioAtLeast(3.0),
    };
    let mut row = comparison.row(&rounds);
    row.ours.durability = Some(Durability::Reads.as_str());
    Ok(Measured {
        rows: vec![row],
        notes: dropped_note(name, &rounds.dropped).into_iter().collect(),
    })
}
