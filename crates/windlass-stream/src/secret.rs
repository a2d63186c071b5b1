//! Names that nobody can guess: handles of leases, and cursors.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;
use windlass_core::{Env, RandomError};

use crate::digest::{hex, unhex};

/// The public name of a lease: 128 random bits, 32 hexadecimal digits as text.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Handle([u8; 16]);

impl Handle {
    /// Draws one.
    ///
    /// # Errors
    ///
    /// [`RandomError`] if the environment has no random bytes.
    pub fn draw(env: &dyn Env) -> Result<Self, RandomError> {
        let mut bits = [0; 16];
        env.random(&mut bits)?;
        Ok(Self(bits))
    }
}

impl fmt::Display for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Handle({self})")
    }
}

/// What a reader comes back with: 192 random bits, 48 lower-case hexadecimal
/// digits as text. It names what is read; it gives nobody the right to read.
///
/// `Debug` does not show it.
#[derive(Clone, Copy)]
pub struct Cursor([u8; 24]);

/// A text is no cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a cursor has 48 lower-case hexadecimal digits")]
pub struct CursorError;

impl Cursor {
    /// Draws one.
    ///
    /// # Errors
    ///
    /// [`RandomError`] if the environment has no random bytes.
    pub fn draw(env: &dyn Env) -> Result<Self, RandomError> {
        let mut bits = [0; 24];
        env.random(&mut bits)?;
        Ok(Self(bits))
    }

    /// What is stored in its place.
    #[must_use]
    pub fn hash(&self) -> CursorHash {
        let hash: [u8; 32] = Sha256::digest(self.0).into();
        let (mut name, mut proof) = ([0; 16], [0; 16]);
        name.copy_from_slice(&hash[..16]);
        proof.copy_from_slice(&hash[16..]);
        CursorHash { name, proof }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cursor(..)")
    }
}

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        unhex(text).map(Self).ok_or(CursorError)
    }
}

/// The SHA-256 of a cursor, in two halves: the first is its name in the store,
/// so that looking it up tells nothing about the second, which is compared in
/// constant time.
#[derive(Clone, Copy, Debug)]
pub struct CursorHash {
    name: [u8; 16],
    proof: [u8; 16],
}

impl CursorHash {
    /// The half by which it is looked up, 32 hexadecimal digits.
    #[must_use]
    pub fn name(&self) -> String {
        hex(&self.name)
    }

    /// The half that is compared, 32 hexadecimal digits.
    #[must_use]
    pub fn proof(&self) -> String {
        hex(&self.proof)
    }

    /// Whether `stored` is the half that is compared, in constant time.
    #[must_use]
    pub fn is_proven_by(&self, stored: &str) -> bool {
        let stored = unhex::<16>(stored).unwrap_or_default();
        stored.ct_eq(&self.proof).into()
    }
}
