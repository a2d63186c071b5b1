//! Sets of numbers that lie close together.

use serde::{Deserialize, Serialize};

/// A set of numbers as ranges: sorted, apart from each other, first and last
/// included.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<(u64, u64)>", into = "Vec<(u64, u64)>")]
pub(crate) struct Ranges(Vec<(u64, u64)>);

impl Ranges {
    pub(crate) fn contains(&self, number: u64) -> bool {
        let after = self.0.partition_point(|(first, _)| *first <= number);
        after
            .checked_sub(1)
            .is_some_and(|place| self.0[place].1 >= number)
    }

    /// How many ranges it takes.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Adds `first` to `last`; nothing if `last` comes before `first`.
    pub(crate) fn add(&mut self, first: u64, last: u64) {
        if last < first {
            return;
        }
        let touches_from = self
            .0
            .partition_point(|(_, end)| end.saturating_add(1) < first);
        let touches_to = self
            .0
            .partition_point(|(start, _)| *start <= last.saturating_add(1));
        let touched = &self.0[touches_from..touches_to];
        let start = touched.first().map_or(first, |range| range.0.min(first));
        let end = touched.last().map_or(last, |range| range.1.max(last));
        self.0.splice(touches_from..touches_to, [(start, end)]);
    }
}

impl From<Ranges> for Vec<(u64, u64)> {
    fn from(ranges: Ranges) -> Self {
        ranges.0
    }
}

impl TryFrom<Vec<(u64, u64)>> for Ranges {
    type Error = &'static str;

    fn try_from(ranges: Vec<(u64, u64)>) -> Result<Self, Self::Error> {
        let inner = ranges.iter().all(|(first, last)| first <= last);
        let apart = ranges.windows(2).all(|two| two[0].1 + 1 < two[1].0);
        if inner && apart {
            Ok(Self(ranges))
        } else {
            Err("ranges overlap or are out of order")
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ranges_hold_what_a_set_holds(adds in proptest::collection::vec((0_u64..60, 0_u64..8), 0..30)) {
            let mut ranges = Ranges::default();
            let mut set = BTreeSet::new();
            for (first, length) in adds {
                ranges.add(first, first + length);
                set.extend(first..=first + length);
            }
            for number in 0..80 {
                prop_assert_eq!(ranges.contains(number), set.contains(&number));
            }
            let stored: Vec<(u64, u64)> = ranges.clone().into();
            prop_assert_eq!(Ranges::try_from(stored), Ok(ranges));
        }
    }

    #[test]
    fn an_empty_range_adds_nothing() {
        let mut ranges = Ranges::default();
        ranges.add(5, 4);
        assert_eq!(ranges, Ranges::default());
    }
}
