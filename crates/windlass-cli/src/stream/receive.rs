//! One read, printed from its beginning to its end.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;
use windlass::stream::Row;
use windlass_client::state::Base64;
use windlass_client::stream::StreamMark;

use super::proof::ProofError;
use crate::engine::{Begun, Ended, Outputs, Proven, Wanted};
use crate::failure::Failure;
use crate::output::Output;
use crate::table::plain;

/// How rows are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// One a line, as people read it.
    Text,
    /// Their bytes, with nothing between.
    Raw,
    /// As they go over the wire, with marks and an end.
    Wire,
}

/// Prints what is wanted, each row once and proven.
pub(crate) async fn receive(
    outputs: &dyn Outputs,
    wanted: &Wanted,
    form: Form,
    output: &Output,
) -> Result<(), Failure> {
    let mut rows = outputs.read(wanted).await?;
    let mut printer = Printer::new(form, output);
    while let Some(proven) = rows.next().await? {
        printer.begin(rows.begun().as_ref());
        printer.print(&proven)?;
    }
    printer.bar.finish_and_clear();
    match rows.ended() {
        Some(Ended::Failed { code, message }) => {
            // It was read all the same, so that is for whoever asks how it
            // went.
            let error = ProofError::Failed { code, message };
            Err(Failure::Check(Box::new(error)))
        }
        Some(Ended::Well { closed }) => printer.end(rows.begun(), closed),
        None => Ok(()),
    }
}

/// Prints rows, and shows how far it is where standard output is no terminal.
struct Printer<'a> {
    form: Form,
    output: &'a Output,
    bar: ProgressBar,
    row_count: u64,
    /// Bytes of the rows' lines.
    bytes: u64,
    mark: Option<StreamMark>,
}

impl<'a> Printer<'a> {
    fn new(form: Form, output: &'a Output) -> Self {
        // Where rows appear on the same terminal, they are the progress.
        let target = if std::io::stdout().is_terminal() || output.json() {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr()
        };
        let style = ProgressStyle::with_template("{pos}/{len} rows {wide_bar} {per_sec}");
        let style = style.expect("the template is well formed");
        let bar = ProgressBar::with_draw_target(Some(0), target).with_style(style);
        Self {
            form,
            output,
            bar,
            row_count: 0,
            bytes: 0,
            mark: None,
        }
    }

    fn begin(&self, begun: Option<&Begun>) {
        if let Some(begun) = begun.filter(|_| self.row_count == 0) {
            self.bar.set_length(begun.rows);
        }
    }

    fn print(&mut self, proven: &Proven) -> Result<(), Failure> {
        let mut text = Vec::new();
        for row in &proven.rows {
            let line = line(row);
            self.bytes += length(line.len());
            match self.form {
                Form::Wire => text.extend_from_slice(&line),
                Form::Raw => text.extend_from_slice(row.content()),
                Form::Text => {
                    let content = String::from_utf8_lossy(row.content());
                    text.extend_from_slice(plain(&content).as_bytes());
                    text.push(b'\n');
                }
            }
        }
        if self.form == Form::Wire {
            let mark = json!({ "mark": proven.mark });
            text.extend_from_slice(format!("{mark}\n").as_bytes());
        }
        self.output.bytes(&text)?;
        let count = length(proven.rows.len());
        self.row_count += count;
        self.mark = Some(proven.mark.clone());
        self.bar.inc(count);
        Ok(())
    }

    /// Says the end of a read as it goes over the wire, and with which cursor
    /// it can be made again.
    fn end(&self, begun: Option<Begun>, closed: bool) -> Result<(), Failure> {
        let Some(begun) = begun.filter(|_| self.form == Form::Wire) else {
            return Ok(());
        };
        let mark = self.mark.as_ref().unwrap_or(&begun.at);
        self.output.object(&json!({ "end": {
            "row_count": self.row_count.to_string(),
            "bytes": self.bytes.to_string(),
            "offset": mark.offset,
            "digest": mark.digest,
            "closed": closed,
            "cursor": begun.cursor,
        }}))
    }
}

/// The line of a row, as it goes over the wire.
fn line(row: &Row) -> Vec<u8> {
    match row {
        Row::Json(text) => [b"{\"row\":", text.as_ref(), b"}\n"].concat(),
        Row::Bytes(bytes) => {
            let bytes = json!({ "bytes": Base64(bytes.to_vec()) });
            format!("{bytes}\n").into_bytes()
        }
    }
}

fn length(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
