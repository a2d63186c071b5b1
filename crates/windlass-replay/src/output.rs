//! The output of a run, as a stream of its session.
//!
//! A record that is nothing but an output becomes that, row for row. A run of
//! tool calls has a row for each step that was authorised if that is asked
//! for, which says what was called and how long the answer is. The answer
//! itself is not in it: the run's state has it, and the stash, and a third
//! copy would prove nothing.
//!
//! Rows are appended once what the run did is known, in chunks that end at
//! numbers which follow from the recording, and with the last of them the
//! stream is closed. So whoever goes on reads where the stream ends, appends
//! what is missing, and leaves the same chunks.

use serde_json::json;
use windlass::core::StreamId;
use windlass::stream::{
    Caller, Ending, Frame, NewStream, Open, Row, RowsHasher, Settings, StreamError, StreamWriter,
    Streams, limits,
};

use crate::failure::ReplayError;
use crate::limits::CHUNK_ROWS;
use crate::model::Run;
use crate::observe::Outcome;
use crate::stage::Stage;
use crate::verify::Difference;

/// What the outputs of runs are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Outputs {
    /// What was recorded as one.
    #[default]
    Recorded,
    /// That, and for runs of tool calls a row for each authorised step. Takes
    /// about 1.3 kB a run and 120 bytes a step.
    Steps,
}

/// What was written of one output, by whichever replay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) rows: u64,
    /// As framed.
    pub(crate) bytes: u64,
}

/// Settings under which nothing but bytes and numbers of rows ends a chunk.
pub(crate) fn patient() -> Settings {
    Settings {
        latency_ms: limits::LATENCY_MS_MAX,
        ..Settings::default()
    }
}

impl Run {
    /// The rows of the run's output, where its steps had these outcomes.
    pub(crate) fn output(&self, outputs: Outputs, outcomes: &[Outcome]) -> Vec<Row> {
        let recorded = self.rows.iter().map(|row| Row::Json(row.clone().into()));
        let outcomes = match outputs {
            Outputs::Recorded => &[],
            Outputs::Steps => outcomes,
        };
        let steps = (1..).zip(outcomes);
        let allowed = steps.filter(|(_, outcome)| **outcome == Outcome::Allowed);
        recorded
            .chain(allowed.map(|(number, _)| self.step_row(number)))
            .collect()
    }

    /// What the output says of step `number`.
    fn step_row(&self, number: usize) -> Row {
        let step = &self.steps[number - 1];
        let row = json!({
            "step": number,
            "tool": step.tool.as_str(),
            "call": self.call_id(number),
            "bytes": step.output.as_ref().map(String::len),
        });
        Row::Json(row.to_string().into())
    }
}

impl Stage<'_> {
    fn streams(&self) -> &Streams {
        self.engine.streams()
    }

    fn stream_caller(&self) -> Caller {
        let caller = self.caller;
        Caller::new(caller.tenant.clone(), caller.principal.clone())
    }

    /// Sees to it that the run's output is stored and closed. A run without
    /// any has no stream.
    pub(crate) async fn put_out(&self, outcomes: &[Outcome]) -> Result<Written, ReplayError> {
        let rows = self.run.output(self.outputs, outcomes);
        if rows.is_empty() {
            return Ok(Written::default());
        }
        self.env.enter(self.run.steps.len() + 1);
        let written = self.write(&rows).await;
        written.map_err(|source| ReplayError::Stream {
            run: self.run.id(),
            source,
        })
    }

    async fn write(&self, rows: &[Row]) -> Result<Written, StreamError> {
        let (caller, stream) = (self.stream_caller(), self.names.stream());
        match self.writer(&caller, &stream).await {
            // An earlier replay came to the end.
            Err(StreamError::Closed) => {}
            writer => append(&mut writer?, rows).await?,
        }
        let view = self.streams().show(&caller, &stream).await?;
        Ok(Written {
            rows: view.tail.number(),
            bytes: view.bytes,
        })
    }

    /// A writer of the run's stream, which is made if it was not before.
    async fn writer(
        &self,
        caller: &Caller,
        stream: &StreamId,
    ) -> Result<StreamWriter, StreamError> {
        match self.streams().writer(caller, stream).await {
            Err(StreamError::NotFound) => {
                let new = NewStream {
                    id: Some(stream.clone()),
                    ..NewStream::of(self.names.session.clone())
                };
                self.streams().create(caller, &new).await
            }
            writer => writer,
        }
    }

    /// Reads the run's output back, and compares it with what it has to be, row
    /// by row and digest by digest. Answers how many rows were compared.
    pub(crate) async fn verify_output(&self, outcomes: &[Outcome]) -> Result<u64, ReplayError> {
        let rows = self.run.output(self.outputs, outcomes);
        if !rows.is_empty() {
            let same = self.is_output(&rows).await;
            self.same_output(same)?;
        }
        Ok(u64::try_from(rows.len()).unwrap_or(u64::MAX))
    }

    /// Sees to it that the run's output is closed, if it has any.
    pub(crate) async fn verify_end(&self, outcomes: &[Outcome]) -> Result<(), ReplayError> {
        if self.run.output(self.outputs, outcomes).is_empty() {
            return Ok(());
        }
        let stream = self.names.stream();
        let view = self.streams().show(&self.stream_caller(), &stream).await;
        self.same_output(view.map(|view| view.closed.is_some()))
    }

    fn same_output(&self, same: Result<bool, StreamError>) -> Result<(), ReplayError> {
        let run = || self.run.id();
        match same.map_err(|source| ReplayError::Stream { run: run(), source })? {
            true => Ok(()),
            false => Err(ReplayError::Differs(Difference::Output(
                self.names.stream(),
            ))),
        }
    }

    /// Whether the stream has these rows, nothing else, digests that prove it,
    /// and an end.
    async fn is_output(&self, rows: &[Row]) -> Result<bool, StreamError> {
        let open = Open::all(self.names.stream());
        let mut reader = self.streams().open(&self.stream_caller(), &open).await?;
        let mut wanted = rows.iter();
        let mut digest = windlass::stream::Digest::START;
        // The line of a row that is longer than a chunk.
        let mut line = Vec::new();
        while let Some(frame) = reader.next().await? {
            match frame {
                Frame::Open(_) => {}
                Frame::Piece(piece) => line.extend_from_slice(&piece.bytes),
                Frame::Chunk(chunk) => {
                    let mut hasher = RowsHasher::new();
                    let long = Row::of_line(&std::mem::take(&mut line).into());
                    for row in long.into_iter().chain(chunk.rows()) {
                        hasher.row(row.content());
                        if wanted.next() != Some(&row) {
                            return Ok(false);
                        }
                    }
                    digest = digest.chain(chunk.first, hasher.finish());
                    if digest != chunk.mark.digest {
                        return Ok(false);
                    }
                }
                Frame::End(end) => return Ok(end.closed && wanted.next().is_none()),
                Frame::Failed(_) => return Ok(false),
            }
        }
        Ok(false)
    }
}

/// Appends what is missing of `rows`, and closes the stream.
async fn append(writer: &mut StreamWriter, rows: &[Row]) -> Result<(), StreamError> {
    let there = writer.flush().await?.tail.number();
    let there = usize::try_from(there).unwrap_or(usize::MAX);
    for (number, row) in (1..).zip(rows).skip(there) {
        if number > 1 && (number - 1) % CHUNK_ROWS == 0 {
            writer.flush().await?;
        }
        writer.append(row).await.map_err(|it| it.error)?;
    }
    writer.close(Ending::Finished).await.map(drop)
}
