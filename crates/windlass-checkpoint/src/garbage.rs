//! When a lineage is collected: some time after something in it may have
//! become garbage.
//!
//! Whoever makes garbage leaves an index row; upkeep takes the rows whose
//! time has come and collects their lineages.

use std::collections::HashSet;

use bytes::Bytes;
use serde::Serialize;
use windlass_core::{Millis, TenantId};
use windlass_store::key::{Key, number, segments};
use windlass_store::{Batch, Commit, Entry, Expect};

use crate::blob::LineageKeys;
use crate::checkpoints::Checkpoints;
use crate::collect::{Collect, CollectReport, Collection, Reason};
use crate::engine::Engine;
use crate::error::CheckpointError;
use crate::keys::{DUE, all_due, due_until};
use crate::limits::PASSED_ROWS_MAX;
use crate::upkeep::Sweep;

/// The segment of the index rows of lineages.
const PART: &str = "lineage";
/// Times of index rows are rounded up to this, so that a busy lineage has few.
const STEP_MS: u64 = 10 * 60 * 1_000;
/// After this a lineage is tried again that could not be collected.
const RETRY_MS: u64 = 60 * 60 * 1_000;

/// What a round of collections did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct GarbageReport {
    /// Lineages that were collected, in whole or in part.
    pub lineages: u64,
    /// All their reports in one.
    pub collected: CollectReport,
}

impl Engine {
    /// The index row that has a lineage collected once what became garbage
    /// now is older than the grace period.
    pub(crate) fn garbage_due(&self, lineage: &LineageKeys, now: Millis) -> Bytes {
        let time = now.plus_ms(self.config.grace_ms).get();
        let time = time.div_ceil(STEP_MS).saturating_mul(STEP_MS);
        due_row(Millis::new(time), &lineage.tenant, &lineage.lineage)
    }
}

fn due_row(time: Millis, tenant: &TenantId, lineage: &str) -> Bytes {
    Key::new(DUE)
        .number(time.get())
        .text(PART)
        .text(tenant.as_str())
        .text(lineage)
        .finish()
}

/// The lineage of a row of due work, if it is one.
fn parse(key: &[u8]) -> Option<(TenantId, String)> {
    let mut parts = segments(key)?;
    let lineage = parts.pop()?;
    let [due, time, part, tenant] = parts.as_slice() else {
        return None;
    };
    number(time)?;
    (due == DUE && part == PART).then_some((tenant.parse().ok()?, lineage))
}

impl Checkpoints {
    /// Collects the lineages in which something may have become garbage, and
    /// stops after looking at or writing about `limit` rows in all; 0 does
    /// nothing. With [`Sweep::All`], also those whose time has not come.
    ///
    /// The next round goes on from there, with a lineage that is too large for
    /// one in the middle of it. A lineage that cannot be collected, because
    /// something of it cannot be read or another run is at it, is tried again
    /// after an hour.
    ///
    /// # Errors
    ///
    /// The store's failures. What cannot be read is in the report and hinders
    /// no other lineage.
    pub async fn collect_due(
        &self,
        sweep: Sweep,
        options: Collect,
        limit: u64,
    ) -> Result<GarbageReport, CheckpointError> {
        let mut report = GarbageReport::default();
        if limit == 0 {
            return Ok(report);
        }
        let engine = self.engine();
        let range = match sweep {
            Sweep::Due => due_until(engine.env.now()),
            Sweep::All => all_due(),
        };
        let mut passed = 0;
        let mut seen = HashSet::new();
        let mut walk = engine.bookmarks.garbage.walk(range);
        while let Some(rows) = walk.next(&*engine.store).await? {
            for row in &rows {
                let Some(lineage) = parse(&row.key) else {
                    passed += 1;
                    if sweep == Sweep::Due && passed > PASSED_ROWS_MAX {
                        let left = walk.stop_among_others(&row.key);
                        report.collected.truncated |= left;
                        return Ok(report);
                    }
                    continue;
                };
                if !seen.contains(&lineage) {
                    let left = limit.saturating_sub(report.collected.scanned);
                    if left == 0 {
                        walk.stop_at(&row.key);
                        report.collected.stop_at_limit();
                        return Ok(report);
                    }
                    let (mut collection, told) = self.begun(&lineage, options);
                    let done = collection.step(left).await?;
                    report.lineages += 1;
                    let (whole, failed) = (!done.truncated, done.has_failed());
                    report.collected.add(done.since(&told));
                    if !collection.is_done() {
                        walk.stop_at(&row.key);
                        let unfinished = Unfinished {
                            lineage,
                            options,
                            collection,
                            told: done,
                        };
                        self.unfinished().replace(unfinished);
                        return Ok(report);
                    }
                    if failed && !options.dry_run {
                        engine.retry_later(row, &lineage).await?;
                    }
                    if !whole {
                        continue;
                    }
                    seen.insert(lineage);
                }
                if !options.dry_run {
                    engine.drop_garbage_row(row).await?;
                }
            }
        }
        Ok(report)
    }
}

