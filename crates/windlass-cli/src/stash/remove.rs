//! The commands that remove many entries at once. Each says first how much it
//! would be, and does it only when told so.

use clap::Args;
use serde_json::json;

use super::arguments::{Within, stash};
use super::show;
use crate::consent::Consent;
use crate::context::Context;
use crate::engine::Engine;
use crate::failure::Failure;
use crate::session::arguments::Retry;

/// Steps of one round where nothing else is said.
const REAP_STEPS_DEFAULT: usize = 1_000;

#[derive(Args, Debug)]
pub(crate) struct ClearArgs {
    #[command(flatten)]
    within: Within,
    #[command(flatten)]
    consent: Consent,
    #[command(flatten)]
    retry: Retry,
}

#[derive(Args, Debug)]
pub(crate) struct ReapArgs {
    /// The session; without it, whatever is due of all tenants
    #[arg(value_name = "SESSION")]
    session: Option<String>,
    /// Entries to remove of the session, or steps of upkeep, at most
    #[arg(long, value_name = "N", default_value_t = REAP_STEPS_DEFAULT)]
    limit: usize,
    #[command(flatten)]
    consent: Consent,
}

/// Deletes the group's entries, and says how many.
pub(crate) async fn clear(args: &ClearArgs, context: &Context) -> Result<(), Failure> {
    args.consent
        .check("this deletes every entry of the group")?;
    let of = args.within.changed(&args.retry)?;
    if args.consent.is_rehearsal() {
        let usage = context
            .with_engine(async |engine| engine.usage(&of).await)
            .await?;
        return context.output().answer(&usage, || show::usage(&usage));
    }
    let removed = context
        .with_engine(async |engine| engine.clear(&of).await)
        .await?;
    show::removed(&removed, context.output())
}

/// Takes back the space of expired entries, and says how much.
pub(crate) async fn reap(args: &ReapArgs, context: &Context) -> Result<(), Failure> {
    args.consent.check("this removes expired entries")?;
    context
        .with_engine(async |engine| match &args.session {
            Some(session) => reap_one(session, args, engine, context).await,
            None => reap_due(args, engine, context).await,
        })
        .await
}

async fn reap_one(
    session: &str,
    args: &ReapArgs,
    engine: &dyn Engine,
    context: &Context,
) -> Result<(), Failure> {
    let of = stash(session)?;
    if args.consent.is_rehearsal() {
        let usage = engine.usage(&of).await?;
        return context.output().answer(&usage, || show::usage(&usage));
    }
    let removed = engine.reap(&of, args.limit).await?;
    show::removed(&removed, context.output())
}

async fn reap_due(args: &ReapArgs, engine: &dyn Engine, context: &Context) -> Result<(), Failure> {
    let output = context.output();
    if args.consent.is_rehearsal() {
        let due = engine.due(args.limit).await?;
        let object = json!({ "due": due.entries, "more": due.more });
        return output.answer(&object, || show::due(&due));
    }
    let report = engine.reap_due(args.limit).await?;
    output.answer(&report, || show::report(&report))
}
