//! The count of what one execution asked for.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::StashError;

/// Counts operations up to a limit; without one it does not count. Refused
/// operations count too: the limit is on what is asked, and a loop of refusals
/// is work like any other.
#[derive(Debug)]
pub(crate) struct Operations {
    made: AtomicU64,
    max: Option<u64>,
}

impl Operations {
    pub(crate) const fn new(max: Option<u64>) -> Self {
        Self {
            made: AtomicU64::new(0),
            max,
        }
    }

    /// Counts `more` operations, all or none of them.
    pub(crate) fn count(&self, more: usize) -> Result<(), StashError> {
        let more = u64::try_from(more).unwrap_or(u64::MAX);
        let Some(max) = self.max else {
            return Ok(());
        };
        let add = |made: u64| made.checked_add(more).filter(|made| *made <= max);
        let counted = self
            .made
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
        counted.map_or(Err(StashError::OperationLimit { max }), |_| Ok(()))
    }
}
