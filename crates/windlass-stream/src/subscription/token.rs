//! What a worker proves with that a wake is its own.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;
use windlass_core::{Env, RandomError};

use crate::digest::{hex, unhex};

/// The secret of one wake: 256 random bits, 64 lower-case hexadecimal digits as
/// text. Only its hash is stored. `Debug` does not show it.
#[derive(Clone, Copy)]
pub struct WakeToken([u8; 32]);

/// A text is no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a token has 64 lower-case hexadecimal digits")]
pub struct WakeTokenError;

impl WakeToken {
    pub(crate) fn draw(env: &dyn Env) -> Result<Self, RandomError> {
        let mut bits = [0; 32];
        env.random(&mut bits)?;
        Ok(Self(bits))
    }

    /// What is stored in its place.
    pub(crate) fn hash(&self) -> Arc<str> {
        hex(&Sha256::digest(self.0)).into()
    }

    /// Whether `stored` is its hash, in constant time.
    pub(crate) fn is_hashed(&self, stored: &str) -> bool {
        let hash: [u8; 32] = Sha256::digest(self.0).into();
        let stored = unhex::<32>(stored);
        stored.is_some_and(|stored| stored.ct_eq(&hash).into())
    }
}

impl fmt::Display for WakeToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for WakeToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WakeToken(..)")
    }
}

impl FromStr for WakeToken {
    type Err = WakeTokenError;

    fn from_str(text: &str) -> Result<Self, WakeTokenError> {
        unhex(text).map(Self).ok_or(WakeTokenError)
    }
}

/// The name of a wake: `w_` and 128 random bits.
pub(crate) fn wake_id(env: &dyn Env) -> Result<Arc<str>, RandomError> {
    let mut bits = [0; 16];
    env.random(&mut bits)?;
    Ok(format!("w_{}", hex(&bits)).into())
}
