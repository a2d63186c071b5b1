//! What a reader leaves in the store: a cursor, to come back with, and a pin,
//! so that nothing it may still want is trimmed.
//!
//! Both last half a lease longer than the lease that they were last renewed
//! for, and are renewed at half of it: so they outlive every lease that is
//! given a sign of life in time.

use std::sync::Arc;

use bytes::Bytes;
use windlass_core::{Format, Millis};
use windlass_store::{Batch, Commit, Entry, Expect, StoreExt, Version};

use crate::caller::Caller;
use crate::engine::Engine;
use crate::error::StreamError;
use crate::keys::{self, StreamKeys};
use crate::offset::Offset;
use crate::record::{CursorRow, Pin, decode, encode};
use crate::secret::Cursor;
use crate::unknown::no_cursor;

/// A cursor as it is stored.
#[derive(Clone, Debug)]
pub(crate) struct Hold {
    pub(crate) keys: StreamKeys,
    /// The half of the cursor's hash that is its key.
    pub(crate) name: Arc<str>,
    pub(crate) row: CursorRow,
    pub(crate) version: Option<Version>,
}

/// How long a cursor lasts that is renewed now.
pub(crate) const fn lasting_ms(lease_ttl_ms: u64) -> u64 {
    lease_ttl_ms + lease_ttl_ms / 2
}

impl Hold {
    fn pin(&self) -> Bytes {
        self.keys.pin(self.row.at, &self.name)
    }

    pub(crate) fn key(&self) -> Bytes {
        keys::cursor(&self.keys.tenant, &self.name)
    }

    /// The check of its record, and its new record.
    fn batch(&self, next: &CursorRow) -> Batch {
        let expect = self.version.map_or(Expect::Absent, Expect::Version);
        let key = self.key();
        Batch::new()
            .check(key.clone(), expect)
            .put(key, encode(next))
    }

    /// The commit that lets it last until `until`, with everything from `at` on.
    pub(crate) fn extend(&self, at: Offset, until: Millis) -> (CursorRow, Batch) {
        let next = CursorRow {
            at,
            until,
            ..self.row.clone()
        };
        let mut batch = self.batch(&next);
        if self.version.is_none() {
            let due = keys::due_cursor(next.forgotten(), &self.keys.tenant, &self.name);
            batch = batch.put(due, Bytes::new());
        } else if at != self.row.at {
            batch = batch.delete(self.pin());
        }
        let pin = encode(&Pin { v: Format, until });
        (next, batch.put(self.keys.pin(at, &self.name), pin))
    }

    /// The commit that ends it.
    pub(crate) fn cancel(&self, now: Millis) -> Batch {
        let next = CursorRow {
            cancelled: Some(now),
            ..self.row.clone()
        };
        self.batch(&next).delete(self.pin())
    }

    /// The commit that forgets it, with the row that said so.
    pub(crate) fn forget(&self, due: &Entry) -> Batch {
        let expect = self.version.map_or(Expect::Present, Expect::Version);
        Batch::new()
            .check(self.key(), expect)
            .delete(self.key())
            .delete(self.pin())
            .delete(due.key.clone())
    }

    /// The commit that lists it under the time at which it is forgotten.
    pub(crate) fn list_again(&self, due: &Entry) -> Batch {
        let expect = self.version.map_or(Expect::Present, Expect::Version);
        let again = keys::due_cursor(self.row.forgotten(), &self.keys.tenant, &self.name);
        let batch = Batch::new().check(self.key(), expect);
        if again == due.key {
            return batch;
        }
        batch.delete(due.key.clone()).put(again, Bytes::new())
    }
}

impl Engine {
    /// A cursor's record, whoever's it is. One read.
    pub(crate) async fn stored_hold(
        &self,
        tenant: &windlass_core::TenantId,
        name: &str,
    ) -> Result<Option<Hold>, StreamError> {
        let Some(entry) = self.store.get(keys::cursor(tenant, name)).await? else {
            return Ok(None);
        };
        let row: CursorRow = decode("cursor", &entry.value)?;
        Ok(Some(Hold {
            keys: StreamKeys::new(tenant, &row.stream),
            name: name.into(),
            row,
            version: Some(entry.version),
        }))
    }

    /// The caller's cursor: unknown or foreign is not found, whatever its
    /// state; then cancelled, then expired.
    pub(crate) async fn resolve(
        &self,
        caller: &Caller,
        cursor: &Cursor,
    ) -> Result<Hold, StreamError> {
        let hash = cursor.hash();
        let hold = self.stored_hold(&caller.tenant, &hash.name()).await?;
        let hold = hold.ok_or_else(no_cursor)?;
        let own = hash.is_proven_by(&hold.row.proof) && hold.row.principal == caller.principal;
        if !own || hold.row.forgotten().has_passed(self.env.now()) {
            return Err(StreamError::NotFound);
        }
        self.check(&hold.row)?;
        Ok(hold)
    }

    fn check(&self, row: &CursorRow) -> Result<(), StreamError> {
        if row.cancelled.is_some() {
            return Err(StreamError::Cancelled);
        }
        if row.until.has_passed(self.env.now()) {
            return Err(StreamError::Expired);
        }
        Ok(())
    }

    /// Lets a cursor last for another lease; when it then expires.
    pub(crate) async fn renew(
        &self,
        hold: &mut Hold,
        lease_ttl_ms: u64,
    ) -> Result<Millis, StreamError> {
        let mut lost = 0;
        loop {
            let until = self.env.now().plus_ms(lasting_ms(lease_ttl_ms));
            let (row, batch) = hold.extend(hold.row.at, until.max(hold.row.until));
            match self.store.commit(batch).await? {
                Commit::Applied(version) => {
                    hold.row = row;
                    hold.version = Some(version);
                    return Ok(hold.row.until);
                }
                Commit::Conflict { .. } => {
                    let stored = self.stored_hold(&hold.keys.tenant, &hold.name).await?;
                    *hold = stored.ok_or(StreamError::Expired)?;
                    self.check(&hold.row)?;
                    lost += 1;
                    self.back_off(lost).await?;
                }
            }
        }
    }
}
