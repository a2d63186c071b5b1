//! Streams, of a store or of a server. What is read comes from mark to mark,
//! proven.

use async_trait::async_trait;
use windlass::core::{OperationId, SessionId, StreamId};
use windlass::session::SessionError;
use windlass::sources::{SourceOf, SourceQuery};
use windlass::stream::{
    Caller, Chunk, Cursor, CursorView, Ending, Frame, Mark, NewStream, Offset, Open, Opened,
    Reader, Row, RowsHasher, ScanReader, Start, StreamError, StreamView, Streams,
};
use windlass_client::stream::{Stream, StreamClosed, StreamMark};

use super::{Here, alike};
use crate::failure::Failure;
use crate::session::arguments::id;
use crate::stream::ProofError;

/// What is to be read.
#[derive(Clone, Debug)]
pub(crate) enum Wanted {
    /// Rows of a stream, from somewhere on.
    Rows(Open),
    /// What is left of a read of this stream, behind the mark that was
    /// received.
    Rest(StreamId, Cursor, Option<Mark>),
    /// Rows of a source.
    Source(SourceQuery),
    /// What is left of a read of this source, from somewhere on.
    RestOfSource(SourceOf, Cursor, Start),
}

/// A read of a store in this process.
enum From {
    Stream(Box<Reader>),
    Source(Box<ScanReader>),
}

impl From {
    async fn next(&mut self) -> Result<Option<Frame>, StreamError> {
        match self {
            Self::Stream(reader) => reader.next().await,
            Self::Source(reader) => reader.next().await,
        }
    }
}

/// Streams of one session, and where the list goes on.
pub(crate) struct Listed {
    pub(crate) streams: Vec<Stream>,
    pub(crate) next: Option<String>,
}

/// Rows that were appended together, and the mark that proves them.
pub(crate) struct Proven {
    pub(crate) rows: Vec<Row>,
    pub(crate) mark: StreamMark,
}

/// Where a read begins, and with what it goes on.
#[derive(Clone, Debug)]
pub(crate) struct Begun {
    pub(crate) cursor: String,
    /// Rows that are to come, as far as is known.
    pub(crate) rows: u64,
    /// Where it begins, and the digest there.
    pub(crate) at: StreamMark,
}

/// How a stream stood at the end of a read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It was open still, or had no more rows.
    Well { closed: bool },
    /// Its writer gave up.
    Failed { code: String, message: String },
}

/// A read.
#[async_trait]
pub(crate) trait Rows: Send {
    /// The next rows; `None` once there are no more.
    async fn next(&mut self) -> Result<Option<Proven>, Failure>;
    /// What it began with; `None` before the first answer.
    fn begun(&self) -> Option<Begun>;
    /// How it ended; `None` while there may be more.
    fn ended(&self) -> Option<Ended>;
}

/// The operations that commands about streams need.
#[async_trait]
pub(crate) trait Outputs: Send + Sync {
    /// Makes a stream.
    async fn create(
        &self,
        new: &NewStream,
        operation: Option<&OperationId>,
    ) -> Result<Stream, Failure>;
    /// Some streams of a session.
    async fn list(
        &self,
        session: &SessionId,
        cursor: Option<&str>,
        limit: u64,
    ) -> Result<Listed, Failure>;
    /// One stream.
    async fn show(&self, stream: &StreamId) -> Result<Stream, Failure>;
    /// Appends rows, durably.
    async fn append(&self, stream: &StreamId, rows: &[Row]) -> Result<(), Failure>;
    /// Closes a stream.
    async fn close(&self, stream: &StreamId, how: Ending) -> Result<(), Failure>;
    /// Ends a read of a stream, for good.
    async fn cancel(&self, stream: &StreamId, cursor: &Cursor) -> Result<(), Failure>;
    /// Ends a read of a source, for good.
    async fn cancel_source(&self, of: &SourceOf, cursor: &Cursor) -> Result<(), Failure>;
    /// Begins a read, or goes on with one.
    async fn read(&self, wanted: &Wanted) -> Result<Box<dyn Rows>, Failure>;
}

