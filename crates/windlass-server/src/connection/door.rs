//! How many new connections have their first request answered at a time.
//!
//! A request takes some 40 KiB while it is answered, and what was taken at a
//! time is what the process keeps. When thousands come at once, as after a
//! restart, they come in a few behind each other: those behind wait without
//! buffers, and not for long, as nobody is in the way for more than a moment.

use std::future::pending;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until};

/// First requests that are answered at a time.
const ENTRIES_MAX: usize = 256;

/// For how long one that is not answered is in the way of others.
const ENTRY: Duration = Duration::from_millis(100);

/// Where connections enter.
#[derive(Clone, Debug)]
pub(super) struct Door(Arc<Semaphore>);

impl Default for Door {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(ENTRIES_MAX)))
    }
}

impl Door {
    /// Waits for its turn, behind those who came before.
    pub(super) async fn enter(&self) -> Entry {
        let permit = Arc::clone(&self.0).acquire_owned().await;
        let until = Instant::now() + ENTRY;
        // It is never closed.
        let permit = permit.ok().map(|permit| (permit, until));
        Entry(Arc::new(Mutex::new(permit)))
    }
}

/// A first request that is to be answered, or, by default, none.
#[derive(Clone, Debug, Default)]
pub(super) struct Entry(Arc<Mutex<Option<(OwnedSemaphorePermit, Instant)>>>);

impl Entry {
    /// Lets the next one in.
    pub(super) fn leave(&self) {
        let entry = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(entry);
    }

    /// Completes when it has been in the way for long enough; never, if it is
    /// not.
    pub(super) async fn over(&self) {
        let until = self.until();
        match until {
            Some(until) => sleep_until(until).await,
            None => pending().await,
        }
    }

    fn until(&self) -> Option<Instant> {
        let entry = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entry.as_ref().map(|(_, until)| *until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_behind_one_that_is_not_answered_for_longer_than_a_moment() {
        let door = Door::default();
        let mut inside = Vec::new();
        for _ in 0..ENTRIES_MAX {
            inside.push(door.enter().await);
        }
        let mut next = tokio::spawn({
            let door = door.clone();
            async move { door.enter().await }
        });
        let early = tokio::time::timeout(ENTRY / 2, &mut next).await;
        assert!(early.is_err(), "{early:?}");
        let began = Instant::now();
        inside[0].over().await;
        assert_eq!(began.elapsed(), ENTRY - ENTRY / 2);
        inside[0].leave();
        let entered = next.await.expect("no panic");
        let again = tokio::time::timeout(2 * ENTRY, inside[0].over()).await;
        assert!(again.is_err(), "it is out of the way: {again:?}");
        drop((entered, inside));
        assert_eq!(door.0.available_permits(), ENTRIES_MAX);
    }
}
