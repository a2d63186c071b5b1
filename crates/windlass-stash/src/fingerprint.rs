//! What an operation id was used for, as 128 bits.

use std::sync::Arc;

/// FNV-1a (Fowler, Noll, Vo) in 128 bits over the fields of a request, each
/// with its length, so that no two requests look alike.
///
/// No cryptographic hash: an id is its owner's own, so whoever made two
/// requests collide would deceive only himself; and a library of such would be
/// a quarter of all that this crate brings along. A byte costs a
/// multiplication.
#[derive(Debug)]
pub(crate) struct Fingerprint(u128);

const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;

impl Fingerprint {
    pub(crate) fn new(verb: &str) -> Self {
        let mut it = Self(OFFSET);
        it.text(verb);
        it
    }

    fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u128::from(*byte)).wrapping_mul(PRIME);
        }
    }

    fn number(&mut self, number: u64) {
        self.bytes(&number.to_be_bytes());
    }

    fn text(&mut self, text: &str) {
        self.number(u64::try_from(text.len()).unwrap_or(u64::MAX));
        self.bytes(text.as_bytes());
    }

    pub(crate) fn texts<const N: usize>(&mut self, texts: [&str; N]) {
        for text in texts {
            self.text(text);
        }
    }

    pub(crate) fn optional(&mut self, text: Option<&str>) {
        self.number(u64::from(text.is_some()));
        self.text(text.unwrap_or_default());
    }

    pub(crate) fn optional_number(&mut self, number: Option<u64>) {
        self.number(u64::from(number.is_some()));
        self.number(number.unwrap_or_default());
    }

    pub(crate) fn hash(&self) -> Arc<str> {
        format!("{:032x}", self.0).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_the_published_one() {
        let mut it = Fingerprint(OFFSET);
        it.bytes(b"foobar");
        assert_eq!(*it.hash(), *"343e1662793c64bf6f0d3597ba446f18");
    }

    #[test]
    fn where_one_field_ends_and_the_next_begins_counts() {
        let of = |texts: [&str; 2]| {
            let mut it = Fingerprint::new("verb");
            it.texts(texts);
            it.hash()
        };
        assert_ne!(of(["ab", "c"]), of(["a", "bc"]));
        let mut none = Fingerprint::new("verb");
        none.optional(None);
        let mut empty = Fingerprint::new("verb");
        empty.optional(Some(""));
        assert_ne!(none.hash(), empty.hash());
    }
}
