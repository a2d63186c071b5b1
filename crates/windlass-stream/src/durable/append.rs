//! Appending to a stream of a path, and closing it: one commit, once.

use std::sync::Arc;

use bytes::Bytes;
use windlass_core::{StreamId, WriterId, Written};
use windlass_store::{Commit, Scan, StoreErrorKind};

use crate::append::{Change, plan};
use crate::caller::Caller;
use crate::durable::about::{ContentType, Path};
use crate::durable::body::rows_of;
use crate::durable::producer::{Book, Known, Producer, Turn};
use crate::durable::{DurableStreams, Found, hidden};
use crate::engine::Loaded;
use crate::error::StreamError;
use crate::limits::{PRODUCERS_MAX, SEQUENCE_BYTES_MAX, STEP_BYTES_MAX};
use crate::model::Ending;
use crate::offset::Offset;
use crate::record::{Head, decode, encode};
use crate::row::{Row, RowError};
use crate::step::seal;

/// What is to be appended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Post {
    /// What the body is; may be left out if there is none.
    pub content_type: Option<ContentType>,
    /// One row, or of a JSON array each element.
    pub body: Bytes,
    /// Whether nothing follows.
    pub close: bool,
    /// Who appends, if a retry is to be told apart from another append.
    pub producer: Option<Producer>,
    /// A text of 1 to 256 bytes that is greater than that of every append
    /// before it.
    pub sequence: Option<Arc<str>>,
}

/// What became of an append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Posted {
    /// The stream's name.
    pub stream: StreamId,
    /// After the last row.
    pub tail: Offset,
    /// Whether the stream is closed.
    pub closed: bool,
    /// Whether it was appended before: then nothing happened now.
    pub repeated: bool,
    /// The last append of the producer's epoch.
    pub number: Option<u64>,
}

/// What has to be known before an append is decided.
struct Ledger {
    loaded: Loaded,
    book: Option<Book>,
    known: Option<Known>,
}

/// A commit of which it is not known whether it was applied.
struct Doubt {
    rev: u64,
    posted: Posted,
}

impl DurableStreams {
    /// Appends a body, closes the stream, or does both, in one commit. With a
    /// producer it can be repeated, and takes effect once. To close what is
    /// closed is no error.
    ///
    /// Two reads and a commit.
    ///
    /// # Errors
    ///
    /// `NotFound`, `Deleted`; of what is wrong in this order: `StaleEpoch`,
    /// `SequenceGap`, `Closed`, `ContentType`, `Row`, `Invalid`,
    /// `WriterSequence`, `TooManyProducers`. With an unknown outcome it says so
    /// unless it can find out.
    pub async fn post(
        &self,
        caller: &Caller,
        path: &Path,
        post: &Post,
    ) -> Result<Posted, StreamError> {
        check(post)?;
        let writer = WriterId::draw(self.engine.env.as_ref())?;
        let (mut doubt, mut lost) = (None, 0);
        loop {
            let found = self.find(caller, path).await?;
            let ledger = self.ledger(caller, &found, post).await?;
            if let Some(posted) = resolve(&mut doubt, &writer, &ledger.loaded.head)? {
                return Ok(posted);
            }
            if let Some(posted) = before(&found, &ledger, post)? {
                return Ok(posted);
            }
            match self
                .attempt(&found, ledger, post, &writer, &mut doubt)
                .await?
            {
                Some(posted) => return Ok(posted),
                None => lost += 1,
            }
            self.engine.back_off(lost).await?;
        }
    }

    async fn ledger(
        &self,
        caller: &Caller,
        found: &Found,
        post: &Post,
    ) -> Result<Ledger, StreamError> {
        let keys = &found.keys;
        let mut scans = vec![Scan::point(keys.head()), Scan::point(keys.book())];
        if let Some(producer) = &post.producer {
            scans.push(Scan::point(keys.producer(&producer.id)));
        }
        let pages = self.engine.store.read(&scans).await?;
        let stored = |page: usize| pages.get(page).and_then(|page| page.entries.first());
        let entry = stored(0).ok_or(StreamError::NotFound)?;
        let head: Head = decode("stream head", &entry.value)?;
        let admitted = self.engine.admit(caller, keys, &head).await;
        admitted.map_err(hidden)?;
        let version = entry.version;
        let book = stored(1).map(|row| decode("stream book", &row.value));
        let known = stored(2).map(|row| decode("producer", &row.value));
        Ok(Ledger {
            loaded: Loaded { head, version },
            book: book.transpose()?,
            known: known.transpose()?,
        })
    }

