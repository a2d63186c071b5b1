//! Hit ratios on recorded traces, at several sizes.

use crate::error::BenchError;
use crate::harness::contest::{Durability, Rounds};
use crate::harness::row::{Bar, Comparison, Figures, Row};
use crate::harness::throughput::decimal;
use crate::sessions::{Bench, Measured};

use super::policies::{Lru, Moka, Ours, Policy, Quick};
use super::traces::{SOURCES, Trace};

/// How much of all keys a cache holds, in thousandths.
const SIZES: [u64; 3] = [10, 50, 200];
/// How many requests are made where it only has to be shown that all runs.
const REQUESTS_QUICK: usize = 20_000;

/// Hit ratios of every trace at every size, in per cent.
///
/// # Errors
///
/// Whatever makes the figures worthless. Traces that are not on this machine
/// are skipped, and said to be.
pub fn ratio(bench: &Bench<'_>) -> Result<Measured, BenchError> {
    let mut measured = Measured::default();
    let heading = "hit ratio in %: trace, part of its keys: lru, quick_cache, moka, ours";
    measured.notes.push(heading.to_owned());
    for source in &SOURCES {
        bench.say.say(source.name);
        let Some(mut trace) = source.read()? else {
            let note = format!("SKIPPED {}: it is not there", source.name);
            measured.notes.push(note);
            continue;
        };
        if bench.quick {
            trace.requests.truncate(REQUESTS_QUICK);
        }
        for thousandths in SIZES {
            let capacity = (trace.keys * thousandths / 1_000).max(1);
            let hits = Hits::count(&trace, capacity)?;
            let percent = decimal(thousandths) / 10.0;
            let what = format!("{}, {percent} % ({capacity})", source.name);
            measured.notes.push(hits.line(&what));
            measured.rows.extend(hits.row(&what));
        }
    }
    Ok(measured)
}

/// Hit ratios of one trace at one size, in per cent.
#[derive(Debug)]
struct Hits {
    lru: f64,
    quick: f64,
    moka: f64,
    /// `None` where ours cannot be so small.
    ours: Option<f64>,
}

impl Hits {
    fn count(trace: &Trace, capacity: u64) -> Result<Self, BenchError> {
        let ours = Ours::new(capacity, trace.keys)?;
        Ok(Self {
            lru: percent(trace, &mut Lru::new(capacity)),
            quick: percent(trace, &mut Quick::new(capacity)),
            moka: percent(trace, &mut Moka::new(capacity)),
            ours: ours.map(|mut ours| percent(trace, &mut ours)),
        })
    }

    fn line(&self, what: &str) -> String {
        let Self {
            lru, quick, moka, ..
        } = self;
        let ours = self.ours.map_or("-".to_owned(), |it| format!("{it:.2}"));
        format!("{what}: {lru:.2}, {quick:.2}, {moka:.2}, {ours}")
    }

    /// Ours beside the best of the libraries, in points: where nothing hits,
    /// a ratio says nothing.
    fn row(&self, what: &str) -> Option<Row> {
        let best = self.quick.max(self.moka);
        let behind = best - self.ours?;
        let rounds = Rounds {
            samples: vec![vec![behind]],
            counted: 1,
            dropped: Vec::new(),
            enough: true,
        };
        let comparison = Comparison {
            what: format!("{what}: behind the best library"),
            versus: "-",
            unit: "points",
            number: &|number: &f64| *number,
            figures: &|all| Figures::plain(all.iter().map(|it| **it), Durability::Memory),
            ours: 0,
            against: None,
            bar: Bar::OursAtMost(1.0),
        };
        Some(comparison.row(&rounds))
    }
}

fn percent(trace: &Trace, policy: &mut dyn Policy) -> f64 {
    let requests = trace.requests.iter();
    let hits = requests.filter(|number| policy.request(**number)).count();
    let whole = |count: usize| decimal(u64::try_from(count).unwrap_or(u64::MAX));
    100.0 * whole(hits) / whole(trace.requests.len()).max(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ratio_is_that_of_hits_to_requests() {
        let trace = Trace {
            requests: vec![0, 0, 1, 0],
            keys: 2,
        };
        let ratio = percent(&trace, &mut Lru::new(2));
        assert!((ratio - 50.0).abs() < 1e-9, "{ratio}");
    }
}
