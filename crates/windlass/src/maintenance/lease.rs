//! Who does upkeep, where several processes share a store.
//!
//! One row names the holder. It is renewed, taken and given back by commits
//! that check its version, so of two that want it one gets it. Whoever holds
//! it spares the others the work; that work is safe without it, so a holder
//! that was stopped and wakes behind its time does no harm.

use std::time::Duration;

use windlass_core::{Format, Millis};
use windlass_store::Version;

use super::record::LeaseRow;

/// How far the clocks of two processes may differ.
pub(super) const SKEW_MS: u64 = 5_000;

/// A version of the lease that stood unchanged since a moment of this
/// process's own clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) version: Version,
    pub(super) since: Duration,
}

/// Whether somebody else's lease may be taken: it was given back, or its time
/// and the difference of clocks are over, or nobody touched it for all its
/// time while this process watched. Only the last of these counts where the
/// clock is not `near` the time that was written down: one that is wrong would
/// find a time over that is not, and would be written down by whoever has the
/// lease.
pub(super) fn may_take(row: &LeaseRow, now: Millis, near: bool, watched: Duration) -> bool {
    let free = row.until == Millis::new(0) || row.until.plus_ms(SKEW_MS).has_passed(now);
    near && free || watched >= Duration::from_millis(row.ttl_ms)
}

/// The lease as `holder` has it after taking or renewing it.
pub(super) fn held(
    holder: &str,
    before: Option<&LeaseRow>,
    now: Millis,
    ttl_ms: u64,
    next_round: Millis,
) -> LeaseRow {
    let mine = before.filter(|row| row.holder == holder && row.until != Millis::new(0));
    LeaseRow {
        v: Format,
        holder: holder.to_owned(),
        pid: std::process::id(),
        generation: match mine {
            Some(mine) => mine.generation,
            None => before.map_or(1, |row| row.generation.saturating_add(1)),
        },
        since: mine.map_or(now, |mine| mine.since),
        until: now.plus_ms(ttl_ms),
        ttl_ms,
        next_round,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Millis = Millis::new(1_000_000);

    #[test]
    fn a_lease_is_taken_when_its_time_and_the_skew_are_over_or_it_stood_still() {
        let row = held("one", None, NOW, 30_000, NOW);
        let take = |after_ms, near, watched_ms| {
            let watched = Duration::from_millis(watched_ms);
            may_take(&row, NOW.plus_ms(after_ms), near, watched)
        };
        let by_clock = [(34_999, true), (35_000, true), (35_000, false)];
        let by_clock = by_clock.map(|(after_ms, near)| take(after_ms, near, 0));
        assert_eq!(by_clock, [false, true, false]);
        let watched = [(29_999, true), (30_000, true), (30_000, false)];
        let watched = watched.map(|(watched_ms, near)| take(0, near, watched_ms));
        assert_eq!(watched, [false, true, true]);
        let back = LeaseRow {
            until: Millis::new(0),
            ..row
        };
        let take_back = |near, watched_ms| {
            let watched = Duration::from_millis(watched_ms);
            may_take(&back, NOW, near, watched)
        };
        let given_back = [(true, 0), (false, 29_999), (false, 30_000)];
        let given_back = given_back.map(|(near, watched_ms)| take_back(near, watched_ms));
        assert_eq!(given_back, [true, false, true]);
    }

    #[test]
    fn a_generation_is_of_one_holder_at_one_time() {
        let first = held("one", None, NOW, 30_000, NOW);
        let renewed = held("one", Some(&first), NOW.plus_ms(10), 30_000, NOW);
        let taken = held("two", Some(&renewed), NOW.plus_ms(20), 30_000, NOW);
        let generations = [&first, &renewed, &taken].map(|row| row.generation);
        assert_eq!(generations, [1, 1, 2]);
        assert_eq!(renewed.since, first.since);
    }
}
