//! Values: JSON, written once and shared.
//!
//! A value is kept as the compact JSON it was written to, in one allocation
//! of exactly its length. So its size is known, many small numbers cost no
//! more than their digits, and handing it out copies nothing; what it costs is
//! parsing it each time it is read.

use std::cell::Cell;
use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use crate::error::StashError;

/// Largest buffer that a thread keeps for the next value it writes.
const SCRATCH_BYTES_MAX: usize = 64 * 1_024;

thread_local! {
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// A JSON value as its compact text. Cloning shares the text.
///
/// Equal texts are equal values; `1.0` and `1` are not. Its `Debug` form shows
/// the size only: values do not belong in logs.
///
/// ```
/// use windlass_stash::Value;
///
/// let value = Value::of(&vec![1, 2, 3])?;
/// assert_eq!(value.as_json(), "[1,2,3]");
/// assert_eq!(value.parse::<Vec<u8>>()?, [1, 2, 3]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Value(Arc<str>);

impl Value {
    /// Writes `value` as JSON, of whatever length.
    ///
    /// # Errors
    ///
    /// [`StashError::InvalidValue`] if it has no form in JSON, such as a map
    /// whose keys are no text.
    pub fn of<T: Serialize + ?Sized>(value: &T) -> Result<Self, StashError> {
        Self::within(value, u64::MAX)
    }

    /// Writes `value` as JSON of at most `max` bytes. What is too large is
    /// counted to its end, for the refusal, but not kept.
    ///
    /// # Errors
    ///
    /// Those of [`Value::of`], and [`StashError::ValueTooLarge`].
    pub fn within<T: Serialize + ?Sized>(value: &T, max: u64) -> Result<Self, StashError> {
        let mut writer = Bounded::new(SCRATCH.take(), max);
        serde_json::to_writer(&mut writer, value).map_err(invalid)?;
        if let Some(size) = writer.too_large {
            return Err(StashError::ValueTooLarge { size, max });
        }
        let text = str::from_utf8(&writer.bytes).map_err(invalid)?;
        let value = Self(text.into());
        if writer.bytes.capacity() <= SCRATCH_BYTES_MAX {
            SCRATCH.set(writer.bytes);
        }
        Ok(value)
    }

    /// Takes a value that is JSON already. Space between its tokens is left
    /// out; numbers and texts stay as they are written.
    ///
    /// # Errors
    ///
    /// [`StashError::InvalidValue`] if it is no JSON, or nested deeper than
    /// 128 levels.
    pub fn from_json(text: &str) -> Result<Self, StashError> {
        serde_json::from_str::<IgnoredAny>(text).map_err(invalid)?;
        if text.bytes().any(is_space) {
            return Ok(Self(compact(text).into()));
        }
        Ok(Self(text.into()))
    }

    /// Takes text that this crate wrote.
    pub(crate) fn from_compact(text: &str) -> Self {
        Self(text.into())
    }

    /// Whether it is the same text, not merely an equal one.
    #[cfg(feature = "durable")]
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The value as compact JSON.
    #[must_use]
    pub fn as_json(&self) -> &str {
        &self.0
    }

    /// Reads the value as a `T`, which may borrow from it.
    ///
    /// # Errors
    ///
    /// The parser's, if the value is no `T` or is nested deeper than 128
    /// levels.
    pub fn parse<'a, T: Deserialize<'a>>(&'a self) -> Result<T, serde_json::Error> {
        serde_json::from_str(&self.0)
    }

    /// Its length as compact JSON, in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        length(self.0.len())
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Value({} bytes)", self.0.len())
    }
}

fn invalid(why: impl fmt::Display) -> StashError {
    StashError::InvalidValue {
        why: why.to_string(),
    }
}

const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// Leaves out what stands between the tokens of a text that is JSON.
fn compact(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    let (mut inside, mut escaped) = (false, false);
    for character in json.chars() {
        let space = u8::try_from(character).is_ok_and(is_space);
        if inside || !space {
            text.push(character);
        }
        if escaped {
            escaped = false;
        } else if character == '"' {
            inside = !inside;
        } else {
            escaped = inside && character == '\\';
        }
    }
    text
}

/// Keeps what is written while it is no longer than `max`, and from then on
/// only counts.
struct Bounded {
    bytes: Vec<u8>,
    max: usize,
    /// Length of what was written, once that is too much.
    too_large: Option<u64>,
}

impl Bounded {
    fn new(mut bytes: Vec<u8>, max: u64) -> Self {
        bytes.clear();
        Self {
            bytes,
            max: usize::try_from(max).unwrap_or(usize::MAX),
            too_large: None,
        }
    }

    #[cold]
    fn count(&mut self, more: usize) {
        let before = self.too_large.unwrap_or_else(|| length(self.bytes.len()));
        self.too_large = Some(before.saturating_add(length(more)));
        // Full for ever: nothing fits into no room.
        self.bytes = Vec::new();
        self.max = 0;
    }
}

fn length(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes)?;
        Ok(bytes.len())
    }

    #[inline]
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.len() <= self.max - self.bytes.len() {
            self.bytes.extend_from_slice(bytes);
        } else {
            self.count(bytes.len());
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
