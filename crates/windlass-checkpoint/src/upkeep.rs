//! Upkeep: packing what lies unpacked, dropping answers to turns that are
//! older than a day, dropping commits that are no longer kept.
//!
//! What is due is found through an index by time, so a sweep costs what has
//! become due, not what exists. Every commit is bounded and leaves a state
//! from which the next sweep goes on.

use std::collections::BTreeSet;

use bytes::Bytes;
use serde::Serialize;
use windlass_core::{Coded, ErrorKind, Millis, SessionId, TenantId, WriterId};
use windlass_store::{Batch, Bookmark, Commit, Entry, Expect, Scan};

use crate::checkpoints::Checkpoints;
use crate::engine::{Engine, Loaded, lineage_keys};
use crate::error::CheckpointError;
use crate::find::old_row;
use crate::keys::{StateKeys, all_due, due_until, parse_due};
use crate::limits::{OPERATION_MS, PASSED_ROWS_MAX, SWEPT_ROWS_MAX};
use crate::pack;
use crate::record::{Head, OldRow, Record};
use crate::row;
use crate::turn;

/// What one sweep did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SweepReport {
    /// Steps taken: rows of the index looked at, and commits beyond the
    /// first for one row.
    pub scanned: usize,
    /// Commits whose rows were packed.
    pub packed: u64,
    /// Commits that are no longer kept.
    pub dropped: u64,
    /// Answers to turns and operations that were dropped.
    pub turns_removed: u64,
    /// Whether work that is due is left, or may be.
    pub truncated: bool,
    /// States that cannot be read; they are left alone.
    pub unreadable: Vec<Unreadable>,
}

/// A state that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unreadable {
    /// The session.
    pub session: SessionId,
    /// What is wrong.
    pub why: String,
}

/// Which rows of the index a sweep looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sweep {
    /// Those that have become due.
    Due,
    /// All of them: everything that can be packed is, now.
    All,
}

/// Where each kind of upkeep ended, of those that share the index.
#[derive(Debug, Default)]
pub(crate) struct Bookmarks {
    pub(crate) states: Bookmark,
    pub(crate) attachments: Bookmark,
    pub(crate) garbage: Bookmark,
}

impl Checkpoints {
    /// Does what upkeep is due, in at most `limit` steps; 0 does nothing.
    ///
    /// # Errors
    ///
    /// The store's failures. What cannot be read is reported and hinders
    /// nothing else.
    pub async fn sweep(&self, sweep: Sweep, limit: usize) -> Result<SweepReport, CheckpointError> {
        self.engine().sweep(sweep, limit).await
    }

    /// Packs the commits of one state now; how many.
    ///
    /// # Errors
    ///
    /// `Busy` if others commit all the time, `Corrupt`, and the store's
    /// failures.
    pub async fn pack(
        &self,
        tenant: &TenantId,
        session: &SessionId,
    ) -> Result<u64, CheckpointError> {
        let keys = StateKeys::new(tenant, session);
        let mut lost = 0;
        loop {
            let Some(loaded) = self.engine().load(&keys).await? else {
                return Ok(0);
            };
            let count = pack::tail(&loaded.head);
            if count == 0 || self.engine().pack_now(&keys, &loaded).await? {
                return Ok(count);
            }
            lost += 1;
            self.engine().back_off(lost).await?;
        }
    }
}

