//! The sweeper of both tiers: takes back what nobody sees any more, in small
//! bites. It keeps nothing between two calls; both tiers find what is over by
//! an index of deadlines, and what was flushed by its generation.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use windlass_store::Scan;

use super::action::{Action, Answer, Bite};
use super::cache::TieredCache;
use super::keys;
use crate::error::CacheError;
use crate::limits::{LEARN_STEPS, PROMOTIONS_MAX, STEP_ROWS, USES_MAX};
use crate::sweep::{Budget, Position, SweepLimit, SweepReport};

/// Entries of the first bite of a sweep that is limited by time.
const FIRST_BITE: u64 = 8;

/// What a sweep did in both tiers. An entry that was in both counts in each.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TieredReport {
    /// In memory.
    pub first: SweepReport,
    /// In the store.
    pub second: SweepReport,
    /// Where to go on, exactly if there is work left in one of them.
    pub next: Option<Position>,
}

impl TieredReport {
    /// Whether work is left.
    #[must_use]
    pub const fn is_truncated(&self) -> bool {
        self.next.is_some()
    }
}

impl TieredCache {
    /// Takes back entries whose time is over, and what flushed namespaces
    /// left, within `limit` for both tiers together.
    ///
    /// A bite of the second tier is one commit of at most 64 entries, and of
    /// fewer where the limit is in milliseconds and time runs out. What is
    /// left of the limit goes into filters of names that are being made, and
    /// into uses that are to be written.
    ///
    /// # Errors
    ///
    /// Those of the store. What was taken before stays taken.
    pub async fn sweep_expired(
        &self,
        limit: SweepLimit,
        from: Option<Position>,
    ) -> Result<TieredReport, CacheError> {
        self.shared.ensure_open()?;
        let env = self.shared.env();
        let mut budget = Budget::new(limit, env);
        self.shared.promote(PROMOTIONS_MAX);
        let first = self.shared.first.sweep_expired(limit, from);
        budget.entries = budget.entries.saturating_sub(first.scanned);
        let began = budget.elapsed(env);
        let mut second = SweepReport::default();
        let finished = self.sweep_below(&mut budget, &mut second).await?;
        if finished {
            self.tidy(&budget).await?;
        }
        second.elapsed = budget.elapsed(env).saturating_sub(began);
        let left = !finished && self.has_work_below().await?;
        second.next = left.then_some(Position(0));
        let next = first.next.or(second.next);
        Ok(TieredReport {
            first,
            second,
            next,
        })
    }

    /// Sweeps the second tier; whether it came to an end.
    async fn sweep_below(
        &self,
        budget: &mut Budget,
        report: &mut SweepReport,
    ) -> Result<bool, CacheError> {
        let env = self.shared.env();
        let mut pace: Option<Duration> = None;
        loop {
            let most = budget
                .bite(env)
                .min(fitting(budget, budget.elapsed(env), pace));
            if most == 0 {
                return Ok(false);
            }
            let began = budget.elapsed(env);
            let Answer::Bite(bite) = self.ask(Action::Expire { most }).await? else {
                return Ok(false);
            };
            budget.entries = budget.entries.saturating_sub(bite.scanned);
            let took = budget.elapsed(env).saturating_sub(began);
            let scanned = u32::try_from(bite.scanned.max(1)).unwrap_or(u32::MAX);
            pace = Some(took / scanned);
            let finished = bite.finished;
            note(report, bite);
            if finished {
                return Ok(true);
            }
        }
    }

    /// Goes on with filters, and writes uses where many are remembered.
    async fn tidy(&self, budget: &Budget) -> Result<(), CacheError> {
        let env = self.shared.env();
        for _ in 0..LEARN_STEPS {
            if budget.bite(env) == 0 {
                return Ok(());
            }
            match self.ask(Action::Learn).await? {
                Answer::More(true) => {}
                _ => break,
            }
        }
        let uses = self.shared.uses.all();
        if uses.len() < USES_MAX / 2 {
            return Ok(());
        }
        for uses in uses.chunks(STEP_ROWS) {
            if budget.bite(env) == 0 {
                return Ok(());
            }
            self.ask(Action::Write(uses.to_vec())).await?;
        }
        Ok(())
    }

    async fn has_work_below(&self) -> Result<bool, CacheError> {
        let due = Scan::new(keys::due_until(self.shared.now()));
        let ended = Scan::new(keys::ends());
        let scans = [due.limit(1).keys(), ended.limit(1).keys()];
        let [due, ended] = self.shared.read(scans).await?;
        Ok(!due.entries.is_empty() || !ended.entries.is_empty())
    }
}

/// How many entries fit into what is left of the time.
fn fitting(budget: &Budget, elapsed: Duration, pace: Option<Duration>) -> u64 {
    let Some(span) = budget.span else {
        return u64::MAX;
    };
    let Some(pace) = pace.filter(|pace| !pace.is_zero()) else {
        return FIRST_BITE;
    };
    let left = span.saturating_sub(elapsed);
    let fits = left.as_nanos() / pace.as_nanos();
    u64::try_from(fits).unwrap_or(u64::MAX)
}

fn note(report: &mut SweepReport, bite: Bite) {
    report.scanned += bite.scanned;
    for (namespace, charge) in bite.taken {
        let swept = report.namespaces.entry(namespace).or_default();
        swept.evicted += 1;
        swept.bytes += charge;
        report.evicted += 1;
        report.bytes += charge;
    }
}
