//! The commands that end many sessions at once. Each says first how much it
//! would be, and does it only when told so.

use clap::Args;
use serde_json::json;

use super::arguments::id;
use super::show;
use crate::consent::Consent;
use crate::context::Context;
use crate::failure::Failure;

/// Entries that one sweep looks at where nothing else is said.
const SWEEP_ENTRIES_DEFAULT: usize = 1_000;

#[derive(Args, Debug)]
pub(crate) struct CloseAgentArgs {
    /// The agent
    #[arg(value_name = "AGENT")]
    agent: String,
    #[command(flatten)]
    consent: Consent,
}

#[derive(Args, Debug)]
pub(crate) struct SweepArgs {
    /// Entries of the index of upkeep to look at, at most
    #[arg(long, value_name = "N", default_value_t = SWEEP_ENTRIES_DEFAULT)]
    limit: usize,
    #[command(flatten)]
    consent: Consent,
}

/// Closes an agent's active sessions, and says how many.
pub(crate) async fn close_agent(args: &CloseAgentArgs, context: &Context) -> Result<(), Failure> {
    let agent = id(&args.agent)?;
    args.consent
        .check("this closes every active session of the agent")?;
    if args.consent.is_rehearsal() {
        let active = context
            .with_engine(async |engine| engine.count_active(&agent).await)
            .await?;
        return context
            .output()
            .answer(&json!({ "would_close": active }), || {
                format!("{active} would be closed")
            });
    }
    let closed = context
        .with_engine(async |engine| engine.close_agent(&agent).await)
        .await?;
    context
        .output()
        .answer(&json!({ "closed": closed }), || format!("{closed} closed"))
}

/// Does a bounded amount of the upkeep of sessions, and reports it.
pub(crate) async fn sweep(args: &SweepArgs, context: &Context) -> Result<(), Failure> {
    args.consent
        .check("this removes sessions whose retention has ended")?;
    let output = context.output();
    if args.consent.is_rehearsal() {
        let due = context
            .with_engine(async |engine| engine.due(args.limit).await)
            .await?;
        return output.answer(&json!({ "due": due.entries, "more": due.more }), || {
            show::due(&due)
        });
    }
    let done = context
        .with_engine(async |engine| engine.sweep(args.limit).await)
        .await?;
    output.answer(&done, || show::sweep(&done))
}
