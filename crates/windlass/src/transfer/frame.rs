//! The file: a magic text, then frames, then an end.
//!
//! ```text
//! file   = "WNDLXP01" frame* end
//! frame  = length:u32 packed:u32 digest:32 data:packed
//! end    = 0:u32 0:u32 digest:32
//! data   = entry+ as one zstd frame; `length` bytes unpacked
//! entry  = key length:u32 value length:u32 key value
//! ```
//!
//! Numbers are little-endian. Keys ascend over the whole file. The content's
//! hash is the SHA-256 of all entries so far, so it does not depend on where
//! frames end; `digest` is the SHA-256 of that hash, as it is behind the frame,
//! and of the packed bytes, some of which unpack to the same if they change.

use std::io::{self, Read, Write};

use bytes::{Buf, Bytes};
use sha2::{Digest, Sha256};
use windlass_store::limits::{KEY_BYTES_MAX, VALUE_BYTES_MAX};
use zstd::bulk::{Compressor, Decompressor};

use super::{Moved, TransferError};
use crate::unfinished;

const MAGIC: &[u8; 8] = b"WNDLXP01";
/// What every magic text of this kind of file begins with.
const KIND: &[u8] = b"WNDLXP";
/// Bytes after which a frame takes no further entry.
const FRAME_BYTES: usize = 1_024 * 1_024;
/// Most entries of a frame: with the mark they fit into one batch.
pub(super) const FRAME_ENTRIES_MAX: usize = 1_000;
/// Most bytes of a frame, unpacked.
const FRAME_BYTES_MAX: usize = FRAME_BYTES + 8 + KEY_BYTES_MAX + VALUE_BYTES_MAX;
/// Zstandard's own default.
const LEVEL: i32 = 3;
const LENGTHS_BYTES: usize = 8;
const DIGEST_BYTES: usize = 32;

/// A SHA-256.
pub(super) type Hash = [u8; DIGEST_BYTES];

/// A key and its value.
pub(super) type Pair = (Bytes, Bytes);

/// A number of bytes in 64 bits.
pub(super) fn long(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

fn short(length: usize) -> [u8; 4] {
    let length = u32::try_from(length).expect("frames are far below 4 GiB");
    length.to_le_bytes()
}

/// Hashes entries in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Content(Sha256);

impl Content {
    pub(super) fn add(&mut self, key: &[u8], value: &[u8]) {
        self.0.update(short(key.len()));
        self.0.update(short(value.len()));
        self.0.update(key);
        self.0.update(value);
    }

    pub(super) fn hash(&self) -> Hash {
        self.0.clone().finalize().into()
    }

    /// The digest of a frame that ends here.
    fn digest(&self, packed: &[u8]) -> Hash {
        let hasher = Sha256::new().chain_update(self.hash());
        hasher.chain_update(packed).finalize().into()
    }
}

/// Writes a file.
pub(super) struct FileWriter<'a> {
    to: &'a mut (dyn Write + Send),
    compressor: Compressor<'static>,
    content: Content,
    frame: Vec<u8>,
    frame_entries: usize,
    moved: Moved,
}

impl<'a> FileWriter<'a> {
    pub(super) fn new(to: &'a mut (dyn Write + Send)) -> Result<Self, TransferError> {
        to.write_all(MAGIC).map_err(TransferError::Write)?;
        Ok(Self {
            to,
            compressor: Compressor::new(LEVEL).map_err(TransferError::Write)?,
            content: Content::default(),
            frame: Vec::with_capacity(FRAME_BYTES),
            frame_entries: 0,
            moved: Moved {
                file_bytes: long(MAGIC.len()),
                ..Moved::default()
            },
        })
    }

    /// Adds an entry; whether a frame was written.
    pub(super) fn add(&mut self, key: &[u8], value: &[u8]) -> Result<bool, TransferError> {
        let length = LENGTHS_BYTES + key.len() + value.len();
        let full =
            self.frame.len() + length > FRAME_BYTES || self.frame_entries == FRAME_ENTRIES_MAX;
        let flush = full && self.frame_entries > 0;
        if flush {
            self.flush()?;
        }
        self.content.add(key, value);
        for part in [&short(key.len())[..], &short(value.len()), key, value] {
            self.frame.extend_from_slice(part);
        }
        self.frame_entries += 1;
        self.moved.entries += 1;
        self.moved.bytes += long(key.len() + value.len());
        Ok(flush)
    }

