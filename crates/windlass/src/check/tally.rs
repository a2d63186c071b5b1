//! Both sides of all links, added up, and what records point at.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Sums that links are added up in.
const BUCKETS: usize = 1 << 16;
/// References that are kept in mind at a time: 16 MiB or so.
const REFERENCES_MAX: usize = 1 << 20;

/// Shares that references are looked at in: 32 million.
const SHARES_MAX: u64 = 64;

/// The hash of some bytes, the same in every pass.
pub(super) fn hash(bytes: &[&[u8]]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

/// Both sides of all links, each in the sum that its hash says.
#[derive(Debug)]
pub(super) struct Tally {
    sums: Vec<u64>,
}

impl Tally {
    pub(super) fn new() -> Self {
        Self {
            sums: vec![0; BUCKETS],
        }
    }

    /// The sum that a row is in. A row and its value are in one, so that a row
    /// with another value is met there too.
    pub(super) fn bucket(row: &[u8]) -> usize {
        usize::try_from(hash(&[row]) % BUCKETS as u64).expect("there are fewer sums")
    }

    pub(super) fn demand(&mut self, row: &[u8], value: &[u8]) {
        let sum = &mut self.sums[Self::bucket(row)];
        *sum = sum.wrapping_add(hash(&[row, value]));
    }

    pub(super) fn found(&mut self, row: &[u8], value: &[u8]) {
        let sum = &mut self.sums[Self::bucket(row)];
        *sum = sum.wrapping_sub(hash(&[row, value]));
    }

    /// The sums in which something does not fit.
    pub(super) fn open(&self) -> HashSet<usize> {
        let open = self.sums.iter().enumerate().filter(|(_, sum)| **sum != 0);
        open.map(|(bucket, _)| bucket).collect()
    }
}

/// What records point at, by hash, as far as it fits into memory: the rest is
/// left to further passes, each over its share.
#[derive(Debug)]
pub(super) struct References {
    share: u64,
    shares: u64,
    wanted: HashSet<u64>,
    full: bool,
    /// References there were, of all shares.
    count: u64,
}

impl References {
    /// Those of the first of so many shares.
    pub(super) fn new(share: u64, shares: u64) -> Self {
        Self {
            share,
            shares,
            wanted: HashSet::new(),
            full: false,
            count: 0,
        }
    }

    pub(super) fn refer(&mut self, to: &[u8]) {
        self.count += 1;
        let hash = hash(&[to]);
        if hash % self.shares != self.share || self.full {
            return;
        }
        self.wanted.insert(hash);
        self.full = self.wanted.len() >= REFERENCES_MAX;
    }

    /// Shares of which each fits into memory; fewer than that where it would be
    /// too many.
    pub(super) fn shares(&self) -> u64 {
        // Shares are not quite alike.
        let fit = REFERENCES_MAX as u64 / 2;
        self.count.div_ceil(fit).clamp(1, SHARES_MAX)
    }

    /// There is such an entry.
    pub(super) fn meet(&mut self, key: &[u8]) {
        self.wanted.remove(&hash(&[key]));
    }

    pub(super) fn wants(&self, to: &[u8]) -> bool {
        self.wanted.contains(&hash(&[to]))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.wanted.is_empty()
    }

    /// Whether there were more than fit.
    pub(super) const fn is_full(&self) -> bool {
        self.full
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_zero_where_both_sides_are_alike_in_any_order() {
        let mut tally = Tally::new();
        tally.demand(b"a", b"1");
        tally.found(b"b", b"");
        tally.found(b"a", b"1");
        assert_eq!(tally.open(), [Tally::bucket(b"b")].into());
        tally.demand(b"b", b"");
        assert_eq!(tally.open(), HashSet::new());
    }

    #[test]
    fn references_are_looked_at_in_as_many_shares_as_fit_and_no_more() {
        let shares = |count: u64| {
            let references = References {
                count,
                ..References::new(0, 1)
            };
            references.shares()
        };
        let million = REFERENCES_MAX as u64;
        let counts = [
            0,
            million / 2,
            million / 2 + 1,
            million,
            10 * million,
            u64::MAX,
        ];
        assert_eq!(counts.map(shares), [1, 1, 2, 2, 20, 64]);
        let mut references = References::new(0, 3);
        (0..100_u32).for_each(|to| references.refer(&to.to_le_bytes()));
        assert_eq!(references.count, 100, "also those of other shares count");
        assert!(references.wanted.len() < 100);
    }

    #[test]
    fn a_row_with_another_value_and_a_row_twice_do_not_fit() {
        let mut tally = Tally::new();
        tally.demand(b"a", b"1");
        tally.found(b"a", b"2");
        assert_eq!(tally.open(), [Tally::bucket(b"a")].into());
        let mut tally = Tally::new();
        tally.demand(b"a", b"");
        tally.found(b"a", b"");
        tally.found(b"a", b"");
        assert_eq!(tally.open(), [Tally::bucket(b"a")].into());
    }
}
