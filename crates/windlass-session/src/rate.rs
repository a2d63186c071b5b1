//! The sliding rate window: 64 sub-windows, the oldest counted whole.
//!
//! A sub-window lasts 1/63 of the window, rounded up. Any stretch of the
//! window's length therefore lies within the 64 sub-windows that are counted
//! at its end, and never admits more than the limit.

use serde::{Deserialize, Serialize};
use windlass_core::Millis;

use crate::error::SessionError;
use crate::model::RateLimit;

const SUB_WINDOWS: u64 = 64;

/// Calls by sub-window, oldest first: its number since the epoch, and how
/// many calls it saw. Empty sub-windows are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Ring(Vec<(u64, u64)>);

impl Ring {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Counts `calls` at `now`, or says when they may be tried again.
    pub(crate) fn admit(
        &mut self,
        rate: RateLimit,
        now: Millis,
        calls: u64,
    ) -> Result<(), SessionError> {
        let length = rate.window_ms.div_ceil(SUB_WINDOWS - 1);
        // A clock behind the one that counted last counts into its slot.
        let newest = self.0.last().map_or(0, |(slot, _)| *slot);
        let slot = (now.get() / length).max(newest);
        let oldest = slot.saturating_sub(SUB_WINDOWS - 1);
        let counted = self.0.iter().filter(|(at, _)| *at >= oldest);
        let wanted = counted
            .clone()
            .fold(calls, |sum, (_, count)| sum.saturating_add(*count));
        if wanted > rate.limit {
            let retry_after_ms = leaves(counted, wanted - rate.limit).map(|at| {
                at.saturating_add(SUB_WINDOWS)
                    .saturating_mul(length)
                    .saturating_sub(now.get())
            });
            return Err(SessionError::RateLimited {
                limit: rate.limit,
                retry_after_ms,
            });
        }
        self.0.retain(|(at, _)| *at >= oldest);
        match self.0.last_mut() {
            Some((at, count)) if *at == slot => *count = count.saturating_add(calls),
            _ => self.0.push((slot, calls)),
        }
        Ok(())
    }
}

/// The sub-window with which `excess` calls have left; `None` if so many
/// never do.
fn leaves<'a>(counted: impl Iterator<Item = &'a (u64, u64)>, mut excess: u64) -> Option<u64> {
    for (slot, count) in counted {
        excess = excess.saturating_sub(*count);
        if excess == 0 {
            return Some(*slot);
        }
    }
    None
}
