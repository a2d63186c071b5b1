//! What is known of a queue's rows of work: the beginning of each rank's part
//! of the line, and single rows beyond it.
//!
//! What is known is always of one point in time, that of the head beside it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use windlass_core::Millis;

use crate::id::Place;
use crate::limits::{CACHED_BYTES_MAX, CACHED_ITEMS_MAX};
use crate::record::{DeadRow, Item, Items, RANKS, SourceRow};

/// What has to be read before a decision can be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Short {
    /// More of the line, of this rank.
    Line(u8),
    /// The row with this key.
    Row(Place),
    /// The row that the work at this place is in.
    At(Place),
    /// The dead row of this place.
    Dead(Place),
    /// What these source keys stand for.
    Sources(Vec<Arc<str>>),
}

/// How much of a rank's rows is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Known {
    /// Nothing.
    #[default]
    Nothing,
    /// All rows up to and including this one.
    Until(Place),
    /// All.
    Whole,
}

/// Rows of work, by their keys.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rows {
    map: BTreeMap<Place, Arc<Items>>,
    known: [Known; RANKS],
    /// Places that were looked up, or whose work was taken, and that are in no
    /// row.
    absent: BTreeSet<Place>,
    dead: BTreeMap<Place, Option<Arc<DeadRow>>>,
    /// What source keys that were looked up stand for.
    pub(crate) sources: BTreeMap<Arc<str>, Option<SourceRow>>,
}

impl Rows {
    /// Of a queue whose lines have so many, nothing but that.
    pub(crate) fn unknown(lines: &[u64; RANKS]) -> Self {
        let of_rank = |count: &u64| match count {
            0 => Known::Whole,
            _ => Known::Nothing,
        };
        let mut rows = Self::default();
        for (known, count) in rows.known.iter_mut().zip(lines) {
            *known = of_rank(count);
        }
        rows
    }

    /// Where to go on reading a rank's rows; `None` from its beginning.
    pub(crate) fn last_known(&self, rank: u8) -> Option<Place> {
        match self.known[usize::from(rank)] {
            Known::Until(place) => Some(place),
            Known::Nothing | Known::Whole => None,
        }
    }

    /// Adds rows that follow directly on what is known of their rank.
    pub(crate) fn extend(&mut self, rank: u8, rows: Vec<(Place, Items)>, more: bool) {
        let known = &mut self.known[usize::from(rank)];
        if let Some((last, _)) = rows.last() {
            *known = Known::Until(*last);
        }
        if !more {
            *known = Known::Whole;
        }
        let rows = rows.into_iter().map(|(place, row)| (place, Arc::new(row)));
        self.map.extend(rows);
    }

    /// Adds a row that was looked up, or that there is none.
    pub(crate) fn found(&mut self, sought: Place, row: Option<(Place, Items)>) {
        let has = |row: &(Place, Items)| row.1.iter().any(|item| item.number == sought.number);
        if !row.as_ref().is_some_and(has) {
            self.absent.insert(sought);
        }
        if let Some((place, items)) = row {
            self.map.entry(place).or_insert_with(|| Arc::new(items));
        }
    }

    pub(crate) fn found_dead(&mut self, place: Place, row: Option<DeadRow>) {
        self.dead.insert(place, row.map(Arc::new));
    }

    /// How much work is known of a rank, if all of it is.
    pub(crate) fn count_whole(&self, rank: u8) -> Option<u64> {
        let whole = self.known[usize::from(rank)] == Known::Whole;
        let count: usize = self.of_rank(rank).map(|(_, row)| row.len()).sum();
        whole.then(|| u64::try_from(count).unwrap_or(u64::MAX))
    }

    /// The known beginning of a rank's rows.
    fn of_rank(&self, rank: u8) -> impl Iterator<Item = (Place, &Arc<Items>)> {
        let place = |time, number| Place { rank, time, number };
        let first = place(Millis::new(0), 0);
        let last = match self.known[usize::from(rank)] {
            Known::Nothing => first,
            Known::Until(place) => place,
            Known::Whole => place(Millis::new(u64::MAX), u64::MAX),
        };
        let rows = self.map.range(first..=last);
        rows.map(|(place, row)| (*place, row))
    }

    /// Shows what stands in line at `now`, in order, as long as `visit` wants
    /// more.
    ///
    /// # Errors
    ///
    /// [`Short`] where it goes on and is not known.
    pub(crate) fn walk(
        &self,
        now: Millis,
        mut visit: impl FnMut(Place, &Arc<Item>) -> ControlFlow<()>,
    ) -> Result<(), Short> {
        for rank in 0..self.known.len() {
            let rank = u8::try_from(rank).expect("few ranks");
            let mut ahead = false;
            for (place, row) in self.of_rank(rank) {
                if !place.time.has_passed(now) {
                    ahead = true;
                    break;
                }
                for item in row.iter() {
                    if visit(place, item).is_break() {
                        return Ok(());
                    }
                }
            }
            if !ahead && self.known[usize::from(rank)] != Known::Whole {
                return Err(Short::Line(rank));
            }
        }
        Ok(())
    }

