//! The commands that show keys and change nothing.

use clap::Args;
use serde_json::json;
use windlass::access::{ApiKey, KeysOf};
use windlass_client::access::UnreadableKey;
use windlass_client::page::PageQuery;

use super::{OneKey, show};
use crate::context::Context;
use crate::engine::Listed;
use crate::failure::Failure;

#[derive(Args, Debug)]
pub(crate) struct ListArgs {
    /// Those of operators instead of the tenant's
    #[arg(long, conflicts_with = "everybody")]
    operator: bool,
    /// Those of every tenant and of operators
    #[arg(long)]
    everybody: bool,
    /// At most so many: 1 to 1000
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: u64,
    /// Go on where an earlier listing ended
    #[arg(long, value_name = "CURSOR")]
    after: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct ShowArgs {
    #[command(flatten)]
    key: OneKey,
}

/// Lists keys, ended ones included until upkeep drops them.
pub(crate) async fn list(args: &ListArgs, context: &Context) -> Result<(), Failure> {
    let of = if args.everybody {
        KeysOf::All
    } else if args.operator {
        KeysOf::Operators
    } else {
        KeysOf::Tenant(context.caller().tenant.clone())
    };
    let query = PageQuery {
        limit: Some(args.limit),
        cursor: args.after.clone(),
    };
    let page = context
        .with_keeper(async |keeper| keeper.keys(of, &query).await)
        .await?;
    let output = context.output();
    if output.json() {
        page.rows.iter().try_for_each(|key| output.object(key))?;
    } else {
        output.text(&show::keys(&page.rows))?;
    }
    tell(&page, context);
    Ok(())
}

/// Says what is not among the rows: what cannot be read, and where to go on.
fn tell(page: &Listed<ApiKey, UnreadableKey>, context: &Context) {
    let output = context.output();
    for unreadable in &page.unreadable {
        let text = format!("key `{}` cannot be read: {}", unreadable.id, unreadable.why);
        output.note(&json!({ "unreadable": unreadable }), &text);
    }
    if let Some(next) = &page.next {
        let text = format!("there are more; go on with `--after {next}`");
        output.note(&json!({ "next": next }), &text);
    }
}

/// Shows one key.
pub(crate) async fn show(args: &ShowArgs, context: &Context) -> Result<(), Failure> {
    let id = args.key.id()?;
    let key = context
        .with_keeper(async |keeper| keeper.key(&id).await)
        .await?;
    context.output().answer(&key, || show::key(&key))
}
