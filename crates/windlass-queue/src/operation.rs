//! Operation ids and source keys: what is asked twice takes effect once.

use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use sha2::{Digest, Sha256};
use windlass_core::{Millis, OperationId, PrincipalId, SessionId};

use crate::caller::Caller;
use crate::error::QueueError;
use crate::id::WorkId;
use crate::keys;
use crate::model::{Ask, Content, Settle, Work};
use crate::record::{Answer, Format, OperationRow, decode, encode};

/// One caller's operation id, with the hash of what it asks.
#[derive(Clone, Debug)]
pub(crate) struct Operation {
    pub(crate) key: Bytes,
    pub(crate) principal: PrincipalId,
    pub(crate) id: OperationId,
    hash: Arc<str>,
}

impl Operation {
    pub(crate) fn new(caller: &Caller, id: &OperationId, request: &Fingerprint) -> Self {
        Self {
            key: keys::operation(&caller.tenant, &caller.principal, id),
            principal: caller.principal.clone(),
            id: id.clone(),
            hash: request.hash(),
        }
    }

    /// The record to store with the change itself.
    pub(crate) fn row(&self, at: Millis, answers: &[Answer]) -> Bytes {
        encode(&OperationRow {
            v: Format,
            hash: Arc::clone(&self.hash),
            at,
            answers: answers.to_vec(),
        })
    }

    /// The first answer, if the stored record is of the same request.
    pub(crate) fn replay(&self, stored: &[u8]) -> Result<Vec<Answer>, QueueError> {
        let row: OperationRow = decode("operation record", stored)?;
        if row.hash != self.hash {
            return Err(QueueError::OperationConflict);
        }
        Ok(row.answers)
    }
}

/// What an operation id or a source key was used for: every field of the
/// request but the id itself, each with its length, so that no two requests
/// look alike.
#[derive(Debug)]
pub(crate) struct Fingerprint(Sha256);

impl Fingerprint {
    pub(crate) fn new(verb: &str) -> Self {
        let mut it = Self(Sha256::new());
        it.bytes(verb.as_bytes());
        it
    }

    /// The content of work: all of it but when it is available.
    pub(crate) fn of_work(work: &Work) -> Arc<str> {
        let mut it = Self::new("work");
        it.work(work);
        it.hash()
    }

    pub(crate) fn enqueue<'a>(work: impl Iterator<Item = (&'a SessionId, &'a Work)>) -> Self {
        let mut it = Self::new("enqueue");
        for (session, work) in work {
            it.bytes(session.as_str().as_bytes());
            it.work(work);
            it.json(&work.available_at);
            it.json(&work.source_key);
        }
        it
    }

    pub(crate) fn claim(session: Option<&SessionId>, ask: &Ask) -> Self {
        let mut it = Self::new("claim");
        it.json(&session);
        it.json(&ask.owner);
        it.number(u64::from(ask.boundary == crate::Boundary::Idle));
        it.number(ask.ttl_ms);
        it.number(u64::try_from(ask.max).unwrap_or(u64::MAX));
        it
    }

    pub(crate) fn renew(session: &SessionId, token: u64, ttl_ms: u64) -> Self {
        let mut it = Self::new("renew");
        it.json(session);
        it.number(token);
        it.number(ttl_ms);
        it
    }

    pub(crate) fn settle(session: &SessionId, settle: &Settle) -> Self {
        let mut it = Self::new("settle");
        it.json(session);
        it.number(settle.token);
        it.json(&settle.complete);
        for failure in &settle.fail {
            it.json(&(failure.id, &failure.reason, failure.delay_ms, failure.fatal));
        }
        for back in &settle.abandon {
            it.json(&(back.id, back.delay_ms));
        }
        it
    }

    pub(crate) fn settle_and_claim(session: &SessionId, settle: &Settle, ask: &Ask) -> Self {
        let mut it = Self::settle(session, settle);
        it.bytes(Self::claim(Some(session), ask).hash().as_bytes());
        it
    }

    pub(crate) fn one(verb: &str, session: &SessionId, id: WorkId) -> Self {
        let mut it = Self::new(verb);
        it.json(session);
        it.json(&id);
        it
    }

    fn work(&mut self, work: &Work) {
        self.number(u64::try_from(work.payloads.len()).unwrap_or(u64::MAX));
        for payload in &work.payloads {
            self.bytes(payload.kind.as_bytes());
            self.number(u64::from(matches!(payload.content, Content::Json(_))));
            self.bytes(payload.content.as_bytes());
        }
        self.json(&(work.delivery, work.slot, &work.merge_key, work.priority));
        self.json(&(work.attempts_max, work.backoff));
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.number(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        self.0.update(bytes);
    }

    fn number(&mut self, number: u64) {
        self.0.update(number.to_be_bytes());
    }

    fn json<T: Serialize>(&mut self, value: &T) {
        let json = serde_json::to_vec(value).expect("requests have text keys only");
        self.bytes(&json);
    }

    /// 128 bits of it, in hexadecimal: enough, as the id is its owner's own.
    pub(crate) fn hash(&self) -> Arc<str> {
        let digest = self.0.clone().finalize();
        let digit = |nibble: u8| char::from(b"0123456789abcdef"[usize::from(nibble)]);
        let mut text = String::with_capacity(32);
        for byte in &digest[..16] {
            text.extend([digit(byte >> 4), digit(byte & 15)]);
        }
        text.into()
    }
}