    /// The first work of each rank down to the one whose first stands in line
    /// at `now`.
    ///
    /// # Errors
    ///
    /// [`Short`] if one of them is not known.
    pub(crate) fn fronts(&self, now: Millis) -> Result<Vec<(Place, Arc<Item>)>, Short> {
        let mut fronts = Vec::new();
        for rank in 0..self.known.len() {
            let rank = u8::try_from(rank).expect("few ranks");
            let first = self
                .of_rank(rank)
                .find_map(|(place, row)| Some((place, row.first()?.clone())));
            match first {
                Some((place, item)) => {
                    fronts.push((place, item));
                    if place.time.has_passed(now) {
                        break;
                    }
                }
                None if self.known[usize::from(rank)] == Known::Whole => {}
                None => return Err(Short::Line(rank)),
            }
        }
        Ok(fronts)
    }

    /// The row with this key; `None` if there is none.
    ///
    /// # Errors
    ///
    /// [`Short`] if that is not known.
    pub(crate) fn row(&self, place: Place) -> Result<Option<&Arc<Items>>, Short> {
        if let Some(row) = self.map.get(&place) {
            return Ok(Some(row));
        }
        if self.is_within(place) || self.absent.contains(&place) {
            return Ok(None);
        }
        Err(Short::Row(place))
    }

    /// The key of the row that the work at `place` is in, or would be put in;
    /// `None` if it would begin one.
    ///
    /// # Errors
    ///
    /// [`Short`] if that is not known.
    pub(crate) fn row_at(&self, place: Place) -> Result<Option<Place>, Short> {
        let first = Place { number: 0, ..place };
        let before = self.map.range(first..=place).next_back();
        let holds = |row: &Items| row.iter().any(|item| item.number == place.number);
        match before {
            Some((key, row)) if holds(row) => return Ok(Some(*key)),
            _ if self.is_within(place) || self.absent.contains(&place) => {}
            _ => return Err(Short::At(place)),
        }
        Ok(before.map(|(key, _)| *key))
    }

    /// Whether every row up to `place` is known.
    fn is_within(&self, place: Place) -> bool {
        match self.known[usize::from(place.rank)] {
            Known::Nothing => false,
            Known::Until(last) => place <= last,
            Known::Whole => true,
        }
    }

    /// The dead row of a place; `None` if there is none.
    ///
    /// # Errors
    ///
    /// [`Short`] if that is not known.
    pub(crate) fn dead(&self, place: Place) -> Result<Option<&Arc<DeadRow>>, Short> {
        match self.dead.get(&place) {
            Some(row) => Ok(row.as_ref()),
            None => Err(Short::Dead(place)),
        }
    }

    pub(crate) fn put_dead(&mut self, place: Place, row: Option<Arc<DeadRow>>) {
        self.dead.insert(place, row);
    }

    /// A row, to be changed; an empty one if there is none.
    pub(crate) fn row_mut(&mut self, place: Place) -> &mut Items {
        Arc::make_mut(self.map.entry(place).or_default())
    }

    /// Takes work out of its row; whether anything is left there. That it is
    /// gone stays known, and so does a row that is empty now: in the store
    /// nothing has changed yet, and who looked there would find it again.
    pub(crate) fn remove(&mut self, row: Place, number: u64) -> bool {
        self.absent.insert(Place { number, ..row });
        let items = self.row_mut(row);
        items.retain(|other| other.number != number);
        !items.is_empty()
    }

    /// A known row that is not empty.
    pub(crate) fn get(&self, place: Place) -> Option<&Arc<Items>> {
        self.map.get(&place).filter(|row| !row.is_empty())
    }

    /// What is worth to be remembered once the decision is stored: the front of
    /// the line, as much of it as a bounded memory takes.
    pub(crate) fn remembered(&self) -> Self {
        let mut kept = Self::default();
        let (mut items, mut bytes) = (0, 0);
        let mut full = false;
        for (index, known) in self.known.iter().enumerate() {
            let rank = u8::try_from(index).expect("few ranks");
            for (place, row) in self.of_rank(rank) {
                items += row.len();
                bytes += row.iter().map(|item| item.size()).sum::<usize>();
                full |= items > CACHED_ITEMS_MAX || bytes > CACHED_BYTES_MAX;
                if full {
                    break;
                }
                kept.known[index] = Known::Until(place);
                if !row.is_empty() {
                    kept.map.insert(place, Arc::clone(row));
                }
            }
            let empty = self.of_rank(rank).all(|(_, row)| row.is_empty());
            if *known == Known::Whole && (!full || empty) {
                kept.known[index] = Known::Whole;
            }
        }
        kept
    }
}
