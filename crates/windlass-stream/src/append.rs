//! The driver of changes: reads the head, decides, commits, and on a lost race
//! reads and decides again.
//!
//! Invariants:
//!
//! 1. A change is applied at most once, whatever becomes of the futures that
//!    carry it: before a commit is sent it is noted as being in doubt, and
//!    while there is a doubt nothing is decided before the head was read.
//! 2. Commits of one change that are in doubt all want to write the same
//!    revision, so at most one of them is applied; each has a writer id of its
//!    own, by which the head tells which.
//! 3. What is remembered of the head is a guess: a commit checks it, and a
//!    refusal is decided from a head that was read after the call began.

use std::sync::Arc;

use bytes::Bytes;
use windlass_core::{Format, Millis, StreamId, Writer, WriterId, Writers, Written};
use windlass_store::{Batch, Commit, Expect, StoreErrorKind, StoreExt};

use crate::caller::Caller;
use crate::chunker::{Cut, Reason};
use crate::digest::{Digest, RowsHash, RowsHasher};
use crate::engine::{Engine, Loaded};
use crate::error::StreamError;
use crate::keys::StreamKeys;
use crate::limits::DOUBTS_MAX;
use crate::mark::Mark;
use crate::model::{Closed, Ending, NewStream, Placed};
use crate::offset::Offset;
use crate::operation::Operation;
use crate::pieces::LongRow;
use crate::record::{Floor, Head, decode, encode};
use crate::row::Row;
use crate::step::Applied;

/// Rows that are cut off and not known to be stored.
#[derive(Debug)]
pub(crate) struct Sealed {
    /// The lines, and behind them the mark of the last attempt.
    value: Bytes,
    /// Bytes of the lines.
    pub(crate) bytes: usize,
    pub(crate) rows: u64,
    hash: RowsHash,
    pub(crate) reason: Reason,
    /// Where the lines end in the value.
    lines: usize,
    /// The row, if it is a long one: then the lines are its record.
    long: Option<LongRow>,
}

impl Sealed {
    /// A row that is longer than a chunk, in pieces of `size` bytes.
    pub(crate) fn long(row: &Row, size: usize) -> Self {
        let mut hasher = RowsHasher::new();
        hasher.row(row.content());
        Self {
            value: Bytes::new(),
            bytes: row.line_length(),
            rows: 1,
            hash: hasher.finish(),
            reason: Reason::Bytes,
            lines: 0,
            long: Some(LongRow::new(row, size)),
        }
    }

    pub(crate) fn new(cut: Cut) -> Self {
        Self {
            long: None,
            lines: cut.lines.len(),
            bytes: cut.lines.len(),
            value: cut.lines.into(),
            rows: cut.rows,
            hash: cut.hash,
            reason: cut.reason,
        }
    }

    /// The mark behind the rows if they come to stand at `first`.
    fn mark_after(&self, first: Offset, digest: Digest) -> Mark {
        Mark {
            offset: Offset::new(first.number().saturating_add(self.rows)),
            digest: digest.chain(first, self.hash),
        }
    }

    /// What is stored if the rows come to stand before `mark`. Copies nothing
    /// unless an earlier attempt with another mark is still on its way.
    fn stored(&mut self, mark: Mark) -> Bytes {
        let line = mark.line();
        if let Some(long) = &self.long {
            self.value = long.record();
            self.lines = self.value.len();
        }
        if &self.value[self.lines..] != line.as_bytes() {
            let mut bytes: Vec<u8> = std::mem::take(&mut self.value).into();
            bytes.truncate(self.lines);
            bytes.extend_from_slice(line.as_bytes());
            self.value = bytes.into();
        }
        self.value.clone()
    }
}

/// What one commit does to a stream.
#[derive(Debug, Default)]
pub(crate) struct Change {
    pub(crate) rows: Vec<Sealed>,
    pub(crate) close: Option<Ending>,
    /// Under which it is done, if it is to be answered again.
    pub(crate) operation: Option<Operation>,
}

impl Change {
    /// The pieces that `key` stands for, if it does for any, were condemned.
    fn forget_upload(&mut self, keys: &StreamKeys, key: &Bytes) {
        let long = self.rows.iter_mut().filter_map(|it| it.long.as_mut());
        long.filter(|it| it.is_open_at(keys, key))
            .for_each(LongRow::forget);
    }
}

/// Commits of the present change of which it is not known whether they were
/// applied.
#[derive(Debug)]
struct Doubt {
    writers: Vec<WriterId>,
    /// The revision they wanted to write.
    rev: u64,
    placed: Placed,
}

/// Writes the changes of one stream, one after the other.
#[derive(Debug)]
pub(crate) struct Appender {
    pub(crate) engine: Arc<Engine>,
    caller: Caller,
    keys: StreamKeys,
    writer: Writer,
    guess: Option<Loaded>,
    doubt: Option<Doubt>,
}

