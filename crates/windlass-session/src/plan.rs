//! Deciding a group of requests together, and the one batch that makes the
//! decisions true.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use windlass_core::{Millis, PrincipalId, SessionId};
use windlass_store::{Batch, Expect, Version};

use crate::delegate::Delegation;
use crate::engine::{Loaded, Payer, too_few};
use crate::error::SessionError;
use crate::keys::{AgentKeys, SessionKeys};
use crate::limits::{COMMIT_EVENT_BYTES_MAX, COMMIT_OPERATIONS_MAX};
use crate::operation::Operation;
use crate::record::{AgentHead, Answer, EventRecord, EventRow, Format, Head, Spec, encode};
use crate::rules::{Change, Draft, Terms, due_after_end};
use crate::writers::WriterId;

/// What one caller asks of a session.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) change: Change,
    pub(crate) operation: Option<Operation>,
    /// The only principal whose sessions are there for who asks.
    pub(crate) only_of: Option<PrincipalId>,
}

impl Request {
    /// What is done whoever created the session.
    pub(crate) const fn unbound(change: Change) -> Self {
        Self {
            change,
            operation: None,
            only_of: None,
        }
    }

    /// What it asks if it is a delegation.
    pub(crate) fn delegation(&self) -> Option<&Delegation> {
        match &self.change {
            Change::Delegate(delegation) => Some(delegation),
            _ => None,
        }
    }
}

/// What was decided about one request, named by its place.
pub(crate) type Decided = (usize, Result<Answer, SessionError>);

/// Decisions about requests of one session, from one state.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) head: Head,
    /// The heads of those who pay, in the order of the loaded ones.
    payers: Vec<Head>,
    pub(crate) decided: Vec<Decided>,
    pub(crate) changed: bool,
    events: Vec<EventRecord>,
    /// Whether something was granted that takes all sessions above.
    needs_all_above: bool,
}

impl Plan {
    /// Decides `open` requests in order, as many as one commit can carry.
    /// One whose operation id an earlier one carries too is left for the next
    /// round, when the first answer is known.
    pub(crate) fn decide<'a>(
        loaded: &Loaded,
        terms: Terms,
        now: Millis,
        open: impl Iterator<Item = (usize, &'a Request)>,
    ) -> Self {
        let mut draft = Draft::new(loaded, terms, now);
        let mut decided = Vec::with_capacity(open.size_hint().1.unwrap_or(0));
        let mut operations: Vec<&Bytes> = Vec::new();
        let mut size = 0;
        let mut needs_all_above = false;
        for (place, request) in open {
            size += request.change.size();
            let full = size > COMMIT_EVENT_BYTES_MAX || operations.len() >= COMMIT_OPERATIONS_MAX;
            if full && !decided.is_empty() {
                break;
            }
            if let Some(operation) = &request.operation {
                if operations.contains(&&operation.key) {
                    continue;
                }
                operations.push(&operation.key);
            }
            let label = request
                .operation
                .as_ref()
                .map(|operation| operation.label.as_str());
            let answer = draft.apply(&request.change, label);
            needs_all_above |= answer.is_ok() && request.change.needs_all_above();
            decided.push((place, answer));
        }
        let changed = draft.is_changed();
        Self {
            head: draft.head,
            payers: draft.payers,
            decided,
            changed,
            events: draft.events,
            needs_all_above,
        }
    }

    /// Prepares the head for being written over `loaded`.
    pub(crate) fn stamp(&mut self, loaded: &Loaded, writer: &WriterId, terms: Terms) {
        self.head.by.note(writer, self.head.rev);
        if let Some(ended) = self.head.ended {
            self.head.due = due_after_end(&loaded.spec, &self.head, ended.at(), terms);
        }
        for (next, payer) in self.payers.iter_mut().zip(&loaded.payers) {
            if *next != payer.head {
                next.rev += 1;
                next.at = next.at.max(self.head.at);
                next.by.note(writer, next.rev);
            }
        }
    }

    /// Whether a refusal was for want of budget.
    pub(crate) fn lacks_budget(&self) -> bool {
        let of_budget = |answer: &Result<Answer, SessionError>| {
            answer.as_ref().is_err_and(SessionError::is_of_budget)
        };
        self.decided.iter().any(|(_, answer)| of_budget(answer))
    }

    /// Whether this plan ends a session that was active.
    pub(crate) const fn ends(&self, loaded: &Loaded) -> bool {
        loaded.head.ended.is_none() && self.head.ended.is_some()
    }

