//! How long requests took, as counts that can be taken away from each other:
//! what lies between two looks has percentiles of its own.
//!
//! Eight buckets for each doubling, so a percentile is at most an eighth above
//! the true one; times beyond 19 hours are counted as that.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Buckets of a doubling, as a power of two.
const FINE: u32 = 3;
/// Doublings of a microsecond that are told apart.
const DOUBLINGS: u32 = 36;
const BUCKETS: usize = ((DOUBLINGS - FINE + 1) as usize) << FINE;

/// Counts of times, by many at once.
#[derive(Debug)]
pub(crate) struct Times([AtomicU64; BUCKETS]);

/// The counts at one point in time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TimeCounts(Box<[u64; BUCKETS]>);

impl Default for Times {
    fn default() -> Self {
        Self([const { AtomicU64::new(0) }; BUCKETS])
    }
}

impl Default for TimeCounts {
    fn default() -> Self {
        Self(Box::new([0; BUCKETS]))
    }
}

/// The bucket of a time.
fn bucket(us: u64) -> usize {
    let us = us.min((1 << DOUBLINGS) - 1);
    let doubling = (us | 1).ilog2().max(FINE);
    let fine = us >> (doubling - FINE);
    let place = (u64::from(doubling - FINE) << FINE) + fine;
    usize::try_from(place).unwrap_or(BUCKETS - 1)
}

/// The longest time of a bucket.
fn top_us(bucket: usize) -> u64 {
    let bucket = u64::try_from(bucket).unwrap_or(u64::MAX);
    let width = 1 << FINE;
    if bucket < 2 * width {
        return bucket;
    }
    let doubling = bucket / width - 1;
    let fine = width + bucket % width;
    ((fine + 1) << doubling) - 1
}

impl Times {
    pub(crate) fn note(&self, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.0[bucket(us)].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> TimeCounts {
        let mut counts = TimeCounts::default();
        for (count, counter) in counts.0.iter_mut().zip(&self.0) {
            *count = counter.load(Ordering::Relaxed);
        }
        counts
    }
}

impl TimeCounts {
    /// How many there are.
    pub(crate) fn all(&self) -> u64 {
        self.0.iter().sum()
    }

    /// What came since an earlier look.
    pub(crate) fn since(&self, earlier: &Self) -> Self {
        let mut counts = self.clone();
        for (count, earlier) in counts.0.iter_mut().zip(earlier.0.iter()) {
            *count = count.saturating_sub(*earlier);
        }
        counts
    }

    /// The time within which so many of a hundred stay, in microseconds;
    /// `None` without any.
    pub(crate) fn percentile_us(&self, percent: u64) -> Option<u64> {
        let all = self.all();
        let wanted = all.saturating_mul(percent).div_ceil(100).max(1);
        let mut seen = 0;
        let reached = self.0.iter().position(|count| {
            seen += count;
            seen >= wanted
        });
        reached.map(top_us)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_follow_each_other_and_none_is_wider_than_an_eighth() {
        let mut last = 0;
        for us in 0..100_000 {
            let found = bucket(us);
            assert!(found == last || found == last + 1, "{us}");
            last = found;
            let top = top_us(found);
            assert!(top >= us && bucket(top) == found, "{us}: {top}");
            assert!((top - us) * 8 <= us, "{us}: {top}");
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
        assert_eq!(top_us(BUCKETS - 1), (1 << DOUBLINGS) - 1);
    }

    #[test]
    fn percentiles_are_of_what_came_between_two_looks() {
        let times = Times::default();
        assert_eq!(times.read().percentile_us(50), None);
        for _ in 0..100 {
            times.note(Duration::from_secs(9));
        }
        let earlier = times.read();
        for ms in 1..=100 {
            times.note(Duration::from_millis(ms));
        }
        let since = times.read().since(&earlier);
        assert_eq!(since.all(), 100);
        for (percent, ms) in [(1, 1), (50, 50), (99, 99), (100, 100)] {
            let found = since.percentile_us(percent).expect("some");
            let true_one = ms * 1_000;
            let near = (true_one..=true_one + true_one / 8).contains(&found);
            assert!(near, "{percent} %: {found}");
        }
    }
}
