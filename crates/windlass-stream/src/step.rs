//! Changes of a stream as one commit: of its own, under an operation id, or as a
//! part of somebody else's.
//!
//! A turn joins what several parts have to store into one commit: each answers
//! with the checks and writes that it needs, and whoever composes them commits
//! all at once. What is planned here checks the stream's head, so the commit
//! fails if anything has changed since; and a writer that appends to the same
//! stream checks it too, and finds out with its next chunk.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use windlass_core::{OperationId, StreamId, WriterId};
use windlass_store::Batch;

use crate::append::{Appender, Change, Sealed, plan};
use crate::caller::Caller;
use crate::chunker::{Chunker, Reason};
use crate::error::StreamError;
use crate::keys::StreamKeys;
use crate::limits::{
    LONG_ROW_BYTES_MAX, PLAN_BYTES_MAX, PLAN_STEPS_MAX, ROW_BYTES_MAX, STEP_BYTES_MAX,
    STEP_CHUNKS_MAX,
};
use crate::mark::MARK_BYTES;
use crate::model::{Ending, Placed};
use crate::operation::{Fingerprint, Operation};
use crate::row::{Row, RowError};
use crate::settings::Caps;
use crate::streams::Streams;

const TOO_MANY_CHUNKS: &str = "make more than 512 chunks";

/// What one commit does to a stream: rows are appended, or it is closed, or
/// both in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Which stream.
    pub stream: StreamId,
    /// What is appended.
    pub rows: Vec<Row>,
    /// How it ends, if it does.
    pub close: Option<Ending>,
}

/// What a change came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Applied {
    /// Where the stream stood after it.
    pub placed: Placed,
    /// Whether it was made before, under its operation id: then this is the
    /// first answer, and nothing happened now.
    pub repeated: bool,
}

/// A stream that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// Its name.
    pub stream: StreamId,
    /// Whether it was made before, under its operation id: then nothing
    /// happened now, and it may be gone.
    pub repeated: bool,
}

/// Steps that were decided and not committed.
#[derive(Clone, Debug)]
pub struct Planned {
    /// The checks and writes that make them true, all of one tenant. A conflict
    /// means: plan anew.
    pub batch: Batch,
    /// Where each step's stream will stand, in their order.
    pub placed: Vec<Placed>,
}

impl Step {
    /// Rows to be appended.
    #[must_use]
    pub const fn append(stream: StreamId, rows: Vec<Row>) -> Self {
        Self {
            stream,
            rows,
            close: None,
        }
    }

    /// The end of a stream.
    #[must_use]
    pub const fn close(stream: StreamId, how: Ending) -> Self {
        Self {
            stream,
            rows: Vec::new(),
            close: Some(how),
        }
    }

    /// A hash of what it asks, 128 bits in hexadecimal: equal for equal steps,
    /// and for no others.
    #[must_use]
    pub fn fingerprint(&self) -> Arc<str> {
        self.asked().hash()
    }

    pub(crate) fn asked(&self) -> Fingerprint {
        let Self {
            stream,
            rows,
            close,
        } = self;
        let asked = Fingerprint::new("change").text(stream.as_str());
        let asked = rows.iter().fold(asked.json(close), |asked, row| {
            let kind = matches!(row, Row::Json(_));
            asked.json(&kind).bytes(row.content())
        });
        asked.json(&rows.len())
    }

    fn check(&self) -> Result<(), StreamError> {
        if self.rows.is_empty() && self.close.is_none() {
            return refuse("rows", "are missing, and the stream is not closed either");
        }
        self.rows.iter().try_for_each(Row::check)?;
        self.close.as_ref().map_or(Ok(()), Ending::check)
    }

    /// Bytes of its rows that are in chunks, and of those that are in pieces.
    fn bytes(&self) -> (usize, usize) {
        let (long, short): (Vec<_>, Vec<_>) = self.rows.iter().partition(|row| row.is_long());
        let bytes = |rows: Vec<&Row>| rows.into_iter().map(Row::line_length).sum();
        (bytes(short), bytes(long))
    }

    /// The change that it is, its rows cut as a writer would.
    fn change(&self, caps: Caps, operation: Option<Operation>) -> Result<Change, StreamError> {
        let rows = seal_any(&self.rows, caps);
        if rows.len() > STEP_CHUNKS_MAX {
            return refuse("rows", TOO_MANY_CHUNKS);
        }
        Ok(Change {
            rows,
            close: self.close.clone(),
            operation,
        })
    }
}

