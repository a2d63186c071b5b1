//! The rows that hold contents, byte by byte.
//!
//! A row is a header and a body:
//!
//! | bytes | what |
//! |---|---|
//! | 1 | the format: 1 |
//! | 1 | the encoding of the body: 0 plain, 1 zstd, 2 list |
//! | 6 | when it was written, in Unix milliseconds, big-endian |
//! | 1 to 10 | the size of the content in bytes, seven bits a byte, lowest first |
//! | rest | the body |
//!
//! A list is of children, whose contents joined together are its own. Each is
//! twice its size, plus one if it is a list itself, in the same coding, and
//! the 32 bytes of its id.

use bytes::{BufMut, Bytes, BytesMut};
use windlass_core::Millis;
use zstd::bulk::{Compressor, Decompressor};

use super::limits::CHUNK_BYTES_MAX;
use super::{BlobId, Compression, Kind, Name};

const FORMAT: u8 = 1;
const PLAIN: u8 = 0;
const ZSTD: u8 = 1;
const LIST: u8 = 2;
const ID_BYTES: usize = 32;
/// Most bytes of a header.
const HEADER_BYTES_MAX: usize = 18;
/// What fits into the six bytes of a time.
const TIME_MAX: u64 = (1 << 48) - 1;

/// A member of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Child {
    pub(crate) name: Name,
    /// The size of its content in bytes.
    pub(crate) size: u64,
}

/// A row, its body not looked into unless it is a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) written: Millis,
    /// The size of the content in bytes.
    pub(crate) size: u64,
    pub(crate) body: Body,
}

/// What a row holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    Plain(Bytes),
    Zstd(Bytes),
    List(List),
}

/// A list as it is stored, and what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct List {
    /// What the id of a list within a tree is the hash of.
    pub(crate) bytes: Bytes,
    pub(crate) children: Vec<Child>,
}

impl Row {
    /// Reads a row; says what is wrong with one that is none.
    pub(crate) fn decode(value: &Bytes) -> Result<Self, &'static str> {
        let mut rest = value.clone();
        match take(&mut rest, 1)?[0] {
            FORMAT => (),
            _ => return Err("its format is unknown"),
        }
        let encoding = take(&mut rest, 1)?[0];
        let mut time = [0; 8];
        time[2..].copy_from_slice(&take(&mut rest, 6)?);
        let size = take_number(&mut rest)?;
        let body = match encoding {
            PLAIN if rest.len() as u64 != size => return Err("its size is wrong"),
            PLAIN => Body::Plain(rest),
            ZSTD if size > CHUNK_BYTES_MAX => return Err("it is too large for one row"),
            ZSTD => Body::Zstd(rest),
            LIST => Body::List(List::decode(rest, size)?),
            _ => return Err("its encoding is unknown"),
        };
        let written = Millis::new(u64::from_be_bytes(time));
        Ok(Self {
            written,
            size,
            body,
        })
    }

    /// When the row was written; looks no further.
    pub(crate) fn written(value: &[u8]) -> Option<Millis> {
        let mut time = [0; 8];
        time[2..].copy_from_slice(value.get(2..8)?);
        Some(Millis::new(u64::from_be_bytes(time)))
    }

    /// The rows that this one needs.
    pub(crate) fn children(&self) -> &[Child] {
        match &self.body {
            Body::List(list) => &list.children,
            Body::Plain(_) | Body::Zstd(_) => &[],
        }
    }
}

impl List {
    /// A list of these.
    pub(crate) fn of(children: Vec<Child>) -> Self {
        let mut bytes = BytesMut::with_capacity(children.len() * (ID_BYTES + 3));
        for child in &children {
            let nested = u64::from(child.name.kind == Kind::List);
            put_number(&mut bytes, child.size << 1 | nested);
            bytes.put_slice(child.name.id.as_digest());
        }
        let bytes = bytes.freeze();
        Self { bytes, children }
    }

    /// The id of the list within a tree.
    pub(crate) fn id(&self) -> BlobId {
        BlobId::of(&self.bytes)
    }

    /// The size of the content that it lists.
    pub(crate) fn size(&self) -> u64 {
        self.children.iter().map(|child| child.size).sum()
    }