impl Engine {
    async fn sweep(&self, sweep: Sweep, limit: usize) -> Result<SweepReport, CheckpointError> {
        let mut report = SweepReport::default();
        let now = self.env.now();
        let range = match sweep {
            Sweep::Due => due_until(now),
            Sweep::All => all_due(),
        };
        let mut passed = 0;
        let mut walk = self.bookmarks.states.walk(range);
        while let Some(rows) = walk.next(&*self.store).await? {
            for row in &rows {
                // Rows of other parts are theirs to see to.
                let Some((time, keys)) = parse_due(&row.key) else {
                    if sweep == Sweep::Due && passed >= PASSED_ROWS_MAX.max(limit) {
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
                self.visit(row, time, &keys, now, limit, &mut report)
                    .await?;
            }
        }
        Ok(report)
    }

    /// Sees to the state of one row.
    async fn visit(
        &self,
        row: &Entry,
        time: Millis,
        keys: &StateKeys,
        now: Millis,
        limit: usize,
        report: &mut SweepReport,
    ) -> Result<(), CheckpointError> {
        let done = match self.head(keys).await {
            Ok(Some((head, _))) if head.due == Some(time) && head.removed.is_none() => {
                self.work(keys, now, limit, report).await
            }
            // The state moved on, or is gone: only the index row is left.
            Ok(_) => self.drop_row(row).await,
            Err(error) => Err(error),
        };
        match done {
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                report.unreadable.push(Unreadable {
                    session: keys.session.clone(),
                    why: error.to_string(),
                });
                Ok(())
            }
            other => other,
        }
    }

    async fn drop_row(&self, row: &Entry) -> Result<(), CheckpointError> {
        let batch = Batch::new()
            .check(row.key.clone(), Expect::Version(row.version))
            .delete(row.key.clone());
        // A conflict means that somebody else has seen to it.
        let _: Commit = self.store.commit(batch).await?;
        Ok(())
    }

    async fn work(
        &self,
        keys: &StateKeys,
        now: Millis,
        limit: usize,
        report: &mut SweepReport,
    ) -> Result<(), CheckpointError> {
        let Some(loaded) = self.load(keys).await? else {
            return Ok(());
        };
        let count = pack::tail(&loaded.head);
        if count > 0 && self.pack_now(keys, &loaded).await? {
            report.packed += count;
        }
        let (turns, turns_left) = self.drop_turns(keys, now, limit, report).await?;
        report.turns_removed += turns;
        let more = self.retain(keys, now, limit, report).await?;
        if !more {
            report.truncated = true;
            return Ok(());
        }
        self.put_off(keys, now, turns_left).await
    }

    /// Packs what is loaded; `false` if the state moved on meanwhile.
    async fn pack_now(&self, keys: &StateKeys, loaded: &Loaded) -> Result<bool, CheckpointError> {
        let Some(bundle) = self.pack(keys, loaded, self.upkeep_effort()).await? else {
            return Ok(false);
        };
        let mut head = self.next_head(&loaded.head)?;
        head.packed = bundle.packed;
        head.tail_bytes = 0;
        let batch = bundle
            .rows
            .check(keys.head(), Expect::Version(loaded.version))
            .put(keys.head(), row::encode(&head, None));
        Ok(matches!(
            self.store.commit(batch).await?,
            Commit::Applied(_)
        ))
    }

    /// The head that upkeep writes over `head`.
    pub(crate) fn next_head(&self, head: &Head) -> Result<Head, CheckpointError> {
        let mut next = head.clone();
        next.writes += 1;
        let writer = WriterId::draw(self.env.as_ref())?;
        next.by.note(&writer, next.writes);
        Ok(next)
    }

    /// Drops answers that are old enough; how many, and whether others are
    /// left.
    async fn drop_turns(
        &self,
        keys: &StateKeys,
        now: Millis,
        limit: usize,
        report: &mut SweepReport,
    ) -> Result<(u64, bool), CheckpointError> {
        let (mut dropped, mut left) = (0, false);
        let mut scan = Scan::new(keys.turns());
        loop {
            let pages = self.store.read(std::slice::from_ref(&scan)).await?;
            let page = pages.into_iter().next().unwrap_or_default();
            let mut batch = Batch::new();
            for entry in &page.entries {
                let done = turn::done_at(&entry.value)?;
                if done.plus_ms(OPERATION_MS).has_passed(now) {
                    batch = batch.delete(entry.key.clone());
                } else {
                    left = true;
                }
            }
            if !batch.writes.is_empty() {
                dropped += u64::try_from(batch.writes.len()).unwrap_or(u64::MAX);
                let _: Commit = self.store.commit(batch).await?;
            }
            match page.entries.last() {
                Some(last) if page.more => scan = scan.after(&last.key),
                _ => return Ok((dropped, left)),
            }
            if step_over(report, limit) {
                return Ok((dropped, true));
            }
        }
    }

    /// Drops the records of commits that are no longer kept; `false` if the
    /// limit came first, or somebody else.
    async fn retain(
        &self,
        keys: &StateKeys,
        now: Millis,
        limit: usize,
        report: &mut SweepReport,
    ) -> Result<bool, CheckpointError> {
        let mut scan = Scan::new(keys.olds()).limit(SWEPT_ROWS_MAX);
        loop {
            let Some((head, version)) = self.head(keys).await? else {
                return Ok(true);
            };
            let last = last_dropped(&head, self.config.retention.keep_last);
            if last < head.oldest {
                return Ok(true);
            }
            let tags = self.tags(keys).await?;
            let tagged: BTreeSet<u64> = tags.iter().map(|tag| tag.revision).collect();
            let pages = self.store.read(std::slice::from_ref(&scan)).await?;
            let page = pages.into_iter().next().unwrap_or_default();
            let keep_ms = self.config.retention.keep_ms;
            let goes = |it: &Record| {
                it.rev <= last
                    && !tagged.contains(&it.rev)
                    && it.at.plus_ms(keep_ms).has_passed(now)
            };
            let shrunk = shrink(&page.entries, goes, self.row_threshold())?;
            let done = shrunk.young || !page.more;
            if shrunk.dropped > 0 {
                let mut next = self.next_head(&head)?;
                next.oldest = next.oldest.max(shrunk.last + 1);
                let lineage = lineage_keys(&keys.tenant, &head.lineage);
                let batch = shrunk
                    .rows
                    .put(self.garbage_due(&lineage, now), Bytes::new())
                    .check(keys.head(), Expect::Version(version))
                    .put(keys.head(), row::encode(&next, None));
                match self.store.commit(batch).await? {
                    Commit::Applied(_) => report.dropped += shrunk.dropped,
                    Commit::Conflict { .. } => return Ok(false),
                }
            }
            match page.entries.last() {
                Some(last) if !done => scan = scan.after(&last.key),
                _ => return Ok(true),
            }
            if step_over(report, limit) {
                return Ok(false);
            }
        }
    }

    /// Says when upkeep looks at the state again: never, if time alone can
    /// bring it nothing to do.
    async fn put_off(
        &self,
        keys: &StateKeys,
        now: Millis,
        turns_left: bool,
    ) -> Result<(), CheckpointError> {
        let Some((head, version)) = self.head(keys).await? else {
            return Ok(());
        };
        let Some(due) = head.due else {
            return Ok(());
        };
        let ages = last_dropped(&head, self.config.retention.keep_last) >= head.oldest;
        let mut next = self.next_head(&head)?;
        next.due = if turns_left || pack::tail(&head) > 0 {
            Some(now.plus_ms(self.config.upkeep_ms().max(1)))
        } else if ages {
            let wait = (self.config.retention.keep_ms / 8).max(self.config.upkeep_ms());
            Some(now.plus_ms(wait.max(1)))
        } else {
            None
        };
        if next.due == Some(due) {
            return Ok(());
        }
        let mut batch = Batch::new()
            .check(keys.head(), Expect::Version(version))
            .put(keys.head(), row::encode(&next, None))
            .delete(keys.due(due));
        if let Some(due) = next.due {
            batch = batch.put(keys.due(due), Bytes::new());
        }
        // A conflict means a commit came first: the row is there still, and
        // the next sweep comes back to it.
        let _: Commit = self.store.commit(batch).await?;
        Ok(())
    }
}

/// The last revision that may be dropped for its number: not one of the last
/// `keep_last`, and packed.
fn last_dropped(head: &Head, keep_last: u64) -> u64 {
    head.rev.saturating_sub(keep_last).min(head.packed.rev)
}

/// What is left of rows when some of their records go.
struct Shrunk {
    rows: Batch,
    dropped: u64,
    /// The last revision that went.
    last: u64,
    /// Whether a record stayed though it is not tagged: all behind it are
    /// younger.
    young: bool,
}

fn shrink(
    entries: &[Entry],
    goes: impl Fn(&Record) -> bool,
    threshold: Option<usize>,
) -> Result<Shrunk, CheckpointError> {
    let mut shrunk = Shrunk {
        rows: Batch::new(),
        dropped: 0,
        last: 0,
        young: false,
    };
    for entry in entries {
        let mut row: OldRow = old_row(entry)?;
        let before = row.records.len();
        let last = row
            .records
            .iter()
            .filter(|it| goes(it))
            .map(|it| it.rev)
            .max();
        row.records.retain(|it| !goes(it));
        shrunk.dropped += u64::try_from(before - row.records.len()).unwrap_or(u64::MAX);
        shrunk.last = shrunk.last.max(last.unwrap_or(0));
        shrunk.young |= before > 0 && last.is_none();
        if row.records.is_empty() {
            shrunk.rows = shrunk.rows.delete(entry.key.clone());
        } else if row.records.len() < before {
            let value = row::encode(&row, threshold);
            shrunk.rows = shrunk.rows.put(entry.key.clone(), value);
        }
    }
    Ok(shrunk)
}

/// Counts a step; `true` if the limit is reached instead.
pub(crate) fn step_over(report: &mut SweepReport, limit: usize) -> bool {
    if report.scanned >= limit {
        report.truncated = true;
        return true;
    }
    report.scanned += 1;
    false
}
