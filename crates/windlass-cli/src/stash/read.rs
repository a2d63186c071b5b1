//! The commands that show what a stash holds and change nothing.

use clap::Args;
use serde_json::json;
use windlass_client::page::LIMIT_MAX;
use windlass_client::stash::{KeyPage, KeysQuery};

use super::arguments::{OneEntry, Within, stash};
use super::show;
use crate::context::Context;
use crate::engine::Engine;
use crate::failure::Failure;
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
    limit: u64,
    /// Go on where an earlier page ended
    #[arg(long, value_name = "CURSOR")]
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

/// Prints a value: alone, or with all that is known of it as JSON.
pub(crate) async fn get(args: &GetArgs, context: &Context) -> Result<(), Failure> {
    let key = args.entry.key()?;
    let of = args.entry.within.stash()?;
    let entry = context
        .with_engine(async |engine| engine.entry(&of, &key).await)
        .await?;
    let output = context.output();
    output.answer(&entry, || plain(entry.value.get()))
}

/// Lists keys with what is known of their entries.
pub(crate) async fn list(args: &ListArgs, context: &Context) -> Result<(), Failure> {
    let output = context.output();
    let page = context
        .with_engine(async |engine| pages(args, engine).await)
        .await?;
    if output.json() {
        page.keys.iter().try_for_each(|row| output.object(row))?;
    } else {
        output.text(&show::rows(&page.keys))?;
    }
    if let Some(next) = &page.next_cursor {
        let text = format!("there are more; go on with `--after {next}`");
        output.note(&json!({ "next": next }), &text);
    }
    Ok(())
}

async fn pages(args: &ListArgs, engine: &dyn Engine) -> Result<KeyPage, Failure> {
    let of = args.within.stash()?;
    let mut query = KeysQuery {
        group: None,
        prefix: Some(args.prefix.clone()),
        limit: Some(if args.all { LIMIT_MAX } else { args.limit }),
        cursor: args.after.clone(),
    };
    let mut all = KeyPage::default();
    loop {
        let mut page = engine.keys(&of, &query).await?;
        all.keys.append(&mut page.keys);
        all.next_cursor = page.next_cursor;
        if !args.all || all.next_cursor.is_none() {
            return Ok(all);
        }
        query.cursor.clone_from(&all.next_cursor);
    }
}

/// Shows the figures of a stash.
pub(crate) async fn usage(args: &UsageArgs, context: &Context) -> Result<(), Failure> {
    let of = stash(&args.session)?;
    let usage = context
        .with_engine(async |engine| engine.usage(&of).await)
        .await?;
    context.output().answer(&usage, || show::usage(&usage))
}