    fn decode(bytes: Bytes, size: u64) -> Result<Self, &'static str> {
        let mut children = Vec::with_capacity(bytes.len() / (ID_BYTES + 1));
        let mut rest = bytes.clone();
        let mut sum: u64 = 0;
        while !rest.is_empty() {
            let number = take_number(&mut rest)?;
            let id = take(&mut rest, ID_BYTES)?;
            let digest = id.as_ref().try_into().expect("so many were taken");
            let child = child_of(BlobId::from_digest(digest), number)?;
            sum = sum
                .checked_add(child.size)
                .ok_or("its children are too large")?;
            children.push(child);
        }
        if sum != size {
            return Err("its children do not make up its size");
        }
        Ok(Self { bytes, children })
    }

    /// The row of the list.
    pub(crate) fn encode(&self, written: Millis) -> Bytes {
        encode(LIST, written, self.size(), &self.bytes)
    }
}

fn child_of(id: BlobId, number: u64) -> Result<Child, &'static str> {
    let size = number >> 1;
    let name = if number & 1 == 1 {
        Name::list(id)
    } else {
        Name::chunk(id)
    };
    match size {
        0 => Err("a child is empty"),
        _ if name.kind == Kind::Chunk && size > CHUNK_BYTES_MAX => Err("a chunk is too large"),
        _ => Ok(Child { name, size }),
    }
}

fn encode(encoding: u8, written: Millis, size: u64, body: &[u8]) -> Bytes {
    let mut row = BytesMut::with_capacity(HEADER_BYTES_MAX + body.len());
    row.put_slice(&[FORMAT, encoding]);
    row.put_slice(&written.get().min(TIME_MAX).to_be_bytes()[2..]);
    put_number(&mut row, size);
    row.put_slice(body);
    row.freeze()
}

fn put_number(bytes: &mut BytesMut, number: u64) {
    let mut rest = number;
    while rest >= 0x80 {
        bytes.put_u8((rest & 0x7f | 0x80).to_le_bytes()[0]);
        rest >>= 7;
    }
    bytes.put_u8(rest.to_le_bytes()[0]);
}

fn take_number(bytes: &mut Bytes) -> Result<u64, &'static str> {
    let mut number: u64 = 0;
    for shift in (0..64).step_by(7) {
        let byte = take(bytes, 1)?[0];
        let part = u64::from(byte & 0x7f);
        if (part << shift) >> shift != part {
            return Err("a number is too large");
        }
        number |= part << shift;
        if byte < 0x80 {
            return Ok(number);
        }
    }
    Err("a number is too long")
}

fn take(bytes: &mut Bytes, count: usize) -> Result<Bytes, &'static str> {
    if bytes.len() < count {
        return Err("it ends too early");
    }
    Ok(bytes.split_to(count))
}

/// Makes rows of a content and its chunks, smaller ones where that is wanted.
pub(crate) struct Encoder(Option<Compressor<'static>>);

impl Encoder {
    /// An encoder for a content of `size` bytes, which decides whether it is
    /// compressed: its chunks go the same way, however small they are.
    pub(crate) fn new(compression: Compression, size: u64) -> Self {
        let worth = |least: &u32| size >= u64::from(*least);
        let worth = compression.bytes_min.as_ref().is_some_and(worth);
        let level = i32::from(compression.level);
        // Where the library refuses, contents are stored as they are, which
        // costs room and nothing else.
        Self(worth.then(|| Compressor::new(level).ok()).flatten())
    }

    /// The row of a content or a chunk.
    pub(crate) fn encode(&mut self, content: &[u8], written: Millis) -> Bytes {
        let size = content.len() as u64;
        if let Some(compressor) = &mut self.0
            && let Ok(smaller) = compressor.compress(content)
            && smaller.len() < content.len()
        {
            return encode(ZSTD, written, size, &smaller);
        }
        encode(PLAIN, written, size, content)
    }
}

/// Gives contents back out of rows.
#[derive(Default)]
pub(crate) struct Decoder(Option<Decompressor<'static>>);

impl Decoder {
    /// The content of a row that is no list, not yet compared with its name.
    pub(crate) fn content(&mut self, row: &Row) -> Result<Bytes, &'static str> {
        match &row.body {
            Body::Plain(content) => Ok(content.clone()),
            Body::Zstd(body) => {
                let content = self.unpack(body, row.size)?;
                if content.len() as u64 != row.size {
                    return Err("its size is wrong");
                }
                Ok(content.into())
            }
            Body::List(_) => Err("it is a list"),
        }
    }

    fn unpack(&mut self, body: &[u8], size: u64) -> Result<Vec<u8>, &'static str> {
        const WHY: &str = "it cannot be decompressed";
        let decompressor = match &mut self.0 {
            Some(decompressor) => decompressor,
            none => none.insert(Decompressor::new().map_err(|_| WHY)?),
        };
        let size = usize::try_from(size).map_err(|_| WHY)?;
        decompressor.decompress(body, size).map_err(|_| WHY)
    }
}
