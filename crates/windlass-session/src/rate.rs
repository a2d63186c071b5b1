//! The rate window: sliding over 64 sub-windows, or fixed.
//!
//! A sliding window counts 64 sub-windows, the oldest whole. A sub-window lasts 1/63 of the window, rounded up to a millisecond. Any
//! stretch of the window's length therefore lies within the 64 sub-windows
//! that are counted at its end, and never admits more than the limit. What
//! that costs: a call is refused up to one sub-window, and what rounding adds
//! to 63 of them (at most 62 ms), longer than strictly needed.
//!
//! A fixed window is a single sub-window as long as the window: it begins at
//! a multiple of its length since the epoch, wherever it is counted, so a
//! restart opens no fresh one.

use serde::{Deserialize, Serialize};
use windlass_core::Millis;

use crate::error::SessionError;
use crate::model::{RateKind, RateLimit};

const SUB_WINDOWS: u64 = 64;

/// How many sub-windows are counted, and how long each is.
const fn division(rate: RateLimit) -> (u64, u64) {
    match rate.kind {
        RateKind::Sliding => (SUB_WINDOWS, rate.window_ms.div_ceil(SUB_WINDOWS - 1)),
        RateKind::Fixed => (1, rate.window_ms),
    }
}

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
        let (counted, length) = division(rate);
        // A clock behind the one that counted last counts into its slot.
        let newest = self.0.last().map_or(0, |(slot, _)| *slot);
        let slot = (now.get() / length).max(newest);
        let oldest = slot.saturating_sub(counted - 1);
        let recent = self.0.iter().filter(|(at, _)| *at >= oldest);
        let wanted = recent
            .clone()
            .fold(calls, |sum, (_, count)| sum.saturating_add(*count));
        if wanted > rate.limit {
            let retry_after_ms = leaves(recent, wanted - rate.limit).map(|at| {
                at.saturating_add(counted)
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
fn leaves<'a>(recent: impl Iterator<Item = &'a (u64, u64)>, mut excess: u64) -> Option<u64> {
    for (slot, count) in recent {
        excess = excess.saturating_sub(*count);
        if excess == 0 {
            return Some(*slot);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::limits::{RATE_WINDOW_MS_MAX, RATE_WINDOW_MS_MIN};

    /// Every call ever admitted, with its time.
    struct Log {
        rate: RateLimit,
        calls: Vec<(u64, u64)>,
    }

    impl Log {
        /// Calls within any stretch of the window's length that ends at `end`.
        fn in_window(&self, end: u64) -> u64 {
            let inside = |(at, _): &&(u64, u64)| *at <= end && end - *at <= self.rate.window_ms;
            self.calls
                .iter()
                .filter(inside)
                .map(|(_, count)| count)
                .sum()
        }

        /// The first time at which a perfect window would take `calls` more.
        fn earliest(&self, calls: u64, now: u64) -> Option<u64> {
            let leaving = self
                .calls
                .iter()
                .map(|(at, _)| at + self.rate.window_ms + 1);
            let mut times: Vec<u64> = leaving.filter(|at| *at > now).chain([now]).collect();
            times.sort_unstable();
            times
                .into_iter()
                .find(|at| self.in_window(*at) + calls <= self.rate.limit)
        }
    }

    /// Longest that a call may be refused beyond what is needed.
    fn slack(rate: RateLimit) -> u64 {
        rate.window_ms.div_ceil(63) + 62
    }

    /// Checks one attempt, and the wait it is told, against the log.
    fn attempt(ring: &mut Ring, log: &mut Log, now: u64, calls: u64) -> Result<(), TestCaseError> {
        let rate = log.rate;
        match ring.admit(rate, Millis::new(now), calls) {
            Ok(()) => {
                log.calls.push((now, calls));
                let seen = log.in_window(now);
                prop_assert!(seen <= rate.limit, "{} calls in a window", seen);
            }
            Err(SessionError::RateLimited {
                retry_after_ms: None,
                ..
            }) => {
                prop_assert!(calls > rate.limit, "{} fit a fresh window", calls);
            }
            Err(SessionError::RateLimited {
                retry_after_ms: Some(ms),
                ..
            }) => {
                let earliest = log
                    .earliest(calls, now)
                    .expect("so many fit a fresh window");
                prop_assert!(now + ms <= earliest + slack(rate), "{} after {}", ms, now);
                let at = |ms| ring.clone().admit(rate, Millis::new(now + ms), calls);
                prop_assert!(at(ms).is_ok(), "{} ms were not enough", ms);
                prop_assert!(ms > 0 && at(ms - 1).is_err(), "{} ms were too many", ms);
            }
            Err(other) => prop_assert!(false, "{:?}", other),
        }
        prop_assert!(ring.0.len() <= 64, "{} sub-windows", ring.0.len());
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn no_stretch_of_the_window_admits_more_than_the_limit(
            window_ms in prop_oneof![
                RATE_WINDOW_MS_MIN..=RATE_WINDOW_MS_MIN + 200,
                Just(63_000_u64),
                RATE_WINDOW_MS_MIN..=RATE_WINDOW_MS_MAX,
            ],
            limit in 0_u64..30,
            start in 0_u64..10_000_000,
            steps in prop::collection::vec((0_u64..=1_000, 1_u64..6), 1..150),
        ) {
            let mut ring = Ring::default();
            let mut log = Log { rate: RateLimit::sliding(limit, window_ms), calls: Vec::new() };
            let mut now = start;
            for (share, calls) in steps {
                // Mostly short waits, now and then most of a window.
                now += window_ms * share * share * share / 1_000_000_000;
                attempt(&mut ring, &mut log, now, calls)?;
            }
        }
    }

    #[test]
    fn a_clock_behind_the_last_call_counts_into_its_sub_window() {
        let rate = RateLimit::sliding(2, 10_000);
        let mut ring = Ring::default();
        for now in [1_000_000, 990_000] {
            assert!(ring.admit(rate, Millis::new(now), 1).is_ok(), "at {now}");
        }
        assert!(
            ring.admit(rate, Millis::new(1_000_000), 1).is_err(),
            "{ring:?}"
        );
        assert_eq!(ring.0.len(), 1);
    }

    #[test]
    fn stored_counts_near_the_end_of_numbers_are_survived() {
        let rate = RateLimit::sliding(5, 10_000);
        let mut ring = Ring(vec![(u64::MAX - 1, u64::MAX), (u64::MAX, u64::MAX)]);
        let refused = ring.admit(rate, Millis::new(0), 1);
        assert!(
            matches!(refused, Err(SessionError::RateLimited { limit: 5, .. })),
            "{refused:?}"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn a_fixed_window_counts_from_boundary_to_boundary_and_waits_to_the_next(
            limit in 0_u64..6,
            start in 0_u64..10_000_000,
            steps in prop::collection::vec((0_u64..6_000, 1_u64..4), 1..100),
        ) {
            let rate = RateLimit::fixed(limit, 10_000);
            let (mut ring, mut now) = (Ring::default(), start);
            let mut admitted: Vec<(u64, u64)> = Vec::new();
            for (wait, calls) in steps {
                now += wait;
                let window = now / 10_000;
                let seen: u64 = admitted.iter().filter(|(at, _)| *at == window).map(|(_, n)| n).sum();
                let answer = ring.admit(rate, Millis::new(now), calls);
                let expected = if seen + calls <= limit {
                    admitted.push((window, calls));
                    None
                } else {
                    Some((calls <= limit).then(|| (window + 1) * 10_000 - now))
                };
                let told = match answer {
                    Ok(()) => None,
                    Err(SessionError::RateLimited { retry_after_ms, .. }) => Some(retry_after_ms),
                    Err(other) => return Err(TestCaseError::fail(format!("{other:?}"))),
                };
                prop_assert_eq!(told, expected, "{} calls at {}", calls, now);
            }
        }
    }
}
