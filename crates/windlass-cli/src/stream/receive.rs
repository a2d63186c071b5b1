//! One read from its beginning to its end, over as many lines as it takes.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;
use windlass::SystemEnv;
use windlass::core::{ErrorKind, back_off};
use windlass::stream::{Mark, StreamError};

use super::proof::{Heard, Proof, ProofError, Received};
use crate::engine::{From, Outputs};
use crate::failure::Failure;
use crate::output::Output;
use crate::table::plain;

/// Lines that may break in a row before one brings a row.
const BREAKS_MAX: u32 = 8;

/// How rows are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// One a line, as people read it.
    Text,
    /// Their bytes, with nothing between.
    Raw,
    /// As they went over the wire, with marks and an end.
    Wire,
}

/// Prints everything from `from` on, each row once and proven.
pub(crate) async fn receive(
    outputs: &dyn Outputs,
    from: &From,
    form: Form,
    output: &Output,
) -> Result<(), Failure> {
    let env = SystemEnv::new();
    let mut printer = Printer::new(form, output);
    let (mut proof, mut from) = (Proof::default(), from.clone());
    let (mut breaks, mut breaks_in_a_row) = (0_u64, 0);
    loop {
        let rows = proof.row_count;
        let Err(failure) = line(outputs, &from, &mut proof, &mut printer).await else {
            break;
        };
        let place = proof.place().filter(|_| failure.is_passing());
        let Some(place) = place.copied() else {
            return Err(failure);
        };
        breaks_in_a_row = match proof.row_count == rows {
            true => breaks_in_a_row + 1,
            false => 1,
        };
        if breaks_in_a_row > BREAKS_MAX {
            return Err(failure);
        }
        breaks += 1;
        proof.forget_unproven();
        from = From::Cursor(place.cursor, Some(place.at));
        let waited = back_off(&env, breaks_in_a_row).await;
        waited.map_err(StreamError::from)?;
    }
    printer.bar.finish_and_clear();
    if breaks > 0 {
        let text = format!("the line broke {breaks} times, and was taken up again");
        output.note(&json!({ "resumed": breaks }), &text);
    }
    Ok(())
}

/// Reads until the end, or until the line breaks.
async fn line(
    outputs: &dyn Outputs,
    from: &From,
    proof: &mut Proof,
    printer: &mut Printer<'_>,
) -> Result<(), Failure> {
    let mut lines = outputs.read(from).await?;
    while let Some(piece) = lines.piece().await? {
        for heard in proof.take(&piece).map_err(ended)? {
            match heard {
                Heard::Open(rows) => printer.begin(rows),
                Heard::Chunk(rows, mark) => printer.print(&rows, mark)?,
                Heard::End { closed } => return printer.end(proof, closed),
            }
        }
    }
    Err(ProofError::Cut.into())
}

/// A stream that failed was read all the same, so that is for whoever asks how
/// it went.
fn ended(error: ProofError) -> Failure {
    match error {
        ProofError::Failed { .. } => Failure::Check(Box::new(error)),
        error => error.into(),
    }
}

/// Prints rows, and shows how far it is where standard output is no terminal.
struct Printer<'a> {
    form: Form,
    output: &'a Output,
    bar: ProgressBar,
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
        Self { form, output, bar }
    }

    fn begin(&self, rows: u64) {
        self.bar.set_length(self.bar.position() + rows);
    }

    fn print(&self, rows: &[Received], mark: Mark) -> Result<(), Failure> {
        let mut text = Vec::new();
        for Received { line, row } in rows {
            match self.form {
                Form::Wire => text.extend_from_slice(line),
                Form::Raw => text.extend_from_slice(row.content()),
                Form::Text => {
                    let content = String::from_utf8_lossy(row.content());
                    text.extend_from_slice(plain(&content).as_bytes());
                    text.push(b'\n');
                }
            }
        }
        if self.form == Form::Wire {
            text.extend_from_slice(mark.line().as_bytes());
        }
        self.output.bytes(&text)?;
        self.bar.inc(u64::try_from(rows.len()).unwrap_or(u64::MAX));
        Ok(())
    }

    fn end(&self, proof: &Proof, closed: bool) -> Result<(), Failure> {
        let Some(place) = proof.place().filter(|_| self.form == Form::Wire) else {
            return Ok(());
        };
        self.output.object(&json!({ "end": {
            "row_count": proof.row_count.to_string(),
            "bytes": proof.bytes.to_string(),
            "offset": place.at.offset,
            "digest": place.at.digest,
            "closed": closed,
            "cursor": place.cursor.to_string(),
        }}))
    }
}

impl Failure {
    /// Whether the same may work again on another line.
    fn is_passing(&self) -> bool {
        match self {
            Self::Error(error) => matches!(
                error.kind(),
                ErrorKind::Unavailable | ErrorKind::Indeterminate
            ),
            Self::Check(_) | Self::Interrupted | Self::Unheard => false,
        }
    }
}
