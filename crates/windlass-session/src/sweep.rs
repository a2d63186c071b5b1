//! Upkeep: marking what expired, dropping operation records of ended
//! sessions, removing sessions whose retention is over.
//!
//! What is due is found through an index by time, so a sweep costs what has
//! become due, not what exists. Every commit is bounded and leaves a state
//! from which the next sweep goes on.

use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use windlass_core::{BoxFuture, Coded, ErrorKind, Millis};
use windlass_store::{Batch, Commit, Entry, Expect, Scan, Version};

use crate::close::Forget;
use crate::engine::{Cut, Engine, agent_keys, too_few};
use crate::error::SessionError;
use crate::keys::{SessionKeys, due_until, parse_due};
use crate::limits::{COMMIT_DELETES_MAX, OPERATION_MS, PASSED_ROWS_MAX};
use crate::list::Unreadable;
use crate::operation::key_of_label;
use crate::record::{AgentHead, Ended, EventRow, Head, Spec, decode, encode};
use crate::rules::{Change, due_after_end, needs_winding_up};
use crate::writers::WriterId;

/// What one sweep did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SweepReport {
    /// Steps taken: rows of the index looked at, and commits beyond the
    /// first for one row.
    pub scanned: usize,
    /// Sessions marked expired.
    pub expired: u64,
    /// Sessions marked ended because one above them was.
    pub closed: u64,
    /// Sessions removed with everything that belonged to them.
    pub removed: u64,
    /// Operation records dropped.
    pub operations_removed: u64,
    /// Whether work that is due is left, or may be: not every row of the
    /// index was looked at.
    pub truncated: bool,
    /// Sessions whose records cannot be read; they are left alone.
    pub unreadable: Vec<Unreadable>,
}

/// A due session with its records.
pub(crate) struct Subject {
    pub(crate) keys: SessionKeys,
    pub(crate) head: Head,
    pub(crate) version: Version,
    pub(crate) spec: Arc<Spec>,
    /// When one above it was closed while its own time was not over.
    pub(crate) cut_at: Option<Millis>,
}

/// A row of the index of due work, and what its key says.
struct Due<'a> {
    row: &'a Entry,
    time: Millis,
    keys: SessionKeys,
}

/// What has to be done about a due session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Task {
    Expire,
    WindUp,
    DropOperations,
    Remove,
}

/// Sessions to be marked ended go through their cells, like every change of
/// an active session.
pub(crate) type End<'a> =
    &'a (dyn Fn(SessionKeys, Change) -> BoxFuture<'a, Result<(), SessionError>> + Sync);

