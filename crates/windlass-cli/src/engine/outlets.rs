//! Streams of a server. Its client reads on by itself when a line breaks, and
//! gives out nothing that is not proven.

use std::io;

use async_trait::async_trait;
use serde_json::value::RawValue;
use tokio::runtime::Handle;
use windlass::core::{OperationId, SessionId, StreamId};
use windlass::sources::{Order, SourceOf, SourceQuery};
use windlass::stream::{Cursor, Ending, NewStream, Offset, Open, Row, Start};
use windlass_client::state::Base64;
use windlass_client::stream::{
    CloseStream, CreateStream, KEYED_BYTES_MAX, NewRow, ReadSource, ReadStream, Source,
    SourceOrder, Stream, StreamMark, StreamsQuery,
};
use windlass_client::{BrokenAnswer, ClientError, RowsEnd, SourceClient, StreamClient};

use super::error::ask;
use super::outputs::{Begun, Ended, Listed, Outputs, Proven, Rows, Wanted, until};
use super::{Remote, alike};
use crate::failure::{CommandError, Failure};
use crate::stream::ProofError;

/// Bytes around a row on its way, at most, beside what base64 adds.
const FRAME_BYTES: usize = 16;

impl Remote {
    fn outlet(&self, stream: &StreamId) -> StreamClient {
        self.client().stream(stream.as_str())
    }

    fn source(&self, of: &SourceOf) -> SourceClient {
        let source = match of {
            SourceOf::Commits(_) => Source::Commits,
            SourceOf::Graph(_) => Source::Graph,
            _ => Source::Usage,
        };
        self.client().source(of.session().as_str(), source)
    }
}

#[async_trait]
impl Outputs for Remote {
    async fn create(
        &self,
        new: &NewStream,
        operation: Option<&OperationId>,
    ) -> Result<Stream, Failure> {
        let asked = CreateStream {
            session: new.session.to_string(),
            id: new.id.as_ref().map(StreamId::to_string),
            expiry: Some(alike(&new.expiry)),
        };
        ask(self.under(operation).create_stream(&asked)).await
    }

    async fn list(
        &self,
        session: &SessionId,
        cursor: Option<&str>,
        limit: u64,
    ) -> Result<Listed, Failure> {
        let query = StreamsQuery {
            limit: Some(limit),
            cursor: cursor.map(str::to_owned),
        };
        let page = ask(self.client().streams(session.as_str(), &query)).await?;
        Ok(Listed {
            streams: page.streams,
            next: page.next_cursor,
        })
    }

    async fn show(&self, stream: &StreamId) -> Result<Stream, Failure> {
        ask(self.outlet(stream).show()).await
    }

    /// What is too long to be kept under a key, to be made once, goes as it
    /// is.
    async fn append(&self, stream: &StreamId, rows: &[Row]) -> Result<(), Failure> {
        let bytes = rows
            .iter()
            .map(|row| row.content().len() * 4 / 3 + FRAME_BYTES);
        let rows: Vec<NewRow> = rows.iter().map(sent).collect();
        let outlet = self.outlet(stream);
        if bytes.sum::<usize>() <= KEYED_BYTES_MAX {
            ask(outlet.append(&rows)).await?;
        } else {
            append_long(outlet, rows).await?;
        }
        Ok(())
    }

    async fn close(&self, stream: &StreamId, how: Ending) -> Result<(), Failure> {
        let asked = CloseStream { how: alike(&how) };
        ask(self.outlet(stream).close(&asked)).await?;
        Ok(())
    }

    async fn cancel(&self, stream: &StreamId, cursor: &Cursor) -> Result<(), Failure> {
        ask(self.outlet(stream).cancel_read(&cursor.to_string())).await
    }

    async fn cancel_source(&self, of: &SourceOf, cursor: &Cursor) -> Result<(), Failure> {
        ask(self.source(of).cancel_read(&cursor.to_string())).await
    }

    async fn read(&self, wanted: &Wanted) -> Result<Box<dyn Rows>, Failure> {
        let (stream, query) = match wanted {
            Wanted::Source(query) => {
                let source = self.source(&query.of);
                return Ok(Box::new(source.read(asked(query))));
            }
            Wanted::RestOfSource(of, cursor, start) => {
                let query = rest(cursor, *start);
                return Ok(Box::new(self.source(of).read(query)));
            }
            Wanted::Rows(open) => (&open.stream, beginning(open)),
            Wanted::Rest(stream, cursor, received) => {
                let query = ReadStream {
                    cursor: Some(cursor.to_string()),
                    from: received.map(|mark| mark.offset.to_string()),
                    digest: received.map(|mark| mark.digest.to_string()),
                    ..ReadStream::default()
                };
                (stream, query)
            }
        };
        Ok(Box::new(self.outlet(stream).read(query)))
    }
}

