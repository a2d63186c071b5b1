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
use windlass_store::{Store, StoreExt, Version};

use super::error::{ClockRefused, MaintenanceError};
use super::record::{self, ClockRow, decode, encode};

/// How far a clock may be from a mark.
const APART_MS_MAX: u64 = 60 * 60 * 1_000;
/// For how long a store may be left alone.
const ALONE_MS_MAX: u64 = 366 * 24 * 60 * 60 * 1_000;

/// Whether the clock may say `now`, where `mark` was seen, just now (`fresh`)
/// or at any time before.
pub(super) const fn judge(now: Millis, mark: Millis, fresh: bool) -> Result<(), ClockRefused> {
    let ahead_max = if fresh { APART_MS_MAX } else { ALONE_MS_MAX };
    if mark.since(now) > APART_MS_MAX || now.since(mark) > ahead_max {
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
pub(super) struct Watch {
    last: Option<(Version, Duration)>,
    mine: Option<Version>,
}

impl Watch {
    /// Whether a mark of this version was written, by somebody else, since
    /// this was asked last, and that was less than `within` ago.
    pub(super) fn is_fresh(&mut self, version: Version, now: Duration, within: Duration) -> bool {
        let before = self.last.replace((version, now));
        let changed =
            before.is_some_and(|(seen, at)| seen != version && now.saturating_sub(at) <= within);
        changed && self.mine != Some(version)
    }

    /// Notes that the mark of this version is one's own.
    pub(super) fn wrote(&mut self, version: Version, now: Duration) {
        self.mine = Some(version);
        self.last = Some((version, now));
    }
}

/// The latest time that a store has seen; `None` if upkeep never ran there.
pub(super) async fn mark(store: &dyn Store) -> Result<Option<Millis>, MaintenanceError> {
    let Some(entry) = store.get(record::clock()).await? else {
        return Ok(None);
    };
    let row: ClockRow = decode("clock", &entry)?;
    Ok(Some(row.mark))
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
    store.update(record::clock(), |_| Some(row.clone())).await?;
    Ok(before)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000;
    const MARK: Millis = Millis::new(1_000 * HOUR);

    fn is_refused(now_ms: u64, fresh: bool) -> bool {
        judge(Millis::new(now_ms), MARK, fresh).is_err()
    }

    #[test]
    fn a_clock_more_than_an_hour_before_the_mark_is_refused() {
        let found = [999 * HOUR - 1, 999 * HOUR, 1_000 * HOUR].map(|now| is_refused(now, false));
        assert_eq!(found, [true, false, false]);
    }

    #[test]
    fn a_clock_ahead_is_refused_of_a_fresh_mark_and_beyond_a_year() {
        let now = [
            1_001 * HOUR,
            1_001 * HOUR + 1,
            1_000 * HOUR + 366 * 24 * HOUR + 1,
        ];
        assert_eq!(now.map(|now| is_refused(now, true)), [false, true, true]);
        assert_eq!(now.map(|now| is_refused(now, false)), [false, false, true]);
    }
}
