//! Whether a series grows: a line through its second half.

use std::fmt;

/// The share of its mean that a series may grow by over the half that is
/// measured. What grows evenly from nothing grows by two thirds there, and what
/// doubles over the whole by nearly a third; what has levelled off swings by a
/// few percent.
const SHARE: f64 = 0.1;

/// The line of least squares through the second half of a series.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trend {
    /// What it grows by from the beginning of the half to its end.
    growth: f64,
    mean: f64,
    first: f64,
    last: f64,
    /// Where the line is at both ends, for who draws it.
    pub(super) line: [(f64, f64); 2],
}

impl Trend {
    /// Of points in the order of their times.
    pub(super) fn of(points: &[(f64, f64)]) -> Self {
        let half = &points[points.len() / 2..];
        let count = half.iter().map(|_| 1.0).sum::<f64>().max(1.0);
        let (time, mean) = half.iter().fold((0.0, 0.0), |sum, point| {
            (sum.0 + point.0 / count, sum.1 + point.1 / count)
        });
        let (along, across) = half.iter().fold((0.0, 0.0), |sum, point| {
            let from = point.0 - time;
            (sum.0 + from * from, sum.1 + from * (point.1 - mean))
        });
        let slope = if along > 0.0 { across / along } else { 0.0 };
        let ends = [half.first(), half.last()].map(|end| end.map_or(time, |point| point.0));
        let line = ends.map(|end| (end, mean + slope * (end - time)));
        Self {
            growth: line[1].1 - line[0].1,
            mean,
            first: half.first().map_or(0.0, |point| point.1),
            last: half.last().map_or(0.0, |point| point.1),
            line,
        }
    }

    /// Whether it grows by more than a tenth of its mean, and by more than
    /// `slack`.
    pub(super) fn grows(&self, slack: f64) -> bool {
        self.growth > (self.mean * SHARE).max(slack)
    }
}

impl fmt::Display for Trend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { growth, mean, .. } = self;
        let (first, last) = (self.first, self.last);
        write!(
            f,
            "from {first:.0} to {last:.0} in the second half, {growth:+.0} by its line, about {mean:.0}"
        )
    }
}

#[test]
fn what_grows_evenly_is_told_from_what_has_levelled_off() {
    let series = |value: fn(f64) -> f64| {
        let times = (0..200_u8).map(f64::from);
        let points: Vec<(f64, f64)> = times.map(|time| (time, value(time))).collect();
        Trend::of(&points).grows(5.0)
    };
    assert!(series(|time| time), "from nothing");
    assert!(
        series(|time| 100.0 + time * 0.3),
        "above much that is still"
    );
    assert!(
        series(|time| 100.0 + time + (time * 1.7).sin() * 8.0),
        "with swings"
    );
    assert!(!series(|_| 100.0), "still");
    assert!(!series(|time| 100.0 + (time * 1.7).sin() * 8.0), "swings");
    assert!(!series(|time| time.min(90.0)), "levelled off");
    assert!(!series(|time| 200.0 - time), "falls");
    assert!(!series(|time| 1.0 + time * 0.02), "by less than the slack");
}
