//! The commands that show events.

use clap::Args;
use serde_json::json;
use windlass_client::audit::AuditQuery;
use windlass_client::page::Order;

use super::{OneChain, show};
use crate::context::Context;
use crate::failure::Failure;

#[derive(Args, Debug)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    chain: OneChain,
    /// Only events behind this one, in the order asked for
    #[arg(long, value_name = "SEQ")]
    after: Option<u64>,
    /// At most so many: 1 to 1000
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    limit: u64,
    /// The last event first
    #[arg(long)]
    newest: bool,
}

#[derive(Args, Debug)]
pub(crate) struct ExportArgs {
    #[command(flatten)]
    chain: OneChain,
    /// Only events behind this one
    #[arg(long, value_name = "SEQ")]
    after: Option<u64>,
}

#[derive(Args, Debug)]
pub(crate) struct HeadArgs {
    #[command(flatten)]
    chain: OneChain,
}

/// Lists events, as a table or as one object a line.
pub(crate) async fn list(args: &ListArgs, context: &Context) -> Result<(), Failure> {
    let query = AuditQuery {
        chain: args.chain.chain.clone(),
        after: args.after,
        limit: Some(args.limit),
        order: args.newest.then_some(Order::Newest),
    };
    let page = context
        .with_trail(async |trail| trail.events(&query).await)
        .await?;
    let output = context.output();
    if output.json() {
        let mut events = page.events.iter();
        events.try_for_each(|event| output.object(event))?;
    } else {
        output.text(&show::events(&page.events))?;
    }
    if let Some(next) = page.next {
        let text = format!("there are more; go on with `--after {next}`");
        output.note(&json!({ "next": next }), &text);
    }
    Ok(())
}

/// Prints the lines of a chain, byte for byte.
pub(crate) async fn export(args: &ExportArgs, context: &Context) -> Result<(), Failure> {
    let (chain, after) = (args.chain.chain.as_deref(), args.after);
    let output = context.output();
    let mut take = |bytes: &[u8]| output.bytes(bytes);
    context
        .with_trail(async |trail| trail.lines(chain, after, &mut take).await)
        .await
}

/// Shows where a chain stands.
pub(crate) async fn head(args: &HeadArgs, context: &Context) -> Result<(), Failure> {
    let chain = args.chain.chain.as_deref();
    let head = context
        .with_trail(async |trail| trail.chain_head(chain).await)
        .await?;
    context.output().answer(&head, || show::head(&head))
}
