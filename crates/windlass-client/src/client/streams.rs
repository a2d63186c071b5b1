//! The calls about streams.

use bytes::Bytes;
use http_body_util::channel::{Channel, Sender};

use super::call::Call;
use super::rows::{Query, Rows};
use super::{Client, ClientError};
use crate::stream::{
    Appended, CloseStream, CreateStream, NewRow, Placed, ReadSource, ReadStream, Reads,
    RemovedStream, Source, Stream, StreamList, StreamRead, StreamsQuery, TrimStream, Trimmed,
};

/// One stream.
#[derive(Clone, Debug)]
pub struct StreamClient {
    client: Client,
    stream: String,
}

/// Data of one session that is read as a stream is.
#[derive(Clone, Debug)]
pub struct SourceClient {
    client: Client,
    session: String,
    source: Source,
}

impl SourceClient {
    fn path<'a>(&'a self, rest: &[&'a str]) -> Vec<&'a str> {
        let source = [
            "v1",
            "sessions",
            &self.session,
            "sources",
            self.source.as_str(),
        ];
        source.into_iter().chain(rest.iter().copied()).collect()
    }

    /// Reads the source, and reads on by itself after a broken line. Nothing is
    /// asked before [`Rows::next`].
    #[must_use]
    pub fn read(&self, query: ReadSource) -> Rows {
        Rows::new(self.client.clone(), &self.path(&[]), Query::Source(query))
    }

    /// Ends a read for good, by its cursor. Can be repeated.
    ///
    /// # Errors
    ///
    /// [`ClientError`] with code `not_found` for a cursor that is not one of
    /// this source's.
    pub async fn cancel_read(&self, cursor: &str) -> Result<(), ClientError> {
        let call = Call::delete(&self.path(&["reads", cursor])).unkeyed();
        self.client.ask_content(call).await.map(drop)
    }
}

impl Client {
    /// What a session has that can be read as a stream.
    #[must_use]
    pub fn source(&self, session: &str, source: Source) -> SourceClient {
        SourceClient {
            client: self.clone(),
            session: session.to_owned(),
            source,
        }
    }

    /// A stream, by its name.
    #[must_use]
    pub fn stream(&self, id: &str) -> StreamClient {
        StreamClient {
            client: self.clone(),
            stream: id.to_owned(),
        }
    }

    /// Makes a stream. What the client repeats is made once.
    ///
    /// # Errors
    ///
    /// [`ClientError`]; the server's codes include `stream_exists`.
    pub async fn create_stream(&self, request: &CreateStream) -> Result<Stream, ClientError> {
        self.ask(Call::post(&["v1", "streams"], request)).await
    }

    /// A page of the streams of a session, those of the caller's principal.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn streams(
        &self,
        session: &str,
        query: &StreamsQuery,
    ) -> Result<StreamList, ClientError> {
        let path = ["v1", "sessions", session, "streams"];
        self.ask(Call::get(&path).query(query)).await
    }

    /// How many streams are being read in the server's process; for operators.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn stream_reads(&self) -> Result<Reads, ClientError> {
        self.ask(Call::get(&["v1", "store", "streams"])).await
    }
}

