//! A ring of samples: the newest are kept, as many as were agreed on, and an
//! older one goes for each that comes.
//!
//! Invariants: never more than `samples_max` samples; each has one value for
//! each series; times rise.

use std::collections::VecDeque;

/// The values of all series at one time; `None` where there was nothing to
/// measure.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sample {
    /// Unix milliseconds.
    pub(crate) at: u64,
    pub(crate) values: Vec<Option<f64>>,
}

/// The samples of a while.
#[derive(Debug)]
pub(crate) struct Ring {
    samples_max: usize,
    series: usize,
    /// The time between two samples, in milliseconds.
    interval_ms: u64,
    times: VecDeque<u64>,
    /// Those of a sample one after the other; what is not a number is nothing.
    values: VecDeque<f64>,
}

impl Ring {
    /// A ring that keeps so many samples of so many series, one each
    /// `interval_ms`.
    pub(crate) const fn new(samples_max: usize, series: usize, interval_ms: u64) -> Self {
        Self {
            samples_max,
            series,
            interval_ms,
            times: VecDeque::new(),
            values: VecDeque::new(),
        }
    }

    /// Takes a sample in. One that is a little earlier than the last is left
    /// out; one that is earlier by an interval or more takes the place of all
    /// that are later, which a clock named that was ahead.
    pub(crate) fn push(&mut self, sample: &Sample) {
        if self.samples_max == 0 {
            return;
        }
        match self.times.back() {
            Some(last) if last.saturating_sub(sample.at) >= self.interval_ms.max(1) => {
                self.forget_from(sample.at);
            }
            Some(last) if *last >= sample.at => return,
            _ => {}
        }
        if self.times.len() >= self.samples_max {
            self.times.pop_front();
            self.values.drain(..self.series);
        }
        self.times.push_back(sample.at);
        let values = sample.values.iter().copied().map(Some);
        let values = values.chain(std::iter::repeat(None)).take(self.series);
        self.values
            .extend(values.map(|value| value.flatten().unwrap_or(f64::NAN)));
    }

    fn forget_from(&mut self, at: u64) {
        let left = self.times.partition_point(|time| *time < at);
        self.times.truncate(left);
        self.values.truncate(left * self.series);
    }

    /// The times after `since`, and of each series in `wanted` its values at
    /// these.
    pub(crate) fn after(
        &self,
        since: Option<u64>,
        wanted: &[usize],
    ) -> (Vec<u64>, Vec<Vec<Option<f64>>>) {
        let from = since.map_or(0, |since| self.times.partition_point(|at| *at <= since));
        let times = self.times.range(from..).copied().collect();
        let values = wanted.iter().map(|series| self.series_from(from, *series));
        (times, values.collect())
    }

    fn series_from(&self, from: usize, series: usize) -> Vec<Option<f64>> {
        let places = (from..self.times.len()).map(|sample| sample * self.series + series);
        let found = places.map(|place| self.values.get(place).copied());
        found
            .map(|value| value.filter(|it| it.is_finite()))
            .collect()
    }

    #[cfg(test)]
    fn held(&self) -> (usize, usize) {
        (self.times.len(), self.values.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(at: u64, values: &[f64]) -> Sample {
        Sample {
            at,
            values: values.iter().copied().map(Some).collect(),
        }
    }

    #[test]
    fn the_newest_samples_stay_and_no_more_than_agreed_on() {
        let mut ring = Ring::new(8_640, 2, 1);
        for number in 0..30_000_u32 {
            let value = f64::from(number);
            ring.push(&sample(u64::from(number), &[value, -value]));
        }
        assert_eq!(ring.held(), (8_640, 2 * 8_640));
        assert!(ring.times.capacity() <= 2 * 8_640, "room was given back");
        let (times, values) = ring.after(None, &[1]);
        assert_eq!((times[0], times.len()), (30_000 - 8_640, 8_640));
        assert_eq!(values[0][0], Some(-21_360.0));
        assert_eq!(values[0].last(), Some(&Some(-29_999.0)));
    }

    #[test]
    fn only_what_is_later_and_asked_for_is_given() {
        let mut ring = Ring::new(3, 2, 10);
        for at in [10, 20, 30, 40] {
            ring.push(&sample(at, &[1.0, 2.0]));
        }
        let asked = |since| ring.after(since, &[0]).0;
        assert_eq!(asked(None), [20, 30, 40]);
        assert_eq!(asked(Some(5)), [20, 30, 40]);
        assert_eq!(asked(Some(20)), [30, 40]);
        assert_eq!(asked(Some(40)), [] as [u64; 0]);
        let two = ring.after(Some(30), &[1, 0]).1;
        assert_eq!(two, [[Some(2.0)], [Some(1.0)]]);
    }

    #[test]
    fn what_was_not_measured_is_nothing_and_not_zero() {
        let mut ring = Ring::new(2, 2, 1);
        ring.push(&Sample {
            at: 1,
            values: vec![None],
        });
        ring.push(&sample(2, &[0.0, f64::INFINITY]));
        let (_, values) = ring.after(None, &[0, 1]);
        assert_eq!(values, [[None, Some(0.0)], [None, None]]);
    }

    #[test]
    fn a_clock_that_stepped_back_a_little_adds_nothing_and_an_empty_ring_stays_empty() {
        let mut ring = Ring::new(2, 1, 20);
        for at in [20, 20, 10, 30] {
            ring.push(&sample(at, &[1.0]));
        }
        assert_eq!(ring.after(None, &[]).0, [20, 30]);
        let mut off = Ring::new(0, 1, 10);
        off.push(&sample(1, &[1.0]));
        assert_eq!(off.held(), (0, 0));
    }

    #[test]
    fn after_a_clock_that_was_ahead_samples_go_on() {
        let mut ring = Ring::new(4, 2, 10);
        for (at, value) in [(10, 1.0), (20, 2.0), (1_000, 3.0), (1_010, 4.0)] {
            ring.push(&sample(at, &[value, -value]));
        }
        ring.push(&sample(40, &[5.0, -5.0]));
        assert_eq!(ring.held(), (3, 6));
        ring.push(&sample(50, &[6.0, -6.0]));
        let (at, values) = ring.after(None, &[0, 1]);
        assert_eq!(at, [10, 20, 40, 50]);
        let first: Vec<_> = [1.0, 2.0, 5.0, 6.0].map(Some).into();
        assert_eq!(values[0], first);
        // Further back than anything that is kept.
        ring.push(&sample(5, &[7.0, -7.0]));
        assert_eq!(ring.after(None, &[]).0, [5]);
        assert_eq!(ring.held(), (1, 2));
    }
}
