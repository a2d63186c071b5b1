//! The commands that show streams and change nothing of them.

use clap::Args;
use serde_json::json;
use windlass::core::StreamId;
use windlass::stream::{Cursor, Digest, Mark, Offset, Open, Start};

use super::change::cursor;
use super::receive::{Form, receive};
use super::show;
use crate::context::Context;
use crate::engine::Wanted;
use crate::failure::Failure;
use crate::session::arguments::{OneSession, id};

#[derive(Args, Debug)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    session: OneSession,
    /// At most so many: 1 to 1000
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    limit: u64,
    /// Go on where an earlier page ended
    #[arg(long, value_name = "CURSOR")]
    cursor: Option<String>,
}

/// One stream of the tenant.
#[derive(Args, Debug)]
pub(crate) struct OneStream {
    /// The stream
    #[arg(value_name = "STREAM")]
    stream: String,
}

impl OneStream {
    pub(super) fn id(&self) -> Result<StreamId, Failure> {
        id(&self.stream)
    }
}

#[derive(Args, Debug)]
pub(crate) struct ShowArgs {
    #[command(flatten)]
    stream: OneStream,
}

/// What was received before, and how rows are printed.
#[derive(Args, Debug)]
pub(super) struct Reading {
    /// Begin behind what was received: the offset of the last mark
    #[arg(long, value_name = "OFFSET")]
    after: Option<Offset>,
    /// The digest of that mark, which has to be the stream's
    #[arg(long, value_name = "DIGEST", requires = "after")]
    digest: Option<Digest>,
    /// Print the bytes of the rows as they are, with nothing between; not with
    /// `--json`
    #[arg(long)]
    raw: bool,
}

impl Reading {
    pub(super) fn start(&self, otherwise: Start) -> Start {
        let after = self.after.map(|offset| Start::At(offset, self.digest));
        after.unwrap_or(otherwise)
    }

    pub(super) async fn receive(&self, wanted: &Wanted, context: &Context) -> Result<(), Failure> {
        let output = context.output();
        let form = match (output.json(), self.raw) {
            (true, _) => Form::Wire,
            (false, true) => Form::Raw,
            (false, false) => Form::Text,
        };
        context
            .with_outputs(async |outputs| receive(outputs, wanted, form, output).await)
            .await
    }
}

#[derive(Args, Debug)]
pub(crate) struct ReadArgs {
    #[command(flatten)]
    stream: OneStream,
    /// Go on with a read that was cut off, by its cursor, to where that was to
    /// end
    #[arg(long, value_name = "CURSOR", value_parser = cursor)]
    cursor: Option<Cursor>,
    #[command(flatten)]
    reading: Reading,
}

#[derive(Args, Debug)]
pub(crate) struct TailArgs {
    #[command(flatten)]
    stream: OneStream,
    /// Begin with the first row that is kept, not with the next that comes
    #[arg(long, conflicts_with = "after")]
    all: bool,
    #[command(flatten)]
    reading: Reading,
}

/// Lists streams, as a table or as one object a line.
pub(crate) async fn list(args: &ListArgs, context: &Context) -> Result<(), Failure> {
    let session = args.session.id()?;
    let cursor = args.cursor.as_deref();
    let listed = context
        .with_outputs(async |outputs| outputs.list(&session, cursor, args.limit).await)
        .await?;
    let output = context.output();
    if output.json() {
        let mut streams = listed.streams.iter();
        streams.try_for_each(|stream| output.object(stream))?;
    } else {
        output.text(&show::rows(&listed.streams))?;
    }
    if let Some(next) = &listed.next {
        let text = format!("there are more; go on with `--cursor {next}`");
        output.note(&json!({ "next": next }), &text);
    }
    Ok(())
}

/// Shows one stream.
pub(crate) async fn show(args: &ShowArgs, context: &Context) -> Result<(), Failure> {
    let stream = args.stream.id()?;
    let view = context
        .with_outputs(async |outputs| outputs.show(&stream).await)
        .await?;
    let output = context.output();
    output.answer(&view, || show::one(&view))
}

/// Prints the rows that are there now.
pub(crate) async fn read(args: &ReadArgs, context: &Context) -> Result<(), Failure> {
    let (stream, reading) = (args.stream.id()?, &args.reading);
    let wanted = match &args.cursor {
        Some(cursor) => {
            let received = reading.after.zip(reading.digest);
            let received = received.map(|(offset, digest)| Mark { offset, digest });
            Wanted::Rest(stream, *cursor, received)
        }
        None => Wanted::Rows(Open {
            start: reading.start(Start::Earliest),
            ..Open::all(stream)
        }),
    };
    reading.receive(&wanted, context).await
}

/// Prints rows as they come.
pub(crate) async fn tail(args: &TailArgs, context: &Context) -> Result<(), Failure> {
    let otherwise = match args.all {
        true => Start::Earliest,
        false => Start::Tail,
    };
    let wanted = Wanted::Rows(Open {
        stream: args.stream.id()?,
        start: args.reading.start(otherwise),
        follow: true,
    });
    args.reading.receive(&wanted, context).await
}
