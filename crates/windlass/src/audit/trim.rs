//! Forgetting the oldest events.
//!
//! One commit removes some of them and leaves their last hash in the head, as
//! the anchor: what is kept still verifies, from its first event on. Events
//! that cannot be read are evidence, and are left where they are.

use serde::Serialize;
use windlass_core::{Coded, ErrorKind, Millis, back_off};
use windlass_store::{Batch, Commit, Entry, Expect, Scan};

use super::chain::{Chain, ChainHash, split};
use super::error::AuditError;
use super::event::decode;
use super::layout;
use super::limits::{ROUNDS_MAX, TRIM_EVENTS_MAX, TRIM_ROWS_READ};
use super::record::Head;
use super::shelf::{Attempt, Shelf, head_of};

/// Rows of due work of other parts that one round passes over.
const PASSED_ROWS_MAX: usize = 4_096;

/// What a round of upkeep of the audit did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct AuditReport {
    /// Events that were forgotten.
    pub trimmed: u64,
    /// Whether there may be more to do.
    pub truncated: bool,
    /// Chains that could not be trimmed, with the reason.
    pub unreadable: Vec<(String, String)>,
}

/// What one look at a chain came to.
enum Trimmed {
    /// So many events went, and more could.
    Some(u64),
    /// So many went, and no more can for now.
    All(u64),
}

impl Shelf {
    /// Trims chains that are due, in at most `limit` steps.
    pub(super) async fn sweep(&self, limit: usize) -> Result<AuditReport, AuditError> {
        let mut report = AuditReport::default();
        let (mut steps, mut passed) = (limit, 0);
        let mut walk = self.bookmark.walk(layout::due_until(self.env.now()));
        while let Some(rows) = walk.next(&*self.store).await? {
            for row in &rows {
                let Some((time, chain)) = layout::parse_due(&row.key) else {
                    passed += 1;
                    if passed > PASSED_ROWS_MAX.max(limit) {
                        report.truncated |= walk.stop_among_others(&row.key);
                        return Ok(report);
                    }
                    continue;
                };
                if !self.trim_all(time, &chain, &mut steps, &mut report).await? {
                    walk.stop_at(&row.key);
                    report.truncated = true;
                    return Ok(report);
                }
            }
        }
        Ok(report)
    }

    /// Trims one chain; whether as far as it goes, and not only for as many
    /// steps as there are left.
    async fn trim_all(
        &self,
        time: Millis,
        chain: &Chain,
        steps: &mut usize,
        report: &mut AuditReport,
    ) -> Result<bool, AuditError> {
        while *steps > 0 {
            *steps -= 1;
            match self.trim(time, chain).await {
                Ok(Trimmed::Some(events)) => report.trimmed += events,
                Ok(Trimmed::All(events)) => {
                    report.trimmed += events;
                    return Ok(true);
                }
                Err(error) if error.kind() == ErrorKind::Corrupt => {
                    let why = error.to_string();
                    report.unreadable.push((chain.to_string(), why));
                    return Ok(true);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }

    /// Forgets what may go of a chain, up to one commit's worth.
    async fn trim(&self, time: Millis, chain: &Chain) -> Result<Trimmed, AuditError> {
        for lost in 0..ROUNDS_MAX {
            back_off(self.env.as_ref(), lost).await?;
            let scans = [
                Scan::point(layout::head(chain)),
                Scan::new(layout::events(chain)).limit(TRIM_ROWS_READ),
            ];
            let pages = self.store.read(&scans).await?;
            let (head, expect) = head_of(chain, pages[0].entries.first())?;
            if head.due != Some(time) || expect == Expect::Absent {
                self.drop_due(time, chain, expect).await?;
                return Ok(Trimmed::All(0));
            }
            let (batch, next, gone) = self.plan_trim(chain, &head, expect, &pages[1].entries)?;
            if let Attempt::Applied = self.commit(chain, batch, &next).await? {
                return Ok(match next.due == Some(time) {
                    true => Trimmed::Some(gone),
                    false => Trimmed::All(gone),
                });
            }
        }
        Err(AuditError::Busy)
    }

    /// The commit that forgets what may go of the oldest `rows`, the head that
    /// it leaves, and how many go.
    fn plan_trim(
        &self,
        chain: &Chain,
        head: &Head,
        expect: Expect,
        rows: &[Entry],
    ) -> Result<(Batch, Head, u64), AuditError> {
        let excess = self
            .keep
            .events
            .map_or(0, |max| head.events().saturating_sub(max));
        let mut next = head.clone();
        let mut batch = Batch::new().check(layout::head(chain), expect);
        let mut due = None;
        for row in rows {
            let (hash, at) = read(row, next.first)?;
            let gone = next.first - head.first;
            let ends = self.keep.ms.map(|ms| at.plus_ms(ms));
            let may_go = gone < excess || ends.is_some_and(|end| end.has_passed(self.env.now()));
            if gone == TRIM_EVENTS_MAX || !may_go {
                due = if may_go { head.due } else { ends };
                break;
            }
            next.anchor = hash;
            next.first += 1;
            batch = batch.delete(row.key.clone());
        }
        let gone = next.first - head.first;
        let (batch, next) = self.rewrite(chain, batch, head, next, due);
        Ok((batch, next, gone))
    }

    /// Drops a row of due work that no head stands behind.
    async fn drop_due(
        &self,
        time: Millis,
        chain: &Chain,
        expect: Expect,
    ) -> Result<(), AuditError> {
        let head = layout::head(chain);
        let mut batch = Batch::new().delete(layout::due(time, chain));
        if expect != Expect::Absent {
            batch = batch.check(head, expect);
        }
        // A lost race means that somebody else has seen to it.
        let _: Commit = self.store.commit(batch).await?;
        Ok(())
    }
}

/// The hash and the time of the event that a row holds, which is number `seq`.
fn read(row: &Entry, seq: u64) -> Result<(ChainHash, Millis), AuditError> {
    let (hash, text) = split(&row.value).ok_or_else(|| unreadable(seq))?;
    let (found, event) = decode(text).ok_or_else(|| unreadable(seq))?;
    if found != seq || layout::seq_of(&row.key) != Some(seq) {
        return Err(unreadable(seq));
    }
    Ok((hash, event.at))
}

fn unreadable(seq: u64) -> AuditError {
    AuditError::Corrupt {
        what: "event",
        why: format!("number {seq} is not where it should be; `audit verify` says more"),
    }
}
