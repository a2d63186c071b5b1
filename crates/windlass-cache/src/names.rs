//! Names of namespaces, entries and tags.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::str::FromStr;
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};

use crate::error::{CacheError, Problem};
use crate::limits::{KEY_BYTES_MAX, NAMESPACE_BYTES_MAX, TAG_BYTES_MAX};

/// What a process mixes into the hashes of its names, so that nobody can
/// choose names that collide.
static SEED: OnceLock<RandomState> = OnceLock::new();

/// A text and its hash, which is another in each process.
#[derive(Clone)]
struct Text {
    text: Arc<str>,
    hash: u64,
}

impl Text {
    fn new(text: &str) -> Self {
        Self {
            text: text.into(),
            hash: SEED.get_or_init(RandomState::new).hash_one(text),
        }
    }
}

impl PartialEq for Text {
    /// Clones of one name are equal without a look at the text.
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash && (Arc::ptr_eq(&self.text, &other.text) || self.text == other.text)
    }
}

impl Eq for Text {}

/// Refuses a text that is empty, too long, or has control characters.
fn check(field: &'static str, text: &str, max: usize) -> Result<(), CacheError> {
    if text.is_empty() || text.len() > max {
        let problem = Problem::length(text.len(), max);
        return Err(CacheError::invalid(field, problem));
    }
    if text.chars().any(char::is_control) {
        return Err(CacheError::invalid(field, Problem::Control));
    }
    Ok(())
}

/// Refuses a text that no key can begin with. The empty text begins every key.
pub(crate) fn check_prefix(text: &str) -> Result<(), CacheError> {
    if text.is_empty() {
        return Ok(());
    }
    check("prefix", text, KEY_BYTES_MAX)
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $field:literal, $max:ident) => {
        $(#[$doc])*
        ///
        /// Any text without control characters. Sorts by its bytes; cloning
        /// shares the text. Making one costs a copy and a hash: whoever uses
        /// one often keeps it.
        #[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Text);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0.text
            }
        }

        impl Hash for $name {
            fn hash<H: Hasher>(&self, state: &mut H) {
                state.write_u64(self.0.hash);
            }
        }

        impl Ord for $name {
            fn cmp(&self, other: &Self) -> Ordering {
                self.0.text.cmp(&other.0.text)
            }
        }

        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
                Some(self.cmp(other))
            }
        }

        impl FromStr for $name {
            type Err = CacheError;

            fn from_str(text: &str) -> Result<Self, CacheError> {
                check($field, text, $max)?;
                Ok(Self(Text::new(text)))
            }
        }

        impl TryFrom<String> for $name {
            type Error = CacheError;

            fn try_from(text: String) -> Result<Self, CacheError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.as_str().to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.as_str())
            }
        }
    };
}

name!(
    /// A part of the cache that can be flushed as a whole: 1 to 128 bytes.
    Namespace,
    "namespace",
    NAMESPACE_BYTES_MAX
);
name!(
    /// The name of an entry within its namespace: 1 to 512 bytes.
    Key,
    "key",
    KEY_BYTES_MAX
);
name!(
    /// A mark that entries of a namespace can share: 1 to 128 bytes.
    Tag,
    "tag",
    TAG_BYTES_MAX
);

#[cfg(test)]
impl Key {
    /// A key with the hash of another.
    pub(crate) fn colliding(text: &str, other: &Self) -> Self {
        Self(Text {
            text: text.into(),
            hash: other.0.hash,
        })
    }
}

impl Key {
    /// Where the keys with a prefix begin in the order of keys. May be no key
    /// itself.
    pub(crate) fn bound(prefix: &str) -> Self {
        Self(Text::new(prefix))
    }
}

/// Where an entry is found: as the library holds it.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) namespace: Namespace,
    pub(crate) key: Key,
}

/// Where an entry is looked for, without a copy of its names.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) namespace: &'a Namespace,
    pub(crate) key: &'a Key,
}

impl Wanted<'_> {
    /// The hash of both names. They are told apart by it, so it is not a mere
    /// sum: the same two texts the other way round are another place.
    #[inline]
    pub(crate) const fn code(self) -> u64 {
        let mixed = self.key.0.hash ^ self.namespace.0.hash.rotate_left(23);
        mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}

impl Place {
    pub(crate) const fn wanted(&self) -> Wanted<'_> {
        Wanted {
            namespace: &self.namespace,
            key: &self.key,
        }
    }
}

impl PartialEq for Place {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key && self.namespace == other.namespace
    }
}

impl Eq for Place {}

/// Passes on the hash that names carry.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Carried(u64);

impl Hasher for Carried {
    fn write(&mut self, _: &[u8]) {
        unreachable!("a name hashes to one number");
    }

    #[inline]
    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }
}
