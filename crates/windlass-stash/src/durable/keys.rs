//! Every key of stashes.

use bytes::Bytes;
use windlass_core::{Millis, OperationId, PrincipalId, SessionId, TenantId};
use windlass_store::key::{Key, number, segments};
use windlass_store::{KeyRange, Scan};

/// The first segment of the index of what maintenance has to look at.
const DUE: &str = "due";
/// The segment that tells stashes from other parts.
const PART: &str = "stash";

/// The keys of one session's stash.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct StashKeys {
    pub(super) tenant: TenantId,
    pub(super) session: SessionId,
}

impl StashKeys {
    pub(super) fn new(tenant: &TenantId, session: &SessionId) -> Self {
        Self {
            tenant: tenant.clone(),
            session: session.clone(),
        }
    }

    fn base(&self) -> Key {
        Key::new(self.tenant.as_str())
            .text(PART)
            .text(self.session.as_str())
    }

    /// Every row of the stash.
    pub(super) fn all(&self) -> KeyRange {
        KeyRange::prefix(self.base().below())
    }

    /// The record that every change checks and rewrites.
    pub(super) fn head(&self) -> Bytes {
        self.base().text("head").finish()
    }

    /// The row of the entry of `key`.
    pub(super) fn entry(&self, key: &str) -> Bytes {
        self.base().text("entry").text(key).finish()
    }

    /// All entry rows.
    pub(super) fn entries(&self) -> KeyRange {
        KeyRange::prefix(self.base().text("entry").below())
    }

    /// The key whose entry row is under `row`.
    pub(super) fn entry_of(&self, row: &[u8]) -> Option<String> {
        let below = self.entries().start;
        let text = row.strip_prefix(below.as_ref())?;
        let [key] = segments(text)?.try_into().ok()?;
        Some(key)
    }

    /// Piece `number` of those written under `name`, counted from 0.
    pub(super) fn piece(&self, name: &str, number: u64) -> Bytes {
        self.base().text("piece").text(name).number(number).finish()
    }

    /// The pieces numbered `first` up to but not including `end`.
    pub(super) fn pieces(&self, name: &str, first: u64, end: u64) -> Scan {
        Scan::new(KeyRange::new(
            self.piece(name, first),
            self.piece(name, end),
        ))
    }

    /// The record of an operation id.
    pub(super) fn operation(&self, principal: &PrincipalId, id: &OperationId) -> Bytes {
        let base = self.base().text("op").text(principal.as_str());
        base.text(id.as_str()).finish()
    }

    /// The row that says which records of operation ids one commit wrote, from
    /// number `first` on.
    pub(super) fn order(&self, first: u64) -> Bytes {
        self.base().text("order").number(first).finish()
    }

    /// All of these rows.
    pub(super) fn orders(&self) -> KeyRange {
        KeyRange::prefix(self.base().text("order").below())
    }

    /// The note of pieces that no entry points at.
    pub(super) fn loose(&self, name: &str, first: u64) -> Bytes {
        self.base().text("loose").text(name).number(first).finish()
    }

    /// The index row that makes maintenance look at the stash at `time`.
    pub(super) fn due(&self, time: Millis) -> Bytes {
        self.due_base(time).finish()
    }

    /// The index row that makes maintenance look at loose pieces at `time`.
    pub(super) fn due_loose(&self, time: Millis, name: &str, first: u64) -> Bytes {
        self.due_base(time).text(name).number(first).finish()
    }

    fn due_base(&self, time: Millis) -> Key {
        Key::new(DUE)
            .number(time.get())
            .text(PART)
            .text(self.tenant.as_str())
            .text(self.session.as_str())
    }
}

/// Every row of every stash of a tenant.
pub(super) fn stashes(tenant: &TenantId) -> KeyRange {
    KeyRange::prefix(Key::new(tenant.as_str()).text(PART).below())
}

/// The session whose stash a row among `all` of them is of.
pub(super) fn session_of(all: &KeyRange, row: &[u8]) -> Option<SessionId> {
    let rest = row.strip_prefix(all.start.as_ref())?;
    segments(rest)?.first()?.parse().ok()
}

/// Everything due at `now`, earliest first, of this and other parts.
pub(super) fn due_until(now: Millis) -> KeyRange {
    let start = Key::new(DUE).number(0).finish();
    KeyRange::new(
        start,
        Key::new(DUE).number(now.get().saturating_add(1)).finish(),
    )
}

/// What a row of the index of due work is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DueRow {
    pub(super) time: Millis,
    pub(super) keys: StashKeys,
    /// The loose pieces that are due, by name and first number; `None` for
    /// the stash itself.
    pub(super) loose: Option<(String, u64)>,
}

impl DueRow {
    /// `None` for a row of another part.
    pub(super) fn parse(key: &[u8]) -> Option<Self> {
        let segments = segments(key)?;
        let [due, time, part, tenant, session, loose @ ..] = segments.as_slice() else {
            return None;
        };
        if due != DUE || part != PART {
            return None;
        }
        let keys = StashKeys {
            tenant: tenant.parse().ok()?,
            session: session.parse().ok()?,
        };
        let loose = match loose {
            [] => None,
            [name, first] => Some((name.clone(), number(first)?)),
            _ => return None,
        };
        Some(Self {
            time: Millis::new(number(time)?),
            keys,
            loose,
        })
    }
}
