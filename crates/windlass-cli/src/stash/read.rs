//! The commands that show what a stash holds and change nothing.

use clap::Args;
use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;
use windlass::stash::limits::LIST_MAX;
use windlass::stash::{Entry, Key, KeyPage, KeyQuery, Metadata};

use super::arguments::{OneEntry, Within};
use super::show;
use crate::context::Context;
use crate::failure::{CommandError, Failure};
use crate::table::plain;

#[derive(Args, Debug)]
pub(crate) struct GetArgs {
    #[command(flatten)]
    entry: OneEntry,
}

#[derive(Args, Debug)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    within: Within,
    /// Only keys that begin so
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    prefix: String,
    /// At most so many: 1 to 1000
    #[arg(long, value_name = "N", default_value_t = 100, conflicts_with = "all")]
    limit: usize,
    /// Go on after this key
    #[arg(long, value_name = "KEY")]
    after: Option<String>,
    /// All there are, however many
    #[arg(long)]
    all: bool,
}

#[derive(Args, Debug)]
pub(crate) struct UsageArgs {
    /// The session
    #[arg(value_name = "SESSION")]
    session: String,
}

/// An entry as JSON.
#[derive(Serialize)]
struct Shown<'a> {
    key: &'a Key,
    value: &'a RawValue,
    ttl_left_ms: u64,
    #[serde(flatten)]
    metadata: &'a Metadata,
}

/// Prints a value: alone, or with all that is known of it as JSON.
pub(crate) async fn get(args: &GetArgs, context: &Context) -> Result<(), Failure> {
    let key = args.entry.key()?;
    let entry = context
        .with_engine(async |windlass| {
            let execution = args.entry.within.execution(windlass, context)?;
            Ok(execution.entry(&key).await?)
        })
        .await?;
    let entry = entry.ok_or(CommandError::NoEntry)?;
    if !context.output().json() {
        return context.output().text(&plain(entry.value.as_json()));
    }
    shown(&key, &entry, context)
}

fn shown(key: &Key, entry: &Entry, context: &Context) -> Result<(), Failure> {
    let value = entry.value.parse().expect("a value is JSON");
    context.output().object(&Shown {
        key,
        value,
        ttl_left_ms: entry.ttl_left_ms,
        metadata: &entry.metadata,
    })
}

/// Lists keys with what is known of their entries.
pub(crate) async fn list(args: &ListArgs, context: &Context) -> Result<(), Failure> {
    let output = context.output();
    let page = context
        .with_engine(async |windlass| pages(args, windlass, context).await)
        .await?;
    if output.json() {
        for (key, metadata) in &page.keys {
            output.object(&show::Row { key, metadata })?;
        }
    } else {
        output.text(&show::rows(&page.keys))?;
    }
    if let Some((last, _)) = page.keys.last().filter(|_| page.more) {
        let text = format!("there are more; go on with `--after {last}`");
        output.note(&json!({ "next": last }), &text);
    }
    Ok(())
}

async fn pages(
    args: &ListArgs,
    windlass: &windlass::Windlass,
    context: &Context,
) -> Result<KeyPage, Failure> {
    let execution = args.within.execution(windlass, context)?;
    let mut query = KeyQuery {
        prefix: args.prefix.clone(),
        after: args.after.as_deref().map(str::parse).transpose()?,
        limit: if args.all { LIST_MAX } else { args.limit },
    };
    let mut all = KeyPage::default();
    loop {
        let mut page = execution.keys(&query).await?;
        all.keys.append(&mut page.keys);
        all.more = page.more;
        match all.keys.last() {
            Some((last, _)) if args.all && page.more => query.after = Some(last.clone()),
            _ => return Ok(all),
        }
    }
}

/// Shows the figures of a stash.
pub(crate) async fn usage(args: &UsageArgs, context: &Context) -> Result<(), Failure> {
    let usage = context
        .with_engine(async |windlass| {
            let stash = super::arguments::stash(&args.session, windlass, context)?;
            Ok(stash.usage().await?)
        })
        .await?;
    context.output().answer(&usage, || show::usage(&usage))
}
