//! Where a row stands in its stream.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A place in a stream: the number of rows that were ever appended before it.
///
/// As text it has 16 lower-case hexadecimal digits, which sort as the places
/// do. Callers pass it back as they got it; that it counts rows is what the
/// [digest](crate::Digest) is defined over, and nothing else to rely on. No
/// two rows of a stream ever have the same one, also not after rows are gone.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(into = "String", try_from = "String")]
pub struct Offset(u64);

/// Digits of an offset as text.
const OFFSET_DIGITS: usize = 16;

/// A text is no offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an offset has 16 lower-case hexadecimal digits")]
pub struct OffsetError;

impl Offset {
    /// Before the first row.
    pub const START: Self = Self(0);

    /// The place before which so many rows were appended.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// How many rows were ever appended before it.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }

    /// The place so many rows further on; `None` beyond the last there can be.
    #[must_use]
    pub const fn plus(self, rows: u64) -> Option<Self> {
        match self.0.checked_add(rows) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// Rows from `earlier` to here; 0 if `earlier` is not earlier.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for Offset {
    type Err = OffsetError;

    fn from_str(text: &str) -> Result<Self, OffsetError> {
        let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if text.len() != OFFSET_DIGITS || !text.bytes().all(digit) {
            return Err(OffsetError);
        }
        u64::from_str_radix(text, 16)
            .map(Self)
            .map_err(|_| OffsetError)
    }
}

impl From<Offset> for String {
    fn from(offset: Offset) -> Self {
        offset.to_string()
    }
}

impl TryFrom<String> for Offset {
    type Error = OffsetError;

    fn try_from(text: String) -> Result<Self, OffsetError> {
        text.parse()
    }
}