impl StreamClient {
    fn path<'a>(&'a self, rest: &[&'a str]) -> Vec<&'a str> {
        let stream = ["v1", "streams", &self.stream];
        stream.into_iter().chain(rest.iter().copied()).collect()
    }

    /// The stream as it is stored.
    ///
    /// # Errors
    ///
    /// [`ClientError`] with code `not_found` if there is none, or it is
    /// somebody else's.
    pub async fn show(&self) -> Result<Stream, ClientError> {
        self.client.ask(Call::get(&self.path(&[]))).await
    }

    /// Reads the stream, and reads on by itself after a broken line. Nothing
    /// is asked before [`Rows::next`]. A `wait_ms` in the query makes no sense
    /// here and is left out.
    #[must_use]
    pub fn read(&self, query: ReadStream) -> Rows {
        let query = ReadStream {
            wait_ms: None,
            ..query
        };
        let path = self.path(&["rows"]);
        Rows::new(self.client.clone(), &path, Query::Stream(query))
    }

    /// Appends rows, 8 MiB at most: all of them or none, and once also where
    /// the client repeats it.
    ///
    /// # Errors
    ///
    /// [`ClientError`]; the server's codes include `stream_closed` and
    /// `invalid_row`.
    pub async fn append(&self, rows: &[NewRow]) -> Result<Appended, ClientError> {
        let lines = rows.iter().flat_map(line).collect::<Vec<u8>>();
        let call = Call::post_lines(&self.path(&["rows"]), lines.into());
        self.client.ask(call).await
    }

    /// Appends rows as they come: `next` is asked for the next one when the
    /// server has taken those before it, and ends it with `None`. Rows are
    /// stored while it goes on, soon after they were sent. Nothing is repeated:
    /// after an error the stream says what was stored ([`StreamClient::show`]).
    ///
    /// # Errors
    ///
    /// [`ClientError`]; one that the server said carries `tail`, where the
    /// stream stood, and `rows`, how many were stored.
    pub async fn append_live(
        &self,
        next: impl AsyncFnMut() -> Option<NewRow>,
    ) -> Result<Appended, ClientError> {
        let (sender, body) = Channel::new(1);
        let call = Call::post_bare(&self.path(&["rows"])).unkeyed();
        let mut answer = std::pin::pin!(self.client.inner.send_live(&call, body));
        let mut pump = std::pin::pin!(pump(sender, next));
        let mut pumped = false;
        let answer = loop {
            tokio::select! {
                answer = &mut answer => break answer,
                () = &mut pump, if !pumped => pumped = true,
            }
        };
        answer?.read()
    }

    /// Closes the stream for good.
    ///
    /// # Errors
    ///
    /// [`ClientError`]; the server's codes include `stream_closed`.
    pub async fn close(&self, request: &CloseStream) -> Result<Placed, ClientError> {
        let call = Call::post(&self.path(&["close"]), request);
        self.client.ask(call).await
    }

    /// Gives up rows before an offset.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn trim(&self, request: &TrimStream) -> Result<Trimmed, ClientError> {
        let call = Call::post(&self.path(&["trim"]), request).unkeyed();
        self.client.ask(call).await
    }

    /// Removes the stream with all that belongs to it.
    ///
    /// # Errors
    ///
    /// [`ClientError`]; `not_found` also where an attempt before has done it.
    pub async fn remove(&self) -> Result<RemovedStream, ClientError> {
        let call = Call::delete(&self.path(&[])).unkeyed();
        self.client.ask(call).await
    }

    /// What a cursor of this stream stands for.
    ///
    /// # Errors
    ///
    /// [`ClientError`]; the server's codes include `cancelled` and `expired`.
    pub async fn shown_read(&self, cursor: &str) -> Result<StreamRead, ClientError> {
        let call = Call::get(&self.path(&["reads", cursor]));
        self.client.ask(call).await
    }

    /// Ends a read for good, by its cursor. Can be repeated.
    ///
    /// # Errors
    ///
    /// [`ClientError`] with code `not_found` for a cursor that is not one of
    /// this stream's.
    pub async fn cancel_read(&self, cursor: &str) -> Result<(), ClientError> {
        let call = Call::delete(&self.path(&["reads", cursor])).unkeyed();
        self.client.ask_content(call).await.map(drop)
    }
}

/// The line of a row.
fn line(row: &NewRow) -> Vec<u8> {
    let mut line = serde_json::to_vec(row).expect("rows are JSON");
    line.push(b'\n');
    line
}

/// Sends rows until there are none, or nobody takes them.
async fn pump(
    mut sender: Sender<Bytes, std::convert::Infallible>,
    mut next: impl AsyncFnMut() -> Option<NewRow>,
) {
    while let Some(row) = next().await {
        if sender.send_data(line(&row).into()).await.is_err() {
            return;
        }
    }
}
