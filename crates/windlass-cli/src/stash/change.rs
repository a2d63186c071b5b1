//! The commands that change one entry.

use clap::Args;
use serde_json::json;
use windlass::stash::limits::VALUE_BYTES_MAX;
use windlass::stash::{Condition, Increment, Put, Value};

use super::arguments::OneEntry;
use super::show;
use crate::context::Context;
use crate::failure::Failure;
use crate::input;
use crate::session::arguments::Retry;

#[derive(Args, Debug)]
pub(crate) struct PutArgs {
    #[command(flatten)]
    entry: OneEntry,
    /// The value as JSON: `@FILE` for what a file has, `-` for standard input
    #[arg(value_name = "VALUE", allow_negative_numbers = true)]
    value: String,
    /// Take the value as text instead of JSON
    #[arg(long)]
    text: bool,
    /// For how long, in milliseconds [default: an hour]
    #[arg(long, value_name = "MS")]
    ttl_ms: Option<u64>,
    /// Only if the key has no entry
    #[arg(long, conflicts_with = "if_version")]
    if_absent: bool,
    /// Only if the entry has this version
    #[arg(long, value_name = "VERSION")]
    if_version: Option<u64>,
    #[command(flatten)]
    retry: Retry,
}

#[derive(Args, Debug)]
pub(crate) struct DeleteArgs {
    #[command(flatten)]
    entry: OneEntry,
    #[command(flatten)]
    retry: Retry,
}

#[derive(Args, Debug)]
pub(crate) struct TouchArgs {
    #[command(flatten)]
    entry: OneEntry,
    /// For how long, in milliseconds [default: an hour]
    #[arg(long, value_name = "MS")]
    ttl_ms: Option<u64>,
    #[command(flatten)]
    retry: Retry,
}

#[derive(Args, Debug)]
pub(crate) struct IncrementArgs {
    #[command(flatten)]
    entry: OneEntry,
    /// How much is added
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1,
        allow_negative_numbers = true
    )]
    by: i64,
    /// How long a new entry lives, in milliseconds [default: an hour]
    #[arg(long, value_name = "MS")]
    ttl_ms: Option<u64>,
    #[command(flatten)]
    retry: Retry,
}

impl PutArgs {
    async fn value(&self) -> Result<Value, Failure> {
        let source = match self.value.as_str() {
            "-" => Some("-"),
            value => value.strip_prefix('@'),
        };
        let text = match source {
            Some(source) => input::text(source.into(), VALUE_BYTES_MAX).await?,
            None => self.value.clone(),
        };
        Ok(if self.text {
            Value::of(&text)?
        } else {
            Value::from_json(&text)?
        })
    }

    fn condition(&self) -> Condition {
        match self.if_version {
            Some(version) => Condition::Version(version),
            None if self.if_absent => Condition::Absent,
            None => Condition::Any,
        }
    }
}

/// Gives a key a value, and shows what is known of the entry.
pub(crate) async fn put(args: PutArgs, context: &Context) -> Result<(), Failure> {
    let key = args.entry.key()?;
    let put = Put::new(key.clone(), args.value().await?).condition(args.condition());
    let put = Put {
        ttl_ms: args.ttl_ms,
        ..put
    };
    let of = args.entry.within.changed(&args.retry)?;
    let stored = context
        .with_engine(async |engine| engine.put(&of, put).await)
        .await?;
    show::entry(&key, &stored, context.output())
}

/// Deletes an entry, and says whether there was one.
pub(crate) async fn delete(args: &DeleteArgs, context: &Context) -> Result<(), Failure> {
    let key = args.entry.key()?;
    let of = args.entry.within.changed(&args.retry)?;
    let deleted = context
        .with_engine(async |engine| engine.delete(&of, &key).await)
        .await?;
    context.output().answer(&json!({ "deleted": deleted }), || {
        let said = if deleted { "deleted" } else { "there was none" };
        said.to_owned()
    })
}

/// Gives an entry another deadline, and shows what is known of it.
pub(crate) async fn touch(args: &TouchArgs, context: &Context) -> Result<(), Failure> {
    let key = args.entry.key()?;
    let of = args.entry.within.changed(&args.retry)?;
    let touched = context
        .with_engine(async |engine| engine.touch(&of, &key, args.ttl_ms).await)
        .await?;
    show::entry(&key, &touched, context.output())
}

/// Adds to a number, and shows what it is now.
pub(crate) async fn increment(args: &IncrementArgs, context: &Context) -> Result<(), Failure> {
    let of = args.entry.within.changed(&args.retry)?;
    let request = Increment {
        key: args.entry.key()?,
        by: args.by,
        ttl_ms: args.ttl_ms,
    };
    let number = context
        .with_engine(async |engine| engine.increment(&of, request).await)
        .await?;
    let object = json!({ "value": number.value, "version": number.metadata.version });
    context
        .output()
        .answer(&object, || number.value.to_string())
}
