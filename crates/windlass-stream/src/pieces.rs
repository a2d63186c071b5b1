//! Rows that are longer than a chunk: stored in pieces, bytes first, the record
//! that makes them visible last.
//!
//! Invariants:
//!
//! 1. The pieces of a row have a name of their own, which nobody else writes
//!    under; so it does not matter where the row comes to stand, nor who
//!    appends meanwhile.
//! 2. While pieces have no record there is a row that says so, which every
//!    commit of a piece checks and the commit of the record deletes. Upkeep
//!    rewrites it before it takes pieces back: what then comes conflicts.
//! 3. A record, and the row by which trimming finds it, are in one commit.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use windlass_core::{Format, Millis};
use windlass_store::{Batch, Commit, Entry, Expect, KeyRange, Scan, StoreExt, Version};

use crate::digest::hex;
use crate::engine::{Engine, Loaded};
use crate::error::StreamError;
use crate::keys::StreamKeys;
use crate::limits::{COMMIT_DELETES_MAX, ROW_BYTES_MAX, UPLOAD_BYTES_MAX, UPLOAD_MS};
use crate::limits::{PIECES_READ_MAX, UPLOAD_PIECES_MAX};
use crate::offset::Offset;
use crate::record::{decode, encode};
use crate::row::{Row, RowError};

const RECORD_START: &[u8] = b"{\"pieces\":";
const RECORD_END: &[u8] = b"}\n";

/// Where the line of a long row is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pieces {
    /// Under which they are stored.
    pub(crate) name: String,
    /// Bytes of each but the last.
    pub(crate) size: u64,
    /// Bytes of the line, with its newline.
    pub(crate) bytes: u64,
}

impl Pieces {
    pub(crate) const fn count(&self) -> u64 {
        self.bytes.div_ceil(self.size)
    }

    /// The line that is stored in a chunk in place of the row's.
    fn record(&self) -> Bytes {
        let json = encode(self);
        [RECORD_START, &json, RECORD_END].concat().into()
    }

    /// The record of a chunk's lines, if they are one.
    pub(crate) fn of_record(lines: &[u8]) -> Option<Result<Self, StreamError>> {
        let json = lines.strip_prefix(RECORD_START)?;
        let json = json.strip_suffix(RECORD_END).unwrap_or_default();
        let pieces = decode("record of pieces", json).and_then(|it: Self| {
            let sound = it.size > 0 && it.bytes > 0;
            let refuse = || StreamError::corrupt("record of pieces", "it has no length");
            sound.then_some(it).ok_or_else(refuse)
        });
        Some(pieces)
    }
}

/// A part of a long row's line. After the last one comes the chunk with the
/// row's mark, which has no line of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowPiece {
    /// The row's offset.
    pub row: Offset,
    /// Where the part begins within the line, in bytes.
    pub start: u64,
    /// The part. Only the last one ends with the newline.
    pub bytes: Bytes,
    /// Whether it is the last.
    pub last: bool,
}

/// Pieces that have no record yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Open {
    v: Format,
    at: Millis,
    /// Whether upkeep takes them back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    condemned: bool,
}

/// The row by which trimming finds a record.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Longer {
    v: Format,
    name: String,
}

/// A long row, and how far its pieces are stored.
#[derive(Debug)]
pub(crate) struct LongRow {
    row: Row,
    size: usize,
    begun: Option<Begun>,
}

#[derive(Debug)]
struct Begun {
    pieces: Pieces,
    open: Version,
    due: Bytes,
    stored: u64,
}

impl LongRow {
    /// A row in pieces of `size` bytes.
    pub(crate) fn new(row: &Row, size: usize) -> Self {
        Self {
            row: row.clone(),
            size,
            begun: None,
        }
    }

    fn is_stored(&self) -> bool {
        let begun = self.begun.as_ref();
        begun.is_some_and(|it| it.stored == it.pieces.count())
    }

    /// Begins anew: what was stored is condemned.
    pub(crate) fn forget(&mut self) {
        self.begun = None;
    }

