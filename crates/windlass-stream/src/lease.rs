//! What a reader has been let in with: its slot, its handle, and the settings
//! of that moment. However a read ends, dropping this gives the slot back and
//! tells whoever listens, once.

use std::sync::Arc;

use windlass_core::{Env, Millis};

use crate::audit::{CloseReason, Ear, Event};
use crate::caller::Caller;
use crate::capacity::{Capacity, Slot};
use crate::error::StreamError;
use crate::offset::Offset;
use crate::secret::Handle;
use crate::settings::Settings;

/// One read, from its slot on.
#[derive(Debug)]
pub(crate) struct Lease {
    env: Arc<dyn Env>,
    ear: Ear,
    caller: Caller,
    pub(crate) settings: Arc<Settings>,
    pub(crate) handle: Handle,
    opened: bool,
    /// When it runs out unless there is a sign of life before.
    until: Millis,
    /// How it would be closed if it were dropped now.
    pub(crate) reason: CloseReason,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    /// Given back when all of this is dropped.
    _slot: Slot,
}

impl Lease {
    /// Takes a slot, or says that there is none.
    pub(crate) fn take(
        env: &Arc<dyn Env>,
        ear: &Ear,
        capacity: &Capacity,
        settings: Arc<Settings>,
        caller: &Caller,
    ) -> Result<Self, StreamError> {
        let handle = Handle::draw(env.as_ref())?;
        let slot = capacity.take(caller, &settings).inspect_err(|refusal| {
            ear.tell(|| Event::Closed {
                caller: caller.clone(),
                handle: None,
                reason: CloseReason::CapacityRefused,
                refusal: Some(*refusal),
                rows: 0,
                bytes: 0,
            });
        })?;
        let until = env.now().plus_ms(settings.lease_ttl_ms);
        Ok(Self {
            env: Arc::clone(env),
            ear: ear.clone(),
            caller: caller.clone(),
            settings,
            handle,
            opened: false,
            until,
            reason: CloseReason::Error,
            rows: 0,
            bytes: 0,
            _slot: slot,
        })
    }

    /// The read has begun: it is pinned to a tail.
    pub(crate) fn open(&mut self, pinned: Offset, request: &Arc<str>) {
        self.opened = true;
        self.reason = CloseReason::Disconnected;
        self.ear.tell(|| Event::Opened {
            caller: self.caller.clone(),
            handle: self.handle,
            pinned,
            request: Arc::clone(request),
        });
    }

    /// Refuses a reader that was away for too long.
    pub(crate) fn check(&mut self) -> Result<(), StreamError> {
        if self.until.has_passed(self.env.now()) {
            self.reason = CloseReason::SnapshotExpired;
            return Err(StreamError::Expired);
        }
        Ok(())
    }

    /// A sign of life.
    pub(crate) fn renew(&mut self) {
        self.until = self.env.now().plus_ms(self.settings.lease_ttl_ms);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let handle = self.opened.then_some(self.handle);
        self.ear.tell(|| Event::Closed {
            caller: self.caller.clone(),
            handle,
            reason: self.reason,
            refusal: None,
            rows: self.rows,
            bytes: self.bytes,
        });
    }
}
