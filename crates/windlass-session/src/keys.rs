//! Every key of sessions.
//!
//! The newest event of a session sorts directly before its head: in a store
//! that keeps keys in a tree, the two that one use touches share a page of it.

use bytes::Bytes;
use windlass_core::{AgentId, Millis, OperationId, PrincipalId, SessionId, TenantId};
use windlass_store::key::{Key, number, segments};
use windlass_store::{KeyRange, Scan};

/// The first segment of the index of what maintenance has to look at.
pub(crate) const DUE: &str = "due";

/// The keys of one session.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SessionKeys {
    pub(crate) tenant: TenantId,
    pub(crate) id: SessionId,
}

impl SessionKeys {
    pub(crate) fn new(tenant: &TenantId, id: &SessionId) -> Self {
        Self {
            tenant: tenant.clone(),
            id: id.clone(),
        }
    }

    fn base(&self) -> Key {
        Key::new(self.tenant.as_str())
            .text("session")
            .text(self.id.as_str())
    }

    /// Present while the session may be used by itself and its descendants.
    pub(crate) fn alive(&self) -> Bytes {
        self.base().text("alive").finish()
    }

    /// The hot record, rewritten by every change.
    pub(crate) fn head(&self) -> Bytes {
        self.base().text("head").finish()
    }

    /// The cold record, written once.
    pub(crate) fn spec(&self) -> Bytes {
        self.base().text("spec").finish()
    }

    /// The row of the events from `first` on.
    pub(crate) fn event(&self, first: u64) -> Bytes {
        self.base().text("event").number(first).finish()
    }

    pub(crate) fn events(&self) -> KeyRange {
        KeyRange::prefix(self.base().text("event").below())
    }

    /// The number of the first event of the row under `key`.
    pub(crate) fn first_event(&self, key: &[u8]) -> Option<u64> {
        let digits = key.strip_prefix(self.events().start.as_ref())?;
        number(std::str::from_utf8(digits).ok()?)
    }

    /// The event rows up to and including the one that holds `number`, newest
    /// first.
    pub(crate) fn events_until(&self, number: u64) -> Scan {
        let start = self.base().text("event").below();
        Scan::new(KeyRange::new(start, self.event(number.saturating_add(1)))).descending()
    }

    /// The event rows that begin after `number`.
    pub(crate) fn events_after(&self, number: u64) -> Scan {
        let mut range = self.events();
        range.start = self.event(number.saturating_add(1));
        Scan::new(range)
    }

    /// The row that names a session delegated by this one.
    pub(crate) fn child(&self, child: &SessionId) -> Bytes {
        self.base().text("child").text(child.as_str()).finish()
    }

    pub(crate) fn children(&self) -> KeyRange {
        KeyRange::prefix(self.base().text("child").below())
    }

    /// The index row that says: from `time` on, the child may have something
    /// to give back.
    pub(crate) fn back(&self, time: Millis, child: &SessionId) -> Bytes {
        let base = self.base().text("back").number(time.get());
        base.text(child.as_str()).finish()
    }

    pub(crate) fn all_back(&self) -> KeyRange {
        KeyRange::prefix(self.base().text("back").below())
    }

    /// What children may have to give back at `now`.
    pub(crate) fn back_at(&self, now: Millis) -> KeyRange {
        let mut range = self.all_back();
        let next = now.get().saturating_add(1);
        range.end = Some(self.base().text("back").number(next).finish());
        range
    }

    /// The keys of another session of the same tenant.
    pub(crate) fn other(&self, id: &SessionId) -> Self {
        Self::new(&self.tenant, id)
    }

    /// Head and spec as one scan.
    pub(crate) fn record(&self) -> Scan {
        let end = KeyRange::point(self.spec())
            .end
            .expect("a point has an end");
        Scan::new(KeyRange::new(self.head(), end)).limit(2)
    }

    /// The index row that makes maintenance look at the session at `time`.
    pub(crate) fn due(&self, time: Millis) -> Bytes {
        Key::new(DUE)
            .number(time.get())
            .text("session")
            .text(self.tenant.as_str())
            .text(self.id.as_str())
            .finish()
    }

    /// The tenant's index of sessions by time of creation.
    pub(crate) fn created(&self, time: Millis) -> Bytes {
        created(&self.tenant)
            .number(time.get())
            .text(self.id.as_str())
            .finish()
    }
}

fn created(tenant: &TenantId) -> Key {
    Key::new(tenant.as_str()).text("created")
}

/// Every row of every agent of a tenant.
pub(crate) fn agents(tenant: &TenantId) -> KeyRange {
    KeyRange::prefix(Key::new(tenant.as_str()).text("agent").below())
}

