//! Median, minimum and maximum of a few figures.

/// What a handful of rounds gave.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// Of the figures in order, the one in the middle; the mean of the middle
    /// two where their number is even.
    pub median: f64,
    /// The least.
    pub min: f64,
    /// The greatest.
    pub max: f64,
}

impl Spread {
    /// The spread of `figures`; `None` if there are none.
    pub fn of(figures: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut figures: Vec<f64> = figures.into_iter().collect();
        figures.sort_by(f64::total_cmp);
        let (min, max) = (*figures.first()?, *figures.last()?);
        let middle = figures.len() / 2;
        let median = if figures.len() % 2 == 1 {
            figures[middle]
        } else {
            f64::midpoint(figures[middle - 1], figures[middle])
        };
        Some(Self { median, min, max })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_odd_number_is_the_one_in_the_middle() {
        let spread = Spread::of([5.0, 1.0, 3.0]);
        let expected = Spread {
            median: 3.0,
            min: 1.0,
            max: 5.0,
        };
        assert_eq!(spread, Some(expected));
    }

    #[test]
    fn the_median_of_an_even_number_lies_between_the_middle_two() {
        let median = Spread::of([4.0, 1.0, 2.0, 10.0]).map(|spread| spread.median);
        assert_eq!(median, Some(3.0));
        assert_eq!(Spread::of([]), None);
    }
}
