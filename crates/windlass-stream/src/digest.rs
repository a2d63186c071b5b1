//! The chain of digests over the rows of a stream.
//!
//! Each chunk ends with a mark, and each mark has the digest of everything
//! before it: SHA-256 over the digest of the mark before, the chunk's first
//! offset (8 bytes, big-endian), and the SHA-256 of the chunk's rows, each as
//! its length (8 bytes, big-endian) and its bytes without newline. Before the
//! first row the digest is 32 zero bytes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;

use crate::offset::Offset;

/// The digest of a stream's rows up to some place.
///
/// Comparing two takes the same time whatever they are. As text it has 64
/// lower-case hexadecimal digits.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Digest([u8; 32]);

/// A text is no digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a digest has 64 lower-case hexadecimal digits")]
pub struct DigestError;

impl Digest {
    /// The digest before the first row.
    pub const START: Self = Self([0; 32]);

    /// The digest after a chunk that begins at `first`, where `self` is the
    /// digest before it and `rows` the SHA-256 of its rows.
    #[must_use]
    pub fn chain(self, first: Offset, rows: RowsHash) -> Self {
        let hash = Sha256::new()
            .chain_update(self.0)
            .chain_update(first.number().to_be_bytes())
            .chain_update(rows.0);
        Self(hash.finalize().into())
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl PartialEq for Digest {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Digest {}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        unhex(text).map(Self).ok_or(DigestError)
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

impl TryFrom<String> for Digest {
    type Error = DigestError;

    fn try_from(text: String) -> Result<Self, DigestError> {
        text.parse()
    }
}

/// The SHA-256 of a chunk's rows, wherever the chunk comes to stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowsHash([u8; 32]);

impl fmt::Display for RowsHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

/// Hashes the rows of one chunk as they come.
///
/// A reader that checks what it gets keeps one from mark to mark; cloning it
/// keeps the state.
#[derive(Clone, Debug, Default)]
pub struct RowsHasher(Sha256);

impl RowsHasher {
    /// A hasher that has seen no row.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a row: its bytes as the writer gave them, without a newline.
    pub fn row(&mut self, bytes: &[u8]) {
        let length = u64::try_from(bytes.len()).expect("a length fits in 64 bits");
        self.0.update(length.to_be_bytes());
        self.0.update(bytes);
    }

    /// The hash of the rows so far.
    #[must_use]
    pub fn finish(self) -> RowsHash {
        RowsHash(self.0.finalize().into())
    }
}

/// Lower-case hexadecimal digits of `bytes`.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from(b"0123456789abcdef"[usize::from(nibble)]);
    let both = |byte: &u8| [digit(byte >> 4), digit(byte & 15)];
    bytes.iter().flat_map(both).collect()
}

/// The bytes that exactly so many lower-case hexadecimal digits stand for.
pub(crate) fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let nibble = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    if text.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Some(bytes)
}
