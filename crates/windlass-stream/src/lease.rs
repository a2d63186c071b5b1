//! What a reader has been let in with: its slot, its handle, and the settings
//! of that moment. However a read ends, dropping this gives the slot back and
//! tells whoever listens, once.

use std::sync::Arc;

use windlass_core::{Env, Millis};

use crate::audit::{CloseReason, Ear, Event};
use crate::caller::Caller;
use crate::capacity::Slot;
use crate::engine::Engine;
use crate::error::StreamError;
use crate::offset::Offset;
use crate::running::{Credential, Run, Running, Signal};
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
    credential: Credential,
    /// Whether somebody was told that the credential has expired.
    told_of_expiry: bool,
    /// Once the read has begun.
    run: Option<Run>,
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
        engine: &Engine,
        settings: Arc<Settings>,
        caller: &Caller,
        credential: &Credential,
    ) -> Result<Self, StreamError> {
        let (env, ear) = (&engine.env, &engine.ear);
        let handle = Handle::draw(env.as_ref())?;
        let slot = engine
            .capacity
            .take(caller, &settings)
            .inspect_err(|refusal| {
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
            credential: credential.clone(),
            told_of_expiry: false,
            run: None,
            opened: false,
            until,
            reason: CloseReason::Error,
            rows: 0,
            bytes: 0,
            _slot: slot,
        })
    }

    /// The read has begun: it is pinned to a tail, and can be stopped.
    pub(crate) fn open(
        &mut self,
        running: &Running,
        cursor: Option<&Arc<str>>,
        pinned: Offset,
        request: &Arc<str>,
    ) {
        let run = running.join(self.handle, cursor, &self.caller, &self.credential);
        self.run = Some(run);
        self.opened = true;
        self.reason = CloseReason::Disconnected;
        self.ear.tell(|| Event::Opened {
            caller: self.caller.clone(),
            handle: self.handle,
            pinned,
            request: Arc::clone(request),
        });
    }

    /// What stops the read.
    pub(crate) fn signal(&self) -> Option<Arc<Signal>> {
        self.run.as_ref().map(|run| Arc::clone(&run.signal))
    }

    /// Refuses a reader that was away for too long.
    pub(crate) fn check(&self) -> Result<(), StreamError> {
        if self.until.has_passed(self.env.now()) {
            return Err(StreamError::Expired);
        }
        Ok(())
    }

    /// Refuses a reader that was stopped; tells when what it was let in with
    /// has expired meanwhile.
    pub(crate) fn go_on(&mut self) -> Result<(), StreamError> {
        self.notice_expiry(self.env.now());
        self.run.as_ref().map_or(Ok(()), |run| run.signal.check())
    }

    fn notice_expiry(&mut self, now: Millis) {
        let over = self.credential.expires.is_some_and(|it| it.has_passed(now));
        if !over || !self.opened || self.told_of_expiry {
            return;
        }
        self.told_of_expiry = true;
        self.ear.tell(|| Event::TokenExpired {
            caller: self.caller.clone(),
            handle: self.handle,
        });
    }

    /// A sign of life.
    pub(crate) fn renew(&mut self) {
        self.until = self.env.now().plus_ms(self.settings.lease_ttl_ms);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let handle = self.opened.then_some(self.handle);
        self.notice_expiry(self.env.now());
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
