//! The seal around every stored value.
//!
//! Databases return flipped bits as data, so each stored value carries what
//! it takes to notice. A sealed value is the value followed by 9 bytes:
//!
//! | bytes | what |
//! |---|---|
//! | 4 | CRC-32 (ISO-HDLC, as in zlib), little-endian, over: length of the key (4 bytes, little-endian), the key, the stamp (8 bytes, little-endian), the value |
//! | 4 | length of the value, little-endian |
//! | 1 | format version of the seal: 1 |
//!
//! The value stands first and unchanged, so it stays readable with the
//! database's own tools. The checksum covers the key, so a value that turns
//! up under another key is noticed, and the store's stamp (the number behind
//! the version), so a flipped version is.

use bytes::Bytes;

/// Bytes a seal adds to a value.
pub const SEAL_BYTES: usize = 9;

const FORMAT: u8 = 1;

/// Why a sealed value cannot be given out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The bytes are too few to hold a seal.
    #[error("sealed value has {length} bytes, fewer than its seal")]
    TooShort {
        /// How many there are.
        length: usize,
    },
    /// The seal has a format this code does not know.
    #[error("seal has format {found}; this version reads {FORMAT}")]
    Format {
        /// The format found.
        found: u8,
    },
    /// The value is longer or shorter than it was when it was sealed.
    #[error("sealed value has {found} bytes, its seal says {expected}")]
    Length {
        /// The length the seal says.
        expected: u32,
        /// The length found.
        found: usize,
    },
    /// Key, stamp or value are not those that were sealed.
    #[error("checksum of a stored value does not match its key and content")]
    Checksum,
}

/// The bytes to store for `value` under `key`. One copy of the value.
///
/// # Panics
///
/// If the value is 4 GiB or longer, which [`crate::Batch::validate`] excludes.
#[must_use]
pub fn seal(key: &[u8], stamp: u64, value: &[u8]) -> Vec<u8> {
    let length = u32::try_from(value.len()).expect("validated values are far below 4 GiB");
    let mut sealed = Vec::with_capacity(value.len() + SEAL_BYTES);
    sealed.extend_from_slice(value);
    sealed.extend_from_slice(&checksum(key, stamp, value).to_le_bytes());
    sealed.extend_from_slice(&length.to_le_bytes());
    sealed.push(FORMAT);
    sealed
}

/// The value inside `sealed`, checked against its key and stamp; shares the
/// bytes it was given.
///
/// # Errors
///
/// Any [`SealError`]: the bytes are not what [`seal`] made for this key and
/// stamp.
pub fn open(key: &[u8], stamp: u64, sealed: &Bytes) -> Result<Bytes, SealError> {
    let Some(length) = sealed.len().checked_sub(SEAL_BYTES) else {
        return Err(SealError::TooShort {
            length: sealed.len(),
        });
    };
    let (value, seal) = sealed.split_at(length);
    let (crc, rest) = seal.split_at(4);
    let (expected, format) = rest.split_at(4);
    if format[0] != FORMAT {
        return Err(SealError::Format { found: format[0] });
    }
    let expected = little_endian(expected);
    if usize::try_from(expected) != Ok(length) {
        return Err(SealError::Length {
            expected,
            found: length,
        });
    }
    if little_endian(crc) != checksum(key, stamp, value) {
        return Err(SealError::Checksum);
    }
    Ok(sealed.slice(..length))
}

fn little_endian(bytes: &[u8]) -> u32 {
    let mut number = [0; 4];
    number.copy_from_slice(bytes);
    u32::from_le_bytes(number)
}

fn checksum(key: &[u8], stamp: u64, value: &[u8]) -> u32 {
    let length = u32::try_from(key.len()).unwrap_or(u32::MAX);
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&length.to_le_bytes());
    hasher.update(key);
    hasher.update(&stamp.to_le_bytes());
    hasher.update(value);
    hasher.finalize()
}
