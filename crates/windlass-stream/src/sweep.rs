//! Upkeep: forgetting cursors and streams that have expired.
//!
//! What is due is found through an index by time, so a sweep costs what has
//! become due, not what exists. Each commit is bounded and leaves a state from
//! which the next sweep goes on. Nothing waits for upkeep: what has expired is
//! answered so without it.

use bytes::Bytes;
use serde::Serialize;
use windlass_core::{Millis, TenantId};
use windlass_store::{Batch, Commit, Entry, Expect, StoreExt};

use crate::engine::Engine;
use crate::error::StreamError;
use crate::keys::{DueRow, StreamKeys, due_until};
use crate::limits::{OPERATION_MS, PASSED_ROWS_MAX, TOMBSTONE_MS};
use crate::record::{Head, OperationRow, decode, encode};
use crate::streams::Streams;

/// What one sweep did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SweepReport {
    /// Rows of the index that were looked at.
    pub scanned: usize,
    /// Cursors forgotten.
    pub cursors_removed: u64,
    /// Operation records dropped.
    pub operations_removed: u64,
    /// Pieces of rows taken back that were never appended.
    pub pieces_removed: u64,
    /// Streams removed that had expired.
    pub streams_removed: u64,
    /// Whether work that is due is left, or may be.
    pub truncated: bool,
    /// Records that cannot be read, as the keys of the index that led to them,
    /// and why; they are left alone.
    pub unreadable: Vec<(String, String)>,
}

impl Streams {
    /// Does what upkeep is due, in all tenants, looking at no more than `limit`
    /// rows of the index: forgets cursors ten minutes after they ended and
    /// operation ids after a day, takes back what was stored of rows that were
    /// not appended within an hour, and removes streams ten minutes after they
    /// expired, unless they are read.
    /// Safe to run anywhere, any time, also in several processes.
    ///
    /// # Errors
    ///
    /// The store's failures; what was done before stays done.
    pub async fn sweep(&self, limit: usize) -> Result<SweepReport, StreamError> {
        let engine = self.engine();
        let mut report = SweepReport::default();
        let mut passed = 0;
        let due = due_until(engine.env.now());
        let mut walk = engine.bookmark.walk(due);
        while let Some(rows) = walk.next(&*engine.store).await? {
            for row in &rows {
                let Some(subject) = DueRow::parse(&row.key) else {
                    passed += 1;
                    if passed > PASSED_ROWS_MAX.max(limit) {
                        report.truncated |= walk.stop_among_others(&row.key);
                        return Ok(report);
                    }
                    continue;
                };
                if report.scanned >= limit {
                    walk.stop_at(&row.key);
                    report.truncated = true;
                    return Ok(report);
                }
                report.scanned += 1;
                engine.visit(row, subject, &mut report).await?;
            }
        }
        Ok(report)
    }
}

impl Engine {
    async fn visit(
        &self,
        row: &Entry,
        subject: DueRow,
        report: &mut SweepReport,
    ) -> Result<(), StreamError> {
        let visited = match subject {
            DueRow::Cursor(_, tenant, name) => self.visit_cursor(row, &tenant, &name, report).await,
            DueRow::Upload(keys, name) => {
                let removed = self.condemn(row, &keys, &name).await;
                removed.map(|removed| report.pieces_removed += removed)
            }
            DueRow::Scan(tenant, name) => {
                let forgotten = self.visit_scan(row, &tenant, &name).await;
                forgotten.map(|forgotten| report.cursors_removed += u64::from(forgotten))
            }
            DueRow::Operation(key) => self.visit_operation(row, key, report).await,
            DueRow::Stream(time, keys) => self.visit_stream(row, time, &keys, report).await,
        };
        match visited {
            Err(error @ StreamError::Corrupt { .. }) => {
                let key = String::from_utf8_lossy(&row.key).into_owned();
                report.unreadable.push((key, error.to_string()));
                Ok(())
            }
            other => other,
        }
    }

    async fn visit_cursor(
        &self,
        row: &Entry,
        tenant: &TenantId,
        name: &str,
        report: &mut SweepReport,
    ) -> Result<(), StreamError> {
        let Some(hold) = self.stored_hold(tenant, name).await? else {
            return self.drop_row(row).await;
        };
        let over = hold.row.forgotten().has_passed(self.env.now());
        let batch = if over {
            hold.forget(row)
        } else {
            hold.list_again(row)
        };
        // A conflict means that it was renewed: it is listed still.
        if let Commit::Applied(_) = self.store.commit(batch).await?
            && over
        {
            report.cursors_removed += 1;
        }
        Ok(())
    }

    async fn visit_operation(
        &self,
        row: &Entry,
        key: Bytes,
        report: &mut SweepReport,
    ) -> Result<(), StreamError> {
        let Some(entry) = self.store.get(key.clone()).await? else {
            return self.drop_row(row).await;
        };
        let done: OperationRow = decode("operation record", &entry.value)?;
        if !done.at.plus_ms(OPERATION_MS).has_passed(self.env.now()) {
            // The id was forgotten and used again: it is listed under its time.
            return self.drop_row(row).await;
        }
        let batch = Batch::new()
            .check(key.clone(), Expect::Version(entry.version))
            .delete(key)
            .delete(row.key.clone());
        // A conflict means that somebody else has seen to it.
        if let Commit::Applied(_) = self.store.commit(batch).await? {
            report.operations_removed += 1;
        }
        Ok(())
    }

    async fn visit_stream(
        &self,
        row: &Entry,
        time: Millis,
        keys: &StreamKeys,
        report: &mut SweepReport,
    ) -> Result<(), StreamError> {
        let Some(entry) = self.store.get(keys.head()).await? else {
            return self.drop_row(row).await;
        };
        let mut head: Head = decode("stream head", &entry.value)?;
        let now = self.env.now();
        let idle = self.is_idle(keys).await?;
        let is_over = head.is_forgotten(now) && idle && !head.deleted;
        let is_left = head.deleted && !self.is_forked(keys).await?;
        if head.removing || is_over || is_left {
            let same = |_: &Head, version| version == entry.version;
            let removed = self.remove(keys, same).await?;
            report.streams_removed += u64::from(removed.is_some_and(|rows| rows > 0));
            return Ok(());
        }
        if head.due != Some(time) {
            return self.drop_row(row).await;
        }
        let forgotten = head.expires().map(|time| time.plus_ms(TOMBSTONE_MS));
        // While it is read it is looked at again and again.
        let again = now.plus_ms(TOMBSTONE_MS);
        head.due = forgotten.map(|time| if time > now { time } else { again });
        head.rev += 1;
        let writer = windlass_core::WriterId::draw(self.env.as_ref())?;
        head.by.note(&writer, head.rev);
        let mut batch = Batch::new()
            .check(keys.head(), Expect::Version(entry.version))
            .put(keys.head(), encode(&head))
            .delete(row.key.clone());
        if let Some(due) = head.due {
            batch = batch.put(keys.due(due), Bytes::new());
        }
        // A conflict means that it changed: it is listed still.
        let _: Commit = self.store.commit(batch).await?;
        Ok(())
    }

    pub(crate) async fn drop_row(&self, row: &Entry) -> Result<(), StreamError> {
        let batch = Batch::new()
            .check(row.key.clone(), Expect::Version(row.version))
            .delete(row.key.clone());
        // A conflict means that somebody else has seen to it.
        let _: Commit = self.store.commit(batch).await?;
        Ok(())
    }
}
