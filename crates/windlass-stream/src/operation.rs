//! Operation ids: what is asked twice takes effect once.
//!
//! The record of an id is written by the commit that makes the change, so there
//! is never one without the other. An id belongs to its principal, and stands
//! for one request about streams for a day.

use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use windlass_core::{Format, Millis, OperationId, StreamId};
use windlass_store::{Batch, Expect, StoreExt};

use crate::caller::Caller;
use crate::digest::hex;
use crate::engine::Engine;
use crate::error::StreamError;
use crate::keys;
use crate::limits::OPERATION_MS;
use crate::model::Placed;
use crate::record::{OperationRow, decode, encode};

/// One caller's operation id, with the hash of what it asks.
#[derive(Clone, Debug)]
pub(crate) struct Operation {
    caller: Caller,
    id: OperationId,
    hash: Arc<str>,
}

impl Operation {
    pub(crate) fn new(caller: &Caller, id: &OperationId, asked: &Fingerprint) -> Self {
        Self {
            caller: caller.clone(),
            id: id.clone(),
            hash: asked.hash(),
        }
    }

    fn key(&self) -> Bytes {
        keys::operation(&self.caller.tenant, &self.caller.principal, &self.id)
    }

    /// What the commit of the change has to carry.
    pub(crate) fn note(&self, stream: &StreamId, placed: Placed, now: Millis) -> Batch {
        let (tenant, principal) = (&self.caller.tenant, &self.caller.principal);
        let row = OperationRow {
            v: Format,
            hash: Arc::clone(&self.hash),
            at: now,
            stream: stream.clone(),
            placed,
        };
        let due = keys::due_operation(now.plus_ms(OPERATION_MS), tenant, principal, &self.id);
        Batch::new()
            .check(self.key(), Expect::Absent)
            .put(self.key(), encode(&row))
            .put(due, Bytes::new())
    }

    /// The stored record, if it is of the same request.
    fn replay(&self, stored: &[u8]) -> Result<OperationRow, StreamError> {
        let row: OperationRow = decode("operation record", stored)?;
        if row.hash != self.hash {
            return Err(StreamError::OperationConflict);
        }
        Ok(row)
    }
}

impl Engine {
    /// What was done under the operation, if it was done. One read, none
    /// without an operation.
    pub(crate) async fn recorded(
        &self,
        operation: Option<&Operation>,
    ) -> Result<Option<OperationRow>, StreamError> {
        let Some(operation) = operation else {
            return Ok(None);
        };
        let stored = self.store.get(operation.key()).await?;
        let row = stored.map(|entry| operation.replay(&entry.value));
        row.transpose()
    }
}

/// What an operation id is used for: every field of the request, each with its
/// length, so that no two requests look alike.
#[derive(Debug)]
pub(crate) struct Fingerprint(Sha256);

impl Fingerprint {
    pub(crate) fn new(verb: &str) -> Self {
        Self(Sha256::new()).bytes(verb.as_bytes())
    }

    pub(crate) fn bytes(mut self, bytes: &[u8]) -> Self {
        let length = u64::try_from(bytes.len()).expect("a length fits in 64 bits");
        self.0.update(length.to_be_bytes());
        self.0.update(bytes);
        self
    }

    pub(crate) fn text(self, text: &str) -> Self {
        self.bytes(text.as_bytes())
    }

    pub(crate) fn json<T: serde::Serialize>(self, value: &T) -> Self {
        self.bytes(&encode(value))
    }

    /// 128 bits of it, in hexadecimal: enough, as the id is its owner's own.
    pub(crate) fn hash(&self) -> Arc<str> {
        hex(&self.0.clone().finalize()[..16]).into()
    }
}
