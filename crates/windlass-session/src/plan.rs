//! Deciding a group of requests together, and the one batch that makes the
//! decisions true.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use windlass_core::Millis;
use windlass_store::{Batch, Expect, Version};

use crate::engine::{Loaded, too_few};
use crate::error::SessionError;
use crate::keys::{AgentKeys, SessionKeys};
use crate::limits::{COMMIT_EVENT_BYTES_MAX, COMMIT_OPERATIONS_MAX};
use crate::operation::Operation;
use crate::record::{AgentHead, Answer, EventRecord, EventRow, Format, Head, encode};
use crate::rules::{Change, Draft, Terms, due_after_end};
use crate::writers::WriterId;

/// What one caller asks of a session.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) change: Change,
    pub(crate) operation: Option<Operation>,
}

/// What was decided about one request, named by its place.
pub(crate) type Decided = (usize, Result<Answer, SessionError>);

/// Decisions about requests of one session, from one state.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) head: Head,
    pub(crate) decided: Vec<Decided>,
    pub(crate) changed: bool,
    events: Vec<EventRecord>,
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
        let mut draft = Draft::new(&loaded.spec, &loaded.head, terms, now);
        let mut decided = Vec::with_capacity(open.size_hint().1.unwrap_or(0));
        let mut operations: Vec<&Bytes> = Vec::new();
        let mut size = 0;
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
            decided.push((place, draft.apply(&request.change, label)));
        }
        let changed = draft.is_changed();
        Self {
            head: draft.head,
            decided,
            changed,
            events: draft.events,
        }
    }

    /// Prepares the head for being written over `loaded`.
    pub(crate) fn stamp(&mut self, loaded: &Loaded, writer: &WriterId, terms: Terms) {
        self.head.rev = loaded.head.rev + 1;
        self.head.by.note(writer, self.head.rev);
        if let Some(ended) = self.head.ended {
            self.head.due = due_after_end(&self.head, ended.at(), terms);
        }
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
        let head = keys.head();
        batch
            .check(head.clone(), Expect::Version(loaded.version))
            .put(head, encode(&self.head))
    }
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

/// The state after a plan was applied.
pub(crate) fn applied(loaded: &Loaded, plan_head: Head, version: Version) -> Loaded {
    Loaded {
        spec: Arc::clone(&loaded.spec),
        head: plan_head,
        version,
        clamped: loaded.clamped.clone(),
    }
}
