//! What is asked of a stash, and what it answers.

use serde::{Deserialize, Serialize};

use crate::error::{StashError, check_range};
use crate::key::{Key, check_prefix};
use crate::limits::LIST_MAX;
use crate::metadata::{Entry, Metadata};
use crate::value::Value;

/// What must hold of a key for a put to happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Condition {
    /// Nothing.
    #[default]
    Any,
    /// It has no live entry.
    Absent,
    /// Its live entry has this version.
    Version(u64),
}

/// Gives a key a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Put {
    /// Which key.
    pub key: Key,
    /// The value it shall have.
    pub value: Value,
    /// For how long; `None` for the configured default.
    pub ttl_ms: Option<u64>,
    /// What must hold of the key.
    pub condition: Condition,
}

impl Put {
    /// A put on no condition, for the default time.
    #[must_use]
    pub const fn new(key: Key, value: Value) -> Self {
        Self {
            key,
            value,
            ttl_ms: None,
            condition: Condition::Any,
        }
    }

    /// The same for `ttl_ms` milliseconds.
    #[must_use]
    pub const fn ttl_ms(mut self, ttl_ms: u64) -> Self {
        self.ttl_ms = Some(ttl_ms);
        self
    }

    /// The same on a condition.
    #[must_use]
    pub const fn condition(mut self, condition: Condition) -> Self {
        self.condition = condition;
        self
    }
}

/// Adds to a whole number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Increment {
    /// Which key; an absent one counts as 0.
    pub key: Key,
    /// How much is added.
    pub by: i64,
    /// How long the entry lives if this makes it; `None` for the configured
    /// default. One that is there keeps its deadline.
    pub ttl_ms: Option<u64>,
}

/// One operation of an atomic step.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Operation {
    /// Reads an entry, as the operations before it leave it.
    Get(Key),
    /// Gives a key a value.
    Put(Put),
    /// Deletes an entry.
    Delete(Key),
    /// Gives an entry another time to live, from now on.
    Touch {
        /// Which key.
        key: Key,
        /// For how long; `None` for the configured default.
        ttl_ms: Option<u64>,
    },
    /// Adds to a whole number.
    Increment(Increment),
}

impl Operation {
    /// Which key it is about.
    #[must_use]
    pub const fn key(&self) -> &Key {
        match self {
            Self::Get(key) | Self::Delete(key) | Self::Touch { key, .. } => key,
            Self::Put(put) => &put.key,
            Self::Increment(request) => &request.key,
        }
    }
}

/// What one operation of an atomic step answers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// The entry, if there was one.
    Entry(Option<Entry>),
    /// What a put made.
    Stored(Metadata),
    /// Whether a live entry went.
    Deleted(bool),
    /// The entry with its new deadline, if there was one.
    Touched(Option<Metadata>),
    /// What an increment made of the number.
    Number(Number),
}

/// A number after an increment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Number {
    /// What it is now.
    pub value: i64,
    /// Its entry.
    pub metadata: Metadata,
}

/// Which keys a listing shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyQuery {
    /// How they begin.
    pub prefix: String,
    /// The key after which to go on; `None` for the beginning.
    pub after: Option<Key>,
    /// Most keys on the page: 1 to 1,000.
    pub limit: usize,
}

impl Default for KeyQuery {
    fn default() -> Self {
        Self {
            prefix: String::new(),
            after: None,
            limit: LIST_MAX,
        }
    }
}

impl KeyQuery {
    pub(crate) fn check(&self) -> Result<(), StashError> {
        check_prefix(&self.prefix)?;
        let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        check_range("limit", number(self.limit), 1, number(LIST_MAX))
    }
}

/// Some of the keys a caller can see, in the order of their bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyPage {
    /// The keys, each with what is known of its entry.
    pub keys: Vec<(Key, Metadata)>,
    /// Whether there are more after the last of them.
    pub more: bool,
}

/// What a removal of many entries did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removed {
    /// How many went.
    pub removed: u64,
    /// The value bytes they had.
    pub bytes: u64,
    /// Whether there are more of them left.
    pub truncated: bool,
}
