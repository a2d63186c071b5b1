//! Whether the rows of a stream that came are those that were appended: each
//! mark is checked against the rows before it and the mark before them.

use sha2::{Digest, Sha256};

use crate::stream::{StreamMark, StreamOpened};

/// Checks what comes, from mark to mark.
#[derive(Clone, Debug)]
pub(super) struct Proof {
    /// The last mark, to which the next one is chained.
    base: Place,
    rows: Sha256,
    /// Rows since that mark.
    count: u64,
    /// Whether rows are missing between the last mark and the first row: then
    /// the next mark can be taken, and not checked.
    blind: bool,
}

/// A mark as numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    offset: u64,
    digest: [u8; 32],
}

impl Place {
    fn read(offset: &str, digest: &str) -> Option<Self> {
        let is_number = offset.len() == 16 && offset.bytes().all(|it| it.is_ascii_hexdigit());
        let mut bytes = [0; 32];
        let is_digest = digest.len() == 64 && digest.bytes().all(|it| it.is_ascii_hexdigit());
        if !is_number || !is_digest {
            return None;
        }
        for (byte, digits) in bytes.iter_mut().zip(digest.as_bytes().chunks(2)) {
            *byte = u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()?;
        }
        Some(Self {
            offset: u64::from_str_radix(offset, 16).ok()?,
            digest: bytes,
        })
    }
}

impl Proof {
    /// A proof from the beginning of a read on; `None` if it says no place.
    pub(super) fn begin(opened: &StreamOpened) -> Option<Self> {
        let StreamMark { offset, digest } = &opened.base;
        Some(Self {
            base: Place::read(offset, digest)?,
            rows: Sha256::new(),
            count: 0,
            blind: *offset != opened.start,
        })
    }

    /// Takes a row, as its writer gave it.
    pub(super) fn row(&mut self, content: &[u8]) {
        let length = u64::try_from(content.len()).unwrap_or(u64::MAX);
        self.rows.update(length.to_be_bytes());
        self.rows.update(content);
        self.count += 1;
    }

    /// Whether the rows are those before this mark; from then on it counts
    /// from there.
    pub(super) fn mark(&mut self, mark: &StreamMark) -> bool {
        let Some(place) = Place::read(&mark.offset, &mark.digest) else {
            return false;
        };
        let rows: [u8; 32] = std::mem::take(&mut self.rows).finalize().into();
        let (base, count) = (self.base, std::mem::take(&mut self.count));
        let blind = std::mem::take(&mut self.blind);
        self.base = place;
        if blind {
            return count <= place.offset.saturating_sub(base.offset);
        }
        let chained = Sha256::new()
            .chain_update(base.digest)
            .chain_update(base.offset.to_be_bytes())
            .chain_update(rows)
            .finalize();
        place.digest == <[u8; 32]>::from(chained) && place.offset == base.offset + count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(start: &str) -> StreamOpened {
        StreamOpened {
            start: start.to_owned(),
            base: StreamMark {
                offset: "0".repeat(16),
                digest: "0".repeat(64),
            },
            ..StreamOpened::default()
        }
    }

    /// Made with another program from the definition of the digest: the rows
    /// `1` and `"b"`, in one chunk.
    fn mark() -> StreamMark {
        StreamMark {
            offset: "0000000000000002".to_owned(),
            digest: "d584255d533a36ed5468b99505ea2ac809cc67743ede18129cbc6e4aca774e1b".to_owned(),
        }
    }

    #[test]
    fn rows_are_proven_by_the_mark_behind_them_and_by_no_other() {
        let begin = || Proof::begin(&opened(&"0".repeat(16))).unwrap();
        let mut proof = begin();
        proof.row(b"1");
        proof.row(b"\"b\"");
        assert!(proof.clone().mark(&mark()), "as it was sent");
        for wrong in [&[&b"1"[..]][..], &[b"1", b"\"c\""], &[b"\"b\"", b"1"], &[]] {
            let mut proof = begin();
            wrong.iter().for_each(|row| proof.row(row));
            assert!(!proof.mark(&mark()), "{wrong:?}");
        }
        let other = StreamMark {
            offset: "0000000000000003".to_owned(),
            ..mark()
        };
        assert!(!proof.mark(&other), "another place");
    }

    #[test]
    fn who_begins_within_a_chunk_checks_from_its_mark_on() {
        let mut proof = Proof::begin(&opened("0000000000000001")).unwrap();
        proof.row(b"anything");
        assert!(proof.mark(&mark()), "it cannot be checked");
        proof.row(b"anything");
        assert!(!proof.mark(&mark()), "from here on it is");
    }
}
