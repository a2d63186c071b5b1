//! What sessions say about their own entries: the rows that head and spec call
//! for, events without a gap, budgets that add up, and what agents have.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bytes::Bytes;
use windlass_core::{AgentId, SessionId, TenantId};
use windlass_store::Entry;
use windlass_store::check::{Auditor, Notes};
use windlass_store::key::segments;

use crate::keys::{AgentKeys, SessionKeys, index_row, parse_due};
use crate::model::Charge;
use crate::record::{
    ActiveRow, AgentHead, EventRow, Format, Head, Spec, decode, decode_pair, encode,
};
use crate::view::What;
use crate::writers::Writers;

/// An auditor of sessions and agents.
#[must_use]
pub fn auditor() -> impl Auditor {
    Rounds::default()
}

#[derive(Debug, Default)]
struct Rounds {
    session: Option<Session>,
    agent: Option<Agent>,
}

impl Auditor for Rounds {
    fn entry(&mut self, entry: &Entry, notes: &mut dyn Notes) {
        let Some(parts) = segments(&entry.key) else {
            return;
        };
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        match *parts.as_slice() {
            ["due", _, "session", ..] => due(entry, notes),
            [tenant, "session", id, ref rest @ ..] => {
                if let (Ok(tenant), Ok(id)) = (tenant.parse(), id.parse()) {
                    self.session(SessionKeys { tenant, id }, notes)
                        .take(rest, entry, notes);
                }
            }
            [tenant, "agent", agent, ref rest @ ..] => {
                if let (Ok(tenant), Ok(agent)) = (tenant.parse(), agent.parse()) {
                    self.agent(&tenant, &agent, notes).take(rest, entry, notes);
                }
            }
            [tenant, "created", _, id] => {
                if let (Ok(tenant), Ok(id)) = (tenant.parse::<TenantId>(), id.parse()) {
                    found(&SessionKeys { tenant, id }, entry, notes);
                }
            }
            _ => {}
        }
    }

    fn end(&mut self, notes: &mut dyn Notes) {
        if let Some(session) = self.session.take() {
            session.finish(notes);
        }
        if let Some(agent) = self.agent.take() {
            agent.finish(notes);
        }
    }
}

impl Rounds {
    fn session(&mut self, keys: SessionKeys, notes: &mut dyn Notes) -> &mut Session {
        if self.session.as_ref().is_some_and(|open| open.keys != keys)
            && let Some(before) = self.session.take()
        {
            before.finish(notes);
        }
        self.session.get_or_insert_with(|| Session::new(keys))
    }

    fn agent(&mut self, tenant: &TenantId, agent: &AgentId, notes: &mut dyn Notes) -> &mut Agent {
        let keys = AgentKeys::new(tenant, agent);
        if self.agent.as_ref().is_some_and(|open| open.keys != keys)
            && let Some(before) = self.agent.take()
        {
            before.finish(notes);
        }
        self.agent.get_or_insert_with(|| Agent::new(keys))
    }
}

/// A row that a session's head and spec have to call for.
fn found(keys: &SessionKeys, entry: &Entry, notes: &mut dyn Notes) {
    let by = [keys.head(), keys.spec()];
    notes.found(&by, entry.key.clone(), entry.value.clone());
}

fn due(entry: &Entry, notes: &mut dyn Notes) {
    match parse_due(&entry.key) {
        Some((_, keys)) => found(&keys, entry, notes),
        None => notes.wrong(&entry.key, "unreadable_key"),
    }
}

/// The rows of one session, as they come.
#[derive(Debug)]
struct Session {
    keys: SessionKeys,
    head: Option<Bytes>,
    spec: Option<Bytes>,
    events: Events,
}

impl Session {
    fn new(keys: SessionKeys) -> Self {
        Self {
            keys,
            head: None,
            spec: None,
            events: Events::default(),
        }
    }

    fn take(&mut self, rest: &[&str], entry: &Entry, notes: &mut dyn Notes) {
        match rest {
            ["alive"] => found(&self.keys, entry, notes),
            ["head"] => self.head = Some(entry.value.clone()),
            ["spec"] => self.spec = Some(entry.value.clone()),
            ["event", _] => {
                let first = self.keys.first_event(&entry.key);
                self.events.take(first, entry, notes);
            }
            ["child", child] => {
                if let Ok(child) = child.parse() {
                    notes.refer(&entry.key, self.keys.other(&child).head());
                }
            }
            _ => {}
        }
    }

    fn finish(self, notes: &mut dyn Notes) {
        let keys = &self.keys;
        let (head, spec) = match (&self.head, &self.spec) {
            (Some(head), Some(spec)) => (head, spec),
            (None, None) if self.events.last == 0 => return,
            (None, _) => return notes.wrong(&keys.head(), "record_missing"),
            (_, None) => return notes.wrong(&keys.spec(), "record_missing"),
        };
        let Ok((head, spec, _)) = decode_pair(head, spec) else {
            return notes.wrong(&keys.head(), "corrupt_record");
        };
        if head.is_removing() {
            return notes.unsettled();
        }
        demand(keys, &head, &spec, notes);
        if self.events.last != head.events || self.events.gap {
            notes.wrong(&keys.head(), "rows_missing");
        } else if !self.events.agree(&head) {
            notes.wrong(&keys.head(), "budget_differs");
        }
    }
}