/// The agent that a row among `all` of them is of.
pub(crate) fn agent_of(all: &KeyRange, row: &[u8]) -> Option<AgentId> {
    let rest = row.strip_prefix(all.start.as_ref())?;
    segments(rest)?.first()?.parse().ok()
}

/// The keys of one agent's sessions.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct AgentKeys {
    pub(crate) tenant: TenantId,
    pub(crate) agent: AgentId,
}

impl AgentKeys {
    pub(crate) fn new(tenant: &TenantId, agent: &AgentId) -> Self {
        Self {
            tenant: tenant.clone(),
            agent: agent.clone(),
        }
    }

    fn base(&self) -> Key {
        Key::new(self.tenant.as_str())
            .text("agent")
            .text(self.agent.as_str())
    }

    /// How many sessions the agent has; rewritten when one begins or ends.
    pub(crate) fn head(&self) -> Bytes {
        self.base().text("head").finish()
    }

    /// Every row of the agent.
    pub(crate) fn all(&self) -> KeyRange {
        KeyRange::prefix(self.base().below())
    }

    /// The index row of a session that was not yet marked ended.
    pub(crate) fn active(&self, expires: Millis, id: &SessionId) -> Bytes {
        self.base()
            .text("active")
            .number(expires.get())
            .text(id.as_str())
            .finish()
    }

    /// The sessions that neither ended themselves nor expired at `now`.
    pub(crate) fn active_at(&self, now: Millis) -> Scan {
        let mut range = KeyRange::prefix(self.base().text("active").below());
        range.start = self
            .base()
            .text("active")
            .number(now.get().saturating_add(1))
            .finish();
        Scan::new(range)
    }

    /// The agent's index of all its sessions by time of creation.
    pub(crate) fn created(&self, time: Millis, id: &SessionId) -> Bytes {
        self.base()
            .text("created")
            .number(time.get())
            .text(id.as_str())
            .finish()
    }
}

/// The record of an operation id.
pub(crate) fn operation(tenant: &TenantId, principal: &PrincipalId, id: &OperationId) -> Bytes {
    Key::new(tenant.as_str())
        .text("op")
        .text(principal.as_str())
        .text(id.as_str())
        .finish()
}

/// The index that a listing walks: creation times from `from` up to but not
/// including `until`.
pub(crate) fn listing(
    tenant: &TenantId,
    agent: Option<&AgentId>,
    from: Millis,
    until: Millis,
) -> KeyRange {
    let base = match agent {
        Some(agent) => AgentKeys::new(tenant, agent).base().text("created"),
        None => created(tenant),
    };
    let start = base.clone().number(from.get()).finish();
    KeyRange::new(start, base.number(until.get()).finish())
}

/// The time and the session that the key of an index by time ends with.
pub(crate) fn index_row(key: &[u8]) -> Option<(Millis, SessionId)> {
    let segments = segments(key)?;
    let [.., time, id] = segments.as_slice() else {
        return None;
    };
    Some((Millis::new(number(time)?), id.parse().ok()?))
}

/// The head of the session whose head or spec has this key.
pub(crate) fn head_beside(key: &Bytes) -> Option<Bytes> {
    let mut segments = key.split(|byte| *byte == b'/');
    let part = segments.nth(1)?;
    let name = segments.nth(1)?;
    if part != b"session" || segments.next().is_some() {
        return None;
    }
    match name {
        b"head" => Some(key.clone()),
        b"spec" => {
            let base = key.strip_suffix(b"spec")?;
            Some([base, b"head"].concat().into())
        }
        _ => None,
    }
}

/// The session that the key of a row ends with.
pub(crate) fn named(key: &[u8]) -> Option<SessionId> {
    segments(key)?.last()?.parse().ok()
}

/// Everything due at `now`, earliest first.
pub(crate) fn due_until(now: Millis) -> KeyRange {
    let start = Key::new(DUE).number(0).finish();
    KeyRange::new(
        start,
        Key::new(DUE).number(now.get().saturating_add(1)).finish(),
    )
}

/// What a key of the due index says.
pub(crate) fn parse_due(key: &[u8]) -> Option<(Millis, SessionKeys)> {
    let segments = segments(key)?;
    let [due, time, part, tenant, id] = segments.as_slice() else {
        return None;
    };
    if due != DUE || part != "session" {
        return None;
    }
    let keys = SessionKeys {
        tenant: tenant.parse().ok()?,
        id: id.parse().ok()?,
    };
    Some((Millis::new(number(time)?), keys))
}
