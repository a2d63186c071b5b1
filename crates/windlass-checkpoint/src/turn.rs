//! Turns and operations: the same id gives the first answer and takes effect
//! once.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use windlass_core::{Format, Millis, OperationId};

use crate::error::CheckpointError;
use crate::fingerprint;
use crate::keys::StateKeys;
use crate::limits::BESIDE_BYTES_MAX;
use crate::model::{Caller, Committed, check_length};
use crate::row;

/// One caller's id of a change, with the hash of what it asks.
#[derive(Clone, Debug)]
pub(crate) struct Turn {
    pub(crate) id: OperationId,
    pub(crate) key: Bytes,
    hash: String,
    /// What others answer in the same commit.
    beside: Option<Arc<str>>,
}

/// What others do in the same commit, and answer.
#[derive(Clone, Copy, Debug)]
pub struct Beside<'a> {
    /// What is asked of them: a turn is the same only if this is.
    pub asked: &'a str,
    /// What they answer, kept with the turn and given back when it is
    /// repeated: at most 4,096 bytes.
    pub answer: &'a str,
}

/// What a request came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Told {
    Committed(Committed),
    /// A tag was set, or removed; whether there was one.
    Tagged(bool),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TurnRecord {
    v: Format,
    hash: String,
    at: Millis,
    told: Told,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    beside: Option<Arc<str>>,
}

impl Turn {
    pub(crate) fn new(caller: &Caller, keys: &StateKeys, id: &OperationId, hash: String) -> Self {
        Self {
            id: id.clone(),
            key: keys.turn(&caller.principal, id),
            hash,
            beside: None,
        }
    }

    /// The same turn, of which others are a part.
    pub(crate) fn beside(mut self, beside: Beside<'_>) -> Result<Self, CheckpointError> {
        check_length("answer", beside.answer, BESIDE_BYTES_MAX)?;
        self.hash = fingerprint::joined(&self.hash, beside.asked);
        self.beside = Some(beside.answer.into());
        Ok(self)
    }

    /// The record to store with the change itself.
    pub(crate) fn record(&self, at: Millis, told: &Told) -> Bytes {
        let record = TurnRecord {
            v: Format,
            hash: self.hash.clone(),
            at,
            told: told.clone(),
            beside: self.beside.clone(),
        };
        row::encode(&record, None)
    }

    /// The first answer, if the stored record is of the same request.
    pub(crate) fn replay(&self, stored: &Bytes) -> Result<Told, CheckpointError> {
        Ok(self.replay_joined(stored)?.0)
    }

    /// The first answer, with that of others.
    pub(crate) fn replay_joined(
        &self,
        stored: &Bytes,
    ) -> Result<(Told, Option<Arc<str>>), CheckpointError> {
        let record: TurnRecord = row::decode("turn", stored)?;
        if record.hash != self.hash {
            return Err(CheckpointError::TurnConflict);
        }
        Ok((record.told, record.beside))
    }
}

/// When a stored turn was done.
pub(crate) fn done_at(stored: &Bytes) -> Result<Millis, CheckpointError> {
    Ok(row::decode::<TurnRecord>("turn", stored)?.at)
}