/// Calls for every row that follows from head and spec.
fn demand(keys: &SessionKeys, head: &Head, spec: &Spec, notes: &mut dyn Notes) {
    let by = [keys.head(), keys.spec()];
    let agent = AgentKeys::new(&keys.tenant, &spec.agent);
    let mut bare = |row: Bytes| notes.demand(&by, row, Bytes::new());
    bare(keys.due(head.due));
    bare(keys.created(spec.created_at));
    bare(agent.created(spec.created_at, &keys.id));
    if head.ended.is_none() {
        bare(keys.alive());
        let row = agent.active(spec.indexed_at(), &keys.id);
        notes.demand(&by, row, active(&spec.above));
    }
}

/// The value of a session's row in the index of active ones.
fn active(above: &[SessionId]) -> Bytes {
    if above.is_empty() {
        return Bytes::new();
    }
    encode(&ActiveRow {
        v: Format,
        above: Cow::Borrowed(above),
    })
}

/// What the events of a session amount to.
#[derive(Debug, Default)]
struct Events {
    last: u64,
    gap: bool,
    /// Whether there are or were sessions below it.
    lends: bool,
    used: [i128; 3],
    made: u64,
    /// What was reserved, by call: as many as may be open at a time.
    open: BTreeMap<u64, Charge>,
}

impl Events {
    fn take(&mut self, first: Option<u64>, entry: &Entry, notes: &mut dyn Notes) {
        self.gap |= first != Some(self.last + 1);
        let Ok(row) = decode::<EventRow<'_>>("event row", &entry.value) else {
            return notes.wrong(&entry.key, "corrupt_record");
        };
        for event in row.events.iter() {
            self.last += 1;
            self.add(&event.what);
        }
    }

    fn add(&mut self, what: &What) {
        match what {
            What::Use {
                call,
                charge,
                reserved,
                ..
            } => {
                self.made = self.made.max(*call);
                self.spend(1, *charge, 1);
                if *reserved {
                    self.open.insert(*call, *charge);
                }
            }
            What::Settle { call, charge } => {
                let reserved = self.open.remove(call).unwrap_or_default();
                self.spend(0, reserved, -1);
                self.spend(0, *charge, 1);
            }
            What::Refund { call } => {
                let reserved = self.open.remove(call).unwrap_or_default();
                self.spend(1, reserved, -1);
            }
            What::Lapse { call } => {
                self.open.remove(call);
            }
            What::Delegate { .. } => self.lends = true,
            What::TopUp { .. } | What::Close => {}
        }
    }

    fn spend(&mut self, calls: u64, charge: Charge, sign: i128) {
        let amounts = [calls, charge.tokens, charge.cost_micros];
        for (used, amount) in self.used.iter_mut().zip(amounts) {
            *used += i128::from(amount) * sign;
        }
    }

    /// Whether the head has spent what the events say, and more only if there are
    /// sessions below: what those spent is in the head alone.
    fn agree(&self, head: &Head) -> bool {
        let meters = [head.calls, head.tokens, head.cost];
        let fits = meters.iter().zip(self.used).all(|(meter, used)| {
            let spent = i128::from(meter.1);
            spent == used || (self.lends && spent > used)
        });
        fits && self.made == head.made
    }
}

/// The rows of one agent, as they come.
#[derive(Debug)]
struct Agent {
    keys: AgentKeys,
    active: u64,
    sessions: u64,
    head: Option<Bytes>,
}

impl Agent {
    const fn new(keys: AgentKeys) -> Self {
        Self {
            keys,
            active: 0,
            sessions: 0,
            head: None,
        }
    }

    fn take(&mut self, rest: &[&str], entry: &Entry, notes: &mut dyn Notes) {
        match rest {
            ["head"] => self.head = Some(entry.value.clone()),
            ["active", ..] => {
                self.active += 1;
                self.found(entry, notes);
            }
            ["created", ..] => {
                self.sessions += 1;
                self.found(entry, notes);
            }
            _ => {}
        }
    }

    fn found(&self, entry: &Entry, notes: &mut dyn Notes) {
        match index_row(&entry.key) {
            Some((_, id)) => found(&SessionKeys::new(&self.keys.tenant, &id), entry, notes),
            None => notes.wrong(&entry.key, "unreadable_key"),
        }
    }

    fn finish(self, notes: &mut dyn Notes) {
        let key = self.keys.head();
        let head = match &self.head {
            Some(head) => match decode::<AgentHead>("agent head", head) {
                Ok(head) => head,
                Err(_) => return notes.wrong(&key, "corrupt_record"),
            },
            None => AgentHead {
                v: Format,
                rev: 0,
                active: 0,
                sessions: 0,
                by: Writers::default(),
            },
        };
        if (head.active, head.sessions) != (self.active, self.sessions) {
            let right = AgentHead {
                active: self.active,
                sessions: self.sessions,
                ..head
            };
            let scope = self.keys.all().start;
            notes.miscounted(&key, "count_differs", scope, encode(&right));
        }
    }
}
