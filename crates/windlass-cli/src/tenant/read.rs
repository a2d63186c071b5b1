//! The commands that show tenants and change nothing.

use clap::Args;
use serde_json::json;
use windlass::Windlass;
use windlass::access::{AccessError, TenantPage, TenantQuery};

use super::{OneTenant, show};
use crate::context::Context;
use crate::failure::Failure;
use crate::session::arguments::id;

#[derive(Args, Debug)]
pub(crate) struct ListArgs {
    /// At most so many: 1 to 1000
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: usize,
    /// Go on after this tenant, where an earlier listing ended
    #[arg(long, value_name = "TENANT")]
    after: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct ShowArgs {
    #[command(flatten)]
    tenant: OneTenant,
}

/// Lists tenants.
pub(crate) async fn list(args: &ListArgs, context: &Context) -> Result<(), Failure> {
    let query = TenantQuery {
        limit: args.limit,
        after: args.after.as_deref().map(id).transpose()?,
    };
    let page = context
        .with_store("`tenant`", async |windlass: &Windlass| {
            Ok(windlass.tenants().list(&query).await?)
        })
        .await?;
    let output = context.output();
    if output.json() {
        page.tenants
            .iter()
            .try_for_each(|tenant| output.object(tenant))?;
    } else {
        output.text(&show::tenants(&page.tenants))?;
    }
    tell(&page, context);
    Ok(())
}

/// Says what is not among the rows: what cannot be read, and where to go on.
fn tell(page: &TenantPage, context: &Context) {
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

/// Shows one tenant.
pub(crate) async fn show(args: &ShowArgs, context: &Context) -> Result<(), Failure> {
    let id = args.tenant.id()?;
    let tenant = context
        .with_store("`tenant`", async |windlass: &Windlass| {
            let found = windlass.tenants().get(&id).await?;
            Ok(found.ok_or(AccessError::NotFound { what: "tenant" })?)
        })
        .await?;
    context.output().answer(&tenant, || show::tenant(&tenant))
}
