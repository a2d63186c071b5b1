//! Appending rows: collected here, stored a chunk at a time.

use std::future::{Future, pending};
use std::pin::pin;

use futures_util::future::{Either, select};
use futures_util::stream::poll_fn;
use futures_util::{Stream, StreamExt};
use windlass_core::StreamId;

use crate::append::{Appender, Change, Sealed};
use crate::chunker::{Chunker, Flushed, Reason};
use crate::error::{AppendError, StreamError};
use crate::limits::ROW_BYTES_MAX;
use crate::model::{Ending, Placed};
use crate::row::Row;

/// Appends to one stream.
///
/// Rows are stored, and can be read, when their chunk is flushed: on the first
/// of bytes, rows, latency and end. Nothing is spawned: the latency is kept by
/// whoever polls [`idle`](StreamWriter::idle) while no row comes, or by
/// [`drive`](StreamWriter::drive).
///
/// Dropping any of its futures loses nothing and writes nothing twice: what was
/// begun is resolved by the next call. Dropping the writer loses the rows that
/// were not flushed, and closes nothing: the stream can be written on.
#[derive(Debug)]
pub struct StreamWriter {
    appender: Appender,
    chunker: Chunker,
    /// Cut off, and not known to be stored.
    change: Option<Change>,
    last: Placed,
    /// Whether the stream takes rows that are longer than a chunk.
    takes_long: bool,
}

impl StreamWriter {
    pub(crate) fn new(
        appender: Appender,
        chunker: Chunker,
        last: Placed,
        takes_long: bool,
    ) -> Self {
        Self {
            takes_long,
            appender,
            chunker,
            change: None,
            last,
        }
    }

    /// The stream's name.
    #[must_use]
    pub const fn stream(&self) -> &StreamId {
        self.appender.stream()
    }

    /// Appends a row, and flushes if a cap is reached. A row that is longer than
    /// a chunk is stored at once: in pieces as large as a chunk, and then, in
    /// one commit, what makes them visible.
    ///
    /// # Errors
    ///
    /// [`AppendError`], which says whether the writer has the row: it never has
    /// one that [cannot be stored](StreamError::Row), nor one that came while
    /// an earlier flush that failed could not be made up for. A row it has is
    /// written with the next flush.
    pub async fn append(&mut self, row: &Row) -> Result<(), AppendError> {
        let refused = |error| AppendError {
            taken: false,
            error,
        };
        row.check().map_err(|error| refused(error.into()))?;
        self.settle().await.map_err(refused)?;
        if let Some(reason) = self.chunker.blocks(row, self.now()) {
            self.flush_for(reason).await.map_err(refused)?;
        }
        if row.is_long() {
            return self.append_long(row).await;
        }
        self.chunker.push(row);
        let Some(reason) = self.chunker.reached(self.now()) else {
            return Ok(());
        };
        let flushed = self.flush_for(reason).await;
        flushed
            .map(drop)
            .map_err(|error| AppendError { taken: true, error })
    }

    /// Stores a row that is longer than a chunk, in pieces; nothing is held.
    async fn append_long(&mut self, row: &Row) -> Result<(), AppendError> {
        if !self.takes_long {
            let refused = row.check_length(ROW_BYTES_MAX);
            return refused.map_err(|error| AppendError {
                taken: false,
                error: error.into(),
            });
        }
        self.change = Some(Change {
            rows: vec![Sealed::long(row, self.chunker.caps().bytes)],
            ..Change::default()
        });
        let stored = self.settle().await;
        stored.map_err(|error| AppendError { taken: true, error })
    }

    /// Stores what is held, and says where the stream stands. Without rows it
    /// writes nothing.
    ///
    /// # Errors
    ///
    /// [`StreamError`]; the rows are kept for the next call.
    pub async fn flush(&mut self) -> Result<Placed, StreamError> {
        self.settle().await?;
        self.flush_for(Reason::End).await
    }

    /// Stores what is held and closes the stream, in one commit: no row can
    /// ever follow. Can be called again after an error.
    ///
    /// # Errors
    ///
    /// [`StreamError`]; the rows are kept for the next call.
    pub async fn close(&mut self, how: Ending) -> Result<Placed, StreamError> {
        how.check()?;
        let closing = self.change.as_ref().is_some_and(|it| it.close.is_some());
        self.settle().await?;
        if closing {
            // An earlier call has closed it after all.
            return Ok(self.last);
        }
        let rows = self.chunker.cut(Reason::End).map(Sealed::new);
        self.change = Some(Change {
            rows: rows.into_iter().collect(),
            close: Some(how),
            operation: None,
        });
        self.settle().await?;
        Ok(self.last)
    }

