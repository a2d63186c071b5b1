//! How many connections there may be, and how many there are.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// The places for connections.
#[derive(Clone, Debug)]
pub(crate) struct Places(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    max: usize,
    taken: AtomicUsize,
    /// Told whenever a place is given back.
    freed: Notify,
}

/// A place that is taken until this is dropped.
#[derive(Debug)]
pub(crate) struct Place(Arc<Inner>);

impl Places {
    pub(crate) fn new(max: usize) -> Self {
        Self(Arc::new(Inner {
            max,
            taken: AtomicUsize::new(0),
            freed: Notify::new(),
        }))
    }

    /// A place, if one is free. Only the accepting task takes any.
    pub(crate) fn take(&self) -> Option<Place> {
        if self.taken() >= self.0.max {
            return None;
        }
        self.0.taken.fetch_add(1, Ordering::AcqRel);
        Some(Place(Arc::clone(&self.0)))
    }

    pub(crate) fn taken(&self) -> usize {
        self.0.taken.load(Ordering::Acquire)
    }

    /// Whether so many are taken that unused ones should go.
    pub(crate) fn is_crowded(&self) -> bool {
        self.taken() >= self.0.max - self.0.max / 8
    }

    /// Completes once no place is taken.
    pub(crate) async fn empty(&self) {
        loop {
            let freed = self.0.freed.notified();
            if self.taken() == 0 {
                return;
            }
            freed.await;
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::AcqRel);
        self.0.freed.notify_waiters();
    }
}