/// What takes along whatever else belongs to a session, before its last rows
/// go; `false` if it could not, and the session has to wait.
pub(crate) type Leave<'a> = &'a (dyn Fn(SessionKeys) -> BoxFuture<'a, bool> + Sync);

impl Engine {
    pub(crate) async fn sweep(
        &self,
        limit: usize,
        end: End<'_>,
        leave: Leave<'_>,
        forget: Forget<'_>,
    ) -> Result<SweepReport, SessionError> {
        let mut report = SweepReport::default();
        let now = self.env.now();
        let mut passed = 0;
        let mut walk = self.bookmark.walk(due_until(now));
        while let Some(rows) = walk.next(&*self.store).await? {
            for row in &rows {
                // Rows of other parts are theirs to see to.
                let Some((time, keys)) = parse_due(&row.key) else {
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
                let due = Due { row, time, keys };
                self.visit(&due, now, limit, (end, leave), &mut report)
                    .await?;
                forget(&due.keys);
            }
        }
        Ok(report)
    }

    /// Sees to the session of one row.
    async fn visit(
        &self,
        due: &Due<'_>,
        now: Millis,
        limit: usize,
        hooks: (End<'_>, Leave<'_>),
        report: &mut SweepReport,
    ) -> Result<(), SessionError> {
        let done = match self.subject(&due.keys).await {
            Ok(Some(subject)) if subject.head.due == due.time => {
                self.work(subject, now, limit, hooks, report).await
            }
            // The session moved on, or is gone: only the index row is left.
            Ok(_) => self.drop_row(due.row).await,
            Err(error) => Err(error),
        };
        match done {
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                report.unreadable.push(Unreadable {
                    id: due.keys.id.clone(),
                    why: error.to_string(),
                });
                Ok(())
            }
            other => other,
        }
    }

    pub(crate) async fn subject(
        &self,
        keys: &SessionKeys,
    ) -> Result<Option<Subject>, SessionError> {
        let found = self.load_any(keys).await?;
        Ok(found.map(|loaded| Subject {
            keys: keys.clone(),
            head: loaded.head,
            version: loaded.version,
            spec: loaded.spec,
            cut_at: loaded.cut.as_ref().and_then(Cut::closed_at),
        }))
    }

    async fn drop_row(&self, row: &Entry) -> Result<(), SessionError> {
        let batch = Batch::new()
            .check(row.key.clone(), Expect::Version(row.version))
            .delete(row.key.clone());
        // A conflict means that somebody else has seen to it.
        let _: Commit = self.store.commit(batch).await?;
        Ok(())
    }

    async fn work(
        &self,
        mut subject: Subject,
        now: Millis,
        limit: usize,
        (end, leave): (End<'_>, Leave<'_>),
        report: &mut SweepReport,
    ) -> Result<(), SessionError> {
        if self.task(&subject, now) == Task::Expire {
            // What is above it may not have come to be wound up yet.
            let (change, counted) = match subject.cut_at {
                Some(at) => (Change::Cut(at), &mut report.closed),
                None => (Change::Expire, &mut report.expired),
            };
            end(subject.keys.clone(), change).await?;
            *counted += 1;
            match self.due_again(&subject, now).await? {
                Some(again) if !step_over(report, limit) => subject = again,
                Some(_) | None => return Ok(()),
            }
        }
        loop {
            let more = match self.task(&subject, now) {
                Task::Expire => false,
                Task::WindUp => self.wind_up(&mut subject, now, limit, end, report).await?,
                Task::DropOperations => self.drop_operations(&mut subject, report).await?,
                Task::Remove => self.remove(&mut subject, leave, report).await?,
            };
            if !more || step_over(report, limit) {
                return Ok(());
            }
        }
    }

    /// A session just marked expired, if that was so long ago that there is
    /// more to do about it.
    async fn due_again(
        &self,
        subject: &Subject,
        now: Millis,
    ) -> Result<Option<Subject>, SessionError> {
        let soonest = self.config.retention_ms.min(OPERATION_MS);
        let next = subject.spec.expires_at().plus_ms(soonest);
        if !next.has_passed(now) && !needs_winding_up(&subject.spec, &subject.head) {
            return Ok(None);
        }
        let found = self.subject(&subject.keys).await?;
        Ok(found.filter(|found| found.head.ended.is_some() && found.head.due.has_passed(now)))
    }

    fn task(&self, subject: &Subject, now: Millis) -> Task {
        match subject.head.ended {
            None => Task::Expire,
            Some(Ended::Removing(_)) => Task::Remove,
            Some(_) if needs_winding_up(&subject.spec, &subject.head) => Task::WindUp,
            Some(ended) if ended.at().plus_ms(self.config.retention_ms).has_passed(now) => {
                Task::Remove
            }
            Some(_) => Task::DropOperations,
        }
    }

    /// One commit that drops operation records; `true` while some are left.
    async fn drop_operations(
        &self,
        subject: &mut Subject,
        report: &mut SweepReport,
    ) -> Result<bool, SessionError> {
        let scan = subject
            .keys
            .events_after(subject.head.kept.saturating_sub(1));
        let bite = self.bite(subject, &scan).await?;
        let mut next = self.next_head(subject)?;
        next.kept = bite.next;
        next.ops = bite.more;
        if !bite.more {
            let ended = next.ended.map_or(next.at, Ended::at);
            next.due = due_after_end(&subject.spec, &next, ended, self.terms());
        }
        let mut batch = delete_all(bite.operations.iter().cloned());
        if next.due != subject.head.due {
            batch = batch
                .delete(subject.keys.due(subject.head.due))
                .put(subject.keys.due(next.due), Bytes::new());
        }
        let count = bite.operations.len();
        let applied = self.rewrite(subject, next, batch).await?;
        report.truncated |= !applied;
        if applied {
            report.operations_removed += u64::try_from(count).unwrap_or(u64::MAX);
        }
        Ok(applied && bite.more)
    }

    /// One commit of a removal; `true` while rows are left. The session is
    /// gone for everybody from the first one on.
    async fn remove(
        &self,
        subject: &mut Subject,
        leave: Leave<'_>,
        report: &mut SweepReport,
    ) -> Result<bool, SessionError> {
        if !self.is_leaf(subject).await? {
            report.truncated = true;
            return Ok(false);
        }
        let in_tree = subject.spec.parent.is_some() && !subject.spec.shared;
        if in_tree && !subject.head.is_accounted_for() {
            self.bring_home(subject).await?;
        }
        let scan = Scan::new(subject.keys.events());
        let bite = self.bite(subject, &scan).await?;
        if !bite.more && !leave(subject.keys.clone()).await {
            report.truncated = true;
            return Ok(false);
        }
        let mut batch = delete_all(bite.operations.iter().chain(&bite.rows).cloned());
        let count = u64::try_from(bite.operations.len()).unwrap_or(u64::MAX);
        let applied = if bite.more {
            let mut next = self.next_head(subject)?;
            next.ended = Some(Ended::Removing(next.ended.map_or(next.at, Ended::at)));
            next.kept = next.kept.max(bite.next);
            self.rewrite(subject, next, batch).await?
        } else {
            let applied = match self.last_rows(subject).await? {
                Some(rows) => {
                    batch.append(rows);
                    matches!(self.store.commit(batch).await?, Commit::Applied(_))
                }
                None => false,
            };
            report.removed += u64::from(applied);
            applied
        };
        report.truncated |= !applied;
        if applied {
            report.operations_removed += count;
        }
        Ok(applied && bite.more)
    }

    /// As many event rows as one commit can deal with, and the operation
    /// records that belong to them.
    async fn bite(&self, subject: &Subject, scan: &Scan) -> Result<Bite, SessionError> {
        let pages = self.store.read(std::slice::from_ref(scan)).await?;
        let page = pages.into_iter().next().unwrap_or_default();
        let mut bite = Bite {
            next: subject.head.kept.max(1),
            more: page.more,
            ..Bite::default()
        };
        if subject.head.kept == 0 {
            let creation = subject.spec.operation.as_deref();
            bite.operations
                .extend(creation.and_then(|label| key_of_label(&subject.keys.tenant, label)));
        }
        for row in page.entries {
            if bite.rows.len() + bite.operations.len() >= COMMIT_DELETES_MAX {
                bite.more = true;
                break;
            }
            let first = subject
                .keys
                .first_event(&row.key)
                .ok_or_else(|| bad_key(&row))?;
            let events = decode::<EventRow<'static>>("event row", &row.value)?.events;
            let count = u64::try_from(events.len()).unwrap_or(u64::MAX);
            if first >= subject.head.kept {
                let labels = events.iter().filter_map(|event| event.operation.as_deref());
                bite.operations
                    .extend(labels.filter_map(|label| key_of_label(&subject.keys.tenant, label)));
                bite.next = first + count;
            }
            bite.rows.push(row.key);
        }
        Ok(bite)
    }

    pub(crate) fn next_head(&self, subject: &Subject) -> Result<Head, SessionError> {
        let writer = WriterId::draw(self.env.as_ref())?;
        let mut next = subject.head.clone();
        next.rev += 1;
        next.by.note(&writer, next.rev);
        Ok(next)
    }

    /// Commits `batch` together with the next head; `false` if somebody else
    /// changed the session meanwhile, which the next sweep will look at.
    pub(crate) async fn rewrite(
        &self,
        subject: &mut Subject,
        next: Head,
        batch: Batch,
    ) -> Result<bool, SessionError> {
        let key = subject.keys.head();
        let batch = batch
            .check(key.clone(), Expect::Version(subject.version))
            .put(key, encode(&next));
        match self.store.commit(batch).await? {
            Commit::Applied(version) => {
                subject.head = next;
                subject.version = version;
                Ok(true)
            }
            Commit::Conflict { .. } => Ok(false),
        }
    }

    /// The deletion of what is left of a session without events; `None` if
    /// somebody else has changed it.
    async fn last_rows(&self, subject: &Subject) -> Result<Option<Batch>, SessionError> {
        let keys = &subject.keys;
        let agent = agent_keys(keys, &subject.spec.agent);
        let beside = self.agent_head_beside(keys, subject.version, &agent);
        let Some((head, version)) = beside.await? else {
            return Ok(None);
        };
        let sessions = head.sessions.checked_sub(1).ok_or_else(too_few)?;
        let rev = head.rev + 1;
        let mut next = AgentHead {
            sessions,
            rev,
            ..head
        };
        next.by.note(&WriterId::draw(self.env.as_ref())?, rev);
        let created = subject.spec.created_at;
        let agent_head = agent.head();
        let batch = Batch::new().check(agent_head.clone(), Expect::Version(version));
        // An agent without sessions is not worth a row.
        let batch = if sessions == 0 {
            batch.delete(agent_head)
        } else {
            batch.put(agent_head, encode(&next))
        };
        let rows = batch
            .check(keys.head(), Expect::Version(subject.version))
            .delete(keys.head())
            .delete(keys.spec())
            .delete(keys.due(subject.head.due))
            .delete(keys.created(created))
            .delete(agent.created(created, &keys.id));
        let Some(parent) = subject.spec.parent.as_ref().map(|id| keys.other(id)) else {
            return Ok(Some(rows));
        };
        let expires = subject.spec.indexed_at();
        Ok(Some(
            rows.delete(parent.child(&keys.id))
                .delete(parent.back(expires, &keys.id)),
        ))
    }
}

/// What one commit of the upkeep of a session deals with.
#[derive(Debug, Default)]
struct Bite {
    rows: Vec<Bytes>,
    operations: Vec<Bytes>,
    /// The first event not dealt with.
    next: u64,
    more: bool,
}

pub(crate) fn delete_all(keys: impl Iterator<Item = Bytes>) -> Batch {
    keys.fold(Batch::new(), Batch::delete)
}

/// Whether the sweep has used up its limit; otherwise counts one more commit.
pub(crate) fn step_over(report: &mut SweepReport, limit: usize) -> bool {
    if report.scanned >= limit {
        report.truncated = true;
        return true;
    }
    report.scanned += 1;
    false
}

fn bad_key(row: &Entry) -> SessionError {
    let length = row.key.len();
    SessionError::corrupt(
        "event row",
        format!("its key of {length} bytes has no number"),
    )
}