    fn flush(&mut self) -> Result<(), TransferError> {
        let packed = self.compressor.compress(&self.frame);
        let packed = packed.map_err(TransferError::Write)?;
        self.write_frame(&packed)?;
        self.frame.clear();
        self.frame_entries = 0;
        Ok(())
    }

    fn write_frame(&mut self, packed: &[u8]) -> Result<(), TransferError> {
        let digest = self.content.digest(packed);
        let parts = [
            &short(self.frame.len())[..],
            &short(packed.len()),
            &digest,
            packed,
        ];
        for part in parts {
            self.to.write_all(part).map_err(TransferError::Write)?;
            self.moved.file_bytes += long(part.len());
        }
        Ok(())
    }

    /// Writes what is left and the end.
    pub(super) fn finish(mut self) -> Result<(Moved, Hash), TransferError> {
        if self.frame_entries > 0 {
            self.flush()?;
        }
        self.write_frame(&[])?;
        self.to.flush().map_err(TransferError::Write)?;
        Ok((self.moved, self.content.hash()))
    }

    pub(super) const fn moved(&self) -> Moved {
        self.moved
    }
}

/// Reads a file and checks all that can be checked.
pub(super) struct FileReader<'a> {
    from: &'a mut (dyn Read + Send),
    decompressor: Decompressor<'static>,
    content: Content,
    last_key: Option<Bytes>,
    frames: u64,
    moved: Moved,
}

