//! Taking attachments away: those that nobody wants, and those that are not
//! wanted any more.

use bytes::Bytes;
use serde::Serialize;
use windlass_core::{Coded, ErrorKind, Millis, SessionId};
use windlass_store::{Batch, Commit, Entry, Expect, Scan};

use super::Found;
use super::append::is_forsaken;
use super::keys::AttachmentKeys;
use super::record::AttachmentRow;
use crate::checkpoints::Checkpoints;
use crate::engine::Engine;
use crate::error::CheckpointError;
use crate::keys::{StateKeys, all_due, due_until};
use crate::limits::{PASSED_ROWS_MAX, REMOVED_ROWS_MAX};
use crate::model::Caller;
use crate::upkeep::Sweep;

/// What became of attachments that no commit has taken.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AttachmentReport {
    /// Attachments looked at.
    pub scanned: usize,
    /// Attachments taken away.
    pub removed: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Whether work that is due is left, or may be.
    pub truncated: bool,
    /// Attachments that cannot be read, as the keys of the index that led to
    /// them, and why; they are left alone.
    pub unreadable: Vec<(String, String)>,
}

impl Checkpoints {
    /// Takes away attachments that no commit has taken and nobody has added
    /// to for the grace period: looks at `limit` of them at most. With
    /// [`Sweep::All`], also at those whose time has not come.
    ///
    /// # Errors
    ///
    /// The store's failures. What cannot be read is reported and hinders no
    /// other.
    pub async fn sweep_attachments(
        &self,
        sweep: Sweep,
        limit: usize,
    ) -> Result<AttachmentReport, CheckpointError> {
        self.engine().sweep_attachments(sweep, limit).await
    }

    /// Takes an attachment of a session away, also one that a commit has
    /// taken; whether there was one. Forks lose it, too.
    ///
    /// # Errors
    ///
    /// `Busy` if it is changed at the same time, and the store's failures;
    /// repeat it then.
    pub async fn drop_attachment(
        &self,
        caller: &Caller,
        session: &SessionId,
        id: &str,
    ) -> Result<bool, CheckpointError> {
        let state = StateKeys::new(&caller.tenant, session);
        let engine = self.engine();
        let Some(found) = engine.own_attachment(&state, id).await? else {
            return Ok(false);
        };
        if engine.mark_gone(&found).await? {
            engine.erase_attachment(&found.keys).await?;
            return Ok(true);
        }
        Err(CheckpointError::Busy)
    }
}

impl Engine {
    async fn sweep_attachments(
        &self,
        sweep: Sweep,
        limit: usize,
    ) -> Result<AttachmentReport, CheckpointError> {
        let mut report = AttachmentReport::default();
        let now = self.env.now();
        let range = match sweep {
            Sweep::Due => due_until(now),
            Sweep::All => all_due(),
        };
        let mut passed = 0;
        let mut walk = self.bookmarks.attachments.walk(range);
        while let Some(rows) = walk.next(&*self.store).await? {
            for row in &rows {
                let keys = AttachmentKeys::parse_due(&row.key);
                passed += usize::from(keys.is_none());
                let Some(keys) = keys else {
                    if sweep == Sweep::Due && passed > PASSED_ROWS_MAX.max(limit) {
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
                let done = self.visit_attachment(row, &keys, now, &mut report).await;
                report_damage(done, row, &mut report)?;
            }
        }
        Ok(report)
    }

    /// Sees to the attachment of one index row.
    async fn visit_attachment(
        &self,
        due: &Entry,
        keys: &AttachmentKeys,
        now: Millis,
        report: &mut AttachmentReport,
    ) -> Result<(), CheckpointError> {
        let grace_ms = self.config.grace_ms;
        let Some(found) = self.attachment_at(keys).await? else {
            return self.move_due(due, None).await;
        };
        if found.row.revision.is_some() && !found.row.gone {
            return self.move_due(due, None).await;
        }
        if !found.row.gone && !is_forsaken(&found.row, grace_ms, now) {
            let later = keys.due(found.row.touched.plus_ms(grace_ms));
            return self.move_due(due, Some(later)).await;
        }
        if !found.row.gone && !self.mark_gone(&found).await? {
            // Somebody has just added to it, or taken it: the next round.
            return Ok(());
        }
        report.removed += 1;
        report.bytes += found.row.size;
        self.erase_attachment(keys).await?;
        self.move_due(due, None).await
    }

    /// The row of an attachment, going or not.
    async fn attachment_at(&self, keys: &AttachmentKeys) -> Result<Option<Found>, CheckpointError> {
        let pages = self.store.read(&[Scan::point(keys.row())]).await?;
        let Some(entry) = pages.into_iter().flat_map(|page| page.entries).next() else {
            return Ok(None);
        };
        let row = AttachmentRow::decode(&keys.id, &entry.value)?;
        let keys = keys.clone();
        Ok(Some(Found { keys, row, entry }))
    }

    async fn move_due(&self, due: &Entry, later: Option<Bytes>) -> Result<(), CheckpointError> {
        if later.as_ref() == Some(&due.key) {
            return Ok(());
        }
        let mut batch = Batch::new().delete(due.key.clone());
        if let Some(later) = later {
            batch = batch.put(later, "");
        }
        let _: Commit = self.store.commit(batch).await?;
        Ok(())
    }

    /// Makes an attachment one that is going, with an index row that says so
    /// until it is gone; `false` if it was changed meanwhile.
    async fn mark_gone(&self, found: &Found) -> Result<bool, CheckpointError> {
        let mut row = found.row.clone();
        row.gone = true;
        let batch = Batch::new()
            .check(found.keys.row(), Expect::Version(found.entry.version))
            .put(found.keys.row(), row.encode())
            .put(found.keys.due(row.touched), "");
        let done = self.store.commit(batch).await?;
        Ok(matches!(done, Commit::Applied(_)))
    }

    /// Deletes the pieces of an attachment that is going, and its row last.
    async fn erase_attachment(&self, keys: &AttachmentKeys) -> Result<(), CheckpointError> {
        let scan = Scan::new(keys.pieces()).keys().limit(REMOVED_ROWS_MAX);
        loop {
            let pages = self.store.read(std::slice::from_ref(&scan)).await?;
            let page = pages.into_iter().next().unwrap_or_default();
            if page.entries.is_empty() {
                break;
            }
            let delete = |batch: Batch, entry: Entry| batch.delete(entry.key);
            let batch = page.entries.into_iter().fold(Batch::new(), delete);
            let _: Commit = self.store.commit(batch).await?;
        }
        let Some(found) = self.attachment_at(keys).await? else {
            return Ok(());
        };
        let batch = Batch::new()
            .delete(keys.row())
            .delete(keys.due(found.row.touched));
        let _: Commit = self.store.commit(batch).await?;
        Ok(())
    }
}

/// What cannot be read is reported and left alone; one damaged attachment
/// stops no other's upkeep.
fn report_damage(
    done: Result<(), CheckpointError>,
    due: &Entry,
    report: &mut AttachmentReport,
) -> Result<(), CheckpointError> {
    match done {
        Err(error) if error.kind() == ErrorKind::Corrupt => {
            let key = String::from_utf8_lossy(&due.key).into_owned();
            report.unreadable.push((key, error.to_string()));
            Ok(())
        }
        other => other,
    }
}
