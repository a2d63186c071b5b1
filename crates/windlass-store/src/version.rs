//! The opaque stamp a store puts on every key it writes.

use std::fmt;

use crate::{StoreError, StoreErrorKind};

/// A random number drawn at each creation, restore and import of a store. It
/// is part of every version, so a version from before never matches after.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Incarnation(u64);

impl Incarnation {
    /// Draws a new one from the operating system's generator.
    ///
    /// # Errors
    ///
    /// `Environment` if the generator fails; there is no weaker fallback.
    pub fn draw() -> Result<Self, StoreError> {
        let mut bytes = [0; 8];
        getrandom::fill(&mut bytes).map_err(|cause| {
            StoreError::new(
                StoreErrorKind::Environment,
                "open",
                "no random bytes for an incarnation",
            )
            .with_source(cause)
        })?;
        Ok(Self(u64::from_le_bytes(bytes)))
    }

    /// The incarnation a store has kept as a number.
    #[must_use]
    pub const fn from_number(number: u64) -> Self {
        Self(number)
    }

    /// The number a store keeps.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Debug for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Incarnation({:016x})", self.0)
    }
}

/// The stamp of one commit on the keys it wrote.
///
/// Opaque: compared for equality only. Never used twice for a key, also not
/// after the key was deleted and created again, nor after a restore.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Version {
    incarnation: Incarnation,
    sequence: u64,
}

impl Version {
    /// The version of the commit that `incarnation` numbered `sequence`. For
    /// stores, which never give a number out twice.
    #[must_use]
    pub const fn new(incarnation: Incarnation, sequence: u64) -> Self {
        Self {
            incarnation,
            sequence,
        }
    }

    /// The store's own number for the commit. For stores.
    #[must_use]
    pub const fn sequence(self) -> u64 {
        self.sequence
    }

    /// The incarnation the commit happened in. For stores.
    #[must_use]
    pub const fn incarnation(self) -> Incarnation {
        self.incarnation
    }

    /// Sixteen bytes that stand for this version, for entity tags.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.incarnation.0.to_be_bytes());
        bytes[8..].copy_from_slice(&self.sequence.to_be_bytes());
        bytes
    }
}

impl fmt::Display for Version {
    /// 32 lower-case hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}{:016x}", self.incarnation.0, self.sequence)
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Version({self})")
    }
}