impl Here {
    fn streams(&self) -> (&Streams, Caller) {
        let caller = self.caller();
        let caller = Caller::new(caller.tenant.clone(), caller.principal.clone());
        (self.windlass().streams(), caller)
    }

    /// Refuses a session that is not there.
    async fn check_session(&self, session: &SessionId) -> Result<(), Failure> {
        let found = self.windlass().sessions().get(self.caller(), session);
        match found.await? {
            Some(_) => Ok(()),
            None => Err(SessionError::NotFound.into()),
        }
    }
}

#[async_trait]
impl Outputs for Here {
    async fn create(
        &self,
        new: &NewStream,
        operation: Option<&OperationId>,
    ) -> Result<Stream, Failure> {
        self.check_session(&new.session).await?;
        let (streams, caller) = self.streams();
        let made = streams.make(&caller, new, operation).await?;
        Ok(shown(streams.show(&caller, &made.stream).await?))
    }

    /// The place in the list is the name of the last stream before it.
    async fn list(
        &self,
        session: &SessionId,
        cursor: Option<&str>,
        limit: u64,
    ) -> Result<Listed, Failure> {
        self.check_session(session).await?;
        let (streams, caller) = self.streams();
        let after: Option<StreamId> = cursor.map(id).transpose()?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let page = streams
            .list(&caller, session, after.as_ref(), limit)
            .await?;
        let last = page.streams.last().filter(|_| page.more);
        let mut listed = Listed {
            streams: Vec::with_capacity(page.streams.len()),
            next: last.map(ToString::to_string),
        };
        for stream in &page.streams {
            match streams.show(&caller, stream).await {
                // Another principal's, or gone by now.
                Err(StreamError::NotFound | StreamError::Expired) => {}
                view => listed.streams.push(shown(view?)),
            }
        }
        Ok(listed)
    }

    async fn show(&self, stream: &StreamId) -> Result<Stream, Failure> {
        let (streams, caller) = self.streams();
        Ok(shown(streams.show(&caller, stream).await?))
    }

    async fn append(&self, stream: &StreamId, rows: &[Row]) -> Result<(), Failure> {
        let (streams, caller) = self.streams();
        streams.append(&caller, stream, rows).await?;
        Ok(())
    }

    async fn close(&self, stream: &StreamId, how: Ending) -> Result<(), Failure> {
        let (streams, caller) = self.streams();
        streams.close(&caller, stream, how).await?;
        Ok(())
    }

    async fn cancel(&self, stream: &StreamId, cursor: &Cursor) -> Result<(), Failure> {
        let (streams, caller) = self.streams();
        match streams.cursor(&caller, cursor).await {
            Err(StreamError::Cancelled) => return Ok(()),
            view => check_stream(&view?, stream)?,
        }
        Ok(streams.cancel(&caller, cursor).await?)
    }

    async fn cancel_source(&self, of: &SourceOf, cursor: &Cursor) -> Result<(), Failure> {
        let sources = self.windlass().sources();
        Ok(sources.cancel(self.caller(), of, cursor).await?)
    }

    async fn read(&self, wanted: &Wanted) -> Result<Box<dyn Rows>, Failure> {
        let (streams, caller) = self.streams();
        let sources = self.windlass().sources();
        let by = self.caller();
        let reader = match wanted {
            Wanted::Rows(open) => From::Stream(streams.open(&caller, open).await?.into()),
            Wanted::Rest(stream, cursor, received) => {
                check_stream(&streams.cursor(&caller, cursor).await?, stream)?;
                From::Stream(streams.resume(&caller, cursor, *received).await?.into())
            }
            Wanted::Source(query) => From::Source(sources.scan(by, query).await?.into()),
            Wanted::RestOfSource(of, cursor, start) => {
                From::Source(sources.resume(by, of, cursor, *start).await?.into())
            }
        };
        Ok(Box::new(Proving::new(reader)))
    }
}

