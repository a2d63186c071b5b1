//! Names of entries.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::StashError;
use crate::limits::KEY_CHARS_MAX;

/// The name of an entry: 1 to 256 characters of `A-Z a-z 0-9 _ - . :`.
///
/// Keys sort by their bytes. Cloning shares the text.
///
/// ```
/// use windlass_core::Coded;
/// use windlass_stash::Key;
///
/// let key: Key = "search:page-1".parse()?;
/// assert_eq!(key.as_str(), "search:page-1");
/// assert_eq!("no/slash".parse::<Key>().unwrap_err().code(), "invalid_key");
/// # Ok::<(), windlass_stash::StashError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Key(Arc<str>);

impl Key {
    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its length in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        u64::try_from(self.0.len()).unwrap_or(u64::MAX)
    }
}

/// Refuses a text that no key can begin with. The empty text begins every key.
pub(crate) fn check_prefix(text: &str) -> Result<(), StashError> {
    if !text.bytes().all(is_allowed) {
        return Err(StashError::InvalidKey);
    }
    if text.len() > KEY_CHARS_MAX {
        return Err(StashError::KeyTooLong { length: text.len() });
    }
    Ok(())
}

/// A foreign character decides before the length does: a long text of foreign
/// characters is no key that was too long.
fn check(text: &str) -> Result<(), StashError> {
    if text.is_empty() {
        return Err(StashError::InvalidKey);
    }
    check_prefix(text)
}

const fn is_allowed(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b':')
}

impl FromStr for Key {
    type Err = StashError;

    /// # Errors
    ///
    /// [`StashError::InvalidKey`] for an empty text and for one with any
    /// other character, however long; [`StashError::KeyTooLong`] for more
    /// than 256 allowed characters.
    fn from_str(text: &str) -> Result<Self, StashError> {
        check(text)?;
        Ok(Self(text.into()))
    }
}

impl TryFrom<String> for Key {
    type Error = StashError;

    fn try_from(text: String) -> Result<Self, StashError> {
        check(&text)?;
        Ok(Self(text.into()))
    }
}

impl TryFrom<&str> for Key {
    type Error = StashError;

    fn try_from(text: &str) -> Result<Self, StashError> {
        text.parse()
    }
}

impl From<Key> for String {
    fn from(key: Key) -> Self {
        key.0.as_ref().to_owned()
    }
}

impl Borrow<str> for Key {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.0)
    }
}
