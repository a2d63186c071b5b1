//! What is tried again, and after which wait. Nothing here does I/O.

use std::time::Duration;

/// What sending a call again does, after it may have been heard before. None
/// of it does harm: a change that would happen twice is not among the calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repeat {
    /// Nothing: it only reads.
    Reads,
    /// Nothing: both carry the same idempotency key.
    Keyed,
    /// The rest of what was asked for: it asks for a state, such as "nothing
    /// open any more", and takes no key.
    Rest,
}

/// How an attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failed {
    /// Nothing was sent.
    Unsent,
    /// It was sent, and whether it took effect is not known.
    Unknown,
    /// The server did nothing, and may do it later.
    Later(Option<Duration>),
    /// Another attempt under the same key is still at it.
    InFlight(Option<Duration>),
    /// Asking again cannot help.
    Final,
}

/// Whether a call that failed so is tried again, and the least wait before
/// that.
pub(super) fn again(failed: Failed, asked_max: Duration) -> Option<Duration> {
    let asked = match failed {
        Failed::Unsent | Failed::Unknown => None,
        Failed::Later(asked) | Failed::InFlight(asked) => asked,
        Failed::Final => return None,
    };
    // Asking earlier than told would be refused again.
    asked
        .is_none_or(|asked| asked <= asked_max)
        .then(|| asked.unwrap_or_default())
}

/// Waits that grow.
#[derive(Clone, Copy, Debug)]
pub(super) struct Backoff {
    /// The most that the first one is.
    pub(super) first: Duration,
    /// The most that any is.
    pub(super) max: Duration,
}

impl Backoff {
    /// The wait before retry number `retry` (counted from 0): what was asked
    /// for, and a random part (`luck` of 0 to 65,535) of a bound that doubles.
    /// With all of it random, callers that failed together do not come back
    /// together.
    pub(super) fn wait(self, retry: u32, least: Duration, luck: u16) -> Duration {
        let doubled = self.first.saturating_mul(2_u32.saturating_pow(retry));
        let bound = doubled.min(self.max);
        least.saturating_add(bound.saturating_mul(luck.into()) / u32::from(u16::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    #[test]
    fn everything_but_a_final_word_is_tried_again_no_earlier_than_asked() {
        for failed in [
            Failed::Unsent,
            Failed::Unknown,
            Failed::Later(None),
            Failed::InFlight(None),
        ] {
            assert_eq!(again(failed, SECOND), Some(Duration::ZERO), "{failed:?}");
        }
        for failed in [Failed::Later(Some(SECOND)), Failed::InFlight(Some(SECOND))] {
            assert_eq!(again(failed, SECOND), Some(SECOND), "{failed:?}");
        }
        assert_eq!(again(Failed::Final, SECOND), None);
    }

    #[test]
    fn a_longer_wait_than_allowed_is_not_waited_for() {
        let asked = Failed::Later(Some(SECOND + Duration::from_millis(1)));
        assert_eq!(again(asked, SECOND), None);
    }

    #[test]
    fn waits_grow_to_their_bound_and_are_random_from_nothing_on() {
        let (first, max) = (Duration::from_millis(50), Duration::from_secs(5));
        let backoff = Backoff { first, max };
        assert_eq!(backoff.wait(0, Duration::ZERO, 0), Duration::ZERO);
        assert_eq!(backoff.wait(0, Duration::ZERO, u16::MAX), first);
        assert_eq!(backoff.wait(3, Duration::ZERO, u16::MAX), first * 8);
        for retry in [10, 31, 32, u32::MAX] {
            assert_eq!(backoff.wait(retry, Duration::ZERO, u16::MAX), max);
        }
        assert_eq!(backoff.wait(0, SECOND, 0), SECOND);
    }
}
