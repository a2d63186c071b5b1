//! Cursors that only the server can make: where a page ended, with a mark
//! (HMAC-SHA-256) over it, the listing it belongs to and who asked.
//!
//! A cursor identifies a place and authorises nothing: whoever hands one back
//! needs the same credential as for the first page.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::problem::{Problem, Refused};

/// Bytes of the mark, in hexadecimal twice as many characters.
const MARK_BYTES: usize = 16;

/// Seals cursors of one store.
pub(crate) struct Seal([u8; 32]);

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seal(..)")
    }
}

impl Seal {
    pub(crate) const fn new(key: [u8; 32]) -> Self {
        Self(key)
    }

    fn mark(&self, listing: &[&str], position: &str) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("any length is a key");
        for piece in listing.iter().chain([&position]) {
            let length = u64::try_from(piece.len()).unwrap_or(u64::MAX);
            mac.update(&length.to_be_bytes());
            mac.update(piece.as_bytes());
        }
        mac
    }

    /// The cursor for `position` in `listing`.
    pub(crate) fn close(&self, listing: &[&str], position: &str) -> String {
        let mark = self.mark(listing, position).finalize().into_bytes();
        let mark = mark.get(..MARK_BYTES).unwrap_or_default();
        format!("{}{}", hex(mark), hex(position.as_bytes()))
    }

    /// The position in a cursor of this listing.
    pub(crate) fn open(&self, listing: &[&str], cursor: &str) -> Result<String, Refused> {
        let opened = || {
            let bytes = unhex(cursor)?;
            let (mark, position) = bytes.split_at_checked(MARK_BYTES)?;
            let position = str::from_utf8(position).ok()?;
            let whole = self.mark(listing, position);
            whole.verify_truncated_left(mark).ok()?;
            Some(position.to_owned())
        };
        opened().ok_or_else(|| {
            let detail = "the cursor is not one of this listing; begin again without one";
            Box::new(Problem::new(400, "cursor_invalid", detail))
        })
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a text cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes().chunks(2);
    let byte = |pair: &[u8]| {
        let pair = str::from_utf8(pair).ok()?;
        let is_pair = pair.len() == 2 && pair.bytes().all(|digit| digit.is_ascii_hexdigit());
        is_pair.then(|| u8::from_str_radix(pair, 16).ok())?
    };
    digits.map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_opens_for_its_own_listing_alone() {
        let seal = Seal::new([7; 32]);
        let listing = ["sessions", "acme", "agent=a"];
        let cursor = seal.close(&listing, "17.s1");
        assert_eq!(seal.open(&listing, &cursor).expect("its own"), "17.s1");
        let code = |listing: &[&str], cursor: &str| {
            seal.open(listing, cursor)
                .expect_err("foreign")
                .code()
                .to_owned()
        };
        // The pieces of a listing do not run into each other.
        for other in [
            ["sessions", "acmea", "gent=a"],
            ["sessions", "other", "agent=a"],
        ] {
            assert_eq!(code(&other, &cursor), "cursor_invalid");
        }
        let other_key = Seal::new([8; 32]).close(&listing, "17.s1");
        for bad in [
            "",
            "x",
            "zz",
            &cursor[1..],
            &other_key,
            &"0".repeat(40),
            "é",
        ] {
            assert_eq!(code(&listing, bad), "cursor_invalid", "{bad}");
        }
    }

    #[test]
    fn any_other_character_breaks_the_mark() {
        let seal = Seal::new([7; 32]);
        let cursor = seal.close(&["keys"], "abc");
        for place in 0..cursor.len() {
            let mut changed = cursor.clone().into_bytes();
            changed[place] = if changed[place] == b'0' { b'1' } else { b'0' };
            let changed = String::from_utf8(changed).expect("text");
            let opened = seal.open(&["keys"], &changed);
            assert_eq!(
                opened.expect_err("changed").code(),
                "cursor_invalid",
                "{place}"
            );
        }
    }
}
