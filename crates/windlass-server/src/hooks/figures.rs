//! What was delivered, counted; no name of anything.

use std::sync::atomic::{AtomicU64, Ordering};

use super::Outcome;

/// Counters since the server started.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    arrived: AtomicU64,
    failed: AtomicU64,
    /// Hints for which there was no room.
    dropped: AtomicU64,
}

impl Figures {
    pub(super) fn delivered(&self, outcome: Outcome) {
        let counter = match outcome {
            Outcome::Done | Outcome::Taken => &self.arrived,
            Outcome::Refused | Outcome::Unanswered => &self.failed,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn dropped(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }

    /// Deliveries that arrived and that failed, and hints that were dropped.
    pub(crate) fn read(&self) -> [u64; 3] {
        [&self.arrived, &self.failed, &self.dropped].map(|it| it.load(Ordering::Relaxed))
    }
}
