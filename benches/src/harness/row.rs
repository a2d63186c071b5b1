//! One row of a table: two figures, their ratio, and the bar it must clear.

use serde::Serialize;

use super::contest::{Durability, Rounds};
use super::spread::Spread;

/// What has to be reached.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bar {
    /// Ours is at least so many times the other.
    RatioAtLeast(f64),
    /// Ours is at most so many times the other.
    RatioAtMost(f64),
    /// Ours, by itself, is at least this.
    OursAtLeast(f64),
    /// Ours, by itself, is at most this.
    OursAtMost(f64),
    /// Nothing: the row is there to be looked at.
    Absent,
}

impl Bar {
    /// The number of the bar.
    #[must_use]
    pub const fn number(self) -> Option<f64> {
        match self {
            Self::RatioAtLeast(number)
            | Self::RatioAtMost(number)
            | Self::OursAtLeast(number)
            | Self::OursAtMost(number) => Some(number),
            Self::Absent => None,
        }
    }

    /// How the number is meant, as JSON spells it.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::RatioAtLeast(_) => "ratio at least",
            Self::RatioAtMost(_) => "ratio at most",
            Self::OursAtLeast(_) => "ours at least",
            Self::OursAtMost(_) => "ours at most",
            Self::Absent => "none",
        }
    }

    /// The bar as the table shows it.
    #[must_use]
    pub fn label(self) -> String {
        match self {
            Self::RatioAtLeast(number) => format!(">= {}x", figure(number)),
            Self::RatioAtMost(number) => format!("<= {}x", figure(number)),
            Self::OursAtLeast(number) => format!(">= {}", figure(number)),
            Self::OursAtMost(number) => format!("<= {}", figure(number)),
            Self::Absent => "-".to_owned(),
        }
    }

    /// Whether the bar is about the ratio.
    #[must_use]
    pub const fn is_ratio(self) -> bool {
        matches!(self, Self::RatioAtLeast(_) | Self::RatioAtMost(_))
    }

    fn is_met(self, ours: f64, ratio: Option<f64>) -> bool {
        match self {
            Self::RatioAtLeast(bar) => ratio.is_some_and(|ratio| ratio >= bar),
            Self::RatioAtMost(bar) => ratio.is_some_and(|ratio| ratio <= bar),
            Self::OursAtLeast(bar) => ours >= bar,
            Self::OursAtMost(bar) => ours <= bar,
            Self::Absent => true,
        }
    }
}

/// How a row ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The bar is cleared.
    Met,
    /// It is not.
    Missed,
    /// There is none.
    NoBar,
    /// Too few rounds were undisturbed.
    NotMeasurable,
    /// The machine is far from what the bars were made for.
    Void,
}

impl Verdict {
    /// The verdict as the table spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::Missed => "MISSED",
            Self::NoBar => "no bar",
            Self::NotMeasurable => "not measurable",
            Self::Void => "void",
        }
    }
}

/// What one side of a row showed.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Figures {
    /// The median of its rounds.
    pub median: f64,
    /// Half of the calls waited no longer, in microseconds.
    pub p50_us: Option<f64>,
    /// 99 of 100 calls waited no longer, in microseconds.
    pub p99_us: Option<f64>,
    /// Processor time a call, in microseconds.
    pub cpu_us: Option<f64>,
    /// Bytes written to disks a call.
    pub written_bytes: Option<f64>,
    /// What an acknowledged change survives.
    pub durability: Option<&'static str>,
}

impl Figures {
    /// The figures of a side of which one number a round is known.
    pub fn plain(numbers: impl IntoIterator<Item = f64>, durability: Durability) -> Self {
        Self {
            median: Spread::of(numbers).map_or(f64::NAN, |spread| spread.median),
            durability: Some(durability.as_str()),
            ..Self::default()
        }
    }
}

/// One row.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// What was measured.
    pub what: String,
    /// What it is compared with.
    pub versus: String,
    /// The unit of both figures.
    pub unit: &'static str,
    /// Ours.
    pub ours: Figures,
    /// The other's; `None` where the bar stands by itself.
    pub against: Option<Figures>,
    /// Of the rounds: ratios where there is another side, ours otherwise.
    pub spread: Option<Spread>,
    /// What has to be reached.
    pub bar: Bar,
    /// Rounds that count.
    pub runs: usize,
    /// How it ended.
    pub verdict: Verdict,
}

/// How a row is made from rounds.
pub struct Comparison<'a, S> {
    /// What was measured.
    pub what: String,
    /// What it is compared with.
    pub versus: &'static str,
    /// The unit of both figures.
    pub unit: &'static str,
    /// The number of a sample.
    pub number: &'a dyn Fn(&S) -> f64,
    /// Everything shown of a side.
    pub figures: &'a dyn Fn(&[&S]) -> Figures,
    /// The place of our side.
    pub ours: usize,
    /// The place of the other, if there is one.
    pub against: Option<usize>,
    /// What has to be reached.
    pub bar: Bar,
}

impl<S> std::fmt::Debug for Comparison<'_, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Comparison")
            .field("what", &self.what)
            .field("versus", &self.versus)
            .finish_non_exhaustive()
    }
}

