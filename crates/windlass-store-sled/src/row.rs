//! How entries lie in sled: the keys and values of its rows, byte by byte.
//!
//! One tree holds three kinds of rows, told apart by the first byte of the key:
//!
//! | key | value |
//! |---|---|
//! | `01` | the ledger, see [`crate::ledger`] |
//! | `02`, then the entry's key, escaped | the head of the entry |
//! | `03`, stamp (8 bytes), place (2 bytes), number (2 bytes) | one piece of a large value |
//!
//! A head is: form (1 byte), stamp (8 bytes), CRC-32 over the entry's key and
//! all of the head but this field and the value (4 bytes), then for form 0 the
//! sealed value, and for form 1 the place (2 bytes) and the length of the
//! sealed value (4 bytes), which then lies in pieces. All numbers are
//! big-endian. A stamp is the number of the commit, a place that of the write
//! within its batch; so no name of a piece is used twice.
//!
//! Escaping puts `01` after every third `ff` in a row. It keeps the order, and
//! keeps out of sled keys on which its descending scans do not end: it looks
//! for the node before `xy` by asking for `x`, `y - 1`, and four `ff`.

use bytes::Bytes;
use windlass_store::seal::{self, SEAL_BYTES};
use windlass_store::{Incarnation, KeyRange, Version};

use crate::error::Failure;
use crate::limits::PIECE_BYTES;

/// The key of the ledger.
pub(crate) const LEDGER_KEY: [u8; 1] = [1];
/// How the key of a head begins.
pub(crate) const HEAD: u8 = 2;
/// How the key of a piece begins.
pub(crate) const PIECE: u8 = 3;

const FORM_WHOLE: u8 = 0;
const FORM_PIECES: u8 = 1;
/// Bytes before the sealed value, or what stands in its place.
const PREAMBLE_BYTES: usize = 13;
const ESCAPED_RUN: usize = 3;

/// Where the pieces of a large value are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Pieces {
    pub(crate) stamp: u64,
    pub(crate) place: u16,
    /// Bytes of the sealed value.
    pub(crate) length: u32,
}

impl Pieces {
    /// How many there are.
    pub(crate) fn count(self) -> u16 {
        let length = usize::try_from(self.length).unwrap_or(usize::MAX);
        u16::try_from(length.div_ceil(PIECE_BYTES)).unwrap_or(u16::MAX)
    }

    /// The keys of all of them, in order.
    pub(crate) fn keys(self) -> impl Iterator<Item = [u8; 13]> {
        (0..self.count()).map(move |number| piece_key(self.stamp, self.place, number))
    }
}

/// The key of one piece.
pub(crate) fn piece_key(stamp: u64, place: u16, number: u16) -> [u8; 13] {
    let mut key = [PIECE; 13];
    key[1..9].copy_from_slice(&stamp.to_be_bytes());
    key[9..11].copy_from_slice(&place.to_be_bytes());
    key[11..].copy_from_slice(&number.to_be_bytes());
    key
}

/// The stamp and the place in the key of a piece; `None` for another key.
pub(crate) fn owner_of_piece(key: &[u8]) -> Option<(u64, u16)> {
    if key.len() != 13 || key[0] != PIECE {
        return None;
    }
    let stamp = u64::from_be_bytes(key[1..9].try_into().ok()?);
    let place = u16::from_be_bytes(key[9..11].try_into().ok()?);
    Some((stamp, place))
}

/// The change that takes pieces away.
pub(crate) fn removal(pieces: &[[u8; 13]]) -> sled::Batch {
    let mut batch = sled::Batch::default();
    for key in pieces {
        batch.remove(key);
    }
    batch
}

/// The key of the head of an entry.
pub(crate) fn head_key(key: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(key.len() + key.len() / ESCAPED_RUN + 1);
    escaped.push(HEAD);
    let mut run = 0;
    for byte in key {
        escaped.push(*byte);
        run = if *byte == 0xff { run + 1 } else { 0 };
        if run == ESCAPED_RUN {
            escaped.push(1);
            run = 0;
        }
    }
    escaped
}

