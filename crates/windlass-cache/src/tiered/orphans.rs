//! Taking back blobs that were written and never got a record: their writers
//! died, or gave up.
//!
//! Each such blob has a row that names it, which goes with its last pieces.
//! So it costs what is open, not what there is. A chain of an earlier opening
//! has no writer any more; one of this opening has none if it is not being
//! written, and waits for the grace period all the same.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use windlass_store::{Batch, Commit, Expect, Scan, Version};

use super::cache::TieredCache;
use super::keys::{self, ChainId};
use super::record::OpenRow;
use crate::error::CacheError;
use crate::limits::{ORPHAN_PIECES_MAX, STEP_ROWS};
use crate::names::Namespace;
use crate::sweep::{Budget, SweepLimit};

/// Where a search for orphans stopped, for the next to go on from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OrphanPosition(ChainId);

/// What was taken back of one namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Orphaned {
    /// Blobs.
    pub chains: u64,
    /// Their pieces.
    pub pieces: u64,
}

/// What a search for orphans did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrphanReport {
    /// Blobs without a record that were looked at: those that were taken
    /// back, and those that wait or are being written.
    pub scanned: u64,
    /// Blobs that were taken back.
    pub chains: u64,
    /// Their pieces, of at most 1 MiB each.
    pub pieces: u64,
    /// How long it took; whole microseconds where it is serialised.
    #[serde(rename = "elapsed_us", with = "crate::micros")]
    pub elapsed: Duration,
    /// Where to go on, exactly if not all were looked at.
    pub next: Option<OrphanPosition>,
    /// The same by namespace.
    pub namespaces: BTreeMap<Namespace, Orphaned>,
}

impl OrphanReport {
    /// Whether some were not looked at.
    #[must_use]
    pub const fn is_truncated(&self) -> bool {
        self.next.is_some()
    }
}

impl TieredCache {
    /// Takes back blobs that have no record: at once if whoever wrote them is
    /// gone, otherwise after the grace period, and never while they are being
    /// written.
    ///
    /// # Errors
    ///
    /// Those of the store. What was taken back before stays so.
    pub async fn reclaim_orphans(
        &self,
        limit: SweepLimit,
        from: Option<OrphanPosition>,
    ) -> Result<OrphanReport, CacheError> {
        self.shared.ensure_open()?;
        let env = self.shared.env();
        let mut budget = Budget::new(limit, env);
        let mut report = OrphanReport::default();
        let mut scan = Scan::new(keys::opens()).limit(STEP_ROWS);
        if let Some(OrphanPosition(id)) = from {
            scan.range.start = keys::open(id);
        }
        'pages: loop {
            let page = self.shared.read_past(scan.clone()).await?;
            for row in &page.rows {
                let id = keys::open_of(&row.key);
                if budget.bite(env) == 0 {
                    report.next = id.map(OrphanPosition);
                    break 'pages;
                }
                budget.entries -= 1;
                report.scanned += 1;
                let Some(open) = row.open() else {
                    // Without it the pieces are not found.
                    continue;
                };
                let orphan = id.filter(|id| self.is_orphan(*id, &open));
                let taken = match orphan {
                    Some(id) => self.take_chain(id, &open, row.version).await?,
                    None => None,
                };
                if let Some(pieces) = taken {
                    let of = report.namespaces.entry(open.namespace).or_default();
                    of.chains += 1;
                    of.pieces += pieces;
                    report.chains += 1;
                    report.pieces += pieces;
                    self.shared.counters.orphans.add(1);
                }
            }
            match page.rows.last().filter(|_| page.more) {
                Some(last) => scan = scan.after(&last.key),
                None => break,
            }
        }
        report.elapsed = budget.elapsed(env);
        Ok(report)
    }

    fn is_orphan(&self, id: ChainId, open: &OpenRow) -> bool {
        let shared = &self.shared;
        if shared.is_writing(id) {
            return false;
        }
        let grace = open.at.plus_ms(shared.options.grace_ms);
        id.incarnation < shared.incarnation || grace.has_passed(shared.now())
    }

    /// Deletes the pieces of a chain, then its row; `None` if it got a record
    /// meanwhile, or somebody else took it.
    async fn take_chain(
        &self,
        id: ChainId,
        open: &OpenRow,
        version: Version,
    ) -> Result<Option<u64>, CacheError> {
        let mut taken = 0;
        let rows = keys::chain(open.generation, &open.key, id);
        let scan = Scan::new(rows).limit(ORPHAN_PIECES_MAX).keys();
        loop {
            let [page] = self.shared.read([scan.clone()]).await?;
            let mut batch = Batch::new().check(keys::open(id), Expect::Version(version));
            for piece in &page.entries {
                batch = batch.delete(piece.key.clone());
            }
            taken += u64::try_from(page.entries.len()).unwrap_or(u64::MAX);
            if !page.more {
                batch = batch.delete(keys::open(id));
            }
            if let Commit::Conflict { .. } = self.shared.store.commit(batch).await? {
                return Ok(None);
            }
            if !page.more {
                return Ok(Some(taken));
            }
        }
    }
}
