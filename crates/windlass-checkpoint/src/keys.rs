//! Every key of a session's checkpoints. Those of its lineage, which hold the
//! blobs, are in `blob/keys.rs`.

use bytes::Bytes;
use windlass_core::{Millis, OperationId, PrincipalId, SessionId, TenantId};
use windlass_store::key::{Key, number, segments};
use windlass_store::{KeyRange, Scan};

use crate::model::TagName;

/// The first segment of the index of what upkeep has to look at.
pub(crate) const DUE: &str = "due";
/// The segment that all rows of this part have behind their tenant.
const PART: &str = "checkpoint";

/// The keys of one session's checkpoints.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct StateKeys {
    pub(crate) tenant: TenantId,
    pub(crate) session: SessionId,
}

impl StateKeys {
    pub(crate) fn new(tenant: &TenantId, session: &SessionId) -> Self {
        Self {
            tenant: tenant.clone(),
            session: session.clone(),
        }
    }

    /// The keys of another session of the same tenant.
    pub(crate) fn other(&self, session: &SessionId) -> Self {
        Self::new(&self.tenant, session)
    }

    pub(crate) fn base(&self) -> Key {
        Key::new(self.tenant.as_str())
            .text(PART)
            .text(self.session.as_str())
    }

    /// The record that every commit checks and rewrites.
    pub(crate) fn head(&self) -> Bytes {
        self.base().text("head").finish()
    }

    /// The row of one commit that is not packed yet.
    pub(crate) fn log(&self, revision: u64) -> Bytes {
        self.base().text("log").number(revision).finish()
    }

    pub(crate) fn logs(&self) -> KeyRange {
        KeyRange::prefix(self.base().text("log").below())
    }

    /// The rows of the commits of some revisions, first and last included.
    pub(crate) fn logs_within(&self, first: u64, last: u64) -> KeyRange {
        KeyRange::new(self.log(first), self.log(last.saturating_add(1)))
    }

    /// The row of packed commits, the first of which is `first`.
    pub(crate) fn old(&self, first: u64) -> Bytes {
        self.base().text("old").number(first).finish()
    }

    pub(crate) fn olds(&self) -> KeyRange {
        KeyRange::prefix(self.base().text("old").below())
    }

    /// The rows of packed commits up to the one that can hold `revision`,
    /// newest first.
    pub(crate) fn olds_until(&self, revision: u64) -> Scan {
        let start = self.base().text("old").below();
        Scan::new(KeyRange::new(start, self.old(revision.saturating_add(1)))).descending()
    }

    /// The segment of packed nodes, the first of which is `first`.
    pub(crate) fn node(&self, first: u64) -> Bytes {
        self.base().text("node").number(first).finish()
    }

    pub(crate) fn nodes(&self) -> KeyRange {
        KeyRange::prefix(self.base().text("node").below())
    }

    /// The segments up to the one that can hold `node`, newest first.
    pub(crate) fn nodes_until(&self, node: u64) -> Scan {
        let start = self.base().text("node").below();
        Scan::new(KeyRange::new(start, self.node(node.saturating_add(1)))).descending()
    }

    /// The first answer to a turn or an operation.
    pub(crate) fn turn(&self, principal: &PrincipalId, turn: &OperationId) -> Bytes {
        self.base()
            .text("turn")
            .text(principal.as_str())
            .text(turn.as_str())
            .finish()
    }

    pub(crate) fn turns(&self) -> KeyRange {
        KeyRange::prefix(self.base().text("turn").below())
    }

    pub(crate) fn tag(&self, name: &TagName) -> Bytes {
        self.base().text("tag").text(name.as_str()).finish()
    }

    pub(crate) fn tags(&self) -> KeyRange {
        KeyRange::prefix(self.base().text("tag").below())
    }

    /// The row that names a session forked from this one.
    pub(crate) fn fork(&self, session: &SessionId) -> Bytes {
        self.base().text("fork").text(session.as_str()).finish()
    }

    pub(crate) fn forks(&self) -> KeyRange {
        KeyRange::prefix(self.base().text("fork").below())
    }

    /// The rows of its attachments.
    pub(crate) fn attachments(&self) -> KeyRange {
        KeyRange::prefix(self.base().text("attach").below())
    }

    /// The index row that makes upkeep look at the session at `time`.
    pub(crate) fn due(&self, time: Millis) -> Bytes {
        Key::new(DUE)
            .number(time.get())
            .text(PART)
            .text(self.tenant.as_str())
            .text(self.session.as_str())
            .finish()
    }
}

/// The index of due work up to and including `now`.
pub(crate) fn due_until(now: Millis) -> KeyRange {
    let next = Key::new(DUE).number(now.get().saturating_add(1)).finish();
    KeyRange::new(Key::new(DUE).below(), next)
}

/// The whole index of due work.
pub(crate) fn all_due() -> KeyRange {
    KeyRange::prefix(Key::new(DUE).below())
}

/// The time and the session of a row of due work, if it is of this part.
pub(crate) fn parse_due(key: &[u8]) -> Option<(Millis, StateKeys)> {
    let parts = segments(key)?;
    let [due, time, part, tenant, session] = parts.as_slice() else {
        return None;
    };
    if due != DUE || part != PART {
        return None;
    }
    let keys = StateKeys::new(&tenant.parse().ok()?, &session.parse().ok()?);
    Some((Millis::new(number(time)?), keys))
}

/// The last segment of `key` as a number.
pub(crate) fn last_number(key: &[u8]) -> Option<u64> {
    let parts = segments(key)?;
    number(parts.last()?)
}

/// The last segment of `key`.
pub(crate) fn last_text(key: &[u8]) -> Option<String> {
    segments(key)?.pop()
}
