//! Appending what comes on standard input, as it comes.

use std::io::{self, BufRead};
use std::time::Duration;

use clap::Args;
use serde_json::json;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use windlass::core::{Coded, ErrorKind, StreamId};
use windlass::stream::limits::LONG_ROW_BYTES_MAX;
use windlass::stream::{Ending, Row, RowError};

use super::read::OneStream;
use super::show;
use crate::context::Context;
use crate::engine::Outputs;
use crate::failure::Failure;
use crate::input::InputError;

/// Rows that wait to be appended, beside those that are.
const WAITING_ROWS_MAX: usize = 1_024;
/// Most rows that are appended at a time.
const TOGETHER_ROWS_MAX: usize = 1_000;
/// Most bytes of them, beside the last.
const TOGETHER_BYTES_MAX: usize = 64 * 1_024;
/// How long a row may wait for others.
const PATIENCE: Duration = Duration::from_millis(50);

#[derive(Args, Debug)]
pub(crate) struct AppendArgs {
    #[command(flatten)]
    stream: OneStream,
    /// Take each line as it is instead of as JSON
    #[arg(long)]
    bytes: bool,
    /// Close the stream at the end of the input
    #[arg(long)]
    close: bool,
}

/// A line of the input that is no row.
#[derive(Debug, thiserror::Error)]
#[error("line {line} of the input cannot be appended")]
pub(crate) struct LineError {
    line: u64,
    source: RowError,
}

impl Coded for LineError {
    fn code(&self) -> &'static str {
        "invalid_row"
    }

    fn kind(&self) -> ErrorKind {
        ErrorKind::Invalid
    }
}

/// Appends every line as a row, and says where the stream stands then.
pub(crate) async fn append(args: &AppendArgs, context: &Context) -> Result<(), Failure> {
    let stream = args.stream.id()?;
    let (sender, mut rows) = channel(WAITING_ROWS_MAX);
    let is_bytes = args.bytes;
    // It is left behind when the command ends before its input does.
    tokio::task::spawn_blocking(move || read_lines(is_bytes, &sender));
    let output = context.output();
    let (count, view) = context
        .with_outputs(async |outputs| {
            let mut count = 0;
            if let Err(failure) = append_all(outputs, &stream, &mut rows, &mut count).await {
                let text = format!("{count} rows were appended before it failed");
                output.note(&json!({ "appended": count }), &text);
                return Err(failure);
            }
            if args.close {
                outputs.close(&stream, Ending::Finished).await?;
            }
            Ok((count, outputs.show(&stream).await?))
        })
        .await?;
    let object = json!({
        "appended": count,
        "tail": view.tail,
        "digest": view.digest,
        "closed": view.closed.is_some(),
    });
    output.answer(&object, || show::appended(count, &view))
}

async fn append_all(
    outputs: &dyn Outputs,
    stream: &StreamId,
    rows: &mut Receiver<Result<Row, Failure>>,
    count: &mut u64,
) -> Result<(), Failure> {
    loop {
        let (together, failure) = gather(rows).await;
        if !together.is_empty() {
            outputs.append(stream, &together).await?;
            *count += u64::try_from(together.len()).unwrap_or(u64::MAX);
        }
        match failure {
            Some(failure) => return Err(failure),
            None if together.is_empty() => return Ok(()),
            None => {}
        }
    }
}

/// The next rows that go together: what comes within the patience of the
/// first, up to what one commit holds. None at the end of the input.
async fn gather(rows: &mut Receiver<Result<Row, Failure>>) -> (Vec<Row>, Option<Failure>) {
    let (mut together, mut bytes) = (Vec::new(), 0);
    let mut next = rows.recv().await;
    let patience = tokio::time::Instant::now() + PATIENCE;
    loop {
        match next {
            Some(Ok(row)) => {
                bytes += row.content().len();
                together.push(row);
            }
            Some(Err(failure)) => return (together, Some(failure)),
            None => return (together, None),
        }
        if together.len() >= TOGETHER_ROWS_MAX || bytes >= TOGETHER_BYTES_MAX {
            return (together, None);
        }
        match tokio::time::timeout_at(patience, rows.recv()).await {
            Ok(more) => next = more,
            Err(_) => return (together, None),
        }
    }
}

/// Sends every line of standard input, up to the first that is no row.
fn read_lines(is_bytes: bool, sender: &Sender<Result<Row, Failure>>) {
    let mut input = io::stdin().lock();
    for number in 1.. {
        let row = match read_line(&mut input) {
            Ok(Some(line)) if is_bytes => Ok(Row::Bytes(line.into())),
            Ok(Some(line)) => Ok(Row::Json(line.into())),
            Ok(None) => return,
            Err(error) => Err(Failure::from(InputError::Unreadable(error))),
        };
        let row = row.and_then(|row| match row.check() {
            Ok(()) => Ok(row),
            Err(source) => Err(Failure::from(LineError {
                line: number,
                source,
            })),
        });
        let is_last = row.is_err();
        if sender.blocking_send(row).is_err() || is_last {
            return;
        }
    }
}

/// The next line without its end; no more of it than shows that it is too
/// long.
fn read_line(input: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let most = u64::try_from(LONG_ROW_BYTES_MAX).unwrap_or(u64::MAX);
    let read = io::Read::take(&mut *input, most).read_until(b'\n', &mut line)?;
    if line.ends_with(b"\n") {
        line.pop();
        if line.ends_with(b"\r") {
            line.pop();
        }
    }
    Ok((read > 0).then_some(line))
}
