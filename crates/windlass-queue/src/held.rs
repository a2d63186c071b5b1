//! Which work of which rows: what a claim holds, and what is gone from a row.

use serde::{Deserialize, Serialize};
use windlass_core::{Millis, OwnerId};

use crate::id::Place;

/// A claim, as the head holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Held {
    pub(crate) token: u64,
    pub(crate) owner: OwnerId,
    pub(crate) until: Millis,
    pub(crate) ttl_ms: u64,
    pub(crate) rows: Vec<HeldRow>,
}

/// Work that is held: rank, time and first number of its row, and runs of the
/// numbers that are held of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HeldRow(u8, Millis, u64, Vec<(u64, u64)>);

impl HeldRow {
    pub(crate) fn new(row: Place, number: u64) -> Self {
        Self(row.rank, row.time, row.number, vec![(number, number)])
    }

    pub(crate) const fn place(&self) -> Place {
        Place {
            rank: self.0,
            time: self.1,
            number: self.2,
        }
    }

    /// Adds a number that is higher than all it has.
    fn push(&mut self, number: u64) {
        match self.3.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => self.3.push((number, number)),
        }
    }

    /// How many runs there are.
    pub(crate) const fn runs(&self) -> usize {
        self.3.len()
    }

    /// Adds a number that it does not have.
    pub(crate) fn insert(&mut self, number: u64) {
        let mut numbers: Vec<u64> = self.numbers().collect();
        let at = numbers.partition_point(|other| *other < number);
        numbers.insert(at, number);
        self.3.clear();
        numbers.into_iter().for_each(|number| self.push(number));
    }

    pub(crate) fn holds(&self, number: u64) -> bool {
        let mut runs = self.3.iter();
        runs.any(|(first, last)| (*first..=*last).contains(&number))
    }

    pub(crate) fn numbers(&self) -> impl Iterator<Item = u64> {
        self.3.iter().flat_map(|(first, last)| *first..=*last)
    }
}

impl Held {
    /// Adds work that stands behind all it has.
    pub(crate) fn push(&mut self, row: Place, number: u64) {
        match self.rows.last_mut() {
            Some(last) if last.place() == row => last.push(number),
            _ => self.rows.push(HeldRow::new(row, number)),
        }
    }

    /// The row of the work at `place`, if it is held.
    pub(crate) fn row_of(&self, place: Place) -> Option<Place> {
        let same = |row: &&HeldRow| {
            let (rank, time) = (row.place().rank, row.place().time);
            (rank, time) == (place.rank, place.time) && row.holds(place.number)
        };
        self.rows.iter().find(same).map(HeldRow::place)
    }

    /// Everything it holds: the row, and the number.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = (Place, u64)> {
        let of_row = |row: &HeldRow| {
            let place = row.place();
            row.numbers()
                .map(|number| (place, number))
                .collect::<Vec<_>>()
        };
        self.rows.iter().flat_map(of_row)
    }

    pub(crate) fn count(&self) -> usize {
        self.numbers().count()
    }

    /// What is left once the work in `gone` was let go.
    pub(crate) fn without(&self, gone: &[(Place, u64)]) -> Option<Self> {
        let mut left = Self {
            rows: Vec::new(),
            ..self.clone()
        };
        for (row, number) in self.numbers() {
            if !gone.contains(&(row, number)) {
                left.push(row, number);
            }
        }
        (!left.rows.is_empty()).then_some(left)
    }
}
