//! Winding up what hangs below a session that ended: upkeep's part of a tree.
//!
//! Closing a session is one commit whatever is below it; nothing below can be
//! used from then on. Upkeep follows later: it marks the children ended, level
//! by level, which frees their agents' indexes, and sees to it that every rest
//! is where it belongs before the records go.

use bytes::Bytes;
use windlass_core::{Coded, ErrorKind, Millis, SessionId};
use windlass_store::limits::READ_SCANS_MAX;
use windlass_store::{Batch, Commit, Entry, Scan};

use crate::engine::Engine;
use crate::error::SessionError;
use crate::keys::{SessionKeys, named};
use crate::limits::COMMIT_DELETES_MAX;
use crate::list::Unreadable;
use crate::record::Ended;
use crate::rules::{Change, due_after_end};
use crate::sweep::{End, Subject, SweepReport, delete_all, step_over};

impl Engine {
    /// Ends what is below `subject`, which has ended, and brings its rest
    /// home; `true` if more is due for it now.
    pub(crate) async fn wind_up(
        &self,
        subject: &mut Subject,
        now: Millis,
        limit: usize,
        end: End<'_>,
        report: &mut SweepReport,
    ) -> Result<bool, SessionError> {
        if !self.end_children(subject, limit, end, report).await? {
            return Ok(false);
        }
        self.bring_home(subject).await?;
        let mut next = self.next_head(subject)?;
        next.wound_up = true;
        let ended = next.ended.map_or(next.at, Ended::at);
        next.due = due_after_end(&subject.spec, &next, ended, self.terms());
        let mut batch = Batch::new();
        if next.due != subject.head.due {
            batch = batch
                .delete(subject.keys.due(subject.head.due))
                .put(subject.keys.due(next.due), Bytes::new());
        }
        let applied = self.rewrite(subject, next, batch).await?;
        report.truncated |= !applied;
        Ok(applied && subject.head.due.has_passed(now))
    }

    /// Takes back what is below, and gives what is left to the parent.
    pub(crate) async fn bring_home(&self, subject: &mut Subject) -> Result<(), SessionError> {
        if subject.head.delegated > 0 {
            self.gather(&subject.keys).await?;
        }
        if let Some(parent) = &subject.spec.parent {
            self.gather(&subject.keys.other(parent)).await?;
        }
        if let Some(found) = self.subject(&subject.keys).await? {
            *subject = found;
        }
        Ok(())
    }

    /// Marks the children ended that are not; `false` if the limit came first.
    async fn end_children(
        &self,
        subject: &Subject,
        limit: usize,
        end: End<'_>,
        report: &mut SweepReport,
    ) -> Result<bool, SessionError> {
        let Some(ended) = subject.head.ended else {
            return Ok(false);
        };
        let mut scan = Scan::new(subject.keys.children()).keys();
        loop {
            let pages = self.store.read(std::slice::from_ref(&scan)).await?;
            let page = pages.into_iter().next().unwrap_or_default();
            for rows in page.entries.chunks(READ_SCANS_MAX) {
                for child in self.open_children(&subject.keys, rows, report).await? {
                    if step_over(report, limit) {
                        return Ok(false);
                    }
                    end(child, Change::Cut(ended.at())).await?;
                    report.closed += 1;
                }
            }
            match page.entries.last() {
                Some(last) if page.more => scan = scan.after(&last.key),
                _ => return Ok(true),
            }
        }
    }

    /// Those of some children that are not marked ended. One that cannot be
    /// read is reported and hinders no other.
    async fn open_children(
        &self,
        keys: &SessionKeys,
        rows: &[Entry],
        report: &mut SweepReport,
    ) -> Result<Vec<SessionKeys>, SessionError> {
        let ids = rows.iter().filter_map(|row| named(&row.key));
        let mut open = Vec::new();
        for id in ids {
            let child = keys.other(&id);
            match self.load_alone(&child).await {
                Ok(Some(found)) if found.head.ended.is_none() => open.push(child),
                Ok(_) => {}
                Err(error) => report.unreadable.push(unreadable(id, error)?),
            }
        }
        Ok(open)
    }

    /// Whether no record of a child is left that could be used again if the
    /// session's id were; what cannot be read cannot be used either.
    pub(crate) async fn is_leaf(&self, subject: &Subject) -> Result<bool, SessionError> {
        let mut scan = Scan::new(subject.keys.children()).keys();
        loop {
            let pages = self.store.read(std::slice::from_ref(&scan)).await?;
            let page = pages.into_iter().next().unwrap_or_default();
            let mut stale = Batch::new();
            for row in &page.entries {
                if let Some(id) = named(&row.key)
                    && let Ok(Some(_)) = self.load_alone(&subject.keys.other(&id)).await
                {
                    return Ok(false);
                }
                stale = stale.delete(row.key.clone());
            }
            let Some(last) = page.entries.last() else {
                self.forget_returns(subject).await?;
                return Ok(true);
            };
            scan = scan.after(&last.key);
            // Only rows of a session that takes no more children.
            let _: Commit = self.store.commit(stale).await?;
        }
    }

    /// Drops what is noted of children that may give something back. Without
    /// a child left nobody does, and nobody writes such a note again.
    async fn forget_returns(&self, subject: &Subject) -> Result<(), SessionError> {
        let mut scan = Scan::new(subject.keys.all_back())
            .keys()
            .limit(COMMIT_DELETES_MAX);
        loop {
            let pages = self.store.read(std::slice::from_ref(&scan)).await?;
            let rows: Vec<Entry> = pages.into_iter().flat_map(|page| page.entries).collect();
            let Some(last) = rows.last() else {
                return Ok(());
            };
            scan = scan.after(&last.key);
            let batch = delete_all(rows.into_iter().map(|row| row.key));
            let _: Commit = self.store.commit(batch).await?;
        }
    }
}

fn unreadable(id: SessionId, error: SessionError) -> Result<Unreadable, SessionError> {
    match error.kind() {
        ErrorKind::Corrupt => Ok(Unreadable {
            id,
            why: error.to_string(),
        }),
        _ => Err(error),
    }
}