/// Appends rows as they are. Who asks for the next one cannot move between
/// threads, so this has one of its own meanwhile.
async fn append_long(outlet: StreamClient, rows: Vec<NewRow>) -> Result<(), Failure> {
    let runtime = Handle::current();
    let appended = tokio::task::spawn_blocking(move || {
        let mut rows = rows.into_iter();
        runtime.block_on(outlet.append_live(async || rows.next()))
    });
    let appended = appended.await;
    let appended = appended.map_err(|cause| CommandError::Runtime(io::Error::other(cause)))?;
    ask(async { appended }).await?;
    Ok(())
}

fn beginning(open: &Open) -> ReadStream {
    let (from, digest) = match open.start {
        Start::Earliest => (None, None),
        Start::At(offset, digest) => (Some(offset.to_string()), digest),
        Start::Tail => (Some("tail".to_owned()), None),
    };
    ReadStream {
        from,
        digest: digest.map(|digest| digest.to_string()),
        follow: open.follow.then_some(true),
        ..ReadStream::default()
    }
}

/// A read of a source that begins.
fn asked(query: &SourceQuery) -> ReadSource {
    ReadSource {
        order: Some(match query.order {
            Order::OldestFirst => SourceOrder::OldestFirst,
            Order::NewestFirst => SourceOrder::NewestFirst,
        }),
        kind: query.kind.clone(),
        limit: query.limit,
        ..ReadSource::default()
    }
}

/// A read of a source that goes on.
fn rest(cursor: &Cursor, start: Start) -> ReadSource {
    let (from, digest) = match start {
        Start::At(offset, digest) => (Some(offset.to_string()), digest),
        Start::Earliest | Start::Tail => (None, None),
    };
    ReadSource {
        cursor: Some(cursor.to_string()),
        from,
        digest: digest.map(|digest| digest.to_string()),
        ..ReadSource::default()
    }
}

/// A row that was checked, as it is sent.
fn sent(row: &Row) -> NewRow {
    match row {
        Row::Json(text) => {
            let text = String::from_utf8(text.to_vec()).expect("JSON is UTF-8");
            let json = RawValue::from_string(text).expect("the row was checked");
            NewRow {
                row: Some(json),
                bytes: None,
            }
        }
        Row::Bytes(bytes) => NewRow {
            row: None,
            bytes: Some(Base64(bytes.to_vec())),
        },
    }
}

/// Rows between two offsets as they go over the wire.
fn between(start: &str, tail: &str) -> u64 {
    let offset = |text: &str| text.parse().unwrap_or(Offset::START);
    until(offset(start), offset(tail))
}

#[async_trait]
impl Rows for windlass_client::Rows {
    async fn next(&mut self) -> Result<Option<Proven>, Failure> {
        let proven = match self.next().await {
            Err(ClientError::Protocol {
                why: BrokenAnswer::Digest { offset },
                ..
            }) => return Err(ProofError::Digest { offset }.into()),
            proven => ask(async { proven }).await?,
        };
        Ok(proven.map(|proven| Proven {
            rows: proven.rows.into_iter().map(came).collect(),
            mark: proven.mark,
        }))
    }

    fn begun(&self) -> Option<Begun> {
        self.opened().map(|opened| Begun {
            cursor: opened.cursor.clone(),
            rows: between(&opened.start, &opened.tail),
            at: StreamMark {
                offset: opened.start.clone(),
                digest: opened.digest.clone(),
            },
        })
    }

    fn ended(&self) -> Option<Ended> {
        self.end().map(|end| match end {
            RowsEnd::End(end) => Ended::Well { closed: end.closed },
            RowsEnd::Failed(failure) => Ended::Failed {
                code: failure.code.clone(),
                message: failure.message.clone(),
            },
        })
    }
}

fn came(row: windlass_client::Row) -> Row {
    match row {
        windlass_client::Row::Json(text) => Row::Json(text),
        windlass_client::Row::Bytes(bytes) => Row::Bytes(bytes),
    }
}