impl Appender {
    pub(crate) fn new(
        engine: Arc<Engine>,
        caller: Caller,
        keys: StreamKeys,
    ) -> Result<Self, StreamError> {
        let writer = Writer::draw(engine.env.as_ref())?;
        Ok(Self {
            engine,
            caller,
            keys,
            writer,
            guess: None,
            doubt: None,
        })
    }

    pub(crate) const fn stream(&self) -> &StreamId {
        &self.keys.stream
    }

    /// Reads the head, so that the next change need not.
    pub(crate) async fn load(&mut self) -> Result<Head, StreamError> {
        let loaded = self.engine.head(&self.caller, &self.keys).await?;
        let head = loaded.head.clone();
        self.guess = Some(loaded);
        Ok(head)
    }

    /// Makes the change, once. After an error it has to be called with the same
    /// change again before it is called with another.
    ///
    /// One commit if nobody else changed the stream since the last one.
    pub(crate) async fn write(&mut self, change: &mut Change) -> Result<Applied, StreamError> {
        let now = |placed| Applied {
            placed,
            repeated: false,
        };
        let mut lost = 0;
        loop {
            let fresh = self.doubt.is_some() || self.guess.is_none();
            if fresh {
                let loaded = self.load().await;
                // Looked for after the head was read: a head that refuses
                // because of what the operation did is not older than its record.
                if let Some(done) = self.engine.recorded(change.operation.as_ref()).await? {
                    // By somebody else, unless a commit in doubt was it.
                    let repeated = !matches!(self.resolve(), Ok(Some(_)));
                    let placed = done.placed;
                    return Ok(Applied { placed, repeated });
                }
                if let Err(refused) = loaded {
                    return self.made_before(refused).await.map(now);
                }
            }
            if let Some(placed) = self.resolve()? {
                return Ok(now(placed));
            }
            let loaded = self.guess.clone().expect("loaded above");
            if loaded.head.closed.is_some() {
                if fresh {
                    return Err(StreamError::Closed);
                }
                self.guess = None;
                continue;
            }
            if self.upload(&loaded, change).await?
                && let Some(placed) = self.attempt(&loaded, change).await?
            {
                return Ok(now(placed));
            }
            lost += 1;
            self.engine.back_off(lost).await?;
        }
    }

