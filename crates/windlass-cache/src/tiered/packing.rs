//! Blobs made shorter before they are stored, where that is worth it.
//!
//! Entries are charged with their blobs as they were put: what is stored in
//! place of one like it has the same charge, so that no index has to be
//! rewritten. What is packed are blocks of
//! [LZ4](https://github.com/lz4/lz4/blob/dev/doc/lz4_Block_format.md): of the
//! formats that are read about as fast as memory is copied, the one that many
//! can read. The record says what was done, how long the blob is, and what
//! its checksum is.

use bytes::Bytes;
use lz4_flex::block::{compress_into, decompress_into, get_maximum_output_size};
use serde::{Deserialize, Serialize};

use super::options::Compression;
use crate::limits::{PACKED_BYTES_MAX, PACKED_BYTES_MIN, PACKED_SAVES};

/// How the bytes of a blob are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Packing {
    /// One block.
    Lz4,
}

/// The bytes to store of a blob, if it is worth its while to pack it.
pub(super) fn pack(blob: &Bytes, compression: Compression) -> Option<Bytes> {
    let suits = (PACKED_BYTES_MIN..=PACKED_BYTES_MAX).contains(&blob.len());
    if compression == Compression::None || !suits {
        return None;
    }
    let mut packed = vec![0; get_maximum_output_size(blob.len())];
    let length = compress_into(blob, &mut packed).ok()?;
    if length > blob.len() - blob.len() / PACKED_SAVES {
        return None;
    }
    packed.truncate(length);
    packed.shrink_to_fit();
    Some(packed.into())
}

/// The blob of this length that was packed; `None` if that is not one.
pub(super) fn unpack(packed: &[u8], length: u64) -> Option<Bytes> {
    let length = usize::try_from(length).ok()?;
    if length > PACKED_BYTES_MAX {
        return None;
    }
    let mut blob = vec![0; length];
    let found = decompress_into(packed, &mut blob).ok()?;
    (found == length).then(|| blob.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: usize) -> Bytes {
        let words = b"a call of a tool, and what came of it; ";
        words.iter().copied().cycle().take(bytes).collect()
    }

    fn noise(bytes: usize) -> Bytes {
        let mut state = 1_u64;
        let next = std::iter::repeat_with(|| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            state.to_be_bytes()[0]
        });
        next.take(bytes).collect()
    }

    #[test]
    fn what_was_packed_is_what_comes_out() {
        for length in [PACKED_BYTES_MIN, 4_096, 5_000, PACKED_BYTES_MAX] {
            let blob = text(length);
            let packed = pack(&blob, Compression::Lz4).expect("text is packed");
            assert!(packed.len() < length / 2, "{length} into {}", packed.len());
            let length = u64::try_from(length).expect("it is small");
            assert_eq!(unpack(&packed, length), Some(blob));
            for wrong in [length - 1, length + 1, 0, u64::MAX] {
                assert_eq!(unpack(&packed, wrong), None, "{wrong}");
            }
        }
    }

    #[test]
    fn what_gains_nothing_stays_as_it_is() {
        assert_eq!(pack(&noise(4_096), Compression::Lz4), None);
        assert_eq!(pack(&text(PACKED_BYTES_MIN - 1), Compression::Lz4), None);
        assert_eq!(pack(&text(PACKED_BYTES_MAX + 1), Compression::Lz4), None);
        assert_eq!(pack(&text(4_096), Compression::None), None);
    }

    #[test]
    fn what_cannot_have_been_packed_is_not_unpacked() {
        for length in [0, 100, 4_096] {
            assert_eq!(unpack(&noise(200), length), None);
            assert_eq!(unpack(&[], length.max(1)), None);
        }
    }
}