    /// One commit; `None` if somebody else was faster, or its outcome is
    /// unknown.
    async fn attempt(
        &self,
        found: &Found,
        ledger: Ledger,
        post: &Post,
        writer: &WriterId,
        doubt: &mut Option<Doubt>,
    ) -> Result<Option<Posted>, StreamError> {
        let Ledger {
            loaded,
            book,
            known,
        } = ledger;
        let mut change = Change {
            rows: seal(&rows(found, post)?, self.engine.settings().caps())?,
            close: post.close.then_some(Ending::Finished),
            operation: None,
        };
        let book = entered(book, known.as_ref(), post)?;
        let now = self.engine.env.now();
        let (head, mut batch, placed) = plan(&found.keys, &loaded, &mut change, writer, now);
        if let Some(book) = book {
            batch = batch.put(found.keys.book(), encode(&book));
        }
        if let Some(producer) = &post.producer {
            let noted = encode(&producer.noted(post.close));
            batch = batch.put(found.keys.producer(&producer.id), noted);
        }
        let posted = Posted {
            stream: found.about.stream.clone(),
            tail: placed.tail,
            closed: post.close,
            repeated: false,
            number: post.producer.as_ref().map(|producer| producer.number),
        };
        match self.engine.store.commit(batch).await {
            Ok(Commit::Applied(_)) => Ok(Some(posted)),
            // An earlier attempt may be the reason: the head will tell.
            Ok(Commit::Conflict { .. }) => Ok(None),
            Err(error) if error.kind() == StoreErrorKind::Indeterminate => {
                let rev = head.rev;
                *doubt = Some(Doubt { rev, posted });
                Ok(None)
            }
            // An earlier attempt is in doubt still.
            Err(error) if doubt.is_some() => Err(StreamError::forgotten_after(error)),
            Err(error) => Err(error.into()),
        }
    }
}

fn check(post: &Post) -> Result<(), StreamError> {
    let refuse = |field, problem| Err(StreamError::Invalid { field, problem });
    if let Some(producer) = &post.producer {
        producer.check()?;
    }
    if let Some(sequence) = &post.sequence
        && (sequence.is_empty() || sequence.len() > SEQUENCE_BYTES_MAX)
    {
        return refuse("sequence", "has 1 to 256 bytes");
    }
    if post.body.is_empty() && !post.close {
        return refuse("body", "is empty");
    }
    if !post.body.is_empty() && post.content_type.is_none() {
        return refuse("content_type", "is missing");
    }
    Ok(())
}

/// Whether a commit in doubt turns out to be applied.
fn resolve(
    doubt: &mut Option<Doubt>,
    writer: &WriterId,
    head: &Head,
) -> Result<Option<Posted>, StreamError> {
    let Some(Doubt { rev, posted }) = doubt.take() else {
        return Ok(None);
    };
    match head.by.of(rev, head.rev) {
        // It may still arrive; then the next attempt, which writes the same
        // revision, conflicts.
        Written::NotYet => {
            *doubt = Some(Doubt { rev, posted });
            Ok(None)
        }
        Written::By(by) => Ok((by == writer).then_some(posted)),
        Written::Forgotten => Err(StreamError::forgotten()),
    }
}

/// The answer, if nothing is to be appended.
fn before(found: &Found, ledger: &Ledger, post: &Post) -> Result<Option<Posted>, StreamError> {
    let head = &ledger.loaded.head;
    let closed = head.closed.is_some();
    let done = |number| Posted {
        stream: found.about.stream.clone(),
        tail: head.tail,
        closed,
        repeated: true,
        number,
    };
    if let Some(producer) = &post.producer {
        match producer.decide(ledger.known.as_ref()) {
            Ok(Turn::Repeated { highest, closing }) if closing || !closed => {
                return Ok(Some(done(Some(highest))));
            }
            Err(error @ StreamError::StaleEpoch { .. }) => return Err(error),
            Err(error) if !closed => return Err(error),
            Ok(_) | Err(_) => {}
        }
    } else if closed && post.close && post.body.is_empty() {
        return Ok(Some(done(None)));
    }
    if closed {
        return Err(StreamError::Closed);
    }
    Ok(None)
}

/// The rows of the body, which must be of the stream's content type.
fn rows(found: &Found, post: &Post) -> Result<Vec<Row>, StreamError> {
    let expected = &found.about.content_type;
    if !post.body.is_empty() && post.content_type.as_ref() != Some(expected) {
        return Err(StreamError::ContentType);
    }
    let rows = rows_of(expected, &post.body)?;
    if rows.is_empty() && !post.body.is_empty() {
        return Err(StreamError::Invalid {
            field: "body",
            problem: "is an empty array",
        });
    }
    check_size(&rows)?;
    Ok(rows)
}

/// Refuses more than one commit carries.
pub(super) fn check_size(rows: &[Row]) -> Result<(), StreamError> {
    let bytes: usize = rows.iter().map(Row::line_length).sum();
    if bytes > STEP_BYTES_MAX {
        let (length, max) = (bytes, STEP_BYTES_MAX);
        return Err(RowError::TooLong { length, max }.into());
    }
    Ok(())
}

/// The book after the append, if it changes.
fn entered(
    book: Option<Book>,
    known: Option<&Known>,
    post: &Post,
) -> Result<Option<Book>, StreamError> {
    let before = book.unwrap_or(Book::NEW);
    let mut book = before.clone();
    if let Some(sequence) = &post.sequence {
        if book.sequence.as_ref().is_some_and(|last| sequence <= last) {
            return Err(StreamError::WriterSequence);
        }
        book.sequence = Some(Arc::clone(sequence));
    }
    if post.producer.is_some() && known.is_none() {
        if book.producers >= PRODUCERS_MAX {
            let limit = PRODUCERS_MAX;
            return Err(StreamError::TooManyProducers { limit });
        }
        book.producers += 1;
    }
    Ok((book != before).then_some(book))
}
