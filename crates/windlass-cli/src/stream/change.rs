//! The commands that make and end streams and reads.

use clap::Args;
use serde_json::json;
use windlass::core::{Millis, StreamId};
use windlass::stream::{Cursor, CursorError, Ending, Expiry, NewStream};

use super::read::OneStream;
use super::show;
use crate::context::Context;
use crate::failure::Failure;
use crate::session::arguments::{OneSession, Retry, id};

#[derive(Args, Debug)]
pub(crate) struct CreateArgs {
    #[command(flatten)]
    session: OneSession,
    /// What the stream is called [default: drawn]
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// Let it go so many milliseconds after its last change
    #[arg(long, value_name = "MS")]
    idle_ms: Option<u64>,
    /// Let it go at this time, in Unix milliseconds
    #[arg(long, value_name = "MS", conflicts_with = "idle_ms")]
    expires_at: Option<u64>,
    #[command(flatten)]
    retry: Retry,
}

#[derive(Args, Debug)]
pub(crate) struct CloseArgs {
    #[command(flatten)]
    stream: OneStream,
    /// Say that its writer gave up, and why: a name for programs
    #[arg(long, value_name = "CODE")]
    failed: Option<String>,
    /// The same for people
    #[arg(long, value_name = "TEXT", requires = "failed", default_value = "")]
    message: String,
    /// Say that nobody wants it any more
    #[arg(long, conflicts_with = "failed")]
    cancelled: bool,
}

#[derive(Args, Debug)]
pub(crate) struct CancelArgs {
    #[command(flatten)]
    stream: OneStream,
    /// The cursor that the read was given
    #[arg(value_name = "CURSOR", value_parser = cursor)]
    cursor: Cursor,
}

pub(super) fn cursor(text: &str) -> Result<Cursor, CursorError> {
    text.parse()
}

/// Makes a stream, and shows it.
pub(crate) async fn create(args: &CreateArgs, context: &Context) -> Result<(), Failure> {
    let stream: Option<StreamId> = args.id.as_deref().map(id).transpose()?;
    let new = NewStream {
        id: stream,
        expiry: match (args.idle_ms, args.expires_at) {
            (Some(idle), _) => Expiry::IdleMs(idle),
            (None, Some(at)) => Expiry::At(Millis::new(at)),
            (None, None) => Expiry::Never,
        },
        ..NewStream::of(args.session.id()?)
    };
    let operation = args.retry.operation()?;
    let view = context
        .with_outputs(async |outputs| outputs.create(&new, operation.as_ref()).await)
        .await?;
    let output = context.output();
    output.answer(&view, || show::one(&view))
}

/// Closes a stream, and shows it.
pub(crate) async fn close(args: &CloseArgs, context: &Context) -> Result<(), Failure> {
    let stream = args.stream.id()?;
    let how = match &args.failed {
        Some(code) => Ending::Failed {
            code: code.as_str().into(),
            message: args.message.as_str().into(),
        },
        None if args.cancelled => Ending::Cancelled,
        None => Ending::Finished,
    };
    let view = context
        .with_outputs(async |outputs| {
            outputs.close(&stream, how).await?;
            outputs.show(&stream).await
        })
        .await?;
    let output = context.output();
    output.answer(&view, || show::one(&view))
}

/// Ends a read, and says so.
pub(crate) async fn cancel(args: &CancelArgs, context: &Context) -> Result<(), Failure> {
    let stream = args.stream.id()?;
    context
        .with_outputs(async |outputs| outputs.cancel(&stream, &args.cursor).await)
        .await?;
    context
        .output()
        .answer(&json!({ "cancelled": true }), || "cancelled".to_owned())
}
