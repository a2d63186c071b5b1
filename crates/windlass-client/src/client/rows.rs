//! Reading a stream across broken connections: each row once, in order, and
//! only when the mark behind it has proved it.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::Response;
use serde::Deserialize;
use tokio::time::Instant;

use super::answer::media_type;
use super::call::Call;
use super::error::BrokenAnswer;
use super::limits::LINE_BYTES_MAX;
use super::proof::Proof;
use super::retry::{Failed, again};
use super::send::luck;
use super::{Client, ClientError};
use crate::state::Base64;
use crate::stream::{
    ROWS_MEDIA_TYPE, ReadSource, ReadStream, StreamEnd, StreamFailure, StreamMark, StreamOpened,
};

/// A row that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Row {
    /// A JSON text, byte for byte as its writer gave it.
    Json(Bytes),
    /// Any bytes.
    Bytes(Bytes),
}

impl Row {
    /// The row as its writer gave it.
    #[must_use]
    pub const fn content(&self) -> &Bytes {
        match self {
            Self::Json(content) | Self::Bytes(content) => content,
        }
    }
}

/// Rows that were appended together, and the mark that proves them and all
/// before them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proven {
    /// The rows.
    pub rows: Vec<Row>,
    /// Where the read stands behind them.
    pub mark: StreamMark,
}

/// How a read ended that ended as it should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RowsEnd {
    /// Everything was given.
    End(StreamEnd),
    /// The stream itself has failed, or was cancelled, behind its last row.
    Failed(StreamFailure),
}

/// What is asked for first.
#[derive(Clone, Debug)]
pub(super) enum Query {
    Stream(ReadStream),
    Source(ReadSource),
}

/// The rows of a stream or of a source, in order, each once, without gaps.
///
/// A connection that breaks, or is quiet for too long, is made again from the
/// last mark, with the cursor of the read; what came behind that mark is
/// dropped and comes again. Holds no more than the rows between two marks.
/// Dropping the future of [`Rows::next`] loses nothing.
#[derive(Debug)]
pub struct Rows {
    client: Client,
    path: Vec<String>,
    query: Query,
    connection: Option<Connection>,
    opened: Option<StreamOpened>,
    mark: Option<StreamMark>,
    /// Failures since the last mark.
    failures: u32,
    /// When to connect again.
    due: Option<Instant>,
    end: Option<RowsEnd>,
}

#[derive(Debug)]
struct Connection {
    response: Response,
    bytes: BytesMut,
    /// Bytes that were looked at, without a line's end.
    looked: usize,
    proof: Option<Proof>,
    rows: Vec<Row>,
}

type Step = Result<Option<Proven>, (ClientError, Failed)>;

impl Rows {
    pub(super) fn new(client: Client, path: &[&str], query: Query) -> Self {
        Self {
            client,
            path: path.iter().map(|piece| (*piece).to_owned()).collect(),
            query,
            connection: None,
            opened: None,
            mark: None,
            failures: 0,
            due: None,
            end: None,
        }
    }

    /// What the read began with; `None` before the first answer.
    #[must_use]
    pub const fn opened(&self) -> Option<&StreamOpened> {
        self.opened.as_ref()
    }

    /// The last mark: another read would go on there.
    #[must_use]
    pub const fn mark(&self) -> Option<&StreamMark> {
        self.mark.as_ref()
    }

    /// How it ended; `None` while there may be more.
    #[must_use]
    pub const fn end(&self) -> Option<&RowsEnd> {
        self.end.as_ref()
    }

    /// The next rows that are proven; `None` once there will be no more, as
    /// [`Rows::end`] says.
    ///
    /// # Errors
    ///
    /// [`ClientError`] if the server refuses, cannot be reached for as many
    /// attempts in a row as the settings allow, or sends what was never
    /// appended. Asking again goes on from the last mark.
    pub async fn next(&mut self) -> Result<Option<Proven>, ClientError> {
        loop {
            if self.end.is_some() {
                return Ok(None);
            }
            match self.step().await {
                Ok(Some(proven)) => return Ok(Some(proven)),
                Ok(None) => {}
                Err((error, failed)) => self.fail(error, failed)?,
            }
        }
    }

    async fn step(&mut self) -> Step {
        if let Some(due) = self.due {
            tokio::time::sleep_until(due).await;
            self.due = None;
        }
        if self.connection.is_none() {
            self.connection = Some(self.connect().await?);
        }
        let Some(connection) = &mut self.connection else {
            return Ok(None);
        };
        match connection.line()? {
            Some(line) => self.hear(&line),
            None => {
                let quiet = self.client.inner.settings.quiet;
                connection.receive(quiet).await?;
                Ok(None)
            }
        }
    }

    /// Where the read goes on; of a source it is said in the same words.
    fn place(&self) -> Query {
        let Some(opened) = &self.opened else {
            return self.query.clone();
        };
        let mark = self.mark.clone();
        Query::Stream(ReadStream {
            cursor: Some(opened.cursor.clone()),
            from: mark.as_ref().map(|mark| mark.offset.clone()),
            digest: mark.map(|mark| mark.digest),
            ..ReadStream::default()
        })
    }

    async fn connect(&self) -> Result<Connection, (ClientError, Failed)> {
        let path: Vec<&str> = self.path.iter().map(String::as_str).collect();
        let call = Call::get(&path);
        let call = match self.place() {
            Query::Stream(query) => call.query(&query),
            Query::Source(query) => call.query(&query),
        };
        let opened = self.client.inner.open(&call, ROWS_MEDIA_TYPE, None);
        let response = opened.await?;
        if media_type(response.headers()).as_deref() != Some(ROWS_MEDIA_TYPE) {
            return Err((broken(BrokenAnswer::MediaType), Failed::Final));
        }
        Ok(Connection {
            response,
            bytes: BytesMut::new(),
            looked: 0,
            proof: None,
            rows: Vec::new(),
        })
    }

