//! Rules of one key that need no room: get, delete, touch.

use windlass_core::Millis;

use crate::config::Config;
use crate::error::StashError;
use crate::key::Key;
use crate::metadata::Metadata;

use super::{Call, Change, Index};

impl Call<'_> {
    /// An entry as the caller may see it: its own, a public one, or none
    /// where a foreign one is hidden.
    pub(crate) fn seen<'m>(
        &self,
        entry: Option<&'m Metadata>,
    ) -> Result<Option<&'m Metadata>, StashError> {
        match entry {
            Some(metadata) if !metadata.is_open_to(self.caller) => match self.foreign() {
                StashError::KeyUnavailable => Ok(None),
                refusal => Err(refusal),
            },
            seen => Ok(seen),
        }
    }

    /// What a caller is told who wants to put a foreign key.
    pub(super) fn foreign(&self) -> StashError {
        if self.config.hide_foreign {
            return StashError::KeyUnavailable;
        }
        StashError::CrossGroupAccess {
            group: self.caller.cloned(),
        }
    }

    /// When an entry put now for `ttl_ms` is gone.
    pub(super) fn deadline(&self, ttl_ms: Option<u64>) -> Result<Millis, StashError> {
        Ok(self.now.plus_ms(ttl(self.config, ttl_ms)?))
    }
}

fn ttl(config: &Config, ttl_ms: Option<u64>) -> Result<u64, StashError> {
    let max_ms = config.ttl_ms_max;
    match ttl_ms {
        None => Ok(config.ttl_ms_default.min(max_ms)),
        Some(0) => Err(StashError::TtlZero),
        Some(requested_ms) if requested_ms > max_ms => Err(StashError::TtlTooLong {
            requested_ms,
            max_ms,
        }),
        Some(ttl_ms) => Ok(ttl_ms),
    }
}

impl Index {
    /// The live entry of a key, if the caller may see it. Checks the owner.
    /// O(1).
    pub(crate) fn get(&self, call: &Call<'_>, key: &Key) -> Result<Option<&Metadata>, StashError> {
        call.seen(self.find(key, call.now))
    }

    /// Deletes the live entry of a key; whether there was one. Checks the
    /// owner. O(log n).
    pub(crate) fn delete(
        &mut self,
        call: &Call<'_>,
        key: &Key,
        changes: &mut Vec<Change>,
    ) -> Result<bool, StashError> {
        let found = self.get(call, key)?.is_some();
        if found {
            self.take_out(key, changes);
        }
        Ok(found)
    }

    /// Gives a live entry another deadline; value, owner and version stay.
    /// Checks TTL, then owner. O(log n) at most.
    pub(crate) fn touch(
        &mut self,
        call: &Call<'_>,
        key: &Key,
        ttl_ms: Option<u64>,
        changes: &mut Vec<Change>,
    ) -> Result<Option<Metadata>, StashError> {
        let expires = call.deadline(ttl_ms)?;
        let Some(current) = self.get(call, key)? else {
            return Ok(None);
        };
        let touched = Metadata {
            expires,
            ..current.clone()
        };
        changes.push(Change {
            key: key.clone(),
            before: self.store(key, touched.clone()),
            after: Some(touched.clone()),
            value: None,
        });
        Ok(Some(touched))
    }

    /// Lets go of what is held under a key, and writes it down; its length.
    pub(super) fn take_out(&mut self, key: &Key, changes: &mut Vec<Change>) -> u64 {
        let before = self.remove(key);
        let size = before.as_ref().map_or(0, |metadata| metadata.size);
        changes.push(Change {
            key: key.clone(),
            before,
            after: None,
            value: None,
        });
        size
    }
}