    /// Stores the pieces of long rows; `false` if the head has to be read again.
    async fn upload(&mut self, loaded: &Loaded, change: &mut Change) -> Result<bool, StreamError> {
        let long = change.rows.iter_mut().filter_map(|it| it.long.as_mut());
        for row in long {
            if !self.engine.upload(&self.keys, loaded, row).await? {
                self.guess = None;
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Where the change in doubt stands, if it was applied before its stream
    /// expired.
    async fn made_before(&mut self, refused: StreamError) -> Result<Placed, StreamError> {
        let in_doubt = self.doubt.is_some() && matches!(refused, StreamError::Expired);
        if !in_doubt {
            return Err(refused);
        }
        let Some(entry) = self.engine.store.get(self.keys.head()).await? else {
            return Err(refused);
        };
        self.guess = Some(Loaded {
            head: decode("stream head", &entry.value)?,
            version: entry.version,
        });
        let resolved = self.resolve();
        self.guess = None;
        resolved?.ok_or(refused)
    }

    /// Where the change in doubt stands, if it turns out to have been applied.
    fn resolve(&mut self) -> Result<Option<Placed>, StreamError> {
        let (Some(doubt), Some(loaded)) = (&self.doubt, &self.guess) else {
            return Ok(None);
        };
        let head = &loaded.head;
        let placed = match head.by.of(doubt.rev, head.rev) {
            // One of them may still arrive; then the next attempt conflicts.
            Written::NotYet => return Ok(None),
            Written::Forgotten => return Err(StreamError::forgotten()),
            Written::By(writer) => doubt.writers.contains(writer).then_some(doubt.placed),
        };
        self.doubt = None;
        Ok(placed)
    }

    /// One commit of the change on top of `loaded`; `None` if somebody else was
    /// faster, or its outcome is unknown.
    async fn attempt(
        &mut self,
        loaded: &Loaded,
        change: &mut Change,
    ) -> Result<Option<Placed>, StreamError> {
        let writer = self.note_doubt(loaded, change)?;
        let now = self.engine.env.now();
        let (head, batch, placed) = plan(&self.keys, loaded, change, &writer, now);
        self.guess = None;
        match self.engine.store.commit(batch).await {
            Ok(Commit::Applied(version)) => {
                self.doubt = None;
                self.guess = Some(Loaded { head, version });
                Ok(Some(placed))
            }
            // The ids before may be the reason: the head will tell.
            Ok(Commit::Conflict { key }) => {
                change.forget_upload(&self.keys, &key);
                self.withdraw(&writer);
                Ok(None)
            }
            Err(error) if error.kind() == StoreErrorKind::Indeterminate => Ok(None),
            Err(error) => {
                self.withdraw(&writer);
                self.writer.leave_id();
                Err(error.into())
            }
        }
    }

    /// Notes that a commit under the id that is given may be applied.
    fn note_doubt(&mut self, loaded: &Loaded, change: &Change) -> Result<WriterId, StreamError> {
        let rev = loaded.head.rev + 1;
        let doubt = self.doubt.get_or_insert_with(|| Doubt {
            writers: Vec::new(),
            rev,
            placed: placed(&loaded.head, change),
        });
        if doubt.writers.len() >= DOUBTS_MAX {
            return Err(StreamError::forgotten());
        }
        let mut id = self.writer.id();
        if doubt.writers.contains(&id) {
            self.writer.leave_id();
            id = self.writer.id();
        }
        doubt.writers.push(id.clone());
        Ok(id)
    }

    /// The commit under this id is known not to be applied, now or later.
    fn withdraw(&mut self, id: &WriterId) {
        if let Some(doubt) = &mut self.doubt {
            doubt.writers.retain(|writer| writer != id);
            if doubt.writers.is_empty() {
                self.doubt = None;
            }
        }
    }
}

/// Where the rows of `change` come to stand on top of `head`.
fn placed(head: &Head, change: &Change) -> Placed {
    let mut placed = Placed {
        first: head.tail,
        tail: head.tail,
        digest: head.digest,
    };
    for rows in &change.rows {
        let mark = rows.mark_after(placed.tail, placed.digest);
        placed.tail = mark.offset;
        placed.digest = mark.digest;
    }
    placed
}

/// The commit that makes `change` on top of `loaded`, and what it makes of the
/// head.
pub(crate) fn plan(
    keys: &StreamKeys,
    loaded: &Loaded,
    change: &mut Change,
    writer: &WriterId,
    now: Millis,
) -> (Head, Batch, Placed) {
    let placed = placed(&loaded.head, change);
    let mut head = loaded.head.clone();
    let mut batch = Batch::new().check(keys.head(), Expect::Version(loaded.version));
    batch = put_rows(keys, &mut head, &mut change.rows, batch);
    head.rev += 1;
    head.at = head.at.max(now);
    head.closed = change.close.clone().map(|how| Closed { at: head.at, how });
    head.by.note(writer, head.rev);
    batch = batch.put(keys.head(), encode(&head));
    if let Some(operation) = &change.operation {
        batch.append(operation.note(&keys.stream, placed, now));
    }
    (head, batch, placed)
}

/// Puts chunks behind the tail of `head`, which they become a part of.
pub(crate) fn put_rows(
    keys: &StreamKeys,
    head: &mut Head,
    chunks: &mut [Sealed],
    mut batch: Batch,
) -> Batch {
    for rows in chunks {
        let mark = rows.mark_after(head.tail, head.digest);
        let stored = rows.stored(mark);
        let length = |length: usize| u64::try_from(length).expect("a length fits in 64 bits");
        head.widest = head.widest.max(length(stored.len()));
        head.bytes += length(rows.bytes);
        batch = batch.put(keys.chunk(head.tail), stored);
        if let Some(long) = &rows.long {
            batch = long.close(keys, head.tail, batch);
        }
        head.tail = mark.offset;
        head.digest = mark.digest;
    }
    batch
}

/// The rows of a stream that begins.
pub(crate) fn birth(
    keys: &StreamKeys,
    caller: &Caller,
    new: &NewStream,
    operation: Option<&Operation>,
    writer: &WriterId,
    now: Millis,
) -> Batch {
    let mut by = Writers::default();
    by.note(writer, 1);
    let mut head = Head {
        v: Format,
        rev: 1,
        principal: caller.principal.clone(),
        session: Some(new.session.clone()),
        created: now,
        at: now,
        read: None,
        tail: Offset::START,
        digest: Digest::START,
        bytes: 0,
        widest: 0,
        expiry: new.expiry,
        due: None,
        closed: None,
        removing: false,
        deleted: false,
        by,
    };
    head.due = head.expires();
    let mut batch = Batch::new()
        .check(keys.head(), Expect::Absent)
        .put(keys.head(), encode(&head))
        .put(keys.floor(), encode(&Floor::NEW))
        .put(keys.listed(&new.session), Bytes::new());
    if let Some(due) = head.due {
        batch = batch.put(keys.due(due), Bytes::new());
    }
    if let Some(operation) = operation {
        batch.append(operation.note(&keys.stream, Placed::NOWHERE, now));
    }
    batch
}