impl Checkpoints {
    /// The collection that an earlier round began, and what was told of it; or
    /// a new one. That of another lineage stays.
    fn begun(&self, lineage: &(TenantId, String), options: Collect) -> (Collection, CollectReport) {
        let same = |it: &mut Unfinished| it.lineage == *lineage && it.options == options;
        match self.unfinished().take_if(same) {
            Some(begun) => (begun.collection, begun.told),
            None => {
                let new = self.collection(&lineage.0, &lineage.1, options);
                (new, CollectReport::default())
            }
        }
    }
}

/// A collection that was not done in one round.
#[derive(Debug)]
pub(crate) struct Unfinished {
    lineage: (TenantId, String),
    options: Collect,
    collection: Collection,
    /// Its report as of the last step.
    told: CollectReport,
}

impl Engine {
    async fn drop_garbage_row(&self, row: &Entry) -> Result<(), CheckpointError> {
        let batch = Batch::new()
            .check(row.key.clone(), Expect::Version(row.version))
            .delete(row.key.clone());
        // A conflict means that there is new garbage: the row stays for it.
        let _: Commit = self.store.commit(batch).await?;
        Ok(())
    }

    /// Moves a row that is due behind those of other lineages.
    async fn retry_later(
        &self,
        row: &Entry,
        (tenant, lineage): &(TenantId, String),
    ) -> Result<(), CheckpointError> {
        let now = self.env.now();
        if !due_until(now).contains(&row.key) {
            return Ok(());
        }
        let later = due_row(now.plus_ms(RETRY_MS), tenant, lineage);
        let batch = Batch::new()
            .check(row.key.clone(), Expect::Version(row.version))
            .delete(row.key.clone())
            .put(later, Bytes::new());
        // A conflict means that there is new garbage: the row stays for it.
        let _: Commit = self.store.commit(batch).await?;
        Ok(())
    }
}

impl CollectReport {
    /// What was done since an earlier report of the same collection.
    fn since(&self, before: &Self) -> Self {
        Self {
            roots: self.roots.saturating_sub(before.roots),
            scanned: self.scanned.saturating_sub(before.scanned),
            kept: self.kept.saturating_sub(before.kept),
            deleted: self.deleted.saturating_sub(before.deleted),
            bytes: self.bytes.saturating_sub(before.bytes),
            elapsed_ms: self.elapsed_ms.saturating_sub(before.elapsed_ms),
            truncated: self.truncated,
            reasons: self.reasons.clone(),
        }
    }

    /// Whether it gave up on what another try would not change soon.
    fn has_failed(&self) -> bool {
        let gave_up =
            |reason: &Reason| matches!(reason, Reason::Unreadable { .. } | Reason::AnotherRun);
        self.reasons.iter().any(gave_up)
    }

    /// Notes that there may be more to do than the limit allowed.
    fn stop_at_limit(&mut self) {
        let reason = Reason::Limit;
        self.truncated = true;
        if !self.reasons.contains(&reason) {
            self.reasons.push(reason);
        }
    }

    /// Adds up two collections.
    pub(crate) fn add(&mut self, other: Self) {
        self.roots += other.roots;
        self.scanned += other.scanned;
        self.kept += other.kept;
        self.deleted += other.deleted;
        self.bytes += other.bytes;
        self.elapsed_ms += other.elapsed_ms;
        self.truncated |= other.truncated;
        let new = |reason: &Reason| !self.reasons.contains(reason);
        let added: Vec<Reason> = other.reasons.into_iter().filter(new).collect();
        self.reasons.extend(added);
    }
}
