//! The seal: what was sealed comes back, and whatever was changed does not.

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use windlass_store::seal::{SEAL_BYTES, SealError, open, seal};

const KEY: &[u8] = b"acme/session/s1/head";
const STAMP: u64 = 0x0123_4567_89ab_cdef;
const VALUE: &[u8] = b"{\"calls\":7,\"left\":\"\xf0\x9f\x8d\x80\"}";

fn flipped(bytes: &[u8], bit: usize) -> Vec<u8> {
    let mut flipped = bytes.to_vec();
    flipped[bit / 8] ^= 1 << (bit % 8);
    flipped
}

fn bits(bytes: &[u8]) -> std::ops::Range<usize> {
    0..bytes.len() * 8
}

proptest! {
    #[test]
    fn what_was_sealed_comes_back(
        key in vec(any::<u8>(), 0..40),
        stamp: u64,
        value in vec(any::<u8>(), 0..300),
    ) {
        let sealed = Bytes::from(seal(&key, stamp, &value));
        prop_assert_eq!(sealed.len(), value.len() + SEAL_BYTES);
        prop_assert_eq!(open(&key, stamp, &sealed), Ok(Bytes::from(value)));
    }

    #[test]
    fn one_flipped_bit_anywhere_is_refused(
        key in vec(any::<u8>(), 1..40),
        stamp: u64,
        value in vec(any::<u8>(), 0..300),
        place: prop::sample::Index,
    ) {
        let sealed = seal(&key, stamp, &value);
        let bit = place.index((key.len() + 8 + sealed.len()) * 8);
        let (key_bits, stamp_bits) = (key.len() * 8, 64);
        let opened = if bit < key_bits {
            open(&flipped(&key, bit), stamp, &sealed.into())
        } else if bit < key_bits + stamp_bits {
            open(&key, stamp ^ (1 << (bit - key_bits)), &sealed.into())
        } else {
            open(&key, stamp, &flipped(&sealed, bit - key_bits - stamp_bits).into())
        };
        prop_assert!(opened.is_err(), "{:?}", opened);
    }

    #[test]
    fn another_length_is_refused(value in vec(any::<u8>(), 0..100), cut: prop::sample::Index, more in vec(any::<u8>(), 1..20)) {
        let sealed = seal(KEY, STAMP, &value);
        let shorter = sealed[..cut.index(sealed.len())].to_vec();
        prop_assert!(open(KEY, STAMP, &shorter.clone().into()).is_err(), "cut to {:?}", shorter);
        let longer = [sealed.as_slice(), more.as_slice()].concat();
        prop_assert!(open(KEY, STAMP, &longer.clone().into()).is_err(), "{:?} behind it", longer);
    }

    #[test]
    fn bytes_that_nobody_sealed_are_refused(bytes in vec(any::<u8>(), 0..64)) {
        let opened = open(KEY, STAMP, &bytes.into());
        prop_assert!(opened.is_err(), "{:?}", opened);
    }
}

#[test]
fn every_flipped_bit_of_one_value_is_refused() {
    let sealed = seal(KEY, STAMP, VALUE);
    for bit in bits(&sealed) {
        let opened = open(KEY, STAMP, &flipped(&sealed, bit).into());
        assert!(opened.is_err(), "bit {bit} of the sealed bytes: {opened:?}");
    }
    for bit in bits(KEY) {
        let opened = open(&flipped(KEY, bit), STAMP, &sealed.clone().into());
        assert_eq!(opened, Err(SealError::Checksum), "bit {bit} of the key");
    }
    for bit in 0..64 {
        let opened = open(KEY, STAMP ^ (1 << bit), &sealed.clone().into());
        assert_eq!(opened, Err(SealError::Checksum), "bit {bit} of the stamp");
    }
}

#[test]
fn a_byte_moved_from_key_to_value_is_refused() {
    let sealed = seal(b"ab", STAMP, b"c");
    assert_eq!(open(b"a", STAMP, &sealed.into()), Err(SealError::Checksum));
    let sealed = Bytes::from(seal(b"a", STAMP, b"bc"));
    assert_eq!(open(b"ab", STAMP, &sealed), Err(SealError::Checksum));
}

#[test]
fn each_refusal_says_what_is_wrong() {
    let sealed = seal(KEY, STAMP, VALUE);
    let length = sealed.len();
    let short = open(KEY, STAMP, &Bytes::from_static(b"12345678"));
    assert_eq!(short, Err(SealError::TooShort { length: 8 }));
    let format = open(KEY, STAMP, &flipped(&sealed, length * 8 - 7).into());
    assert_eq!(format, Err(SealError::Format { found: 3 }));
    let value_length = u32::try_from(VALUE.len()).unwrap();
    let front = open(KEY, STAMP, &sealed[1..].to_vec().into());
    let expected = SealError::Length {
        expected: value_length,
        found: VALUE.len() - 1,
    };
    assert_eq!(front, Err(expected));
    let messages = [short, format, front, Err(SealError::Checksum)]
        .map(|refused| refused.unwrap_err().to_string());
    assert_eq!(
        messages,
        [
            "sealed value has 8 bytes, fewer than its seal",
            "seal has format 3; this version reads 1",
            "sealed value has 24 bytes, its seal says 25",
            "checksum of a stored value does not match its key and content",
        ]
    );
}

/// The format is stored in files: these are the bytes it has always had.
#[test]
fn the_format_is_as_documented() {
    let sealed = seal(b"k", 1, b"value");
    assert_eq!(&sealed[..5], b"value");
    let covered = [
        &1_u32.to_le_bytes()[..],
        b"k",
        &1_u64.to_le_bytes()[..],
        b"value",
    ]
    .concat();
    assert_eq!(sealed[5..9], bitwise_crc32(&covered).to_le_bytes());
    assert_eq!(sealed[9..], [5, 0, 0, 0, 1]);
    assert_eq!(
        bitwise_crc32(b"123456789"),
        0xcbf4_3926,
        "the check value of CRC-32/ISO-HDLC"
    );
}

fn bitwise_crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| {
        if crc & 1 == 1 {
            (crc >> 1) ^ 0xedb8_8320
        } else {
            crc >> 1
        }
    };
    let fold = |crc: u32, byte: &u8| (0..8).fold(crc ^ u32::from(*byte), step);
    !bytes.iter().fold(!0, fold)
}

#[test]
fn an_opened_value_shares_the_bytes_it_was_given() {
    let sealed = Bytes::from(seal(KEY, STAMP, VALUE));
    let opened = open(KEY, STAMP, &sealed).unwrap();
    assert_eq!(opened.as_ptr(), sealed.as_ptr());
}
