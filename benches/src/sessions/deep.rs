//! What being part of a tree costs: a use three levels deep checks the
//! sessions above it in its commit, and writes none of them.

use std::path::PathBuf;

use windlass::session::{Agent, Delegate};

use crate::error::BenchError;
use crate::harness::contest::{Durability, Side, contest};
use crate::harness::row::{Bar, Comparison};
use crate::harness::throughput::Throughput;

use super::fixture::{CALLS, Fixture, caller, open, request, session_id};
use super::ours::{Hope, Ours, Spreading, Work};
use super::{Bench, Measured, dropped_note, throughput_figures};

/// Callers, each with a session of its own.
const CALLERS: usize = 64;
/// Sessions above each of those that are used.
const ABOVE: usize = 3;

/// Uses of sessions with three above them beside uses of sessions with none.
///
/// # Errors
///
/// Whatever makes the figures worthless.
pub fn deep(bench: &Bench<'_>) -> Result<Measured, BenchError> {
    let path = |side: &str| bench.directory.join(format!("deep-{side}.db"));
    let work = Work {
        callers: CALLERS,
        spreading: Spreading::OwnSession,
        operations: false,
        hope: Hope::Grants,
    };
    let roots = Fixture::create(bench.runtime, path("root"), CALLERS, CALLS)?;
    let lowest = below(bench, path("below"))?;
    let mut sides: Vec<Box<dyn Side<Sample = Throughput>>> = vec![
        Box::new(Ours::open(bench.runtime, &lowest, None, work)?),
        Box::new(Ours::open(bench.runtime, &roots.path, None, work)?),
    ];
    let rounds = contest(&mut sides, bench.effort, bench.directory)?;
    let comparison = Comparison {
        what: format!("use, {ABOVE} sessions above, {CALLERS} callers"),
        versus: "use of a root",
        unit: "1/s",
        number: &Throughput::per_second,
        figures: &|samples| throughput_figures(samples, Durability::PowerLoss),
        ours: 0,
        against: Some(1),
        bar: Bar::RatioAtLeast(0.7),
    };
    Ok(Measured {
        rows: vec![comparison.row(&rounds)],
        notes: dropped_note("deep", &rounds.dropped).into_iter().collect(),
    })
}

/// A database in which the sessions that are used have others above them.
fn below(bench: &Bench<'_>, path: PathBuf) -> Result<PathBuf, BenchError> {
    bench.runtime.block_on(async {
        let windlass = open(&path, None).await?;
        let caller = caller();
        for number in 0..CALLERS {
            // Those above have numbers that nobody uses.
            let above = |level: usize| CALLERS * level + number;
            let root = request(above(ABOVE), CALLS);
            let sessions = windlass.sessions();
            let mut parent = sessions.create(&caller, root).await?.id;
            for level in (0..ABOVE).rev() {
                let mut child = request(above(level), CALLS);
                child.id = Some(session_id(above(level)));
                let mut asked = Delegate::new(Agent::Unchecked, child);
                asked.ends_with_parent = true;
                parent = sessions.delegate(&caller, &parent, asked).await?.id;
            }
        }
        windlass.store().close().await?;
        Ok::<(), BenchError>(())
    })?;
    Ok(path)
}