/// Rows that are to come; none where it is not known, as of a source without a
/// limit.
pub(super) fn until(start: Offset, tail: Offset) -> u64 {
    match tail.number() {
        u64::MAX => 0,
        _ => tail.since(start),
    }
}

/// A mark as it goes over the wire.
fn said(mark: Mark) -> StreamMark {
    StreamMark {
        offset: mark.offset.to_string(),
        digest: mark.digest.to_string(),
    }
}

/// A stream as it goes over the wire.
fn shown(view: StreamView) -> Stream {
    Stream {
        id: view.id.to_string(),
        principal: view.principal.to_string(),
        session: view.session.map(|session| session.to_string()),
        created_at: view.created.get(),
        changed_at: view.changed.get(),
        earliest: view.earliest.to_string(),
        tail: view.tail.to_string(),
        digest: view.digest.to_string(),
        bytes: view.bytes.to_string(),
        expiry: alike(&view.expiry),
        closed: view.closed.map(|closed| StreamClosed {
            at: closed.at.get(),
            how: alike(&closed.how),
        }),
    }
}

/// Refuses a cursor of another stream as one that is not there.
fn check_stream(view: &CursorView, stream: &StreamId) -> Result<(), StreamError> {
    match view.stream == *stream {
        true => Ok(()),
        false => Err(StreamError::NotFound),
    }
}

/// A read of a store in this process. It is proved as one over a line is: a
/// file may be damaged, too.
struct Proving {
    reader: From,
    opened: Option<Opened>,
    /// The last mark; `None` while the read is in the middle of a chunk, whose
    /// mark is made of rows before it, too.
    mark: Option<Mark>,
    /// The line of a row that is longer than a chunk.
    line: Vec<u8>,
    ended: Option<Ended>,
}

impl Proving {
    const fn new(reader: From) -> Self {
        Self {
            reader,
            opened: None,
            mark: None,
            line: Vec::new(),
            ended: None,
        }
    }

    fn open(&mut self, opened: Opened) {
        let is_mark = opened.base.offset == opened.start;
        self.mark = is_mark.then_some(opened.base);
        self.opened = Some(opened);
    }

    fn prove(&mut self, chunk: &Chunk) -> Result<Proven, ProofError> {
        let long = Row::of_line(&std::mem::take(&mut self.line).into());
        let rows: Vec<Row> = long.into_iter().chain(chunk.rows()).collect();
        let mut hasher = RowsHasher::new();
        rows.iter().for_each(|row| hasher.row(row.content()));
        let (mark, hash) = (chunk.mark, hasher.finish());
        let chained = |before: Mark| before.digest.chain(before.offset, hash);
        if self
            .mark
            .is_some_and(|before| chained(before) != mark.digest)
        {
            let offset = mark.offset.to_string();
            return Err(ProofError::Digest { offset });
        }
        self.mark = Some(mark);
        let mark = said(mark);
        Ok(Proven { rows, mark })
    }
}

#[async_trait]
impl Rows for Proving {
    async fn next(&mut self) -> Result<Option<Proven>, Failure> {
        while let Some(frame) = self.reader.next().await? {
            match frame {
                Frame::Open(opened) => self.open(opened),
                Frame::Piece(piece) => self.line.extend_from_slice(&piece.bytes),
                Frame::Chunk(chunk) => return Ok(Some(self.prove(&chunk)?)),
                Frame::End(end) => self.ended = Some(Ended::Well { closed: end.closed }),
                Frame::Failed(failure) => {
                    self.ended = Some(Ended::Failed {
                        code: failure.code.to_string(),
                        message: failure.message.to_string(),
                    });
                }
            }
        }
        Ok(None)
    }

    fn begun(&self) -> Option<Begun> {
        self.opened.as_ref().map(|opened| Begun {
            cursor: opened.cursor.clone(),
            rows: until(opened.start, opened.tail),
            at: said(Mark {
                offset: opened.start,
                digest: opened.digest,
            }),
        })
    }

    fn ended(&self) -> Option<Ended> {
        self.ended.clone()
    }
}