/// The key of the entry that a head key is for; `None` if it is for none.
pub(crate) fn entry_key(head_key: &[u8]) -> Option<Bytes> {
    let (kind, escaped) = head_key.split_first()?;
    if *kind != HEAD {
        return None;
    }
    let mut key = Vec::with_capacity(escaped.len());
    let mut run = 0;
    let mut bytes = escaped.iter();
    while let Some(byte) = bytes.next() {
        key.push(*byte);
        run = if *byte == 0xff { run + 1 } else { 0 };
        if run == ESCAPED_RUN {
            (*bytes.next()? == 1).then_some(())?;
            run = 0;
        }
    }
    Some(key.into())
}

/// The range of head keys that a range of keys covers.
pub(crate) fn head_range(range: &KeyRange) -> (Vec<u8>, Vec<u8>) {
    let end = range
        .end
        .as_ref()
        .map_or_else(|| vec![PIECE], |end| head_key(end));
    (head_key(&range.start), end)
}

/// What is stored under a key, verified but for the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) key: Bytes,
    pub(crate) stamp: u64,
    /// The checksum over key and head.
    crc: u32,
    value: Place,
}

/// Where the sealed value of a head is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Here(Bytes),
    Pieces(Pieces),
}

impl Head {
    /// Reads a head that was stored for `key`.
    pub(crate) fn parse(key: Bytes, stored: &Bytes) -> Result<Self, Failure> {
        let damaged = || Failure::corrupt("a stored key or version is damaged");
        let (preamble, body) = stored
            .split_at_checked(PREAMBLE_BYTES)
            .ok_or_else(damaged)?;
        let stamp = u64::from_be_bytes(array(&preamble[1..9]));
        let crc = u32::from_be_bytes(array(&preamble[9..]));
        let value = match (preamble[0], body.len()) {
            (FORM_WHOLE, _) => Place::Here(stored.slice(PREAMBLE_BYTES..)),
            (FORM_PIECES, 6) => Place::Pieces(Pieces {
                stamp,
                place: u16::from_be_bytes(array(&body[..2])),
                length: u32::from_be_bytes(array(&body[2..])),
            }),
            _ => return Err(damaged()),
        };
        let head = Self {
            key,
            stamp,
            crc,
            value,
        };
        if head.checksum() == crc {
            Ok(head)
        } else {
            Err(damaged())
        }
    }