    /// The batch of a stamped plan. The checks of operation ids come first,
    /// so that a retried request learns that it is one.
    pub(crate) fn batch(&self, loaded: &Loaded, keys: &SessionKeys, requests: &[Request]) -> Batch {
        let mut batch = Batch::new();
        for (place, answer) in &self.decided {
            if let (Some(operation), Ok(answer)) = (&requests[*place].operation, answer) {
                let record = operation.record(self.head.at, &keys.id, answer);
                batch = batch
                    .check(operation.key.clone(), Expect::Absent)
                    .put(operation.key.clone(), record);
            }
        }
        if !self.events.is_empty() {
            let row = EventRow {
                v: Format,
                events: Cow::Borrowed(&self.events),
            };
            batch = batch.put(keys.event(loaded.head.events + 1), encode(&row));
        }
        if self.head.due != loaded.head.due {
            batch = batch
                .delete(keys.due(loaded.head.due))
                .put(keys.due(self.head.due), Bytes::new());
        }
        batch.append(self.tree_rows(loaded, keys));
        let head = keys.head();
        batch
            .check(head.clone(), Expect::Version(loaded.version))
            .put(head, encode(&self.head))
    }

    /// What a plan of a delegated session does to the sessions above it.
    fn tree_rows(&self, loaded: &Loaded, keys: &SessionKeys) -> Batch {
        let spec = &loaded.spec;
        let mut batch = Batch::new();
        let mut was_told = self.head.told.is_some();
        for (next, payer) in self.payers.iter().zip(&loaded.payers) {
            if *next != payer.head {
                let key = payer.keys.head();
                batch = batch
                    .check(key.clone(), Expect::Version(payer.version))
                    .put(key, encode(next));
                was_told |= next.told.is_some();
            }
        }
        // Below one that has expired, all have, and can still be closed.
        if self.needs_all_above && loaded.cut.is_none() {
            for above in &spec.above {
                batch = batch.check(keys.other(above).alive(), Expect::Present);
            }
        }
        if let (true, Some(parent)) = (self.ends(loaded), &spec.parent) {
            let parent = keys.other(parent);
            if self.head.due != spec.indexed_at() {
                batch = batch.delete(parent.back(spec.indexed_at(), &keys.id));
            }
            batch = up(batch, keys, spec.payers(), self.head.due);
        } else if was_told {
            batch = up_the_tree(batch, keys, spec, self.head.at);
        }
        batch
    }

    /// The payers as they are once the plan was applied.
    fn paid(&self, loaded: &Loaded, version: Version) -> Vec<Payer> {
        let mut payers = loaded.payers.clone();
        for (payer, next) in payers.iter_mut().zip(&self.payers) {
            if payer.head != *next {
                payer.head = next.clone();
                payer.version = version;
            }
        }
        payers
    }

    /// The state after the plan was applied.
    pub(crate) fn applied(&self, loaded: &Loaded, version: Version) -> Loaded {
        Loaded {
            spec: Arc::clone(&loaded.spec),
            head: self.head.clone(),
            version,
            clamped: loaded.clamped.clone(),
            payers: self.paid(loaded, version),
            cut: loaded.cut.clone(),
        }
    }
}

/// Notes, all the way up, that a session whose parent was told what it spent
/// has something else to tell.
pub(crate) fn up_the_tree(batch: Batch, keys: &SessionKeys, spec: &Spec, now: Millis) -> Batch {
    up(batch, keys, &spec.above, now)
}

/// Notes, with each of the sessions `above` one another, that from `time` on
/// the one below it may have something to give back. Who shares a budget holds
/// nothing itself, so what is given back to it has to reach all who pay.
pub(crate) fn up(mut batch: Batch, keys: &SessionKeys, above: &[SessionId], time: Millis) -> Batch {
    let mut below = &keys.id;
    for above in above {
        batch = batch.put(keys.other(above).back(time, below), Bytes::new());
        below = above;
    }
    batch
}

/// What ending active sessions of one agent changes beside their own heads:
/// they can no longer be used, and the agent has so many fewer.
pub(crate) fn ending(
    ended: &[(&SessionKeys, &Loaded)],
    agent: &AgentKeys,
    (head, version): (AgentHead, Version),
    writer: &WriterId,
) -> Result<Batch, SessionError> {
    let count = u64::try_from(ended.len()).unwrap_or(u64::MAX);
    let active = head.active.checked_sub(count).ok_or_else(too_few)?;
    let rev = head.rev + 1;
    let mut next = AgentHead {
        active,
        rev,
        ..head
    };
    next.by.note(writer, rev);
    let mut batch = Batch::new()
        .check(agent.head(), Expect::Version(version))
        .put(agent.head(), encode(&next));
    for (keys, loaded) in ended {
        batch = batch
            .delete(agent.active(loaded.spec.indexed_at(), &keys.id))
            .delete(keys.alive());
    }
    Ok(batch)
}

/// The place of the request whose operation id has `key`.
pub(crate) fn place_of(key: &Bytes, decided: &[Decided], requests: &[Request]) -> Option<usize> {
    let has = |place: &usize| {
        requests[*place]
            .operation
            .as_ref()
            .is_some_and(|operation| operation.key == *key)
    };
    decided.iter().map(|(place, _)| *place).find(has)
}
