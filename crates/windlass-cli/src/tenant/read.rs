//! The commands that show tenants and change nothing.

use clap::Args;
use serde_json::json;
use windlass::access::Tenant;
use windlass_client::access::UnreadableTenant;
use windlass_client::page::PageQuery;

use super::{OneTenant, show};
use crate::context::Context;
use crate::engine::Listed;
use crate::failure::Failure;

#[derive(Args, Debug)]
pub(crate) struct ListArgs {
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
    tenant: OneTenant,
}

/// Lists tenants.
pub(crate) async fn list(args: &ListArgs, context: &Context) -> Result<(), Failure> {
    let query = PageQuery {
        limit: Some(args.limit),
        cursor: args.after.clone(),
    };
    let page = context
        .with_keeper(async |keeper| keeper.tenants(&query).await)
        .await?;
    let output = context.output();
    if output.json() {
        page.rows
            .iter()
            .try_for_each(|tenant| output.object(tenant))?;
    } else {
        output.text(&show::tenants(&page.rows))?;
    }
    tell(&page, context);
    Ok(())
}

/// Says what is not among the rows: what cannot be read, and where to go on.
fn tell(page: &Listed<Tenant, UnreadableTenant>, context: &Context) {
    let output = context.output();
    for unreadable in &page.unreadable {
        let text = format!(
            "tenant `{}` cannot be read: {}",
            unreadable.tenant, unreadable.why
        );
        output.note(&json!({ "unreadable": unreadable }), &text);
    }
    if let Some(next) = &page.next {
        let text = format!("there are more; go on with `--after {next}`");
        output.note(&json!({ "next": next }), &text);
    }
}

/// Shows one tenant, and what it uses.
pub(crate) async fn show(args: &ShowArgs, context: &Context) -> Result<(), Failure> {
    let id = args.tenant.id()?;
    let (tenant, usage) = context
        .with_keeper(async |keeper| keeper.tenant(&id).await)
        .await?;
    let mut object = json!(tenant);
    object["usage"] = json!(usage);
    let output = context.output();
    output.answer(&object, || show::tenant(&tenant, Some(usage)))
}
