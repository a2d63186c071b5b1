//! Every key of the store that is about the audit.

use bytes::Bytes;
use windlass_core::Millis;
use windlass_store::KeyRange;
use windlass_store::key::{Key, number, segments};

use super::chain::Chain;

/// The segment that tells the audit from other parts.
const PART: &str = "audit";
/// The first segment of the index of what upkeep has to look at.
const DUE: &str = "due";

fn base(chain: &Chain) -> Key {
    Key::new(chain.as_str()).text(PART)
}

/// The record that every change of a chain checks and rewrites.
pub(super) fn head(chain: &Chain) -> Bytes {
    base(chain).text("head").finish()
}

/// The row of an event.
pub(super) fn event(chain: &Chain, seq: u64) -> Bytes {
    base(chain).text("event").number(seq).finish()
}

/// The rows of the events from `seq` on.
pub(super) fn events_from(chain: &Chain, seq: u64) -> KeyRange {
    KeyRange {
        start: event(chain, seq),
        ..events(chain)
    }
}

/// The rows of all events.
pub(super) fn events(chain: &Chain) -> KeyRange {
    KeyRange::prefix(base(chain).text("event").below())
}

/// The number of the event that a row is of.
pub(super) fn seq_of(row: &[u8]) -> Option<u64> {
    number(segments(row)?.last()?)
}

/// The index row that makes upkeep look at a chain at `time`.
pub(super) fn due(time: Millis, chain: &Chain) -> Bytes {
    Key::new(DUE)
        .number(time.get())
        .text(PART)
        .text(chain.as_str())
        .finish()
}

/// Everything due at `now`, of this and other parts.
pub(super) fn due_until(now: Millis) -> KeyRange {
    let end = Key::new(DUE).number(now.get().saturating_add(1)).finish();
    KeyRange::new(Key::new(DUE).number(0).finish(), end)
}

/// The time and the chain of a row of due work; `None` for one of another
/// part.
pub(super) fn parse_due(row: &[u8]) -> Option<(Millis, Chain)> {
    let [due, time, part, chain]: [String; 4] = segments(row)?.try_into().ok()?;
    if due != DUE || part != PART {
        return None;
    }
    Some((Millis::new(number(&time)?), chain.parse().ok()?))
}
