//! Names of entries.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher, RandomState};
use std::str::FromStr;
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};

use crate::error::StashError;
use crate::limits::KEY_CHARS_MAX;

/// The name of an entry: 1 to 256 characters of `A-Z a-z 0-9 _ - . :`.
///
/// Keys sort by their bytes. Cloning shares the text. Making one from text
/// costs a copy and a hash; whoever uses a key often keeps it.
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
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Key {
    text: Arc<str>,
    hash: u64,
}

/// What a process mixes into the hashes of its keys, so that nobody can choose
/// keys that collide.
static SEED: OnceLock<RandomState> = OnceLock::new();

impl Key {
    fn new(text: &str) -> Self {
        Self {
            text: text.into(),
            hash: SEED.get_or_init(RandomState::new).hash_one(text),
        }
    }

    /// Where the keys with a prefix begin in the order of keys. May be no key
    /// itself.
    pub(crate) fn bound(prefix: &str) -> Self {
        Self::new(prefix)
    }

    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Its length in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        u64::try_from(self.text.len()).unwrap_or(u64::MAX)
    }

    /// Its hash, which is another in each process.
    pub(crate) const fn hash_code(&self) -> u64 {
        self.hash
    }
}

impl PartialEq for Key {
    /// Clones of one key are equal without a look at the text.
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash && (Arc::ptr_eq(&self.text, &other.text) || self.text == other.text)
    }
}

impl Eq for Key {}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        self.text.cmp(&other.text)
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

/// A map by key that does not hash its keys again.
pub(crate) type KeyMap<V> = HashMap<Key, V, BuildHasherDefault<Hashed>>;

/// Passes on the hash that a key carries.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Hashed(u64);

impl Hasher for Hashed {
    fn write(&mut self, _: &[u8]) {
        unreachable!("a key hashes to one number");
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn finish(&self) -> u64 {
        self.0
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
        Ok(Self::new(text))
    }
}

impl TryFrom<String> for Key {
    type Error = StashError;

    fn try_from(text: String) -> Result<Self, StashError> {
        check(&text)?;
        Ok(Self::new(&text))
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
        key.text.as_ref().to_owned()
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.text)
    }
}
