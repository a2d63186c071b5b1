//! What streams say about their own entries: chunks without a gap whose
//! digests follow from their rows, and the rows of indexes that a head calls
//! for.

use bytes::Bytes;
use windlass_store::Entry;
use windlass_store::check::{Auditor, Notes};
use windlass_store::key::segments;

use crate::digest::{Digest, RowsHash, RowsHasher};
use crate::keys::{DueRow, StreamKeys};
use crate::mark::{Chunk, Mark};
use crate::offset::Offset;
use crate::record::{Floor, Head, decode};

/// An auditor of streams.
#[must_use]
pub fn auditor() -> impl Auditor {
    Rounds::default()
}

#[derive(Debug, Default)]
struct Rounds {
    stream: Option<Stream>,
}

impl Auditor for Rounds {
    fn entry(&mut self, entry: &Entry, notes: &mut dyn Notes) {
        let Some(parts) = segments(&entry.key) else {
            return;
        };
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        match *parts.as_slice() {
            ["due", _, "stream", ..] => {
                if let Some(DueRow::Stream(_, keys)) = DueRow::parse(&entry.key) {
                    notes.found(&[keys.head()], entry.key.clone(), entry.value.clone());
                } else {
                    notes.wrong(&entry.key, "unreadable_key");
                }
            }
            [tenant, "streams", _, stream] => {
                if let (Ok(tenant), Ok(stream)) = (tenant.parse(), stream.parse()) {
                    let by = [StreamKeys { tenant, stream }.head()];
                    notes.found(&by, entry.key.clone(), entry.value.clone());
                }
            }
            [tenant, "stream", stream, ref rest @ ..] => {
                if let (Ok(tenant), Ok(stream)) = (tenant.parse(), stream.parse()) {
                    let keys = StreamKeys { tenant, stream };
                    self.stream(keys, notes).take(rest, entry, notes);
                }
            }
            _ => {}
        }
    }

    fn end(&mut self, notes: &mut dyn Notes) {
        if let Some(stream) = self.stream.take() {
            stream.finish(notes);
        }
    }
}

impl Rounds {
    fn stream(&mut self, keys: StreamKeys, notes: &mut dyn Notes) -> &mut Stream {
        if self.stream.as_ref().is_some_and(|open| open.keys != keys)
            && let Some(before) = self.stream.take()
        {
            before.finish(notes);
        }
        self.stream.get_or_insert_with(|| Stream::new(keys))
    }
}

/// What a stream has been found to hold so far.
#[derive(Debug)]
struct Stream {
    keys: StreamKeys,
    /// Where its chunks begin.
    first: Option<First>,
    /// The mark behind the last chunk.
    last: Option<Mark>,
    /// The first chunk that does not follow from the one before it.
    broken: Option<Bytes>,
    floor: Option<Floor>,
    head: Option<Head>,
    unreadable: bool,
}

/// The first chunk: its digest can be checked once the floor is known.
#[derive(Debug)]
struct First {
    key: Bytes,
    first: Offset,
    /// None for a long row, which lies elsewhere.
    rows: Option<RowsHash>,
    mark: Mark,
}

impl Stream {
    const fn new(keys: StreamKeys) -> Self {
        Self {
            keys,
            first: None,
            last: None,
            broken: None,
            floor: None,
            head: None,
            unreadable: false,
        }
    }

    fn take(&mut self, rest: &[&str], entry: &Entry, notes: &mut dyn Notes) {
        match rest {
            ["chunk", _] => self.chunk(entry, notes),
            ["floor"] => match decode("stream floor", &entry.value) {
                Ok(floor) => self.floor = Some(floor),
                Err(_) => self.unreadable(entry, notes),
            },
            ["head"] => match decode("stream head", &entry.value) {
                Ok(head) => self.head = Some(head),
                Err(_) => self.unreadable(entry, notes),
            },
            _ => {}
        }
    }

    fn unreadable(&mut self, entry: &Entry, notes: &mut dyn Notes) {
        self.unreadable = true;
        notes.wrong(&entry.key, "corrupt_record");
    }

    fn chunk(&mut self, entry: &Entry, notes: &mut dyn Notes) {
        let first = self.keys.first_of(&entry.key);
        let chunk = first.and_then(|first| Chunk::parse(first, entry.value.clone()).ok());
        let Some(chunk) = chunk else {
            return self.unreadable(entry, notes);
        };
        let rows = rows_of(&chunk);
        if let Some(before) = self.last {
            let follows = before.offset == chunk.first
                && rows
                    .is_none_or(|rows| before.digest.chain(chunk.first, rows) == chunk.mark.digest);
            if !follows {
                self.broken.get_or_insert_with(|| entry.key.clone());
            }
        } else {
            self.first = Some(First {
                key: entry.key.clone(),
                first: chunk.first,
                rows,
                mark: chunk.mark,
            });
        }
        self.last = Some(chunk.mark);
    }

    fn finish(mut self, notes: &mut dyn Notes) {
        let key = self.keys.head();
        let Some(head) = self.head.take() else {
            if self.first.is_some() && !self.unreadable {
                notes.wrong(&key, "record_missing");
            }
            return;
        };
        if head.removing || head.deleted {
            return notes.unsettled();
        }
        let by = [key.clone()];
        if let Some(due) = head.due {
            notes.demand(&by, self.keys.due(due), Bytes::new());
        }
        if let Some(session) = &head.session {
            notes.demand(&by, self.keys.listed(session), Bytes::new());
        }
        if !self.unreadable {
            self.hold_together(&head, notes);
        }
    }

    /// Holds floor, chunks and head against each other.
    fn hold_together(&self, head: &Head, notes: &mut dyn Notes) {
        let Some(floor) = &self.floor else {
            return notes.wrong(&self.keys.floor(), "record_missing");
        };
        if let Some(key) = &self.broken {
            return notes.wrong(key, "digest_differs");
        }
        let from = Mark {
            offset: floor.kept,
            digest: floor.digest,
        };
        if let Some(first) = &self.first {
            if first.first > from.offset {
                return notes.wrong(&self.keys.floor(), "rows_missing");
            }
            // What lies before the floor is just being trimmed, or was left by
            // a trimming that was interrupted.
            if first.first == from.offset && !first.follows(from.digest) {
                return notes.wrong(&first.key, "digest_differs");
            }
        }
        let last = self.last.unwrap_or(from);
        if last.offset != head.tail {
            notes.wrong(&self.keys.head(), "rows_missing");
        } else if last.digest != head.digest {
            notes.wrong(&self.keys.head(), "digest_differs");
        }
    }
}

impl First {
    fn follows(&self, before: Digest) -> bool {
        let Some(rows) = self.rows else { return true };
        before.chain(self.first, rows) == self.mark.digest
    }
}

/// The hash of a chunk's rows; `None` if its row lies in pieces.
fn rows_of(chunk: &Chunk) -> Option<RowsHash> {
    if chunk.pieces().is_some() {
        return None;
    }
    let mut hasher = RowsHasher::new();
    for row in chunk.rows() {
        hasher.row(row.content());
    }
    Some(hasher.finish())
}
