//! Operation ids: the same id gives the first answer and takes effect once.

use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use windlass_core::{Millis, OperationId, SessionId, TenantId};

use crate::caller::Caller;
use crate::error::SessionError;
use crate::keys;
use crate::model::{Agent, Create, Delegate, Outcome, Settle, TopUp, Use};
use crate::record::{Answer, Format, OperationRecord, decode, encode};

/// One caller's operation id, with the hash of what it asks.
#[derive(Clone, Debug)]
pub(crate) struct Operation {
    pub(crate) key: Bytes,
    /// `principal/operation`, as events and specs name it.
    pub(crate) label: String,
    hash: Arc<str>,
}

impl Operation {
    pub(crate) fn new(caller: &Caller, id: &OperationId, request: &Fingerprint) -> Self {
        let key = keys::operation(&caller.tenant, &caller.principal, id);
        let label = format!("{}/{id}", caller.principal);
        Self {
            key,
            label,
            hash: request.hash(),
        }
    }

    /// The record to store with the change itself.
    pub(crate) fn record(&self, at: Millis, session: &SessionId, answer: &Answer) -> Bytes {
        encode(&OperationRecord {
            v: Format,
            hash: Arc::clone(&self.hash),
            at,
            session: session.clone(),
            answer: answer.clone(),
        })
    }

    /// The first answer, if the stored record is of the same request.
    pub(crate) fn replay(&self, stored: &[u8]) -> Result<OperationRecord, SessionError> {
        let record: OperationRecord = decode("operation record", stored)?;
        if record.hash != self.hash {
            return Err(SessionError::OperationConflict);
        }
        Ok(record)
    }
}

/// The key of the record behind an event's or spec's label.
pub(crate) fn key_of_label(tenant: &TenantId, label: &str) -> Option<Bytes> {
    let (principal, id) = label.split_once('/')?;
    Some(keys::operation(
        tenant,
        &principal.parse().ok()?,
        &id.parse().ok()?,
    ))
}

/// What an operation id was used for: every field of the request but the id
/// itself, each with its length, so that no two requests look alike.
#[derive(Debug)]
pub(crate) struct Fingerprint {
    hasher: Sha256,
    /// The field that is being hashed, as JSON.
    json: Vec<u8>,
}

impl Fingerprint {
    fn new(verb: &str) -> Self {
        let mut fingerprint = Self {
            hasher: Sha256::new(),
            json: Vec::new(),
        };
        fingerprint.text(verb);
        fingerprint
    }

    fn text(&mut self, text: &str) {
        self.number(u64::try_from(text.len()).unwrap_or(u64::MAX));
        self.hasher.update(text.as_bytes());
    }

    fn number(&mut self, number: u64) {
        self.hasher.update(number.to_be_bytes());
    }

    /// 128 bits of it, in hexadecimal: enough, as the id is its owner's own.
    pub(crate) fn hash(&self) -> Arc<str> {
        let digest = self.hasher.clone().finalize();
        let digit = |nibble: u8| char::from(b"0123456789abcdef"[usize::from(nibble)]);
        let mut text = String::with_capacity(32);
        for byte in &digest[..16] {
            text.extend([digit(byte >> 4), digit(byte & 15)]);
        }
        text.into()
    }

    pub(crate) fn create(request: &Create, cap: Option<u64>) -> Self {
        let mut it = Self::new("create");
        it.text(request.id.as_ref().map_or("", SessionId::as_str));
        it.text(request.agent.as_str());
        it.text(&request.intent);
        it.json(&request.tools);
        it.json(&request.credentials);
        it.json(&request.ceiling);
        it.number(request.time_limit_ms);
        it.json(&request.budget);
        it.json(&request.rate);
        it.json(&request.chain);
        it.json(&cap);
        it
    }

    pub(crate) fn delegate(parent: &SessionId, request: &Delegate, cap: Option<u64>) -> Self {
        let mut it = Self::create(&request.child, cap);
        it.text("delegate");
        it.text(parent.as_str());
        it.agent(&request.by);
        it.json(&request.funding);
        it.number(u64::from(request.ends_with_parent));
        it
    }

    pub(crate) fn uses(session: &SessionId, request: &Use) -> Self {
        let mut it = Self::new("use");
        it.text(session.as_str());
        it.agent(&request.agent);
        for item in &request.items {
            it.text(item.tool.as_str());
            it.json(&item.credentials);
            it.json(&item.sensitivity);
            it.json(&item.charge);
            it.number(u64::from(item.reserve));
        }
        it
    }

    pub(crate) fn settle(session: &SessionId, request: &Settle) -> Self {
        let mut it = Self::new("settle");
        it.text(session.as_str());
        it.agent(&request.agent);
        it.number(request.call);
        match request.outcome {
            Outcome::Cost(charge) => it.json(&charge),
            Outcome::Refund => it.text("refund"),
        }
        it
    }

    pub(crate) fn top_up(session: &SessionId, request: &TopUp) -> Self {
        let mut it = Self::new("top_up");
        it.text(session.as_str());
        it.number(request.calls);
        it.number(request.tokens);
        it.number(request.cost_micros);
        it
    }

    pub(crate) fn close(session: &SessionId) -> Self {
        let mut it = Self::new("close");
        it.text(session.as_str());
        it
    }

    fn agent(&mut self, agent: &Agent) {
        match agent {
            Agent::Is(agent) => self.text(agent.as_str()),
            Agent::Unchecked => self.text(""),
        }
    }

    fn json<T: serde::Serialize>(&mut self, value: &T) {
        self.json.clear();
        serde_json::to_writer(&mut self.json, value)
            .expect("requests have text keys and finite numbers only");
        self.number(u64::try_from(self.json.len()).unwrap_or(u64::MAX));
        self.hasher.update(&self.json);
    }
}
