//! The commands that change a line of work.

use clap::Args;
use serde_json::json;
use serde_json::value::RawValue;
use windlass::queue::limits::PAYLOAD_BYTES_MAX;
use windlass_client::queue::NewWork;

use super::show;
use crate::context::Context;
use crate::engine::{WorkChange, number};
use crate::failure::{CommandError, Failure};
use crate::input;
use crate::session::arguments::{OneSession, Retry};

#[derive(Args, Debug)]
pub(crate) struct PushArgs {
    #[command(flatten)]
    session: OneSession,
    /// What the work is, such as `mail`
    #[arg(value_name = "KIND")]
    kind: String,
    /// What is to be done, as JSON: `@FILE` for what a file has, `-` for
    /// standard input
    #[arg(value_name = "VALUE", allow_negative_numbers = true)]
    value: String,
    /// Take the value as it is instead of as JSON
    #[arg(long)]
    bytes: bool,
    /// 0 to 9; higher ones go first
    #[arg(long, value_name = "N")]
    priority: Option<u8>,
    /// Names the work: pushed again under this key it is not added once more
    #[arg(long, value_name = "KEY")]
    source_key: Option<String>,
    /// Let it be handed out together with adjacent work of the same key
    #[arg(long, value_name = "KEY")]
    merge_key: Option<String>,
    /// How often it may be claimed before it is put with the dead
    #[arg(long, value_name = "N")]
    attempts_max: Option<u32>,
    /// When it joins the line, in Unix milliseconds
    #[arg(long, value_name = "MS")]
    available_at: Option<u64>,
    #[command(flatten)]
    retry: Retry,
}

#[derive(Args, Debug)]
pub(crate) struct OneWork {
    #[command(flatten)]
    session: OneSession,
    /// The name of the work
    #[arg(value_name = "ID")]
    work: String,
    #[command(flatten)]
    retry: Retry,
}

impl PushArgs {
    async fn work(self) -> Result<NewWork, Failure> {
        let source = match self.value.as_str() {
            "-" => Some("-"),
            value => value.strip_prefix('@'),
        };
        let bytes = match source {
            Some(source) => input::bytes(source.into(), number(PAYLOAD_BYTES_MAX)).await?,
            None => self.value.as_bytes().to_vec(),
        };
        let work = if self.bytes {
            NewWork::bytes(&self.kind, bytes)
        } else {
            let value: Box<RawValue> =
                serde_json::from_slice(&bytes).map_err(|_| CommandError::Word {
                    word: "VALUE",
                    meant: "the text of one JSON value; take it as it is with `--bytes`",
                })?;
            NewWork::json(&self.kind, value)
        };
        Ok(NewWork {
            priority: self.priority,
            source_key: self.source_key,
            merge_key: self.merge_key,
            attempts_max: self.attempts_max,
            available_at: self.available_at,
            ..work
        })
    }
}

/// Enqueues work, and shows its name.
pub(crate) async fn push(args: PushArgs, context: &Context) -> Result<(), Failure> {
    let (session, operation) = (args.session.id()?, args.retry.operation()?);
    let work = args.work().await?;
    let done = context
        .with_lines(async |lines| lines.enqueue(&session, work, operation.as_ref()).await)
        .await?;
    context.output().answer(&done, || show::enqueued(&done))
}

/// Changes one batch of work, and says so.
pub(crate) async fn one(
    args: &OneWork,
    change: WorkChange,
    context: &Context,
) -> Result<(), Failure> {
    let (session, operation) = (args.session.id()?, args.retry.operation()?);
    let work = args.work.parse()?;
    context
        .with_lines(async |lines| {
            let operation = operation.as_ref();
            lines.change(&session, work, change, operation).await
        })
        .await?;
    let done = match change {
        WorkChange::Cancel => "cancelled",
        WorkChange::Retry => "in line again",
        WorkChange::Drop => "dropped",
    };
    context
        .output()
        .answer(&json!({ "id": work }), || done.to_owned())
}
