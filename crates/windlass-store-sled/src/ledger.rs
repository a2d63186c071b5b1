//! The ledger: one row of sled that says what all others must add up to.
//!
//! It is written by the same transaction as every change, so a row that sled
//! loses leaves a ledger that no longer fits. 36 bytes, numbers big-endian:
//! incarnation (8), number of the last commit (8), entries (8), digest (8),
//! CRC-32 of these (4). The digest is the sum of [`Head::digest`] over all
//! entries, so it follows every change without a look at the rest.

use windlass_store::Incarnation;

use crate::error::Failure;
use crate::row::Head;

const BYTES: usize = 36;

/// What the rows add up to after a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ledger {
    pub(crate) incarnation: Incarnation,
    /// The number of the last commit.
    pub(crate) sequence: u64,
    pub(crate) entries: u64,
    pub(crate) digest: u64,
}

impl Ledger {
    /// That of a store without entries.
    pub(crate) const fn empty(incarnation: Incarnation) -> Self {
        Self {
            incarnation,
            sequence: 0,
            entries: 0,
            digest: 0,
        }
    }

    /// Counts an entry in.
    pub(crate) fn add(&mut self, head: &Head) {
        self.entries += 1;
        self.digest = self.digest.wrapping_add(head.digest());
    }

    /// Counts an entry out that was counted in. A ledger that was found to
    /// fit cannot run below zero; one that does stays wrong and is noticed.
    pub(crate) fn remove(&mut self, head: &Head) {
        self.entries = self.entries.wrapping_sub(1);
        self.digest = self.digest.wrapping_sub(head.digest());
    }

    /// The bytes to store.
    pub(crate) fn to_bytes(self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        let numbers = [
            self.incarnation.number(),
            self.sequence,
            self.entries,
            self.digest,
        ];
        for (place, number) in numbers.iter().enumerate() {
            bytes[place * 8..place * 8 + 8].copy_from_slice(&number.to_be_bytes());
        }
        let crc = crc32fast::hash(&bytes[..32]);
        bytes[32..].copy_from_slice(&crc.to_be_bytes());
        bytes
    }

    /// Reads what was stored, if it was.
    pub(crate) fn parse(stored: Option<&[u8]>) -> Result<Self, Failure> {
        let Some(stored) = stored else {
            return Err(Failure::corrupt("the ledger of the store is missing"));
        };
        let damaged = || Failure::corrupt("the ledger of the store is damaged");
        let bytes: &[u8; BYTES] = stored.try_into().map_err(|_| damaged())?;
        let number = |place: usize| {
            let mut number = [0; 8];
            number.copy_from_slice(&bytes[place * 8..place * 8 + 8]);
            u64::from_be_bytes(number)
        };
        let ledger = Self {
            incarnation: Incarnation::from_number(number(0)),
            sequence: number(1),
            entries: number(2),
            digest: number(3),
        };
        if ledger.to_bytes() == *bytes {
            Ok(ledger)
        } else {
            Err(damaged())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::Sealed;

    fn head(key: &str, stamp: u64) -> Head {
        Sealed::new(key.as_bytes(), b"1", stamp, 0, 100).head
    }

    fn ledger(heads: &[Head]) -> Ledger {
        let mut ledger = Ledger::empty(Incarnation::from_number(7));
        heads.iter().for_each(|head| ledger.add(head));
        ledger
    }

    #[test]
    fn what_is_counted_out_again_leaves_no_trace() {
        let (one, other) = (head("a", 1), head("b", 1));
        let mut both = ledger(&[one.clone(), other.clone()]);
        assert_eq!(both, ledger(&[other.clone(), one.clone()]));
        both.remove(&one);
        assert_eq!(both, ledger(&[other]));
    }

    #[test]
    fn ledgers_of_other_entries_differ() {
        let found = [
            ledger(&[head("a", 1), head("b", 1)]),
            ledger(&[head("a", 1), head("c", 1)]),
            ledger(&[head("a", 1), head("b", 2)]),
            ledger(&[head("a", 2), head("b", 1)]),
        ];
        for (place, one) in found.iter().enumerate() {
            assert!(!found[..place].contains(one), "{one:?} twice");
        }
    }

    #[test]
    fn a_ledger_comes_back_and_no_bit_of_it_can_change() {
        let ledger = Ledger {
            sequence: 12,
            ..ledger(&[head("a", 1)])
        };
        let stored = ledger.to_bytes();
        assert_eq!(Ledger::parse(Some(&stored)).unwrap(), ledger);
        for bit in 0..stored.len() * 8 {
            let mut flipped = stored;
            flipped[bit / 8] ^= 1 << (bit % 8);
            let parsed = Ledger::parse(Some(&flipped));
            assert!(parsed.is_err(), "bit {bit} changed nothing: {parsed:?}");
        }
    }
}
