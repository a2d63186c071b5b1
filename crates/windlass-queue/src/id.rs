//! The name of a batch of work, which also says where it stands.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;
use windlass_core::Millis;

use crate::error::{Problem, QueueError};
use crate::limits::PRIORITY_MAX;

/// Bits of a number in an id.
const NUMBER_BITS: u32 = 40;
/// Random bits of an id.
const SALT_BITS: u32 = 30;

/// The last number a queue gives out.
pub(crate) const NUMBER_MAX: u64 = (1 << NUMBER_BITS) - 1;
/// The latest time an id can hold.
pub(crate) const TIME_MAX: Millis = Millis::new((1 << 48) - 1);

/// The identifier of a batch of work: a UUID of version 7 (RFC 9562).
///
/// Its time is that from which on the work stands in line. Of the other 74
/// bits 44 are its rank and its number among all work of its session, the rest
/// is random; so no two have the same id, and the work is found from its id by
/// one look-up, without an index.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WorkId(u128);

/// Where a batch of work stands in the line of its session: lower ranks first,
/// then earlier times, then lower numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Place {
    /// 0 for the priority that goes first.
    pub(crate) rank: u8,
    pub(crate) time: Millis,
    pub(crate) number: u64,
}

impl WorkId {
    /// The id of what stands at `place`, with 30 bits of `salt`.
    pub(crate) fn new(place: Place, salt: u32) -> Self {
        let number = u128::from(place.number & NUMBER_MAX);
        let salt = u128::from(salt) & ((1 << SALT_BITS) - 1);
        let time = u128::from(place.time.min(TIME_MAX).get());
        let high = u128::from(place.rank) << 8 | number >> 32;
        let low = (number & 0xffff_ffff) << SALT_BITS | salt;
        Self(time << 80 | 7 << 76 | high << 64 | 0b10 << 62 | low)
    }

    pub(crate) fn place(self) -> Place {
        let bits = |shift: u32, count: u32| {
            let bits = self.0 >> shift & ((1 << count) - 1);
            u64::try_from(bits).expect("at most 48 bits")
        };
        Place {
            rank: u8::try_from(bits(72, 4)).expect("4 bits"),
            time: Millis::new(bits(80, 48)),
            number: bits(64, 8) << 32 | bits(SALT_BITS, 32),
        }
    }

    pub(crate) fn salt(self) -> u32 {
        u32::try_from(self.0 & ((1 << SALT_BITS) - 1)).expect("30 bits")
    }

    /// The time from which on the work stands in line.
    #[must_use]
    pub fn time(self) -> Millis {
        self.place().time
    }

    fn check(self) -> Option<Self> {
        let well_formed = self.0 >> 76 & 0xf == 7 && self.0 >> 62 & 0b11 == 0b10;
        (well_formed && self.place().rank <= PRIORITY_MAX).then_some(self)
    }
}

impl FromStr for WorkId {
    type Err = QueueError;

    fn from_str(text: &str) -> Result<Self, QueueError> {
        let id = Uuid::try_parse(text).ok().map(|id| Self(id.as_u128()));
        id.and_then(Self::check)
            .ok_or_else(|| QueueError::invalid("id", Problem::NoId))
    }
}

impl TryFrom<String> for WorkId {
    type Error = QueueError;

    fn try_from(text: String) -> Result<Self, QueueError> {
        text.parse()
    }
}

impl From<WorkId> for String {
    fn from(id: WorkId) -> Self {
        id.to_string()
    }
}

impl fmt::Display for WorkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Uuid::from_u128(self.0).hyphenated().fmt(f)
    }
}

impl fmt::Debug for WorkId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WorkId({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_says_where_its_work_stands() {
        let places = [
            (0, 0, 1),
            (9, (1 << 48) - 1, NUMBER_MAX),
            (4, 1_700_000_000_000, 0x12_3456_789a),
        ];
        for (rank, time, number) in places {
            let time = Millis::new(time);
            let place = Place { rank, time, number };
            let id = WorkId::new(place, 0x3fff_ffff);
            assert_eq!((id.place(), id.salt()), (place, 0x3fff_ffff));
            assert_eq!(id.to_string().parse::<WorkId>().ok(), Some(id));
            let uuid = Uuid::from_u128(id.0);
            assert_eq!((uuid.get_version_num(), id.time()), (7, time));
            assert_eq!(uuid.get_variant(), uuid::Variant::RFC4122);
        }
    }

    #[test]
    fn what_is_no_id_of_work_is_refused() {
        let foreign = [
            "",
            "x",
            "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
            "018bcfe5-6800-7a00-8000-000000000000",
        ];
        for text in foreign {
            let refused = text.parse::<WorkId>().expect_err(text);
            assert_eq!(refused.to_string(), "`id` is no identifier of work");
        }
    }
}
