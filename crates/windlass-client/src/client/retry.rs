//! What is tried again, and after which wait. Nothing here does I/O.

use std::time::Duration;

use super::limits::{BACKOFF_FIRST, BACKOFF_MAX};

/// What sending a call twice can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repeat {
    /// Nothing: it only reads.
    Harmless,
    /// Nothing: both carry the same idempotency key.
    Keyed,
    /// The change might be made twice.
    Twice,
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
pub(super) fn again(failed: Failed, repeat: Repeat, asked_max: Duration) -> Option<Duration> {
    let safe = repeat != Repeat::Twice;
    let asked = match failed {
        Failed::Unsent => None,
        Failed::Later(asked) => asked,
        Failed::Unknown if safe => None,
        Failed::InFlight(asked) if safe => asked,
        Failed::Unknown | Failed::InFlight(_) | Failed::Final => return None,
    };
    // Asking earlier than told would be refused again.
    asked
        .is_none_or(|asked| asked <= asked_max)
        .then(|| asked.unwrap_or_default())
}

/// The wait before retry number `retry` (counted from 0): what was asked for,
/// and a random part (`luck` of 0 to 65,535) of a bound that doubles. With all
/// of it random, callers that failed together do not come back together.
pub(super) fn wait(retry: u32, least: Duration, luck: u16) -> Duration {
    let doubled = BACKOFF_FIRST.saturating_mul(2_u32.saturating_pow(retry));
    let bound = doubled.min(BACKOFF_MAX);
    least.saturating_add(bound.saturating_mul(luck.into()) / u32::from(u16::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const ALL: [Repeat; 3] = [Repeat::Harmless, Repeat::Keyed, Repeat::Twice];

    #[test]
    fn what_was_not_sent_or_not_done_is_tried_again_whatever_it_is() {
        for repeat in ALL {
            assert_eq!(again(Failed::Unsent, repeat, SECOND), Some(Duration::ZERO));
            let asked = Failed::Later(Some(SECOND));
            assert_eq!(again(asked, repeat, SECOND), Some(SECOND));
            assert_eq!(again(Failed::Final, repeat, SECOND), None);
        }
    }

    #[test]
    fn what_may_have_been_done_is_tried_again_only_where_that_is_safe() {
        let tried = |failed| ALL.map(|repeat| again(failed, repeat, SECOND).is_some());
        assert_eq!(tried(Failed::Unknown), [true, true, false]);
        assert_eq!(tried(Failed::InFlight(None)), [true, true, false]);
    }

    #[test]
    fn a_longer_wait_than_allowed_is_not_waited_for() {
        let asked = Failed::Later(Some(SECOND + Duration::from_millis(1)));
        assert_eq!(again(asked, Repeat::Keyed, SECOND), None);
    }

    #[test]
    fn waits_grow_to_their_bound_and_are_random_from_nothing_on() {
        assert_eq!(wait(0, Duration::ZERO, 0), Duration::ZERO);
        assert_eq!(wait(0, Duration::ZERO, u16::MAX), BACKOFF_FIRST);
        assert_eq!(wait(3, Duration::ZERO, u16::MAX), BACKOFF_FIRST * 8);
        for retry in [10, 31, 32, u32::MAX] {
            assert_eq!(wait(retry, Duration::ZERO, u16::MAX), BACKOFF_MAX);
        }
        assert_eq!(wait(0, SECOND, 0), SECOND);
    }
}
