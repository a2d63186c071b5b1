//! The ordered key codec: readable keys made of text and numbers.
//!
//! A key is a list of segments joined by `/`, such as
//! `acme/session/s1/event/0000000000000000042`. A number has 20 digits, so
//! numbers sort as numbers. In text, `/`, `%` and every byte that is not
//! printable ASCII are written as `%` and two upper-case hexadecimal digits;
//! so no text can contain a separator, different lists of segments give
//! different keys, and the keys below a prefix are exactly the range of
//! [`Key::below`].
//!
//! Order: two keys that differ first in a number sort by it. Two that differ
//! first in a text sort by the bytes of the encoded text followed by `/`, or
//! by nothing if the text is the last segment. Segments that never need
//! escaping (every identifier of Windlass) therefore sort, in last place, as
//! their own bytes.

use bytes::Bytes;

/// Digits of a number in a key; enough for every `u64`.
pub const NUMBER_DIGITS: usize = 20;

const SEPARATOR: u8 = b'/';

/// A key under construction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    bytes: Vec<u8>,
}

impl Key {
    /// A key whose first segment is `text`: a tenant, `due` or `system`.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let mut key = Self {
            bytes: Vec::with_capacity(96),
        };
        key.push_escaped(text);
        key
    }

    /// Appends a segment of text.
    #[must_use]
    pub fn text(mut self, text: &str) -> Self {
        self.bytes.push(SEPARATOR);
        self.push_escaped(text);
        self
    }

    /// Appends a number.
    #[must_use]
    pub fn number(mut self, number: u64) -> Self {
        self.bytes.push(SEPARATOR);
        let mut digits = [b'0'; NUMBER_DIGITS];
        let mut rest = number;
        for digit in digits.iter_mut().rev() {
            *digit = b"0123456789"[usize::try_from(rest % 10).expect("a digit fits")];
            rest /= 10;
        }
        self.bytes.extend_from_slice(&digits);
        self
    }

    /// The key as it is.
    #[must_use]
    pub fn finish(self) -> Bytes {
        self.bytes.into()
    }

    /// The prefix of every key that continues this one: the key and a
    /// separator.
    #[must_use]
    pub fn below(mut self) -> Bytes {
        self.bytes.push(SEPARATOR);
        self.bytes.into()
    }

    fn push_escaped(&mut self, text: &str) {
        if text.bytes().all(is_plain) {
            self.bytes.extend_from_slice(text.as_bytes());
            return;
        }
        for byte in text.bytes() {
            if is_plain(byte) {
                self.bytes.push(byte);
            } else {
                let hex = |nibble: u8| b"0123456789ABCDEF"[usize::from(nibble)];
                self.bytes
                    .extend_from_slice(&[b'%', hex(byte >> 4), hex(byte & 15)]);
            }
        }
    }
}

/// Whether a byte stands for itself in a key.
const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_graphic() && byte != SEPARATOR && byte != b'%'
}

/// The segments of a key, unescaped; `None` if it is no key of this codec,
/// also where it escapes what the codec would not: no two keys have the same
/// segments.
#[must_use]
pub fn segments(key: &[u8]) -> Option<Vec<String>> {
    key.split(|byte| *byte == SEPARATOR).map(unescape).collect()
}

/// The number a segment stands for; `None` if it is none of 20 digits.
#[must_use]
pub fn number(segment: &str) -> Option<u64> {
    let digits =
        segment.len() == NUMBER_DIGITS && segment.bytes().all(|byte| byte.is_ascii_digit());
    if digits { segment.parse().ok() } else { None }
}

fn unescape(segment: &[u8]) -> Option<String> {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.iter().copied();
    while let Some(byte) = rest.next() {
        match byte {
            b'%' => {
                let (high, low) = (nibble(rest.next()?)?, nibble(rest.next()?)?);
                let escaped = high << 4 | low;
                if is_plain(escaped) {
                    return None;
                }
                bytes.push(escaped);
            }
            _ if is_plain(byte) => bytes.push(byte),
            _ => return None,
        }
    }
    String::from_utf8(bytes).ok()
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}
