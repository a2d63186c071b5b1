//! Appending rows: a body of lines, taken as it comes.
//!
//! Without an `Idempotency-Key` rows are stored a chunk at a time while the
//! body is still arriving, and no more of it is taken than the store keeps up
//! with. A body that breaks off leaves the chunks that were stored, and no
//! part of one. Under a key all rows are stored in one commit, or none.

use windlass::access::Verb;
use windlass::core::StreamId;
use windlass::stream::limits::LONG_ROW_BYTES_MAX;
use windlass::stream::{AppendError, Offset, Placed, Row, Step, StreamError, StreamWriter};
use windlass_client::stream as wire;

use super::change::OF_A_STREAM;
use super::{TAG, caller, stream, streams};
use crate::body::overloaded;
use crate::call::{Call, Incoming, Reply};
use crate::lines::{LineError, Lines};
use crate::problem::{Problem, Refused};
use crate::room::Taken;
use crate::route::{Access, Route};

pub(super) fn route() -> Route {
    Route::post("/v1/streams/{stream}/rows", "append_rows", |call| {
        Box::pin(append(call))
    })
    .about(
        TAG,
        "Appends rows as they come, one a line; under an `Idempotency-Key` all of them or none",
    )
    .access(Access::Tenant(Verb::StreamWrite))
    .serves(&["Streams::writer", "Streams::append"])
    .takes_lines::<wire::NewRow>(wire::ROWS_MEDIA_TYPE)
    .answers::<wire::Appended>(200, "Where the stream stands, durably")
    .fails(OF_A_STREAM)
    .fails(&["stream_closed", "invalid_row", "draining"])
    .endless()
}

async fn append(mut call: Call) -> Result<Reply, Refused> {
    let stream = stream(&call)?;
    let body = call
        .incoming
        .take()
        .expect("the route takes its body as it comes");
    match call.operation {
        Some(_) => append_whole(&call, stream, body).await,
        None => append_live(&call, &stream, body).await,
    }
}

/// Rows of a body, line by line.
struct Rows {
    body: Incoming,
    lines: Lines,
    /// Room for what is held of the body.
    taken: Taken,
    /// Lines that were taken.
    line: u64,
}

impl Rows {
    fn new(call: &Call, body: Incoming) -> Result<Self, Refused> {
        Ok(Self {
            body,
            lines: Lines::new(LONG_ROW_BYTES_MAX),
            taken: call.app.bodies.take(0).ok_or_else(overloaded)?,
            line: 0,
        })
    }

    /// Waits for more of the body; `false` at its end. Dropping the future
    /// loses nothing.
    async fn receive(&mut self) -> Result<bool, Refused> {
        let Some(piece) = self.body.piece().await? else {
            self.lines.end();
            return Ok(false);
        };
        self.lines.take(piece);
        let held = u64::try_from(self.lines.held_bytes()).unwrap_or(u64::MAX);
        match self.taken.grow_to(held) {
            true => Ok(true),
            false => Err(overloaded()),
        }
    }

    /// The next row that is whole.
    fn next(&mut self) -> Result<Option<Row>, Refused> {
        loop {
            let line = match self.lines.next() {
                Ok(Some(line)) => line,
                Ok(None) => return Ok(None),
                Err(LineError::TooLong { length }) => {
                    let why = windlass::stream::RowError::TooLong {
                        length,
                        max: LONG_ROW_BYTES_MAX,
                    };
                    return Err(self.refused(StreamError::Row(why)));
                }
            };
            self.line += 1;
            if line.is_empty() {
                continue;
            }
            let row = crate::lines::row(&line);
            return match row {
                Some(row) => Ok(Some(row)),
                None => Err(self.no_row()),
            };
        }
    }

    fn refused(&self, error: StreamError) -> Refused {
        let is_row = matches!(error, StreamError::Row(_));
        let problem = Refused::from(error);
        match is_row {
            true => Box::new(problem.with("line", self.line)),
            false => problem,
        }
    }

