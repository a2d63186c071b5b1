//! A secret of the store's own, with which a service marks what it hands out
//! and takes back, such as the cursors of listings.

use serde::{Deserialize, Serialize};
use windlass_core::Format;
use windlass_store::{Batch, Expect};

use crate::engine::{Attempt, Rounds};
use crate::error::AccessError;
use crate::keys::Keys;
use crate::layout;
use crate::record::{Hash, decode, encode};

/// The record of the secret.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SealRecord {
    v: Format,
    key: Hash,
}

impl Keys {
    /// The store's own secret of 256 bits, drawn when it is first asked for.
    /// Every process over the store gets the same, and it is never shown to a
    /// caller. One read.
    ///
    /// # Errors
    ///
    /// `Corrupt` if its record cannot be read, and the store's failures.
    pub async fn sealing_key(&self) -> Result<[u8; 32], AccessError> {
        let engine = self.engine();
        let mut rounds = Rounds::default();
        loop {
            rounds.next(engine.env.as_ref()).await?;
            let found = engine.points([layout::seal()]).await;
            let [found] = rounds.settle(found)?;
            if let Some(entry) = found {
                let record: SealRecord = decode("sealing key", &entry.value)?;
                return Ok(record.key.0);
            }
            let mut key = [0; 32];
            engine.env.random(&mut key)?;
            let record = SealRecord {
                v: Format,
                key: Hash(key),
            };
            let batch = Batch::new()
                .check(layout::seal(), Expect::Absent)
                .put(layout::seal(), encode(&record));
            if let Attempt::Applied = rounds.commit(engine.store.as_ref(), batch).await? {
                return Ok(key);
            }
        }
    }
}
