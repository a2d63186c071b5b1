//! Reads that go on in this process, so that they can be stopped from within
//! it.
//!
//! Bounded by the slots: who reads has one, and leaves when it ends.

use std::collections::HashMap;
use std::fmt;
use std::future::poll_fn;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use futures_util::task::AtomicWaker;
use windlass_core::Millis;

use crate::caller::Caller;
use crate::error::StreamError;
use crate::secret::Handle;

/// What somebody was let in with, as far as a read depends on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Credential {
    /// By which whoever revokes it finds the reads that were opened with it.
    pub name: Option<Arc<str>>,
    /// When it expires. A read that was opened before goes on; it is told.
    pub expires: Option<Millis>,
}

/// Why a read has to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    Cancelled,
    Revoked,
}

impl Stop {
    const fn error(self) -> StreamError {
        match self {
            Self::Cancelled => StreamError::Cancelled,
            Self::Revoked => StreamError::Revoked,
        }
    }
}

/// Whether one read has to stop.
#[derive(Default)]
pub(crate) struct Signal {
    /// 0 while it may go on.
    stop: AtomicU8,
    waker: AtomicWaker,
}

impl Signal {
    fn raise(&self, stop: Stop) {
        let stop = match stop {
            Stop::Cancelled => 1,
            Stop::Revoked => 2,
        };
        // The first reason stays.
        let _ = self
            .stop
            .compare_exchange(0, stop, Ordering::AcqRel, Ordering::Acquire);
        self.waker.wake();
    }

    fn raised(&self) -> Option<Stop> {
        match self.stop.load(Ordering::Acquire) {
            0 => None,
            1 => Some(Stop::Cancelled),
            _ => Some(Stop::Revoked),
        }
    }

    /// Refuses to go on if it was raised.
    pub(crate) fn check(&self) -> Result<(), StreamError> {
        self.raised().map_or(Ok(()), |stop| Err(stop.error()))
    }

    /// Waits until it is raised.
    pub(crate) async fn wait(&self) {
        poll_fn(|context| {
            self.waker.register(context.waker());
            match self.raised() {
                Some(_) => Poll::Ready(()),
                None => Poll::Pending,
            }
        })
        .await;
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Signal").field(&self.raised()).finish()
    }
}

/// All reads of a process, by their leases.
#[derive(Clone, Debug, Default)]
pub(crate) struct Running(Arc<Mutex<HashMap<Handle, Entry>>>);

#[derive(Debug)]
struct Entry {
    cursor: Option<Arc<str>>,
    caller: Caller,
    credential: Credential,
    signal: Arc<Signal>,
}

/// One read among the others, until it is dropped.
#[derive(Debug)]
pub(crate) struct Run {
    running: Running,
    handle: Handle,
    pub(crate) signal: Arc<Signal>,
}

impl Running {
    /// Enters a read, of the cursor of this name if it has one.
    pub(crate) fn join(
        &self,
        handle: Handle,
        cursor: Option<&Arc<str>>,
        caller: &Caller,
        credential: &Credential,
    ) -> Run {
        let signal = Arc::new(Signal::default());
        let entry = Entry {
            cursor: cursor.map(Arc::clone),
            caller: caller.clone(),
            credential: credential.clone(),
            signal: Arc::clone(&signal),
        };
        self.lock().insert(handle, entry);
        Run {
            running: self.clone(),
            handle,
            signal,
        }
    }

    /// Stops who reads for the cursor.
    pub(crate) fn cancel(&self, cursor: &str) {
        self.stop(Stop::Cancelled, |entry| {
            entry.cursor.as_deref() == Some(cursor)
        });
    }

    /// Stops who was let in with what is `meant`; how many that were.
    pub(crate) fn revoke(&self, meant: impl Fn(&Caller, &Credential) -> bool) -> usize {
        self.stop(Stop::Revoked, |entry| {
            meant(&entry.caller, &entry.credential)
        })
    }

    fn stop(&self, why: Stop, meant: impl Fn(&Entry) -> bool) -> usize {
        let running = self.lock();
        let entries = running.values().filter(|entry| meant(entry));
        let signals: Vec<_> = entries.map(|entry| Arc::clone(&entry.signal)).collect();
        drop(running);
        signals.iter().for_each(|signal| signal.raise(why));
        signals.len()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Handle, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.running.lock().remove(&self.handle);
    }
}