impl<'a> FileReader<'a> {
    pub(super) fn new(from: &'a mut (dyn Read + Send)) -> Result<Self, TransferError> {
        let mut magic = [0; MAGIC.len()];
        match from.read_exact(&mut magic) {
            Ok(()) if magic == *MAGIC => {}
            Ok(()) if magic.starts_with(KIND) => return Err(TransferError::UnknownFormat),
            Ok(()) => return Err(TransferError::Foreign),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(TransferError::Foreign);
            }
            Err(error) => return Err(TransferError::Read(error)),
        }
        Ok(Self {
            from,
            decompressor: Decompressor::new().map_err(TransferError::Read)?,
            content: Content::default(),
            last_key: None,
            frames: 0,
            moved: Moved {
                file_bytes: long(MAGIC.len()),
                ..Moved::default()
            },
        })
    }

    /// The entries of the next frame; `None` at the end of the file.
    pub(super) fn next(&mut self) -> Result<Option<Vec<Pair>>, TransferError> {
        let lengths: [u8; LENGTHS_BYTES] = self.exactly()?;
        let digest: Hash = self.exactly()?;
        let mut lengths = &lengths[..];
        let (length, packed) = (lengths.get_u32_le(), lengths.get_u32_le());
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let packed = usize::try_from(packed).unwrap_or(usize::MAX);
        if length == 0 && packed == 0 {
            self.ensure(digest == self.content.digest(&[]), "its digest is another")?;
            self.ensure_end()?;
            return Ok(None);
        }
        let legal = length <= FRAME_BYTES_MAX && packed <= zstd::zstd_safe::compress_bound(length);
        self.ensure(legal, "it is longer than any can be")?;
        self.ensure(length > 0, "it has no entries")?;
        let mut data = vec![0; packed];
        self.fill(&mut data)?;
        let unpacked = self.unpack(length, &data)?;
        let pairs = self.parse(unpacked)?;
        let expected = self.content.digest(&data);
        self.ensure(digest == expected, "its digest is another")?;
        self.frames += 1;
        Ok(Some(pairs))
    }

    fn exactly<const N: usize>(&mut self) -> Result<[u8; N], TransferError> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), TransferError> {
        self.moved.file_bytes += long(bytes.len());
        self.from.read_exact(bytes).map_err(|error| {
            if error.kind() == io::ErrorKind::UnexpectedEof {
                TransferError::CutShort
            } else {
                TransferError::Read(error)
            }
        })
    }

    fn unpack(&mut self, length: usize, packed: &[u8]) -> Result<Bytes, TransferError> {
        let Ok(data) = self.decompressor.decompress(packed, length) else {
            return Err(self.damaged("it cannot be unpacked"));
        };
        self.ensure(data.len() == length, "it is shorter than it says")?;
        Ok(data.into())
    }

    fn parse(&mut self, mut data: Bytes) -> Result<Vec<Pair>, TransferError> {
        let mut pairs = Vec::new();
        while !data.is_empty() {
            self.ensure(data.len() >= LENGTHS_BYTES, "an entry is cut short")?;
            let (key, value) = (data.get_u32_le(), data.get_u32_le());
            let key = usize::try_from(key).unwrap_or(usize::MAX);
            let value = usize::try_from(value).unwrap_or(usize::MAX);
            let legal = key <= KEY_BYTES_MAX && value <= VALUE_BYTES_MAX;
            self.ensure(legal && key + value <= data.len(), "an entry is cut short")?;
            let (key, value) = (data.split_to(key), data.split_to(value));
            let ascends = self.last_key.as_ref().is_none_or(|last| *last < key);
            self.ensure(ascends, "its keys do not ascend")?;
            self.ensure(key != unfinished::key(), "it holds an unfinished import")?;
            self.ensure(pairs.len() < FRAME_ENTRIES_MAX, "it has too many entries")?;
            self.content.add(&key, &value);
            self.moved.entries += 1;
            self.moved.bytes += long(key.len() + value.len());
            self.last_key = Some(key.clone());
            pairs.push((key, value));
        }
        Ok(pairs)
    }

    fn ensure_end(&mut self) -> Result<(), TransferError> {
        let mut more = [0];
        match self.from.read(&mut more) {
            Ok(0) => Ok(()),
            Ok(_) => Err(self.damaged("something follows the end")),
            Err(error) => Err(TransferError::Read(error)),
        }
    }

    fn ensure(&self, holds: bool, why: &'static str) -> Result<(), TransferError> {
        if holds {
            Ok(())
        } else {
            Err(self.damaged(why))
        }
    }

    const fn damaged(&self, why: &'static str) -> TransferError {
        TransferError::Damaged {
            frame: self.frames + 1,
            why,
        }
    }

    /// Frames read so far.
    pub(super) const fn frames(&self) -> u64 {
        self.frames
    }

    /// The digest of all entries read so far.
    pub(super) fn hash(&self) -> Hash {
        self.content.hash()
    }

    pub(super) const fn moved(&self) -> Moved {
        self.moved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of one frame that says it unpacks to `length` bytes.
    fn file(length: u32, data: &[u8]) -> Vec<u8> {
        let packed = zstd::bulk::compress(data, LEVEL).unwrap();
        let mut file = MAGIC.to_vec();
        file.extend(length.to_le_bytes());
        file.extend(short(packed.len()));
        file.extend(Content::default().digest(&packed));
        file.extend(packed);
        file
    }

    #[test]
    fn what_is_never_written_is_refused_before_it_takes_memory() {
        let key_only = [&[255, 255, 0, 0, 0, 0, 0, 0][..], &[0; 65_535]].concat();
        let table = [
            (file(0, &[]), "it has no entries"),
            (file(u32::MAX, &[]), "it is longer than any can be"),
            (file(7, &[0; 7]), "an entry is cut short"),
            (file(8, &[255; 8]), "an entry is cut short"),
            (file(65_543, &key_only), "an entry is cut short"),
            (file(9, &[0; 8]), "it is shorter than it says"),
            (file(8, &[0; 1 << 20]), "it cannot be unpacked"),
        ];
        for (file, why) in table {
            let from = &mut &file[..];
            let read = FileReader::new(from).unwrap().next();
            assert_eq!(
                read.unwrap_err().to_string(),
                format!("the export is damaged in frame 1: {why}; export the store again")
            );
        }
    }
}