    /// The line for the chunk, once all pieces are stored.
    pub(crate) fn record(&self) -> Bytes {
        let begun = self.begun.as_ref().filter(|_| self.is_stored());
        begun.expect("pieces come first").pieces.record()
    }

    /// What makes the record at `first` the one of these pieces.
    pub(crate) fn close(&self, keys: &StreamKeys, first: Offset, batch: Batch) -> Batch {
        let begun = self.begun.as_ref().expect("pieces come first");
        let name = &begun.pieces.name;
        let longer = Longer {
            v: Format,
            name: name.clone(),
        };
        batch
            .check(keys.upload(name), Expect::Version(begun.open))
            .delete(keys.upload(name))
            .delete(begun.due.clone())
            .put(keys.long(first), encode(&longer))
    }

    /// Whether `key` is the row that says that its pieces have no record.
    pub(crate) fn is_open_at(&self, keys: &StreamKeys, key: &Bytes) -> bool {
        let begun = self.begun.as_ref();
        begun.is_some_and(|it| keys.upload(&it.pieces.name) == *key)
    }

    /// Some pieces from the number `from` on, as writes: as many as one commit
    /// carries without a copy, or one that has to be encoded.
    fn writes(&self, keys: &StreamKeys, pieces: &Pieces, from: u64) -> (Batch, u64) {
        let encoded = matches!(self.row, Row::Bytes(_));
        let fitting = if encoded {
            1
        } else {
            UPLOAD_BYTES_MAX / self.size
        };
        let most = fitting.clamp(1, UPLOAD_PIECES_MAX);
        let until = pieces.count().min(from + u64::try_from(most).expect("few"));
        let put = |batch: Batch, number: u64| {
            let start = usize::try_from(number).expect("a row is in memory") * self.size;
            let end = (start + self.size).min(self.row.line_length());
            batch.put(
                keys.piece(&pieces.name, number),
                self.row.line_part(start, end),
            )
        };
        ((from..until).fold(Batch::new(), put), until)
    }
}

impl Engine {
    /// Stores the pieces of a long row that are not stored yet; `false` if the
    /// stream has changed meanwhile, or the pieces were condemned. Dropping it
    /// loses nothing: the next call goes on.
    pub(crate) async fn upload(
        &self,
        keys: &StreamKeys,
        loaded: &Loaded,
        long: &mut LongRow,
    ) -> Result<bool, StreamError> {
        // Streams that were made by path are read row by row.
        if loaded.head.session.is_none() {
            let (length, max) = (long.row.line_length() - 1, ROW_BYTES_MAX);
            return Err(RowError::TooLong { length, max }.into());
        }
        if long.begun.is_none() && !self.begin_upload(keys, loaded, long).await? {
            return Ok(false);
        }
        while let Some(begun) = long.begun.as_ref().filter(|_| !long.is_stored()) {
            let (batch, stored) = long.writes(keys, &begun.pieces, begun.stored);
            let open = keys.upload(&begun.pieces.name);
            let batch = batch.check(open, Expect::Version(begun.open));
            if let Commit::Conflict { .. } = self.store.commit(batch).await? {
                long.forget();
                return Ok(false);
            }
            long.begun.as_mut().expect("it was there").stored = stored;
        }
        Ok(true)
    }

    /// Stores the first pieces, with the row that says that they have no
    /// record. Checks the head, so that nothing is stored for a stream that is
    /// being removed.
    async fn begin_upload(
        &self,
        keys: &StreamKeys,
        loaded: &Loaded,
        long: &mut LongRow,
    ) -> Result<bool, StreamError> {
        let mut bits = [0; 16];
        self.env.random(&mut bits)?;
        let length = |length: usize| u64::try_from(length).expect("a length fits in 64 bits");
        let pieces = Pieces {
            name: hex(&bits),
            size: length(long.size),
            bytes: length(long.row.line_length()),
        };
        let at = self.env.now();
        let open = Open {
            v: Format,
            at,
            condemned: false,
        };
        let due = keys.due_upload(at.plus_ms(UPLOAD_MS), &pieces.name);
        let (batch, stored) = long.writes(keys, &pieces, 0);
        let batch = batch
            .check(keys.head(), Expect::Version(loaded.version))
            .put(keys.upload(&pieces.name), encode(&open))
            .put(due.clone(), Bytes::new());
        let Commit::Applied(open) = self.store.commit(batch).await? else {
            return Ok(false);
        };
        long.begun = Some(Begun {
            pieces,
            open,
            due,
            stored,
        });
        Ok(true)
    }

