//! How much a step asks for at a time, so that it ends near its bounds.
//!
//! A part is asked to look at so many entries, and cannot be stopped among
//! them. So a step begins with a small bite, asks for twice as much while that
//! leaves time, and never for more than the time that is left would take at
//! the cost of an entry that was met last.

use std::time::Duration;

/// Entries of the first bite of a step, unless even these are too many.
const FIRST: u64 = 16;

/// What one step may still use up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Left {
    pub(super) entries: u64,
    pub(super) time: Duration,
}

impl Left {
    pub(super) const fn is_over(&self) -> bool {
        self.entries == 0 || self.time.is_zero()
    }

    /// What is left after looking at so many entries for so long.
    pub(super) const fn less(self, entries: u64, took: Duration) -> Self {
        Self {
            entries: self.entries.saturating_sub(entries),
            time: self.time.saturating_sub(took),
        }
    }

    /// The smaller of each.
    pub(super) fn at_most(self, other: Self) -> Self {
        Self {
            entries: self.entries.min(other.entries),
            time: self.time.min(other.time),
        }
    }
}

/// What the entries of a task cost, as far as it is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Pace {
    entry: Option<Duration>,
}

impl Pace {
    /// Notes what a bite took; one that found nothing says nothing.
    pub(super) fn note(&mut self, entries: u64, took: Duration) {
        if entries > 0 {
            let entries = u32::try_from(entries).unwrap_or(u32::MAX);
            self.entry = Some(took / entries);
        }
    }

    /// Entries to ask for next, after a bite of `last` in the same step; `None`
    /// if another one would not fit. The first bite of a step always does: at
    /// least one entry, or nothing would ever be done.
    pub(super) fn bite(&self, last: Option<u64>, left: Left) -> Option<u64> {
        if left.is_over() {
            return None;
        }
        let grown = last.map_or(FIRST, |last| last.saturating_mul(2));
        let fit = match self.entry {
            Some(entry) if !entry.is_zero() => {
                u64::try_from(left.time.as_nanos() / entry.as_nanos()).unwrap_or(u64::MAX)
            }
            Some(_) | None => u64::MAX,
        };
        match (last, grown.min(fit).min(left.entries)) {
            (Some(_), 0) => None,
            (_, bite) => Some(bite.max(1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn left(entries: u64, ms: u32) -> Left {
        Left {
            entries,
            time: MS * ms,
        }
    }

    #[test]
    fn a_step_begins_small_and_asks_for_twice_as_much_while_there_is_time() {
        let mut pace = Pace::default();
        assert_eq!(pace.bite(None, left(1_000, 20)), Some(16));
        pace.note(16, MS);
        assert_eq!(pace.bite(Some(16), left(984, 19)), Some(32));
        assert_eq!(pace.bite(Some(16), left(10, 19)), Some(10));
        assert_eq!(pace.bite(Some(16), left(984, 1)), Some(16));
    }

    #[test]
    fn what_would_take_longer_than_is_left_is_not_begun() {
        let mut pace = Pace::default();
        pace.note(2, MS * 10);
        assert_eq!(pace.bite(Some(2), left(900, 4)), None);
        assert_eq!(pace.bite(Some(2), left(900, 6)), Some(1));
        assert_eq!(pace.bite(Some(2), left(0, 6)), None);
        assert_eq!(pace.bite(Some(2), left(900, 0)), None);
    }

    #[test]
    fn the_first_bite_of_a_step_is_one_entry_at_least() {
        let mut pace = Pace::default();
        pace.note(1, MS * 100);
        assert_eq!(pace.bite(None, left(1_000, 20)), Some(1));
        assert_eq!(pace.bite(None, left(0, 20)), None);
    }

    #[test]
    fn entries_that_cost_nothing_are_bounded_by_their_number_alone() {
        let mut pace = Pace::default();
        pace.note(16, Duration::ZERO);
        assert_eq!(pace.bite(Some(512), left(472, 20)), Some(472));
    }
}
