//! Whether the clock can be right.
//!
//! Upkeep writes down how far the clock has come. One that is set back by more
//! than an hour would hand out times that are past already; one that has run
//! ahead would have upkeep remove what should still be kept. That time went by
//! while nobody did upkeep looks from here like a clock that runs ahead, so
//! ahead is refused only where that cannot be: of a mark that another process
//! has just written, or beyond all the time that a store is left alone for.

use std::time::Duration;

use windlass_core::{Format, Millis};
use windlass_store::{Batch, Commit, Store, StoreExt, Version};

use super::error::{ClockRefused, MaintenanceError};
use super::record::{self, ClockRow, encode, is_damage};
use super::run::millis;

/// How far a clock may be from a mark.
const APART_MS_MAX: u64 = 60 * 60 * 1_000;
/// For how long a store may be left alone.
const ALONE_MS_MAX: u64 = 366 * 24 * 60 * 60 * 1_000;

/// Whether the clock may say `now` where `mark` was seen at any time before.
pub(super) const fn judge(now: Millis, mark: Millis) -> Result<(), ClockRefused> {
    if mark.since(now) > APART_MS_MAX || now.since(mark) > ALONE_MS_MAX {
        return Err(ClockRefused { now, mark });
    }
    Ok(())
}

/// Whether the clock is no further from the mark than clocks may be apart.
pub(super) const fn is_near(now: Millis, mark: Millis) -> bool {
    mark.since(now) <= APART_MS_MAX && now.since(mark) <= APART_MS_MAX
}

/// What one process has seen of the mark.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Watch {
    /// The mark as it was looked at last, and when.
    last: Option<(Version, Duration)>,
    /// Since when it has been of that version.
    since: Duration,
    mine: Option<Version>,
    /// A mark that somebody else was seen to write, and too far from what this
    /// clock said then.
    apart: Option<Fresh>,
}

/// A mark that somebody else wrote between two looks.
#[derive(Clone, Copy, Debug)]
struct Fresh {
    mark: Millis,
    /// When the look was that did not find it yet.
    after: Duration,
    /// When the one was that did.
    seen: Duration,
}

impl Fresh {
    /// Whether a clock may say `now` at this time.
    fn fits(&self, now: Millis, at: Duration) -> bool {
        let passed = |since: Duration| millis(at.saturating_sub(since));
        let least = self.mark.plus_ms(passed(self.seen));
        let most = self.mark.plus_ms(passed(self.after));
        least.since(now) <= APART_MS_MAX && now.since(most) <= APART_MS_MAX
    }
}

/// One look at the mark.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    pub(super) version: Version,
    pub(super) mark: Millis,
    /// What the clock says.
    pub(super) now: Millis,
    /// When this is, on the monotonic clock.
    pub(super) at: Duration,
}

impl Watch {
    /// Notes how the mark is, and judges the clock by it. A mark that somebody
    /// else wrote since the last look is no older than that look. A clock that
    /// is refused by one stays refused, also when nobody writes any more,
    /// until it is set, or a mark is near it.
    pub(super) fn look(&mut self, look: Look) -> Result<(), ClockRefused> {
        let Look {
            version,
            mark,
            now,
            at,
        } = look;
        let before = self.last.replace((version, at));
        let changed = before.is_none_or(|(seen, _)| seen != version);
        if changed {
            self.since = at;
        }
        if changed && is_near(now, mark) {
            self.apart = None;
        } else if let Some((_, after)) = before
            && changed
            && self.mine != Some(version)
        {
            let seen = at;
            self.apart = Some(Fresh { mark, after, seen });
        }
        if let Some(fresh) = self.apart {
            if !fresh.fits(now, at) {
                return Err(ClockRefused { now, mark });
            }
            self.apart = None;
        }
        judge(now, mark)
    }

    /// Notes that the mark of this version is one's own.
    pub(super) fn wrote(&mut self, version: Version, at: Duration) {
        self.mine = Some(version);
        self.last = Some((version, at));
        self.since = at;
        self.apart = None;
    }

    /// For how long the mark has stood unchanged while this process watched.
    pub(super) fn stood(&self, at: Duration) -> Duration {
        at.saturating_sub(self.since)
    }
}

/// The latest time that a store has seen; `None` if upkeep never ran there.
pub(super) async fn mark(store: &dyn Store) -> Result<Option<Millis>, MaintenanceError> {
    let entry = match store.get(record::clock()).await {
        Err(error) if is_damage(&error) => return Err(unreadable(&error)),
        entry => entry?,
    };
    let Some(entry) = entry else {
        return Ok(None);
    };
    let row: Result<ClockRow, _> = serde_json::from_slice(&entry.value);
    row.map(|row| Some(row.mark))
        .map_err(|error| unreadable(&error))
}

fn unreadable(error: &dyn std::error::Error) -> MaintenanceError {
    MaintenanceError::Corrupt {
        what: "clock",
        why: format!(
            "{error}; if the clock of this machine is right, accept it: \
             windlass check --accept-clock"
        ),
    }
}

/// Makes `now` the latest time that the store has seen, also if it has seen a
/// later one; which one it had seen.
pub(super) async fn accept(
    store: &dyn Store,
    now: Millis,
) -> Result<Option<Millis>, MaintenanceError> {
    // One that cannot be read is what accepting is to mend, too.
    let before = mark(store).await.unwrap_or(None);
    let row = encode(&ClockRow {
        v: Format,
        mark: now,
    });
    let batch = Batch::new().put(record::clock(), row);
    let _: Commit = store.commit(batch).await?;
    Ok(before)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000;
    const MARK: Millis = Millis::new(1_000 * HOUR);

    fn is_refused(now_ms: u64) -> bool {
        judge(Millis::new(now_ms), MARK).is_err()
    }

    #[test]
    fn a_clock_more_than_an_hour_before_the_mark_or_a_year_after_it_is_refused() {
        let before = [999 * HOUR - 1, 999 * HOUR, 1_000 * HOUR].map(is_refused);
        assert_eq!(before, [true, false, false]);
        let year = 366 * 24 * HOUR;
        let after = [1_001 * HOUR + 1, 1_000 * HOUR + year].map(is_refused);
        assert_eq!(after, [false, false]);
        assert!(is_refused(1_000 * HOUR + year + 1));
    }

    /// What a watch whose clock is so far ahead says to marks with these
    /// versions, looked at ten seconds apart.
    fn looks(ahead_ms: u64, versions: &[u64]) -> Vec<bool> {
        let mut watch = Watch::default();
        let refused = (0_u64..).zip(versions).map(|(number, version)| {
            let passed_ms = number * 10_000;
            let look = Look {
                version: Version::new(windlass_store::Incarnation::from_number(1), *version),
                mark: MARK.plus_ms(version * 10_000),
                now: MARK.plus_ms(passed_ms + ahead_ms),
                at: Duration::from_millis(passed_ms),
            };
            watch.look(look).is_err()
        });
        refused.collect()
    }

    #[test]
    fn a_clock_that_a_fresh_mark_refused_stays_refused() {
        assert_eq!(looks(HOUR, &[0, 1, 1, 1]), [false; 4]);
        let stands = looks(2 * HOUR, &[0, 0, 0]);
        assert_eq!(stands, [false; 3], "it may have been left alone");
        let refused = looks(2 * HOUR, &[0, 1, 1, 1, 1, 1]);
        assert_eq!(refused, [false, true, true, true, true, true]);
    }
}
