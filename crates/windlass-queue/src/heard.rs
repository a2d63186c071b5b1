//! What the queue tells of changes to whoever keeps the audit.

use windlass_core::audit::Subject;
use windlass_core::{Act, Detail, Ear, SessionId, TenantId};

use crate::caller::Caller;
use crate::error::QueueError;
use crate::id::WorkId;
use crate::queue::Queue;
use crate::rules::Change;

/// What is told of a change, before it is known how it ends.
pub(crate) struct Heard {
    action: &'static str,
    detail: Detail,
    work: Option<WorkId>,
}

impl Heard {
    /// What is told of `change`.
    pub(crate) const fn of(change: &Change) -> Self {
        let (action, detail, work) = match change {
            Change::Enqueue(_) => ("queue.enqueued", Detail::Full, None),
            Change::Claim(_) => ("queue.claimed", Detail::Full, None),
            Change::Renew { .. } => ("queue.renewed", Detail::Full, None),
            Change::Settle(..) => ("queue.settled", Detail::Full, None),
            Change::Cancel(id) => ("queue.cancelled", Detail::Security, Some(*id)),
            Change::Retry(id) => ("queue.retried", Detail::Security, Some(*id)),
            Change::Drop(id) => ("queue.dropped", Detail::Security, Some(*id)),
        };
        Self {
            action,
            detail,
            work,
        }
    }

    pub(crate) fn tell<T>(
        &self,
        ear: &Ear,
        caller: &Caller,
        session: &SessionId,
        answer: &Result<T, QueueError>,
    ) {
        let on: &[Subject<'_>] = match &self.work {
            Some(work) => &[("session", session), ("work", work)],
            None => &[("session", session)],
        };
        let act = Act::new(
            self.action,
            Some(&caller.tenant),
            Some(&caller.principal),
            on,
        );
        let detail = self.detail;
        ear.tell(answer, &Act { detail, ..act });
    }
}

/// Tells of a queue that was removed, if there was one.
pub(crate) fn tell_of_removal(
    ear: &Ear,
    tenant: &TenantId,
    session: &SessionId,
    removed: &Result<u64, QueueError>,
) {
    let figures = [("rows", *removed.as_ref().unwrap_or(&0))];
    if matches!(removed, Ok(0)) {
        return;
    }
    let on: [Subject<'_>; 1] = [("session", session)];
    let act = Act::new("queue.removed", Some(tenant), None, &on);
    let figures = &figures;
    ear.tell(removed, &Act { figures, ..act });
}

impl Queue {
    /// The same queue, of whose changes `ear` hears. Those of a turn are told
    /// by whoever commits it.
    #[must_use]
    pub fn heard_by(mut self, ear: Ear) -> Self {
        self.ear = ear;
        self
    }
}