    /// Pieces of a row from the number `from` on: as many as fit into
    /// `bytes_max`, and one at least.
    pub(crate) async fn pieces(
        &self,
        keys: &StreamKeys,
        pieces: &Pieces,
        from: u64,
        bytes_max: u64,
    ) -> Result<Vec<Bytes>, StreamError> {
        let fitting = usize::try_from(bytes_max / pieces.size).unwrap_or(usize::MAX);
        let end = keys.piece(&pieces.name, pieces.count());
        let range = KeyRange::new(keys.piece(&pieces.name, from), end);
        let scan = Scan::new(range).limit(fitting.clamp(1, PIECES_READ_MAX));
        let pages = self.store.read(&[scan]).await?;
        let mut found = Vec::new();
        for entry in pages.into_iter().flat_map(|page| page.entries) {
            let number = from + u64::try_from(found.len()).expect("few");
            let start = number * pieces.size;
            let expected = pieces.size.min(pieces.bytes.saturating_sub(start));
            let whole = u64::try_from(entry.value.len()).is_ok_and(|it| it == expected);
            if entry.key != keys.piece(&pieces.name, number) || !whole {
                break;
            }
            found.push(entry.value);
        }
        if found.is_empty() {
            return Err(StreamError::corrupt("piece", "one is missing or too short"));
        }
        Ok(found)
    }

    /// Deletes the pieces of all records before `kept`, while a record is as it
    /// was.
    pub(crate) async fn delete_pieces_below(
        &self,
        keys: &StreamKeys,
        kept: Offset,
        same: &(Bytes, Version),
    ) -> Result<(), StreamError> {
        let range = KeyRange::new(keys.longs().start, keys.long(kept));
        loop {
            let scan = Scan::new(range.clone()).limit(COMMIT_DELETES_MAX);
            let pages = self.store.read(&[scan]).await?;
            let rows: Vec<Entry> = pages.into_iter().flat_map(|page| page.entries).collect();
            if rows.is_empty() {
                return Ok(());
            }
            for row in rows {
                let longer: Longer = decode("long row", &row.value)?;
                self.delete_all(&keys.pieces_of(&longer.name), same).await?;
                let (record, version) = same;
                let batch = Batch::new().check(record.clone(), Expect::Version(*version));
                if let Commit::Conflict { .. } = self.store.commit(batch.delete(row.key)).await? {
                    return Ok(());
                }
            }
        }
    }

    /// Takes back pieces that have had no record for an hour; how many.
    pub(crate) async fn condemn(
        &self,
        due: &Entry,
        keys: &StreamKeys,
        name: &str,
    ) -> Result<u64, StreamError> {
        let key = keys.upload(name);
        let Some(entry) = self.store.get(key.clone()).await? else {
            // They have one, or are gone with their stream.
            self.drop_row(due).await?;
            return Ok(0);
        };
        let mut open: Open = decode("upload", &entry.value)?;
        let mut version = entry.version;
        if !open.condemned {
            open.condemned = true;
            let batch = Batch::new()
                .check(key.clone(), Expect::Version(version))
                .put(key.clone(), encode(&open));
            match self.store.commit(batch).await? {
                Commit::Applied(condemned) => version = condemned,
                // They have got their record.
                Commit::Conflict { .. } => return Ok(0),
            }
        }
        let same = (key.clone(), version);
        let removed = self.delete_all(&keys.pieces_of(name), &same).await?;
        let batch = Batch::new()
            .check(key.clone(), Expect::Version(version))
            .delete(key)
            .delete(due.key.clone());
        // A conflict means that somebody else has seen to it.
        let _: Commit = self.store.commit(batch).await?;
        Ok(removed)
    }
}