    fn no_row(&self) -> Refused {
        let detail = "a line is no object with one member, `row` or `bytes`";
        let problem = Problem::new(400, "invalid_row", detail);
        Box::new(problem.with("line", self.line))
    }
}

/// What was stored before a refusal.
fn so_far(problem: Problem, tail: Offset, rows: u64) -> Refused {
    let problem = problem.with("tail", tail.to_string());
    Box::new(problem.with("rows", rows))
}

async fn append_live(call: &Call, stream: &StreamId, body: Incoming) -> Result<Reply, Refused> {
    let mut writer = streams(call).writer(&caller(call)?, stream).await?;
    let mut rows = Rows::new(call, body)?;
    let mut placed = writer.last();
    let done = write(call, &mut writer, &mut rows, &mut placed).await;
    let written = writer.flushed().rows;
    call.app.metrics.appended(written);
    done.map_err(|problem| so_far(*problem, placed.tail, written))?;
    Ok(answered(written, placed, false))
}

/// Writes all rows of the body, and notes how far they are stored.
async fn write(
    call: &Call,
    writer: &mut StreamWriter,
    rows: &mut Rows,
    placed: &mut Placed,
) -> Result<(), Refused> {
    let mut stage = call.app.stage.clone();
    let mut credentials = call.app.auth.watch();
    loop {
        while let Some(row) = rows.next()? {
            let appended = writer.append(&row).await;
            *placed = writer.last();
            appended.map_err(|AppendError { error, .. }| rows.refused(error))?;
        }
        if call.app.is_draining() {
            return Err(draining());
        }
        tokio::select! {
            more = rows.receive() => if !more? {
                break;
            },
            flushed = writer.idle() => *placed = flushed?,
            _ = stage.changed() => {}
            _ = credentials.changed() => call.still_allowed().await?,
        }
    }
    while let Some(row) = rows.next()? {
        let appended = writer.append(&row).await;
        *placed = writer.last();
        appended.map_err(|AppendError { error, .. }| rows.refused(error))?;
    }
    *placed = writer.flush().await?;
    Ok(())
}

fn draining() -> Refused {
    let detail = "the server is stopping; go on behind what was stored";
    Box::new(Problem::new(503, "draining", detail).retry_after_ms(1_000))
}

/// All rows in one commit.
async fn append_whole(call: &Call, stream: StreamId, body: Incoming) -> Result<Reply, Refused> {
    let mut rows = Rows::new(call, body)?;
    let mut step = Step::append(stream, Vec::new());
    let mut bytes = 0;
    loop {
        let more = rows.receive().await?;
        while let Some(row) = rows.next()? {
            bytes += row.content().len();
            if bytes > wire::KEYED_BYTES_MAX {
                let detail = "rows under an `Idempotency-Key` have at most 8 MiB together";
                let problem = Problem::new(413, "body_too_large", detail);
                return Err(Box::new(problem.with("max", wire::KEYED_BYTES_MAX)));
            }
            step.rows.push(row);
        }
        let held = u64::try_from(bytes).unwrap_or(u64::MAX);
        if !rows.taken.grow_to(held) {
            return Err(overloaded());
        }
        if !more {
            break;
        }
    }
    let count = u64::try_from(step.rows.len()).unwrap_or(u64::MAX);
    let of = caller(call)?;
    let applied = streams(call).apply(&of, &step, call.operation.as_ref());
    let applied = applied.await?;
    if !applied.repeated {
        call.app.metrics.appended(count);
    }
    Ok(answered(count, applied.placed, applied.repeated))
}

fn answered(rows: u64, placed: Placed, repeated: bool) -> Reply {
    Reply::json(&wire::Appended {
        rows,
        tail: placed.tail.to_string(),
        digest: placed.digest.to_string(),
        repeated,
    })
}
