//! Turns and operations: the same id gives the first answer and takes effect
//! once.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use windlass_core::{Format, Millis, OperationId};

use crate::error::CheckpointError;
use crate::keys::StateKeys;
use crate::model::{Caller, Committed};
use crate::row;

/// One caller's id of a change, with the hash of what it asks.
#[derive(Clone, Debug)]
pub(crate) struct Turn {
    pub(crate) id: OperationId,
    pub(crate) key: Bytes,
    hash: String,
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
}

impl Turn {
    pub(crate) fn new(caller: &Caller, keys: &StateKeys, id: &OperationId, hash: String) -> Self {
        Self {
            id: id.clone(),
            key: keys.turn(&caller.principal, id),
            hash,
        }
    }

    /// The record to store with the change itself.
    pub(crate) fn record(&self, at: Millis, told: &Told) -> Bytes {
        let record = TurnRecord {
            v: Format,
            hash: self.hash.clone(),
            at,
            told: told.clone(),
        };
        row::encode(&record, None)
    }

    /// The first answer, if the stored record is of the same request.
    pub(crate) fn replay(&self, stored: &Bytes) -> Result<Told, CheckpointError> {
        let record: TurnRecord = row::decode("turn", stored)?;
        if record.hash != self.hash {
            return Err(CheckpointError::TurnConflict);
        }
        Ok(record.told)
    }
}

/// When a stored turn was done.
pub(crate) fn done_at(stored: &Bytes) -> Result<Millis, CheckpointError> {
    Ok(row::decode::<TurnRecord>("turn", stored)?.at)
}
