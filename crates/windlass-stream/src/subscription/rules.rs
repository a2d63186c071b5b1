//! What becomes of a subscription: a state, what happens to it, and the time
//! give the next state.
//!
//! Invariants:
//!
//! 1. A wake has a generation of its own, one higher than the one before, and
//!    generations never go back.
//! 2. A worker changes nothing unless wake, generation and token are those of
//!    the lease that is held, and the lease has not run out.
//! 3. While a wake is under way or a lease is held, there is no other wake.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use windlass_core::Millis;

use super::error::SubscriptionError;
use super::limits::{RETRY_MS_MAX, RETRY_MS_MIN};
use super::model::Hold;

/// Where a subscription stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct State {
    /// Of the last wake; 0 before the first.
    pub(crate) generation: u64,
    pub(crate) phase: Phase,
    /// After a delivery that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) retry: Option<Retry>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Phase {
    #[default]
    Idle,
    /// Somebody was called who has not come yet.
    Waking {
        wake: Arc<str>,
    },
    Leased(Lease),
}

/// A wake in the hands of a worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Lease {
    pub(crate) wake: Arc<str>,
    /// Who, by the name it gave.
    pub(crate) holder: Arc<str>,
    /// The hash of the token.
    pub(crate) token: Arc<str>,
    pub(crate) until: Millis,
}

/// When a delivery is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Retry {
    /// Deliveries that failed in a row.
    pub(crate) failures: u32,
    pub(crate) at: Millis,
}

/// What is to be done with a subscription that nobody asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// Nothing.
    Rest,
    /// What is over has to be cleared away.
    Settle,
    /// A worker has to be woken.
    Wake,
}

/// What a failed delivery tells of the one it was sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It was refused, or never arrived.
    Refused,
    /// It may be worked on: the lease stays until it runs out.
    Unanswered,
}

impl State {
    /// What to do at `now`.
    pub(crate) fn look(&self, pending: bool, now: Millis) -> Look {
        let over = match &self.phase {
            Phase::Waking { .. } => return Look::Rest,
            Phase::Leased(lease) if !lease.until.has_passed(now) => return Look::Rest,
            Phase::Leased(_) => true,
            Phase::Idle => false,
        };
        let waits = self.retry.is_some_and(|retry| !retry.at.has_passed(now));
        match (pending, waits) {
            (true, false) => Look::Wake,
            (true, true) | (false, _) if over => Look::Settle,
            (false, false) if self.retry.is_some() => Look::Settle,
            _ => Look::Rest,
        }
    }

    /// Clears away a lease that ran out, and a retry for which nothing is left.
    pub(crate) fn settled(&self, pending: bool) -> Self {
        Self {
            generation: self.generation,
            phase: Phase::Idle,
            retry: self.retry.filter(|_| pending),
        }
    }

    fn next(&self, phase: Phase) -> Self {
        Self {
            // 2^64 wakes are more than there will be.
            generation: self.generation.saturating_add(1),
            phase,
            retry: self.retry,
        }
    }

    /// Somebody is called: whoever comes first gets the wake.
    pub(crate) fn called(&self, wake: Arc<str>) -> Self {
        Self {
            retry: None,
            ..self.next(Phase::Waking { wake })
        }
    }

    /// A wake is given to whom it is sent.
    pub(crate) fn sent(&self, lease: Lease) -> Self {
        self.next(Phase::Leased(lease))
    }

    /// A worker comes for work, under a wake of its own unless it was called.
    pub(crate) fn claimed(
        &self,
        mut lease: Lease,
        pending: bool,
        now: Millis,
    ) -> Result<Self, SubscriptionError> {
        match &self.phase {
            Phase::Leased(held) if !held.until.has_passed(now) => {
                Err(SubscriptionError::AlreadyClaimed {
                    holder: Arc::clone(&held.holder),
                    generation: self.generation,
                })
            }
            Phase::Waking { wake } => {
                lease.wake = Arc::clone(wake);
                Ok(Self {
                    phase: Phase::Leased(lease),
                    ..self.clone()
                })
            }
            Phase::Idle | Phase::Leased(_) if !pending => Err(SubscriptionError::NothingPending),
            Phase::Idle | Phase::Leased(_) => Ok(self.next(Phase::Leased(lease))),
        }
    }

