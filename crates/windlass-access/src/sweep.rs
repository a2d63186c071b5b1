//! Upkeep of keys: those that ended long ago are dropped.
//!
//! What is due is found through an index by time, so it costs what has become
//! due, not what exists.

use serde::Serialize;
use windlass_core::{Coded, ErrorKind, Millis};
use windlass_store::{Batch, Commit, Entry, Expect};

use crate::engine::{Engine, head_of};
use crate::error::AccessError;
use crate::key::{KeyId, UnreadableKey};
use crate::layout::{self, Owner};
use crate::limits::PASSED_ROWS_MAX;
use crate::record::{KeyRecord, decode, encode};

/// What one round of upkeep did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SweepReport {
    /// Rows of the index of due work looked at.
    pub scanned: usize,
    /// Keys dropped.
    pub removed: u64,
    /// Whether work that is due is left, or may be: not every row of the
    /// index was looked at.
    pub truncated: bool,
    /// Keys whose records cannot be read; they are left alone.
    pub unreadable: Vec<UnreadableKey>,
}

impl Engine {
    pub(crate) async fn sweep(&self, limit: usize) -> Result<SweepReport, AccessError> {
        let mut report = SweepReport::default();
        let mut passed = 0;
        let due = layout::due_until(self.env.now());
        let mut walk = self.bookmark.walk(due);
        while let Some(rows) = walk.next(&*self.store).await? {
            for row in &rows {
                // Rows of other parts are theirs to see to.
                let Some((time, id)) = layout::parse_due(&row.key) else {
                    if passed >= PASSED_ROWS_MAX.max(limit) {
                        report.truncated |= walk.stop_among_others(&row.key);
                        return Ok(report);
                    }
                    passed += 1;
                    continue;
                };
                if report.scanned >= limit {
                    walk.stop_at(&row.key);
                    report.truncated = true;
                    return Ok(report);
                }
                report.scanned += 1;
                let done = self.visit(row, time, &id).await;
                note(done, id, &mut report)?;
            }
        }
        Ok(report)
    }

    /// Sees to the key of one row; whether it was dropped.
    async fn visit(&self, row: &Entry, time: Millis, id: &KeyId) -> Result<bool, AccessError> {
        let [found] = self.points([layout::key(id)]).await?;
        let Some(found) = found else {
            return self.drop_row(row).await;
        };
        let record: KeyRecord = decode("key", &found.value)?;
        if record.due() != Some(time) {
            // The key moved on: only the index row is left.
            return self.drop_row(row).await;
        }
        let owner = Owner::of(&record.grant.scope);
        let [head] = self.points([owner.head()]).await?;
        let (mut head, expect) = head_of(head.as_ref())?;
        head.keys = head.keys.checked_sub(1).ok_or_else(too_few)?;
        let mut batch = Batch::new()
            .check(owner.head(), expect)
            .put(owner.head(), encode(&head))
            .check(found.key.clone(), Expect::Version(found.version))
            .delete(found.key)
            .delete(owner.listed(id))
            .delete(row.key.clone());
        if let Some(operation) = &record.operation {
            batch = batch.delete(owner.operation(operation));
        }
        // Who lost a race looks again in the next round.
        Ok(matches!(
            self.store.commit(batch).await?,
            Commit::Applied(_)
        ))
    }

    async fn drop_row(&self, row: &Entry) -> Result<bool, AccessError> {
        let batch = Batch::new()
            .check(row.key.clone(), Expect::Version(row.version))
            .delete(row.key.clone());
        // A conflict means that somebody else has seen to it.
        let _: Commit = self.store.commit(batch).await?;
        Ok(false)
    }
}

/// What cannot be read is reported and left alone; one damaged key stops no
/// other's upkeep.
fn note(
    done: Result<bool, AccessError>,
    id: KeyId,
    report: &mut SweepReport,
) -> Result<(), AccessError> {
    match done {
        Ok(removed) => report.removed += u64::from(removed),
        Err(error) if error.kind() == ErrorKind::Corrupt => {
            let why = error.to_string();
            report.unreadable.push(UnreadableKey { id, why });
        }
        Err(error) => return Err(error),
    }
    Ok(())
}

fn too_few() -> AccessError {
    AccessError::Corrupt {
        record: "head",
        why: "it counts fewer keys than there are".to_owned(),
    }
}