impl Streams {
    /// Makes a change of a stream in one commit: all of it, or nothing. Under
    /// an operation id it can be repeated for a day, and takes effect once.
    ///
    /// A read and a commit, and a read more for an operation id. Rows that are
    /// longer than a chunk are stored in pieces before, up to 64 MiB together.
    ///
    /// # Errors
    ///
    /// `NotFound`, `Expired`, `Closed`; `OperationConflict`; `Row`; `Invalid`
    /// for a step that does nothing, or has more than 8 MiB of other rows, as
    /// framed.
    pub async fn apply(
        &self,
        caller: &Caller,
        step: &Step,
        operation: Option<&OperationId>,
    ) -> Result<Applied, StreamError> {
        step.check()?;
        let (short, long) = step.bytes();
        if short > STEP_BYTES_MAX {
            return refuse("rows", "have more than 8 MiB together");
        }
        if long > LONG_ROW_BYTES_MAX + 1 {
            return refuse("rows", "have more than 64 MiB together");
        }
        let operation = operation.map(|id| Operation::new(caller, id, &step.asked()));
        let engine = self.engine();
        if let Some(done) = engine.recorded(operation.as_ref()).await? {
            return Ok(Applied {
                placed: done.placed,
                repeated: true,
            });
        }
        let keys = StreamKeys::new(&caller.tenant, &step.stream);
        let mut appender = Appender::new(Arc::clone(engine), caller.clone(), keys)?;
        let mut change = step.change(engine.settings().caps(), operation)?;
        appender.write(&mut change).await
    }

    /// Decides changes of up to 16 streams, each in one step, all or none, and
    /// gives what has to be committed, without committing it. Their rows have
    /// at most 1 MiB together, as framed.
    ///
    /// Takes no operation id: the commit that this becomes a part of has to
    /// know whether it was done. One read for each stream. Nothing is
    /// remembered between calls, so there is nothing to forget afterwards.
    ///
    /// # Errors
    ///
    /// `NotFound`, `Expired`, `Closed`; `Row`; `Invalid` for a stream that is in
    /// two steps, a step that does nothing, and too much of anything.
    pub async fn plan(&self, caller: &Caller, steps: &[Step]) -> Result<Planned, StreamError> {
        check_all(steps)?;
        let engine = self.engine();
        let caps = engine.settings().caps();
        let writer = WriterId::draw(engine.env.as_ref())?;
        let mut planned = Planned {
            batch: Batch::new(),
            placed: Vec::with_capacity(steps.len()),
        };
        let mut chunks = 0;
        for step in steps {
            let keys = StreamKeys::new(&caller.tenant, &step.stream);
            let loaded = engine.head(caller, &keys).await?;
            if loaded.head.closed.is_some() {
                return Err(StreamError::Closed);
            }
            let mut change = step.change(caps, None)?;
            chunks += change.rows.len();
            if chunks > STEP_CHUNKS_MAX {
                return refuse("rows", TOO_MANY_CHUNKS);
            }
            let (_, batch, placed) = plan(&keys, &loaded, &mut change, &writer, engine.env.now());
            planned.batch.append(batch);
            planned.placed.push(placed);
        }
        Ok(planned)
    }
}

fn check_all(steps: &[Step]) -> Result<(), StreamError> {
    steps.iter().try_for_each(Step::check)?;
    let mut seen = HashSet::new();
    if !steps.iter().all(|step| seen.insert(&step.stream)) {
        return refuse("stream", "is changed by two steps");
    }
    if steps.len() > PLAN_STEPS_MAX {
        return refuse("steps", "are more than 16");
    }
    let rows = || steps.iter().flat_map(|step| &step.rows);
    rows().try_for_each(|row| row.check_length(ROW_BYTES_MAX))?;
    if rows().map(Row::line_length).sum::<usize>() > PLAN_BYTES_MAX {
        return refuse("rows", "have more than 1 MiB together");
    }
    Ok(())
}

fn refuse<T>(field: &'static str, problem: &'static str) -> Result<T, StreamError> {
    Err(StreamError::Invalid { field, problem })
}

/// Checked rows in chunks that keep the caps, but for latency; refuses those
/// that are longer than a chunk.
pub(crate) fn seal(rows: &[Row], caps: Caps) -> Result<Vec<Sealed>, RowError> {
    rows.iter()
        .try_for_each(|row| row.check_length(ROW_BYTES_MAX))?;
    Ok(seal_any(rows, caps))
}

/// Checked rows in chunks that keep the caps, but for latency.
fn seal_any(rows: &[Row], caps: Caps) -> Vec<Sealed> {
    let caps = Caps {
        latency: Duration::MAX,
        ..caps
    };
    let mut chunker = Chunker::new(caps, MARK_BYTES, Duration::ZERO);
    let mut sealed = Vec::new();
    for row in rows {
        if let Some(reason) = chunker.blocks(row, Duration::ZERO) {
            sealed.extend(chunker.cut(reason).map(Sealed::new));
        }
        if row.is_long() {
            sealed.push(Sealed::long(row, caps.bytes));
        } else {
            chunker.push(row);
        }
    }
    sealed.extend(chunker.cut(Reason::End).map(Sealed::new));
    sealed
}