    /// What a line says.
    fn hear(&mut self, line: &Bytes) -> Step {
        let Some(connection) = &mut self.connection else {
            return Ok(None);
        };
        if let Some(row) = row(line) {
            let proof = connection.proof.as_mut().ok_or_else(nonsense)?;
            proof.row(row.content());
            connection.rows.push(row);
            return Ok(None);
        }
        if line.is_empty() {
            return Ok(None);
        }
        let frame = serde_json::from_slice(line).map_err(|_| nonsense())?;
        match frame {
            Frame::Open(opened) => {
                connection.proof = Some(Proof::begin(&opened).ok_or_else(nonsense)?);
                self.opened = Some(opened);
                Ok(None)
            }
            Frame::Mark(mark) => {
                let proof = connection.proof.as_mut().ok_or_else(nonsense)?;
                if !proof.mark(&mark) {
                    let offset = mark.offset;
                    return Err((broken(BrokenAnswer::Digest { offset }), Failed::Final));
                }
                self.failures = 0;
                self.mark = Some(mark.clone());
                let rows = std::mem::take(&mut connection.rows);
                Ok(Some(Proven { rows, mark }))
            }
            Frame::End(end) => {
                self.finish(RowsEnd::End(end));
                Ok(None)
            }
            Frame::Error(failure) if failure.closed => {
                self.finish(RowsEnd::Failed(failure));
                Ok(None)
            }
            Frame::Error(failure) => Err(self.interrupted(failure)),
        }
    }

    fn finish(&mut self, end: RowsEnd) {
        self.end = Some(end);
        self.connection = None;
    }

    /// The read alone has failed: tried again where the server says so, or the
    /// lease ran out while nobody asked.
    fn interrupted(&self, failure: StreamFailure) -> (ClientError, Failed) {
        let wait = failure.retry_after_ms.map(Duration::from_millis);
        let lapsed = failure.code == "expired";
        let failed = match wait {
            Some(wait) => Failed::Later(Some(wait)),
            None if lapsed => Failed::Unknown,
            None => Failed::Final,
        };
        (ClientError::Read(Box::new(failure)), failed)
    }

    /// Drops the connection, and says when to make it again or that it is of
    /// no use.
    fn fail(&mut self, error: ClientError, failed: Failed) -> Result<(), ClientError> {
        self.connection = None;
        let settings = &self.client.inner.settings;
        let least = again(failed, settings.retry_after_max);
        let Some(least) = least.filter(|_| self.failures < settings.retries) else {
            self.failures = 0;
            return Err(error);
        };
        let wait = settings.backoff.wait(self.failures, least, luck()?);
        self.due = Some(Instant::now() + wait);
        self.failures += 1;
        Ok(())
    }
}

impl Connection {
    /// The next line that is whole, without its end.
    fn line(&mut self) -> Result<Option<Bytes>, (ClientError, Failed)> {
        let unseen = self.bytes.get(self.looked..).unwrap_or_default();
        let Some(end) = unseen.iter().position(|byte| *byte == b'\n') else {
            self.looked = self.bytes.len();
            if self.looked > LINE_BYTES_MAX {
                let max = LINE_BYTES_MAX;
                return Err((broken(BrokenAnswer::TooLarge { max }), Failed::Final));
            }
            return Ok(None);
        };
        let line = self.bytes.split_to(self.looked + end + 1).freeze();
        self.looked = 0;
        Ok(Some(line.slice(..line.len() - 1)))
    }

    async fn receive(&mut self, quiet: Duration) -> Result<(), (ClientError, Failed)> {
        let came = tokio::time::timeout(quiet, self.response.chunk()).await;
        let late = |_| {
            let (outcome, after) = (None, quiet);
            (ClientError::Timeout { outcome, after }, Failed::Unknown)
        };
        match came.map_err(late)? {
            Ok(Some(bytes)) => {
                self.bytes.extend_from_slice(&bytes);
                Ok(())
            }
            Ok(None) => Err((broken(BrokenAnswer::Ended), Failed::Unknown)),
            Err(source) => {
                let error = ClientError::Transport {
                    sent: true,
                    outcome: None,
                    source: source.without_url(),
                };
                Err((error, Failed::Unknown))
            }
        }
    }
}

/// The lines that are no rows.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Frame {
    Open(StreamOpened),
    Mark(StreamMark),
    End(StreamEnd),
    Error(StreamFailure),
}

/// The row of a line, if it is one.
fn row(line: &Bytes) -> Option<Row> {
    if line.starts_with(b"{\"row\":") && line.ends_with(b"}") {
        return Some(Row::Json(line.slice(7..line.len() - 1)));
    }
    if !line.starts_with(b"{\"bytes\":") {
        return None;
    }
    #[derive(Deserialize)]
    struct Line {
        bytes: Base64,
    }
    let Line { bytes } = serde_json::from_slice(line).ok()?;
    Some(Row::Bytes(bytes.0.into()))
}

fn nonsense() -> (ClientError, Failed) {
    let why = BrokenAnswer::Body { line: 1, column: 1 };
    (broken(why), Failed::Final)
}

const fn broken(why: BrokenAnswer) -> ClientError {
    ClientError::Protocol { outcome: None, why }
}