impl<S> Comparison<'_, S> {
    /// The row that `rounds` give.
    #[must_use]
    pub fn row(&self, rounds: &Rounds<S>) -> Row {
        let column = |place: usize| -> Vec<&S> {
            let samples = rounds.samples.iter();
            samples.filter_map(|round| round.get(place)).collect()
        };
        let ours = column(self.ours);
        let against = self.against.map(column);
        let numbers = ours.iter().map(|sample| (self.number)(sample));
        let spread = match &against {
            Some(against) => {
                let others = against.iter().map(|sample| (self.number)(sample));
                Spread::of(numbers.zip(others).map(|(ours, other)| ours / other))
            }
            None => Spread::of(numbers),
        };
        let figures = (self.figures)(&ours);
        Row {
            what: self.what.clone(),
            versus: self.versus.to_owned(),
            unit: self.unit,
            verdict: self.verdict(rounds, figures.median, spread),
            ours: figures,
            against: against.map(|samples| (self.figures)(&samples)),
            spread,
            bar: self.bar,
            runs: rounds.counted,
        }
    }

    fn verdict(&self, rounds: &Rounds<S>, ours: f64, spread: Option<Spread>) -> Verdict {
        if !rounds.enough {
            return Verdict::NotMeasurable;
        }
        let ratio = self.against.and(spread).map(|spread| spread.median);
        if self.bar == Bar::Absent {
            Verdict::NoBar
        } else if self.bar.is_met(ours, ratio) {
            Verdict::Met
        } else {
            Verdict::Missed
        }
    }
}

/// A number with about three figures.
#[must_use]
pub fn figure(number: f64) -> String {
    let size = number.abs();
    if !number.is_finite() {
        "-".to_owned()
    } else if size >= 100.0 || number == number.trunc() {
        grouped(number)
    } else if size >= 10.0 {
        format!("{number:.1}")
    } else {
        format!("{number:.2}")
    }
}

/// A whole number with a comma before each three digits.
fn grouped(number: f64) -> String {
    let digits = format!("{:.0}", number.abs());
    let mut text = String::from(if number < 0.0 { "-" } else { "" });
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rounds(samples: &[[f64; 2]], enough: bool) -> Rounds<f64> {
        Rounds {
            samples: samples.iter().map(|round| round.to_vec()).collect(),
            counted: samples.len(),
            dropped: Vec::new(),
            enough,
        }
    }

    fn row(rounds: &Rounds<f64>, against: Option<usize>, bar: Bar) -> Row {
        let figures =
            |samples: &[&f64]| Figures::plain(samples.iter().map(|it| **it), Durability::Reads);
        let comparison = Comparison {
            what: "it".to_owned(),
            versus: "other",
            unit: "1/s",
            number: &|sample| *sample,
            figures: &figures,
            ours: 0,
            against,
            bar,
        };
        comparison.row(rounds)
    }

    #[test]
    fn the_ratio_is_the_median_of_the_ratios_of_rounds() {
        // The medians of the sides alone would give 10 / 10.
        let rounds = rounds(&[[10.0, 1.0], [30.0, 10.0], [10.0, 20.0]], true);
        let row = row(&rounds, Some(1), Bar::RatioAtLeast(3.0));
        let spread = row.spread.map(|it| (it.min, it.median, it.max));
        assert_eq!(spread, Some((0.5, 3.0, 10.0)));
        assert_eq!((row.verdict, row.runs), (Verdict::Met, 3));
    }

    #[test]
    fn every_kind_of_bar_is_met_on_it_and_missed_beyond() {
        let rounds = rounds(&[[6.0, 3.0]], true);
        let cases = [
            (Bar::RatioAtLeast(2.0), Bar::RatioAtLeast(2.1), Some(1)),
            (Bar::RatioAtMost(2.0), Bar::RatioAtMost(1.9), Some(1)),
            (Bar::OursAtLeast(6.0), Bar::OursAtLeast(6.1), None),
            (Bar::OursAtMost(6.0), Bar::OursAtMost(5.9), None),
        ];
        for (met, missed, against) in cases {
            assert_eq!(row(&rounds, against, met).verdict, Verdict::Met);
            assert_eq!(row(&rounds, against, missed).verdict, Verdict::Missed);
        }
    }

    #[test]
    fn a_row_without_a_bar_clears_none_and_misses_none() {
        let row = row(&rounds(&[[6.0, 3.0]], true), Some(1), Bar::Absent);
        assert_eq!((row.verdict, row.bar.number()), (Verdict::NoBar, None));
        assert_eq!(row.bar.label(), "-");
    }

    #[test]
    fn too_few_rounds_give_no_verdict_about_the_bar() {
        let rounds = rounds(&[[9.0, 1.0]], false);
        let row = row(&rounds, Some(1), Bar::RatioAtLeast(2.0));
        assert_eq!(row.verdict, Verdict::NotMeasurable);
    }

    #[test]
    fn figures_are_rounded_and_grouped() {
        let shown = [0.5, 2.0, 12.345, 999.6, 1_234_567.0, f64::NAN].map(figure);
        assert_eq!(shown, ["0.50", "2", "12.3", "1,000", "1,234,567", "-"]);
    }
}
