//! Which names may be in the second tier: a filter that may say yes to a name
//! that is not there, and never no to one that is.
//!
//! It counts: a name that goes is taken out again. 128 counters of four bits
//! lie in 64 bytes, so that one look touches one line of the processor's
//! cache; a name raises six of them. With ten names a line, about one name in
//! a hundred that is not there is taken for one that is, at 6.4 bytes a name.
//! A counter that reached 15 stays there, which costs looks and no truth.
//!
//! Only one thread at a time changes a filter; any number read it meanwhile.

use std::sync::atomic::{AtomicU64, Ordering};

/// Words of a line.
const WORDS: usize = 8;
/// Names that a line is made for.
const NAMES_PER_LINE: u64 = 10;
/// Counters that a name raises.
const RAISED: u32 = 6;
/// The fewest names that a filter is made for.
const NAMES_MIN: u64 = 1_000;
/// Where a counter stays.
const FULL: u64 = 15;

/// A counting Bloom filter in lines.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    lines: Box<[[AtomicU64; WORDS]]>,
    names_max: u64,
}

impl Filter {
    /// An empty filter that is worth something for so many names.
    pub(super) fn for_names(names: u64) -> Self {
        let names_max = names.max(NAMES_MIN);
        let lines = 0..names_max.div_ceil(NAMES_PER_LINE);
        Self {
            lines: lines.map(|_| Default::default()).collect(),
            names_max,
        }
    }

    /// For how many names it was made.
    pub(super) const fn names_max(&self) -> u64 {
        self.names_max
    }

    /// Bytes that it takes.
    pub(super) fn bytes(&self) -> u64 {
        u64::try_from(size_of_val(&*self.lines)).unwrap_or(u64::MAX)
    }

    /// Whether a name of this hash may be in it.
    pub(super) fn may_have(&self, hash: u64) -> bool {
        let Some(line) = self.line(hash) else {
            return false;
        };
        counters(hash).all(|(word, shift)| read(line, word) >> shift & FULL > 0)
    }

    /// Puts a name in. One made for none takes none.
    pub(super) fn add(&self, hash: u64) {
        let Some(line) = self.line(hash) else { return };
        for (word, shift) in counters(hash) {
            let before = read(line, word);
            if before >> shift & FULL < FULL {
                line[word].store(before + (1 << shift), Ordering::Relaxed);
            }
        }
    }

    /// Takes out a name that was put in.
    pub(super) fn remove(&self, hash: u64) {
        let Some(line) = self.line(hash) else { return };
        for (word, shift) in counters(hash) {
            let before = read(line, word);
            if (1..FULL).contains(&(before >> shift & FULL)) {
                line[word].store(before - (1 << shift), Ordering::Relaxed);
            }
        }
    }

    fn line(&self, hash: u64) -> Option<&[AtomicU64; WORDS]> {
        let lines = u128::try_from(self.lines.len()).unwrap_or(0);
        let place = (u128::from(hash) * lines) >> 64;
        self.lines.get(usize::try_from(place).unwrap_or(usize::MAX))
    }
}

fn read(line: &[AtomicU64; WORDS], word: usize) -> u64 {
    line[word].load(Ordering::Relaxed)
}

/// The counters of a hash: word and shift of each, all different ones, or
/// raising and lowering would not be each other's reverse at the rim.
fn counters(hash: u64) -> impl Iterator<Item = (usize, u64)> {
    // The line was chosen by the upper bits.
    let mixed = (hash ^ (hash >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = mixed ^ (mixed >> 32);
    // An odd step through 128 places meets each once.
    let (start, step) = (mixed & 127, mixed >> 7 & 127 | 1);
    (0..u64::from(RAISED)).map(move |turn| {
        let place = (start + turn * step) & 127;
        (usize::try_from(place / 16).unwrap_or(0), place % 16 * 4)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hash(number: u64) -> u64 {
        let mixed = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed ^ (mixed >> 31)).wrapping_mul(0x94d0_49bb_1331_11eb)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        #[test]
        fn a_name_that_is_there_is_never_denied(acts in prop::collection::vec((0..40_u64, any::<bool>()), 1..1_500)) {
            // One line: its counters overflow.
            let filter = Filter { lines: Box::new([Default::default()]), names_max: 10 };
            let mut there = std::collections::HashMap::<u64, u32>::new();
            for (name, comes) in acts {
                let count = there.entry(name).or_default();
                if comes {
                    *count += 1;
                    filter.add(hash(name));
                } else if *count > 0 {
                    *count -= 1;
                    filter.remove(hash(name));
                }
                for (name, _) in there.iter().filter(|(_, count)| **count > 0) {
                    prop_assert!(filter.may_have(hash(*name)), "{}", name);
                }
            }
        }
    }

    #[test]
    fn few_names_that_are_not_there_are_taken_for_some_that_are() {
        let filter = Filter::for_names(100_000);
        (0..100_000).for_each(|name| filter.add(hash(name)));
        let wrong = (100_000..200_000).filter(|name| filter.may_have(hash(*name)));
        let wrong = wrong.count();
        assert!(wrong < 1_500, "{wrong} of 100000");
        assert_eq!(filter.bytes(), 640_000);
        (0..100_000).for_each(|name| filter.remove(hash(name)));
        let left = (0..100_000).filter(|name| filter.may_have(hash(*name)));
        assert!(left.count() < 1_000, "what went is still there");
    }

    #[test]
    fn one_made_for_nothing_has_nothing() {
        let filter = Filter::default();
        filter.add(7);
        assert!(!filter.may_have(7));
    }
}
