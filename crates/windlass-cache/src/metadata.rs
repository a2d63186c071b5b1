//! What is said of a blob beside its bytes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::CacheError;
use crate::limits::{METADATA_BYTES_MAX, METADATA_KEYS_MAX};

/// Names and values that are kept with a blob: at most 32 of them, with
/// 4 KiB together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    try_from = "BTreeMap<String, String>",
    into = "BTreeMap<String, String>"
)]
pub struct Metadata {
    pairs: BTreeMap<String, String>,
    bytes: u64,
}

impl Metadata {
    /// Metadata of these pairs; of two with one name the later counts.
    ///
    /// # Errors
    ///
    /// [`CacheError::MetadataTooLarge`].
    pub fn new<N: Into<String>, V: Into<String>>(
        pairs: impl IntoIterator<Item = (N, V)>,
    ) -> Result<Self, CacheError> {
        let pairs = pairs.into_iter();
        let pairs: BTreeMap<_, _> = pairs.map(|(n, v)| (n.into(), v.into())).collect();
        Self::try_from(pairs)
    }

    /// The value of a name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.pairs.get(name).map(String::as_str)
    }

    /// All pairs in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let pairs = self.pairs.iter();
        pairs.map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Bytes of names and values.
    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl TryFrom<BTreeMap<String, String>> for Metadata {
    type Error = CacheError;

    fn try_from(pairs: BTreeMap<String, String>) -> Result<Self, CacheError> {
        let lengths = pairs.iter().map(|(name, value)| name.len() + value.len());
        let (keys, bytes) = (pairs.len(), lengths.sum::<usize>());
        let whole = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        if keys > METADATA_KEYS_MAX || bytes > METADATA_BYTES_MAX {
            return Err(CacheError::MetadataTooLarge {
                keys: whole(keys),
                bytes: whole(bytes),
            });
        }
        Ok(Self {
            pairs,
            bytes: whole(bytes),
        })
    }
}

impl From<Metadata> for BTreeMap<String, String> {
    fn from(metadata: Metadata) -> Self {
        metadata.pairs
    }
}