    /// Waits until what is held has waited as long as it may, and stores it;
    /// for ever while nothing is held. To be polled beside whatever the next
    /// row comes from.
    ///
    /// # Errors
    ///
    /// As [`StreamWriter::flush`].
    pub async fn idle(&mut self) -> Result<Placed, StreamError> {
        let Some(deadline) = self.chunker.deadline() else {
            return pending().await;
        };
        self.appender.engine.env.sleep_until(deadline).await;
        self.settle().await?;
        self.flush_for(Reason::Latency).await
    }

    /// Appends all rows of `source`, asking for the next one only when the one
    /// before it is taken, and stores what is left when it ends. Rows leave in
    /// time also when the source stalls. Closes nothing.
    ///
    /// # Errors
    ///
    /// As [`StreamWriter::append`]; the source can be driven on.
    pub async fn drive<S>(&mut self, source: &mut S) -> Result<Placed, AppendError>
    where
        S: Stream<Item = Row> + Unpin,
    {
        let unflushed = |error| AppendError { taken: true, error };
        loop {
            let row = match self.first(source.next()).await {
                Either::Left(row) => row,
                Either::Right(flushed) => {
                    flushed.map_err(unflushed)?;
                    continue;
                }
            };
            match row {
                Some(row) => self.append(&row).await?,
                None => return self.flush().await.map_err(unflushed),
            }
        }
    }

    /// Records what a generator gives, as it gives it, and closes the stream as
    /// it ends: finished, or as its error says. Whoever follows the stream
    /// reads it as it passes, and can go on when cut off.
    ///
    /// # Errors
    ///
    /// As [`StreamWriter::append`]; the stream stays open then.
    pub async fn record<S>(&mut self, source: &mut S) -> Result<Placed, AppendError>
    where
        S: Stream<Item = Result<Row, Ending>> + Unpin,
    {
        let mut ending = Ending::Finished;
        let mut rows = poll_fn(|context| {
            source.poll_next_unpin(context).map(|item| match item? {
                Ok(row) => Some(row),
                Err(how) => {
                    ending = how;
                    None
                }
            })
        });
        self.drive(&mut rows).await?;
        let closed = self.close(ending).await;
        closed.map_err(|error| AppendError { taken: true, error })
    }

    /// What comes first: what is awaited, or a flush for latency. The latter is
    /// given up when the former comes; it is made up for by the next call.
    async fn first<F: Future>(
        &mut self,
        next: F,
    ) -> Either<F::Output, Result<Placed, StreamError>> {
        let idle = pin!(self.idle());
        match select(pin!(next), idle).await {
            Either::Left((next, _)) => Either::Left(next),
            Either::Right((flushed, _)) => Either::Right(flushed),
        }
    }

    /// Where the stream stood after the last change of this writer, or when it
    /// was opened.
    #[must_use]
    pub const fn last(&self) -> Placed {
        self.last
    }

    /// What was written so far.
    #[must_use]
    pub const fn flushed(&self) -> Flushed {
        self.chunker.flushed()
    }

    /// Rows that are held and not known to be stored.
    #[must_use]
    pub fn held_rows(&self) -> u64 {
        let held = u64::try_from(self.chunker.rows()).unwrap_or(u64::MAX);
        let sealed = self.change.iter().flat_map(|it| &it.rows);
        held + sealed.map(|rows| rows.rows).sum::<u64>()
    }

    fn now(&self) -> std::time::Duration {
        self.appender.engine.env.monotonic()
    }

    /// Cuts off what is held and stores it; nothing is cut off before.
    async fn flush_for(&mut self, reason: Reason) -> Result<Placed, StreamError> {
        if let Some(cut) = self.chunker.cut(reason) {
            self.change = Some(Change {
                rows: vec![Sealed::new(cut)],
                ..Change::default()
            });
        }
        self.settle().await?;
        Ok(self.last)
    }

    /// Stores what is cut off, if anything is.
    async fn settle(&mut self) -> Result<(), StreamError> {
        let Some(change) = &mut self.change else {
            return Ok(());
        };
        self.last = self.appender.write(change).await?.placed;
        let change = self.change.take().expect("it was there");
        for rows in change.rows {
            let now = self.now();
            self.chunker
                .acknowledge(rows.rows, rows.bytes, rows.reason, now);
        }
        Ok(())
    }
}