    fn checksum(&self) -> u32 {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&self.key);
        hasher.update(&self.stamp.to_be_bytes());
        match &self.value {
            Place::Here(_) => hasher.update(&[FORM_WHOLE]),
            Place::Pieces(pieces) => {
                hasher.update(&[FORM_PIECES]);
                hasher.update(&pieces.place.to_be_bytes());
                hasher.update(&pieces.length.to_be_bytes());
            }
        }
        hasher.finalize()
    }

    /// The bytes to store.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let (form, body) = match &self.value {
            Place::Here(sealed) => (FORM_WHOLE, sealed.clone()),
            Place::Pieces(pieces) => {
                let mut body = pieces.place.to_be_bytes().to_vec();
                body.extend_from_slice(&pieces.length.to_be_bytes());
                (FORM_PIECES, body.into())
            }
        };
        let mut stored = Vec::with_capacity(PREAMBLE_BYTES + body.len());
        stored.push(form);
        stored.extend_from_slice(&self.stamp.to_be_bytes());
        stored.extend_from_slice(&self.crc.to_be_bytes());
        stored.extend_from_slice(&body);
        stored
    }

    /// The version of the entry.
    pub(crate) const fn version(&self, incarnation: Incarnation) -> Version {
        Version::new(incarnation, self.stamp)
    }

    /// Bytes of the value, unsealed.
    pub(crate) fn value_bytes(&self) -> usize {
        let sealed = match &self.value {
            Place::Here(sealed) => sealed.len(),
            Place::Pieces(pieces) => usize::try_from(pieces.length).unwrap_or(usize::MAX),
        };
        sealed.saturating_sub(SEAL_BYTES)
    }

    /// Bytes of memory that keeping it takes, roughly.
    pub(crate) fn kept_bytes(&self) -> usize {
        let value = match &self.value {
            Place::Here(sealed) => sealed.len(),
            Place::Pieces(_) => 0,
        };
        self.key.len() + value + size_of::<Self>()
    }

    /// Where the value lies if it does not stand here.
    pub(crate) const fn pieces(&self) -> Option<Pieces> {
        match &self.value {
            Place::Here(_) => None,
            Place::Pieces(pieces) => Some(*pieces),
        }
    }

    /// The value, verified; `piece` reads one of its pieces, if it is there.
    pub(crate) fn open(
        &self,
        piece: impl Fn(&[u8]) -> Result<Option<Bytes>, Failure>,
    ) -> Result<Bytes, Failure> {
        let sealed = match &self.value {
            Place::Here(sealed) => sealed.clone(),
            Place::Pieces(pieces) => gather(*pieces, piece)?,
        };
        seal::open(&self.key, self.stamp, &sealed)
            .map_err(|cause| Failure::corrupt("a stored value is damaged").caused_by(cause))
    }

    /// A number that stands for this head in the digest of all.
    pub(crate) fn digest(&self) -> u64 {
        // The finalizer of SplitMix64: every bit of the input reaches every
        // bit of the output, so that sums of such numbers tell sets apart.
        let mut number = self.stamp ^ (u64::from(self.crc) << 32 | u64::from(!self.crc));
        number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        number ^ (number >> 31)
    }
}

/// A value that is about to be stored.
#[derive(Debug)]
pub(crate) struct Sealed {
    pub(crate) head: Head,
    /// What has to be stored beside the head; empty for most.
    pub(crate) pieces: Vec<Bytes>,
}

impl Sealed {
    /// Seals a value that the write at `place` of the commit `stamp` puts. It
    /// stands in the head if it is no longer than `inline_bytes_max`.
    pub(crate) fn new(
        key: &[u8],
        value: &[u8],
        stamp: u64,
        place: u16,
        inline_bytes_max: usize,
    ) -> Self {
        let sealed = Bytes::from(seal::seal(key, stamp, value));
        let (value, pieces) = if sealed.len() <= inline_bytes_max {
            (Place::Here(sealed), Vec::new())
        } else {
            let length = u32::try_from(sealed.len()).expect("validated values are far below 4 GiB");
            let starts = (0..sealed.len()).step_by(PIECE_BYTES);
            let pieces =
                starts.map(|start| sealed.slice(start..sealed.len().min(start + PIECE_BYTES)));
            let pieces = pieces.collect();
            (
                Place::Pieces(Pieces {
                    stamp,
                    place,
                    length,
                }),
                pieces,
            )
        };
        let mut head = Head {
            // A shared slice would keep alive the buffer it is cut from.
            key: Bytes::copy_from_slice(key),
            stamp,
            crc: 0,
            value,
        };
        head.crc = head.checksum();
        Self { head, pieces }
    }
}

fn gather(
    pieces: Pieces,
    piece: impl Fn(&[u8]) -> Result<Option<Bytes>, Failure>,
) -> Result<Bytes, Failure> {
    let mut sealed = Vec::with_capacity(usize::try_from(pieces.length).unwrap_or(0));
    for key in pieces.keys() {
        let Some(part) = piece(&key)? else {
            return Err(Failure::corrupt("a part of a stored value is missing"));
        };
        sealed.extend_from_slice(&part);
    }
    Ok(sealed.into())
}

fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    bytes.try_into().expect("the slice was cut to this length")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO_PIECE: fn(&[u8]) -> Result<Option<Bytes>, Failure> = |_| Ok(None);

    /// Keys whose order is easily lost: runs of `ff` around the length at
    /// which they are escaped, and what stands just beside them.
    fn keys() -> Vec<Vec<u8>> {
        let mut keys = vec![vec![]];
        for _ in 0..7 {
            let longer = keys.iter().flat_map(|key| {
                [0, 1, 2, 0xfe, 0xff].map(|byte| {
                    let mut key = key.clone();
                    key.push(byte);
                    key
                })
            });
            keys = longer.chain([vec![]]).collect();
            keys.sort();
            keys.dedup();
            // All short ones, then only those that are near a run.
            if keys.len() > 2_000 {
                keys.retain(|key| key.len() < 3 || key.windows(2).any(|two| two == [0xff, 0xff]));
            }
        }
        keys
    }

    #[test]
    fn escaping_keeps_the_order_and_can_be_undone() {
        let keys = keys();
        assert!(keys.len() > 1_000, "{} keys", keys.len());
        let escaped: Vec<_> = keys.iter().map(|key| head_key(key)).collect();
        assert!(escaped.is_sorted_by(|one, other| one < other), "the order");
        for (key, escaped) in keys.iter().zip(&escaped) {
            assert_eq!(entry_key(escaped).as_deref(), Some(&key[..]));
            let run = escaped.split(|byte| *byte != 0xff).map(<[u8]>::len).max();
            assert!(run <= Some(ESCAPED_RUN), "{escaped:?}");
        }
    }

    #[test]
    fn what_no_key_escapes_to_is_no_key() {
        for wrong in [
            &[][..],
            &[1],
            &[PIECE, 1],
            &[HEAD, 0xff, 0xff, 0xff],
            &[HEAD, 0xff, 0xff, 0xff, 2],
        ] {
            assert_eq!(entry_key(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_head_comes_back_and_no_bit_of_it_can_change() {
        for value in [&b"small"[..], &[7; 3 * PIECE_BYTES]] {
            let sealed = Sealed::new(b"acme/a", value, 9, 4, 1_000);
            let stored = Bytes::from(sealed.head.to_bytes());
            assert_eq!(Head::parse("acme/a".into(), &stored).unwrap(), sealed.head);
            assert_eq!(sealed.head.value_bytes(), value.len());
            for bit in 0..stored.len() * 8 {
                let mut flipped = stored.to_vec();
                flipped[bit / 8] ^= 1 << (bit % 8);
                let parsed = Head::parse("acme/a".into(), &flipped.into());
                // A value in its head has its own checksum, in the seal.
                let noticed = match parsed {
                    Ok(head) => head.pieces().is_none() && head.open(NO_PIECE).is_err(),
                    Err(_) => true,
                };
                assert!(noticed, "bit {bit} changed nothing");
            }
            let elsewhere = Head::parse("acme/b".into(), &stored);
            assert!(elsewhere.is_err(), "under another key: {elsewhere:?}");
        }
    }

    #[test]
    fn a_large_value_lies_in_pieces_all_of_which_it_needs() {
        let value = vec![7; 2 * PIECE_BYTES];
        let sealed = Sealed::new(b"a", &value, 9, 4, 1_000);
        let pieces = sealed.head.pieces().expect("it is large");
        let keys: Vec<_> = pieces.keys().collect();
        assert_eq!((keys.len(), sealed.pieces.len()), (3, 3));
        assert_eq!(owner_of_piece(&keys[2]), Some((9, 4)));
        let find = |keys: &[[u8; 13]], wanted: &[u8]| {
            let found = keys.iter().position(|key| key == wanted);
            Ok(found.map(|number| sealed.pieces[number].clone()))
        };
        assert_eq!(sealed.head.open(|key| find(&keys, key)).unwrap(), value);
        let missing = sealed.head.open(|key| find(&keys[..2], key));
        assert!(missing.is_err(), "a missing piece: {missing:?}");
    }
}
