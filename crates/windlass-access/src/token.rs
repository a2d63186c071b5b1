//! The text of a key, `wl_<id>_<secret>`, and what is stored of it.

use std::fmt;

use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};
use windlass_core::{Env, RandomError};

use crate::key::KeyId;

/// Random bytes in the name of a key.
pub(crate) const ID_BYTES: usize = 8;
/// Random bytes in its secret.
const SECRET_BYTES: usize = 32;
const PREFIX: &str = "wl_";

/// What is stored of a secret: the SHA-256 of the whole text of the key.
pub(crate) type SecretHash = [u8; 32];

/// The text that proves the right to a key, shown once. Only its hash is
/// stored. It has no `Display`, and `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// 256 random bits for the key `id`.
    pub(crate) fn draw(env: &dyn Env, id: &KeyId) -> Result<Self, RandomError> {
        let mut bytes = [0; SECRET_BYTES];
        env.random(&mut bytes)?;
        Ok(Self(format!("{PREFIX}{id}_{}", hex(&bytes))))
    }

    /// The text itself, to be handed to its owner and to nobody else.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    pub(crate) fn hash(&self) -> SecretHash {
        hash(&self.0)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The hash of a token, as it was presented.
pub(crate) fn hash(token: &str) -> SecretHash {
    Sha256::digest(token.as_bytes()).into()
}

/// Whether two hashes are equal, in a time that does not depend on where they
/// differ.
pub(crate) fn equal(one: &SecretHash, other: &SecretHash) -> Choice {
    one.ct_eq(other)
}

/// The key that a token names; `None` if it has not the form of a token.
pub(crate) fn id_of(token: &str) -> Option<KeyId> {
    let (id, secret) = token.strip_prefix(PREFIX)?.split_once('_')?;
    if secret.len() != 2 * SECRET_BYTES || !is_hex(secret) {
        return None;
    }
    id.parse().ok()
}

/// Lower-case hexadecimal digits, two a byte.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from(b"0123456789abcdef"[usize::from(nibble)]);
    let pairs = bytes
        .iter()
        .map(|byte| [digit(byte >> 4), digit(byte & 15)]);
    pairs.flatten().collect()
}

/// Whether a text is of lower-case hexadecimal digits only.
pub(crate) fn is_hex(text: &str) -> bool {
    text.bytes()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// The bytes that as many pairs of digits stand for.
pub(crate) fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != 2 * N || !is_hex(text) {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let pair = std::str::from_utf8(pair).ok()?;
        *byte = u8::from_str_radix(pair, 16).ok()?;
    }
    Some(bytes)
}
