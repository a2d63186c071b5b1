//! Upkeep: forgetting what was finished a day ago, and queues that are empty.
//!
//! What is due is found through an index by time, so a sweep costs what has
//! become due, not what exists. Every commit is bounded and leaves a state
//! from which the next sweep goes on. Nothing waits for upkeep: a claim that
//! ran out can be taken without it.

use bytes::Bytes;
use serde::Serialize;
use windlass_core::{Coded, ErrorKind, Millis, SessionId, WriterId};
use windlass_store::{Batch, Commit, Entry, Expect, StoreExt, Version};

use crate::engine::Engine;
use crate::error::QueueError;
use crate::keys::{DuePart, QueueKeys, due_until, operation, parse_due};
use crate::limits::{KEPT_MS, PASSED_ROWS_MAX};
use crate::queue::Queue;
use crate::record::{Head, Note, SourceRow, UntilRow, decode, encode};

/// What one sweep did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SweepReport {
    /// Steps taken: rows of the index looked at, and commits beyond the first
    /// for one row.
    pub scanned: usize,
    /// Operation records dropped.
    pub operations_removed: u64,
    /// Source keys of finished work forgotten.
    pub sources_removed: u64,
    /// Queues removed that had been empty for a day.
    pub queues_removed: u64,
    /// Records of session leases removed that nobody had held for a day.
    pub leases_removed: u64,
    /// Whether work that is due is left, or may be: not every row of the index
    /// was looked at.
    pub truncated: bool,
    /// Queues whose records cannot be read, and why; they are left alone.
    pub unreadable: Vec<(SessionId, String)>,
}

/// A due queue with its head.
struct Subject {
    keys: QueueKeys,
    head: Head,
    version: Version,
}

impl Queue {
    /// Does what upkeep is due, in all tenants, in at most `limit` steps, and
    /// reports it: forgets operation ids, and source keys of work that was
    /// finished, after a day; removes queues and leases that were idle for a
    /// day. Safe to run anywhere, any time, also in several processes.
    ///
    /// What is due for other parts is passed over: at most 4,096 rows of it,
    /// or `limit` if that is more. A sweep that ends there says so, and the
    /// next one in this process goes on from there.
    ///
    /// # Errors
    ///
    /// The store's failures; what was done before stays done.
    pub async fn sweep(&self, limit: usize) -> Result<SweepReport, QueueError> {
        let engine = self.engine();
        let mut report = SweepReport::default();
        let now = engine.env.now();
        let mut passed = 0;
        let mut walk = engine.bookmark.walk(due_until(now));
        while let Some(rows) = walk.next(&*engine.store).await? {
            for row in &rows {
                // Rows of other parts are theirs to see to.
                let Some((time, part, keys)) = parse_due(&row.key) else {
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
                engine
                    .visit(row, (time, part), &keys, limit, &mut report)
                    .await?;
                self.forget_keys(&keys);
            }
        }
        Ok(report)
    }
}

impl Engine {
    async fn visit(
        &self,
        row: &Entry,
        (time, part): (Millis, DuePart),
        keys: &QueueKeys,
        limit: usize,
        report: &mut SweepReport,
    ) -> Result<(), QueueError> {
        let done = match part {
            DuePart::Queue => self.visit_queue(row, time, keys, limit, report).await,
            DuePart::Lease => self.visit_lease(row, time, keys, report).await,
        };
        match done {
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                let why = error.to_string();
                report.unreadable.push((keys.session.clone(), why));
                Ok(())
            }
            other => other,
        }
    }

    async fn visit_queue(
        &self,
        row: &Entry,
        time: Millis,
        keys: &QueueKeys,
        limit: usize,
        report: &mut SweepReport,
    ) -> Result<(), QueueError> {
        let Some(mut subject) = self.subject(keys).await? else {
            return self.drop_row(row).await;
        };
        if subject.head.removing {
            self.remove(keys).await?;
            report.queues_removed += 1;
            return Ok(());
        }
        if subject.head.due != time {
            // The queue moved on: only the index row is left.
            return self.drop_row(row).await;
        }
        while self.tidy(&mut subject, report).await? {
            if step_over(report, limit) {
                return Ok(());
            }
        }
        Ok(())
    }

    async fn subject(&self, keys: &QueueKeys) -> Result<Option<Subject>, QueueError> {
        let Some(entry) = self.store.get(keys.head()).await? else {
            return Ok(None);
        };
        Ok(Some(Subject {
            keys: keys.clone(),
            head: decode("queue head", &entry.value)?,
            version: entry.version,
        }))
    }

    async fn drop_row(&self, row: &Entry) -> Result<(), QueueError> {
        let batch = Batch::new()
            .check(row.key.clone(), Expect::Version(row.version))
            .delete(row.key.clone());
        // A conflict means that somebody else has seen to it.
        let _: Commit = self.store.commit(batch).await?;
        Ok(())
    }

    /// One commit that forgets old notes, or removes an idle queue; `true`
    /// while there is more to do.
    async fn tidy(
        &self,
        subject: &mut Subject,
        report: &mut SweepReport,
    ) -> Result<bool, QueueError> {
        let now = self.env.now();
        let head = &subject.head;
        let notes = head.notes;
        if notes.gone < notes.last {
            return self.forget_note(subject, now, report).await;
        }
        let idle = head.pending() == 0 && head.dead == 0;
        let over = head.at.plus_ms(KEPT_MS).has_passed(now) && head.token < now.get();
        if idle && over {
            return self.remove_idle(subject, report).await;
        }
        let due = now.max(head.at).plus_ms(KEPT_MS);
        self.list_again(subject, due, Batch::new(), None, report)
            .await?;
        Ok(false)
    }

