//! Reading contents, each piece checked before it is given out.

use std::collections::VecDeque;
use std::ops::Range;

use bytes::{Bytes, BytesMut};
use sha2::{Digest, Sha256};
use windlass_store::limits::READ_SCANS_MAX;
use windlass_store::{Entry, Store};

use super::fetch::fetch;
use super::limits::READ_AHEAD_BYTES;
use super::row::{Body, Child, Decoder, Row};
use super::{BlobId, Kind, LineageKeys, Name};
use crate::error::CheckpointError;

/// A whole content; `None` if the lineage has none of that name.
///
/// # Errors
///
/// `Corrupt`, naming the row, if a piece is missing or is not what its name
/// says.
pub(crate) async fn read(
    store: &dyn Store,
    lineage: &LineageKeys,
    id: BlobId,
) -> Result<Option<Bytes>, CheckpointError> {
    let Some(reader) = Reader::open(store, lineage, id).await? else {
        return Ok(None);
    };
    match reader.read_out(store).await {
        Err(CheckpointError::BlobNotFound { .. }) => Ok(None),
        content => content.map(Some),
    }
}

/// Whole contents, those of one row several a read.
///
/// # Errors
///
/// As [`read`].
pub(crate) async fn read_many(
    store: &dyn Store,
    lineage: &LineageKeys,
    ids: &[BlobId],
) -> Result<Vec<Option<Bytes>>, CheckpointError> {
    let keys: Vec<Bytes> = ids.iter().map(|id| lineage.blob(*id)).collect();
    let mut contents = Vec::with_capacity(ids.len());
    for (id, entry) in ids.iter().zip(fetch(store, &keys).await?) {
        let content = match entry {
            Some(entry) => {
                let reader = Reader::over(lineage, *id, &entry.value, 0..u64::MAX)?;
                reader.read_out(store).await.map(Some)
            }
            None => Ok(None),
        };
        contents.push(match content {
            Err(CheckpointError::BlobNotFound { .. }) => None,
            content => content?,
        });
    }
    Ok(contents)
}

/// The size of the content whose row this is.
pub(crate) fn size_of(id: BlobId, value: &Bytes) -> Result<u64, CheckpointError> {
    Ok(decode(Name::blob(id), value)?.size)
}

/// The rows that a row needs.
pub(crate) fn children_of_row(name: Name, value: &Bytes) -> Result<Vec<Child>, CheckpointError> {
    let row = decode(name, value)?;
    check_list(name, &row)?;
    Ok(row.children().to_vec())
}

/// Gives a content out piece by piece. Holds the pieces of one read at most.
pub(crate) struct Reader {
    lineage: LineageKeys,
    id: BlobId,
    size: u64,
    /// What is wanted of the content.
    wanted: Range<u64>,
    steps: VecDeque<Step>,
    /// Of all bytes given out; none if they are not the whole content.
    hash: Option<Sha256>,
    decoder: Decoder,
}

/// What comes next: bytes that were read and checked, or a piece to be read,
/// and where in the content it begins.
enum Step {
    Ready(Bytes),
    Ahead(Child, u64),
}

impl Reader {
    /// A reader of the whole content.
    pub(crate) async fn open(
        store: &dyn Store,
        lineage: &LineageKeys,
        id: BlobId,
    ) -> Result<Option<Self>, CheckpointError> {
        Self::open_range(store, lineage, id, 0..u64::MAX).await
    }

    /// A reader of a part of the content; what is beyond its end is left
    /// out. The pieces are checked, the whole is not.
    pub(crate) async fn open_range(
        store: &dyn Store,
        lineage: &LineageKeys,
        id: BlobId,
        range: Range<u64>,
    ) -> Result<Option<Self>, CheckpointError> {
        let found = fetch(store, &[lineage.blob(id)]).await?;
        let Some(entry) = found.into_iter().flatten().next() else {
            return Ok(None);
        };
        Self::over(lineage, id, &entry.value, range).map(Some)
    }

    /// A reader of the content whose row this is.
    fn over(
        lineage: &LineageKeys,
        id: BlobId,
        value: &Bytes,
        range: Range<u64>,
    ) -> Result<Self, CheckpointError> {
        let name = Name::blob(id);
        let row = decode(name, value)?;
        let whole = range.start == 0 && range.end >= row.size;
        let mut reader = Self {
            lineage: lineage.clone(),
            id,
            size: row.size,
            wanted: range.start.min(row.size)..range.end.min(row.size),
            steps: VecDeque::new(),
            hash: whole.then(Sha256::new),
            decoder: Decoder::default(),
        };
        let steps = reader.steps_of(name, &row, 0)?;
        reader.steps.extend(steps);
        Ok(reader)
    }

    /// Everything that is wanted, in one piece.
    async fn read_out(mut self, store: &dyn Store) -> Result<Bytes, CheckpointError> {
        let first = self.next(store).await?.unwrap_or_default();
        if first.len() as u64 == self.size {
            return Ok(first);
        }
        let mut content = BytesMut::from(first);
        while let Some(piece) = self.next(store).await? {
            content.extend_from_slice(&piece);
        }
        Ok(content.freeze())
    }

    /// The size of the whole content in bytes.
    pub(crate) const fn size(&self) -> u64 {
        self.size
    }

    /// The next piece, which is not empty; `None` after the last one. After a
    /// failure of the store it can be asked again.
    pub(crate) async fn next(
        &mut self,
        store: &dyn Store,
    ) -> Result<Option<Bytes>, CheckpointError> {
        loop {
            match self.steps.pop_front() {
                Some(Step::Ready(bytes)) => {
                    if let Some(hash) = &mut self.hash {
                        hash.update(&bytes);
                    }
                    return Ok(Some(bytes));
                }
                Some(ahead @ Step::Ahead(..)) => {
                    self.steps.push_front(ahead);
                    self.advance(store).await?;
                }
                None => return self.check_whole().map(|()| None),
            }
        }
    }

