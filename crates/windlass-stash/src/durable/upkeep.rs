//! Upkeep over all stashes: what is due is found through an index by time, so
//! it costs what has become due, not what exists.

use serde::Serialize;
use windlass_core::{Coded, ErrorKind, SessionId, TenantId};
use windlass_store::{Batch, Commit, Entry, Expect, StoreExt};

use super::keys::{DueRow, due_until};
use super::limits::{BITE_ENTRIES, PASSED_ROWS_MAX};
use super::parts::take_back;
use super::plan::{Ask, Request, Told};
use super::record::{Head, decode};
use super::stashes::Inner;
use crate::error::StashError;
use crate::request::Removed;

/// What one round of upkeep did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ReapReport {
    /// Steps taken: rows of the index of due work that were looked at, and
    /// commits beyond the first for one of them.
    pub scanned: usize,
    /// Expired entries removed.
    pub removed: u64,
    /// The value bytes they had.
    pub bytes: u64,
    /// Pieces of values removed that no entry points at.
    pub pieces_removed: u64,
    /// Operation ids forgotten.
    pub operations_removed: u64,
    /// Whether work that is due is left, or may be: not every row of the
    /// index was looked at.
    pub truncated: bool,
    /// Stashes that cannot be read; they are left alone.
    pub unreadable: Vec<Unreadable>,
}

/// A stash whose records cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unreadable {
    /// Whose it is.
    pub tenant: TenantId,
    /// Of which session.
    pub session: SessionId,
    /// What is wrong.
    pub why: String,
}

impl Inner {
    pub(super) async fn reap_due(&self, limit: usize) -> Result<ReapReport, StashError> {
        let mut report = ReapReport::default();
        let mut passed = 0;
        let due = due_until(self.engine.env.now());
        let mut walk = self.bookmark.walk(due);
        while let Some(rows) = walk.next(&*self.engine.store).await? {
            for row in &rows {
                // Rows of other parts are theirs to see to.
                let Some(due) = DueRow::parse(&row.key) else {
                    if passed >= PASSED_ROWS_MAX.max(limit) {
                        report.truncated |= walk.stop_among_others(&row.key);
                        return Ok(report);
                    }
                    passed += 1;
                    continue;
                };
                if step_over(&mut report, limit) {
                    walk.stop_at(&row.key);
                    return Ok(report);
                }
                let done = self.visit(row, &due, limit, &mut report).await;
                report_damage(done, &due, &mut report)?;
            }
        }
        Ok(report)
    }

    async fn visit(
        &self,
        row: &Entry,
        due: &DueRow,
        limit: usize,
        report: &mut ReapReport,
    ) -> Result<(), StashError> {
        if let Some((name, first)) = &due.loose {
            let freed = take_back(&self.engine, &due.keys, (name, *first), due.time).await?;
            report.pieces_removed += freed;
            return Ok(());
        }
        let head = self.engine.store.get(due.keys.head()).await?;
        let head = head.map(|head| decode::<Head>("stash head", &head.value));
        let head = head.transpose()?.filter(|head| head.due == due.time);
        let Some(head) = head else {
            // The stash moved on, or is gone: only the index row is left.
            return self.drop_row(row).await;
        };
        while self.reap(due, report).await? {
            if step_over(report, limit) {
                return Ok(());
            }
        }
        while head.ops.is_some() && self.forget(due, report).await? {
            if step_over(report, limit) {
                return Ok(());
            }
        }
        Ok(())
    }

    /// One commit that forgets operation ids whose time is over; `true` while
    /// some are left.
    async fn forget(&self, due: &DueRow, report: &mut ReapReport) -> Result<bool, StashError> {
        let Some(oldest) = self.engine.oldest(&due.keys).await? else {
            return Ok(false);
        };
        let request = Request::plain(None, Ask::Forget(oldest));
        let told = self.ask(&due.keys, request).await;
        if let Told::Removed(removed) = told.map_err(|refusal| refusal.error)? {
            report.operations_removed += removed.removed;
        }
        Ok(true)
    }

    /// One commit for one stash; `true` while expired entries are left.
    async fn reap(&self, due: &DueRow, report: &mut ReapReport) -> Result<bool, StashError> {
        let request = Request::plain(None, Ask::Reap(BITE_ENTRIES));
        let told = self.ask(&due.keys, request).await;
        let removed = match told.map_err(|refusal| refusal.error)? {
            Told::Removed(removed) => removed,
            Told::Answers(_) | Told::Repeated(_) => Removed::default(),
        };
        report.removed += removed.removed;
        report.bytes += removed.bytes;
        Ok(removed.truncated)
    }

    async fn drop_row(&self, row: &Entry) -> Result<(), StashError> {
        let batch = Batch::new()
            .check(row.key.clone(), Expect::Version(row.version))
            .delete(row.key.clone());
        // A conflict means that somebody else has seen to it.
        let _: Commit = self.engine.store.commit(batch).await?;
        Ok(())
    }
}

/// What cannot be read is reported and left alone; one damaged stash stops no
/// other's upkeep.
fn report_damage(
    done: Result<(), StashError>,
    due: &DueRow,
    report: &mut ReapReport,
) -> Result<(), StashError> {
    match done {
        Err(error) if error.kind() == ErrorKind::Corrupt => {
            report.unreadable.push(Unreadable {
                tenant: due.keys.tenant.clone(),
                session: due.keys.session.clone(),
                why: error.to_string(),
            });
            Ok(())
        }
        other => other,
    }
}

/// Whether the round has used up its limit; otherwise counts one more step.
fn step_over(report: &mut ReapReport, limit: usize) -> bool {
    if report.scanned >= limit {
        report.truncated = true;
        return true;
    }
    report.scanned += 1;
    false
}