    /// Forgets what the oldest note names, or comes back when it is time.
    async fn forget_note(
        &self,
        subject: &mut Subject,
        now: Millis,
        report: &mut SweepReport,
    ) -> Result<bool, QueueError> {
        let number = subject.head.notes.gone + 1;
        let key = subject.keys.note(number);
        let entry = self.store.get(key.clone()).await?;
        let missing = || QueueError::corrupt("queue note", "it is missing");
        let note: Note = decode("queue note", &entry.ok_or_else(missing)?.value)?;
        let end = note.at.plus_ms(KEPT_MS);
        if !end.has_passed(now) {
            self.list_again(subject, end, Batch::new(), None, report)
                .await?;
            return Ok(false);
        }
        let mut batch = Batch::new().delete(key);
        for (principal, id) in &note.ops {
            batch = batch.delete(operation(&subject.keys.tenant, principal, id));
        }
        let forgotten = self.forgotten_sources(subject, &note, now).await?;
        for key in &forgotten {
            batch = batch.delete(key.clone());
        }
        let due = subject.head.due;
        let gone = Some(number);
        let applied = self.list_again(subject, due, batch, gone, report).await?;
        if applied {
            report.operations_removed += count(note.ops.len());
            report.sources_removed += count(forgotten.len());
        }
        Ok(applied)
    }

    /// Those of a note's source keys that still stand for what was finished
    /// then. The commit's check of the head covers what was read here.
    async fn forgotten_sources(
        &self,
        subject: &Subject,
        note: &Note,
        now: Millis,
    ) -> Result<Vec<Bytes>, QueueError> {
        let mut forgotten = Vec::new();
        for source in &note.sources {
            let key = subject.keys.source(source);
            if forgotten.contains(&key) {
                continue;
            }
            let Some(entry) = self.store.get(key.clone()).await? else {
                continue;
            };
            let row: SourceRow = decode("source record", &entry.value)?;
            let finished = row.finished.map(|at| at.plus_ms(KEPT_MS));
            if finished.is_some_and(|end| end.has_passed(now)) {
                forgotten.push(key);
            }
        }
        Ok(forgotten)
    }

    /// Commits `batch` with a head that is due at `due`; `false` if somebody
    /// else changed the queue meanwhile, which the next sweep will look at.
    async fn list_again(
        &self,
        subject: &mut Subject,
        due: Millis,
        mut batch: Batch,
        gone: Option<u64>,
        report: &mut SweepReport,
    ) -> Result<bool, QueueError> {
        let keys = subject.keys.clone();
        let mut next = self.next_head(&subject.head)?;
        next.notes.gone = gone.unwrap_or(next.notes.gone);
        if due != next.due {
            batch = batch
                .delete(keys.due(next.due))
                .put(keys.due(due), Bytes::new());
            next.due = due;
        }
        let batch = batch
            .check(keys.head(), Expect::Version(subject.version))
            .put(keys.head(), encode(&next));
        match self.store.commit(batch).await? {
            Commit::Applied(version) => {
                subject.head = next;
                subject.version = version;
                Ok(true)
            }
            Commit::Conflict { .. } => {
                report.truncated = true;
                Ok(false)
            }
        }
    }

    pub(crate) fn next_head(&self, head: &Head) -> Result<Head, QueueError> {
        let mut next = head.clone();
        next.rev += 1;
        next.by.note(&WriterId::draw(self.env.as_ref())?, next.rev);
        Ok(next)
    }

    async fn remove_idle(
        &self,
        subject: &Subject,
        report: &mut SweepReport,
    ) -> Result<bool, QueueError> {
        let keys = &subject.keys;
        let batch = Batch::new()
            .check(keys.head(), Expect::Version(subject.version))
            .delete(keys.head())
            .delete(keys.due(subject.head.due));
        match self.store.commit(batch).await? {
            Commit::Applied(_) => report.queues_removed += 1,
            Commit::Conflict { .. } => report.truncated = true,
        }
        Ok(false)
    }

    /// Removes a lease's records once nobody has held it for a day. A
    /// generation begins with the time, so none comes again.
    async fn visit_lease(
        &self,
        row: &Entry,
        time: Millis,
        keys: &QueueKeys,
        report: &mut SweepReport,
    ) -> Result<(), QueueError> {
        let Some((holder, until)) = self.lease_rows(keys).await? else {
            return self.drop_row(row).await;
        };
        if until.0.due != time {
            return self.drop_row(row).await;
        }
        let now = self.env.now();
        let end = until.0.until.plus_ms(KEPT_MS);
        let batch = Batch::new()
            .check(keys.lease_until(), Expect::Version(until.1))
            .delete(keys.lease_due(time));
        if !end.has_passed(now) || holder.0.generation >= now.get() {
            let due = end.max(now.plus_ms(1));
            // The holder's row stays as it is: others are bound to it.
            let next = UntilRow { due, ..until.0 };
            let batch = batch
                .put(keys.lease_until(), encode(&next))
                .put(keys.lease_due(due), Bytes::new());
            // A conflict means that somebody else has seen to it.
            let _: Commit = self.store.commit(batch).await?;
            return Ok(());
        }
        let batch = batch
            .check(keys.lease_holder(), Expect::Version(holder.1))
            .delete(keys.lease_holder())
            .delete(keys.lease_until());
        match self.store.commit(batch).await? {
            Commit::Applied(_) => report.leases_removed += 1,
            Commit::Conflict { .. } => report.truncated = true,
        }
        Ok(())
    }
}

/// Whether the sweep has used up its limit; otherwise counts one more step.
fn step_over(report: &mut SweepReport, limit: usize) -> bool {
    if report.scanned >= limit {
        report.truncated = true;
        return true;
    }
    report.scanned += 1;
    false
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