    /// Reads the next few pieces, lists among them.
    async fn advance(&mut self, store: &dyn Store) -> Result<(), CheckpointError> {
        let few = self.few();
        let name_of = |(child, _): &(Child, u64)| child.name;
        let keys: Vec<Bytes> = few.iter().map(|it| self.lineage.row(name_of(it))).collect();
        let found = fetch(store, &keys).await?;
        if found.iter().any(Option::is_none) {
            self.check_not_collected(store).await?;
        }
        let mut steps = Vec::new();
        let taken = few.len();
        for ((child, offset), entry) in few.into_iter().zip(found) {
            let row = self.checked(child, entry)?;
            steps.extend(self.steps_of(child.name, &row, offset)?);
        }
        // Only now, so that a failure leaves everything to be read.
        self.steps.drain(..taken);
        for step in steps.into_iter().rev() {
            self.steps.push_front(step);
        }
        Ok(())
    }

    /// What one read asks for of the steps ahead.
    fn few(&self) -> Vec<(Child, u64)> {
        let mut few = Vec::with_capacity(READ_SCANS_MAX);
        let mut bytes = 0;
        for step in &self.steps {
            let Step::Ahead(child, offset) = step else {
                break;
            };
            if child.name.kind == Kind::Chunk {
                bytes += child.size;
            }
            if few.len() == READ_SCANS_MAX || (bytes > READ_AHEAD_BYTES && !few.is_empty()) {
                break;
            }
            few.push((*child, *offset));
        }
        few
    }

    /// A collection takes what is at the top before what is below it: if a
    /// piece is missing, the whole may be gone.
    async fn check_not_collected(&self, store: &dyn Store) -> Result<(), CheckpointError> {
        let top = fetch(store, &[self.lineage.blob(self.id)]).await?;
        match top.into_iter().flatten().next() {
            Some(_) => Ok(()),
            None => Err(CheckpointError::BlobNotFound { blob: self.id }),
        }
    }

    /// The row of a piece, of the size that the list above it says.
    fn checked(&self, child: Child, entry: Option<Entry>) -> Result<Row, CheckpointError> {
        let Some(entry) = entry else {
            let why = format!("{} of blob `{}` is missing", child.name, self.id);
            return Err(corrupt(child.name, why));
        };
        let row = decode(child.name, &entry.value)?;
        if row.size != child.size {
            return Err(corrupt(child.name, "its size is another one"));
        }
        Ok(row)
    }

    /// The steps that a row stands for, as far as they are wanted.
    fn steps_of(
        &mut self,
        name: Name,
        row: &Row,
        offset: u64,
    ) -> Result<Vec<Step>, CheckpointError> {
        check_list(name, row)?;
        if let Body::List(list) = &row.body {
            return Ok(self.wanted_of(&list.children, offset));
        }
        let content = self
            .decoder
            .content(row)
            .map_err(|why| corrupt(name, why))?;
        if BlobId::of(&content) != name.id {
            return Err(corrupt(name, "its content has another hash"));
        }
        if name.kind == Kind::Blob {
            // The whole was hashed just now.
            self.hash = None;
        }
        let wanted = self.slice_of(offset, row.size);
        let wanted = content.slice(wanted);
        Ok(if wanted.is_empty() {
            Vec::new()
        } else {
            vec![Step::Ready(wanted)]
        })
    }

    fn wanted_of(&self, children: &[Child], offset: u64) -> Vec<Step> {
        let mut steps = Vec::with_capacity(children.len());
        let mut start = offset;
        for child in children {
            let end = start.saturating_add(child.size);
            if start < self.wanted.end && end > self.wanted.start {
                steps.push(Step::Ahead(*child, start));
            }
            start = end;
        }
        steps
    }

    /// What is wanted of the bytes from `offset` on, counted from there.
    fn slice_of(&self, offset: u64, size: u64) -> Range<usize> {
        let within = |position: u64| {
            let position = position.saturating_sub(offset).min(size);
            usize::try_from(position).expect("a piece fits into memory: it was read")
        };
        within(self.wanted.start)..within(self.wanted.end)
    }

    fn check_whole(&mut self) -> Result<(), CheckpointError> {
        let Some(hash) = self.hash.take() else {
            return Ok(());
        };
        if BlobId::from_digest(hash.finalize().into()) == self.id {
            return Ok(());
        }
        let why = "its pieces joined together have another hash";
        Err(corrupt(Name::blob(self.id), why))
    }
}

fn decode(name: Name, value: &Bytes) -> Result<Row, CheckpointError> {
    Row::decode(value).map_err(|why| corrupt(name, why))
}

/// Refuses a list where none may be, and one that is not what its name says.
/// The name of the one at the top is that of the whole content.
fn check_list(name: Name, row: &Row) -> Result<(), CheckpointError> {
    match (&row.body, name.kind) {
        (Body::List(_), Kind::Chunk) => Err(corrupt(name, "it is a list")),
        (Body::List(list), Kind::List) if list.id() != name.id => {
            Err(corrupt(name, "it lists other pieces"))
        }
        (Body::Plain(_) | Body::Zstd(_), Kind::List) => Err(corrupt(name, "it is no list")),
        _ => Ok(()),
    }
}

fn corrupt(name: Name, why: impl Into<String>) -> CheckpointError {
    let (what, why) = (name.to_string(), why.into());
    CheckpointError::Corrupt { what, why }
}