    /// The lease, if `hold` is who has it.
    pub(crate) fn held_by(&self, hold: &Hold, now: Millis) -> Result<&Lease, SubscriptionError> {
        let Phase::Leased(lease) = &self.phase else {
            return Err(SubscriptionError::Fenced);
        };
        // Compared whatever the rest says: how long it takes tells nothing.
        let proven = hold.token.is_hashed(&lease.token);
        let same = self.generation == hold.generation && lease.wake == hold.wake;
        if proven && same && !lease.until.has_passed(now) {
            return Ok(lease);
        }
        Err(SubscriptionError::Fenced)
    }

    /// The wake that is under way.
    pub(crate) fn wake(&self) -> Option<Arc<str>> {
        match &self.phase {
            Phase::Idle => None,
            Phase::Waking { wake } => Some(Arc::clone(wake)),
            Phase::Leased(lease) => Some(Arc::clone(&lease.wake)),
        }
    }

    /// Whether `hold` is the last wake that was sent, also if it ran out: what
    /// became of its delivery is worth knowing.
    pub(crate) fn sent_as(&self, hold: &Hold) -> Result<(), SubscriptionError> {
        match &self.phase {
            Phase::Leased(lease) if hold.token.is_hashed(&lease.token) => Ok(()),
            _ => Err(SubscriptionError::Fenced),
        }
    }

    /// The worker needs more time.
    pub(crate) fn extended(&self, lease: &Lease, until: Millis) -> Self {
        let until = until.max(lease.until);
        let lease = Lease {
            until,
            ..lease.clone()
        };
        Self {
            phase: Phase::Leased(lease),
            retry: None,
            ..self.clone()
        }
    }

    /// The worker is done, or wants no more of it.
    pub(crate) fn released(&self) -> Self {
        Self {
            phase: Phase::Idle,
            retry: None,
            ..self.clone()
        }
    }

    /// A delivery failed; `chance` is any byte, drawn for this failure.
    pub(crate) fn failed(&self, failure: Failure, now: Millis, chance: u8) -> Self {
        let failures = self.retry.map_or(0, |retry| retry.failures);
        let failures = failures.saturating_add(1);
        let mut at = now.plus_ms(wait_ms(failures, chance));
        let mut phase = Phase::Idle;
        if let (Failure::Unanswered, Phase::Leased(lease)) = (failure, &self.phase) {
            at = at.max(lease.until);
            phase = self.phase.clone();
        }
        Self {
            generation: self.generation,
            phase,
            retry: Some(Retry { failures, at }),
        }
    }

    /// When it has to be looked at again, if it is not changed before.
    pub(crate) fn due(&self) -> Option<Millis> {
        match &self.phase {
            Phase::Leased(lease) => Some(lease.until),
            Phase::Idle => self.retry.map(|retry| retry.at),
            Phase::Waking { .. } => None,
        }
    }
}

/// From one second, doubled with each failure, up to a minute; a fifth more or
/// less by chance, so that many do not come at once.
fn wait_ms(failures: u32, chance: u8) -> u64 {
    let doubled = RETRY_MS_MIN.checked_shl(failures.saturating_sub(1).min(16));
    let whole = doubled.unwrap_or(RETRY_MS_MAX).min(RETRY_MS_MAX);
    let fifth = whole / 5;
    whole - fifth + 2 * fifth * u64::from(chance) / u64::from(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_from_a_second_to_a_minute_and_differ_by_a_fifth() {
        let shortest: Vec<u64> = (1..=8).map(|failures| wait_ms(failures, 0)).collect();
        let longest: Vec<u64> = (1..=8).map(|failures| wait_ms(failures, 255)).collect();
        let seconds = [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000];
        assert_eq!(shortest, seconds.map(|ms| ms * 4 / 5));
        assert_eq!(longest, seconds.map(|ms| ms * 6 / 5));
        assert_eq!(wait_ms(u32::MAX, 255), 72_000);
    }
}
