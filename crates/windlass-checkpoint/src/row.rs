//! How a row of this part is written: JSON, or JSON made smaller.
//!
//! The first byte says which: `{` is JSON as it is, with the contents of nodes
//! behind it where the row has some, `z` a zstd frame (RFC 8878) of that. Whatever a row holds, reading it never takes more memory than
//! [`ROW_BYTES_MAX`].

use std::cell::RefCell;
use std::io;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use zstd::bulk::{Compressor, Decompressor};

use crate::error::CheckpointError;

/// Most bytes one row may hold when it is unpacked.
const ROW_BYTES_MAX: usize = 16 * 1_024 * 1_024;
/// Says that a zstd frame follows.
const PACKED: u8 = b'z';
/// Fast enough for every commit, and within a few per cent of slower levels
/// on recorded runs.
const LEVEL: i32 = 3;
/// About 8 per cent smaller on recorded runs, and 40 times slower: 10 ms for a
/// row of 20 KiB.
const LEVEL_HARD: i32 = 19;

/// How hard it is tried to make a row smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effort {
    /// While a caller waits.
    Quick,
    /// Where nobody does.
    Hard,
}

thread_local! {
    /// Making one costs more than most rows do, so each thread keeps its own.
    static PACKER: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
    static UNPACKER: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

fn compress(json: &[u8]) -> io::Result<Vec<u8>> {
    PACKER.with_borrow_mut(|packer| match packer {
        Some(packer) => packer.compress(json),
        None => packer.insert(Compressor::new(LEVEL)?).compress(json),
    })
}

fn decompress(frame: &[u8]) -> io::Result<Vec<u8>> {
    let size = Decompressor::upper_bound(frame);
    let size = size.unwrap_or(ROW_BYTES_MAX).min(ROW_BYTES_MAX);
    UNPACKER.with_borrow_mut(|unpacker| match unpacker {
        Some(unpacker) => unpacker.decompress(frame, size),
        None => unpacker
            .insert(Decompressor::new()?)
            .decompress(frame, size),
    })
}

/// The bytes of `record`, made smaller if that makes them so and there are at
/// least `threshold` of them (`None`: never).
pub(crate) fn encode<T: Serialize>(record: &T, threshold: Option<usize>) -> Bytes {
    encode_with(record, threshold, Effort::Quick)
}

/// The same, with more effort.
pub(crate) fn encode_with<T: Serialize>(
    record: &T,
    threshold: Option<usize>,
    effort: Effort,
) -> Bytes {
    let json = serde_json::to_vec(record).expect("records have text keys and finite numbers only");
    pack(json, threshold, effort)
}

/// The same of a text that begins with JSON.
pub(crate) fn pack(text: Vec<u8>, threshold: Option<usize>, effort: Effort) -> Bytes {
    if threshold.is_none_or(|threshold| text.len() < threshold) {
        return text.into();
    }
    let frame = match effort {
        Effort::Quick => compress(&text),
        Effort::Hard => zstd::bulk::compress(&text, LEVEL_HARD),
    };
    match frame {
        Ok(frame) if frame.len() + 1 < text.len() => {
            let mut packed = Vec::with_capacity(frame.len() + 1);
            packed.push(PACKED);
            packed.extend_from_slice(&frame);
            packed.into()
        }
        // What cannot be made smaller is stored as it is.
        Ok(_) | Err(_) => text.into(),
    }
}

/// The text in `row`.
pub(crate) fn unpack(what: &str, row: &Bytes) -> Result<Bytes, CheckpointError> {
    match row.first() {
        Some(&PACKED) => decompress(&row[1..])
            .map(Bytes::from)
            .map_err(|error| CheckpointError::corrupt(what, error.to_string())),
        _ => Ok(row.clone()),
    }
}

/// The record in `row`.
pub(crate) fn decode<T: DeserializeOwned>(what: &str, row: &Bytes) -> Result<T, CheckpointError> {
    let json = unpack(what, row)?;
    serde_json::from_slice(&json).map_err(|error| CheckpointError::corrupt(what, error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_comes_back_whatever_its_size() {
        for count in [0_usize, 1, 10, 5_000] {
            let numbers = vec![7_u32; count];
            for threshold in [None, Some(0), Some(100)] {
                let row = encode(&numbers, threshold);
                let back: Vec<u32> = decode("row", &row).expect("what was encoded");
                assert_eq!(back, numbers);
            }
        }
    }

    #[test]
    fn more_effort_makes_a_row_smaller_that_reads_the_same() {
        let words = (0_u64..4_000).map(|it| format!("word {}", it * it % 977));
        let words: Vec<String> = words.collect();
        let [quick, hard] =
            [Effort::Quick, Effort::Hard].map(|it| encode_with(&words, Some(0), it));
        assert!(hard.len() < quick.len(), "{} {}", hard.len(), quick.len());
        let back: Vec<String> = decode("row", &hard).expect("what was encoded");
        assert_eq!(back, words);
    }

    #[test]
    fn a_row_that_is_cut_short_is_corrupt() {
        let row = encode(&vec![7_u32; 5_000], Some(0));
        assert_eq!(row.first(), Some(&PACKED));
        for end in 1..row.len() {
            let cut = decode::<Vec<u32>>("row", &row.slice(..end));
            assert!(matches!(cut, Err(CheckpointError::Corrupt { .. })), "{end}");
        }
    }
}
