//! Tenants: what they may store, what they do, and their end.

use serde_json::json;
use windlass::access::{Quota, Tenant, TenantQuery, Verb};
use windlass::core::TenantId;
use windlass_client::access as wire;
use windlass_client::page::PageQuery;

use super::{limit, position};
use crate::call::{Call, Reply};
use crate::problem::{Problem, Refused};
use crate::route::{Access, Route};

const TAG: &str = "tenants";

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/v1/tenant", "get_own_tenant", |call| Box::pin(own(call)))
            .about(
                TAG,
                "Shows the credential's own tenant, its quota and what it uses",
            )
            .access(Access::Tenant(Verb::TenantRead))
            .serves(&["Tenants::standing"])
            .answers::<wire::Tenant>(200, "The tenant")
            .fails(&["not_found"]),
        Route::get("/v1/tenants", "list_tenants", |call| Box::pin(list(call)))
            .about(TAG, "Lists the tenants that have data, keys or a record")
            .access(Access::Operator(Verb::TenantRead))
            .serves(&["Tenants::list"])
            .query::<PageQuery>()
            .answers::<wire::TenantPage>(200, "A page")
            .fails(&["cursor_invalid", "invalid_request"]),
        Route::get("/v1/tenants/{tenant}", "get_tenant", |call| {
            Box::pin(get(call))
        })
        .about(TAG, "Shows a tenant, its quota and what it uses")
        .access(Access::Operator(Verb::TenantRead))
        .serves(&["Tenants::get", "Windlass::usage"])
        .answers::<wire::Tenant>(200, "The tenant"),
        Route::new(
            axum::http::Method::PUT,
            "/v1/tenants/{tenant}/quota",
            "set_quota",
            |call| Box::pin(set_quota(call)),
        )
        .about(
            TAG,
            "Sets what a tenant may store; what is left out is not limited",
        )
        .access(Access::Operator(Verb::TenantManage))
        .serves(&["Tenants::set_quota"])
        .takes::<wire::SetQuota>()
        .answers::<wire::Tenant>(200, "The tenant"),
        Route::post("/v1/tenants/{tenant}/erase", "erase_tenant", |call| Box::pin(erase(call)))
            .about(TAG, "Erases a tenant whole and certifies it; can be repeated")
            .access(Access::Operator(Verb::TenantManage))
            .serves(&["Tenants::erase", "Windlass::erase_tenant"])
            .takes::<wire::Erase>()
            .answers::<wire::Certificate>(200, "What was erased")
            .fails(&["confirmation_required", "tenant_in_use"])
            // It takes as long as there is something to erase.
            .endless()
            .without_operation(),
        Route::get("/v1/tenants/{tenant}/erasure", "get_erasure", |call| {
            Box::pin(verify(call))
        })
        .about(TAG, "Looks again whether anything of a tenant is there")
        .access(Access::Operator(Verb::TenantRead))
        .serves(&["Tenants::verify_erased"])
        .answers::<wire::Verification>(200, "What was found")
        .fails(&["tenant_not_erased"])
        .endless(),
    ]
}

async fn with_usage(call: &Call, tenant: &Tenant) -> Result<Reply, Refused> {
    let usage = call.app.engine.usage(&tenant.tenant).await?;
    let mut shown = json!(tenant);
    if let Some(members) = shown.as_object_mut() {
        let usage = json!({ "sessions": usage.sessions, "stash_bytes": usage.stash_bytes });
        members.insert("usage".to_owned(), usage);
    }
    Ok(Reply::json(&shown))
}

async fn show(call: &Call, tenant: &TenantId) -> Result<Reply, Refused> {
    let found = call.app.engine.tenants().get(tenant).await?;
    let tenant = found.ok_or_else(|| Box::new(Problem::not_found()))?;
    with_usage(call, &tenant).await
}

async fn own(call: Call) -> Result<Reply, Refused> {
    let tenant = call.caller()?.tenant;
    show(&call, &tenant).await
}

async fn get(call: Call) -> Result<Reply, Refused> {
    let tenant = call.id("tenant")?;
    show(&call, &tenant).await
}

async fn list(call: Call) -> Result<Reply, Refused> {
    let asked: PageQuery = call.query()?;
    let listing = ["tenants"];
    let query = TenantQuery {
        limit: limit(asked.limit),
        after: position(&call, &listing, asked.cursor.as_deref())?,
    };
    let page = call.app.engine.tenants().list(&query).await?;
    let next = page
        .next
        .map(|next| call.app.seal.close(&listing, next.as_str()));
    Ok(Reply::json(&json!({
        "tenants": page.tenants,
        "next_cursor": next,
        "unreadable": page.unreadable,
    })))
}

async fn set_quota(call: Call) -> Result<Reply, Refused> {
    let tenant: TenantId = call.id("tenant")?;
    let asked: wire::SetQuota = call.json()?;
    let quota = Quota {
        sessions: asked.sessions,
        stash_bytes: asked.stash_bytes,
    };
    let tenant = call.app.engine.tenants().set_quota(&tenant, quota).await?;
    with_usage(&call, &tenant).await
}

async fn erase(call: Call) -> Result<Reply, Refused> {
    let tenant: TenantId = call.id("tenant")?;
    let asked: wire::Erase = call.json()?;
    if asked.confirm != tenant.as_str() {
        let detail = "`confirm` has to name the tenant that is to be erased";
        return Err(Box::new(Problem::new(409, "confirmation_required", detail)));
    }
    let mut observe = |_: &windlass::access::Progress| ();
    let certificate = call.app.engine.erase_tenant(&tenant, &mut observe).await?;
    call.app.auth.keys_changed();
    Ok(Reply::json(&certificate))
}

async fn verify(call: Call) -> Result<Reply, Refused> {
    let tenant: TenantId = call.id("tenant")?;
    let found = call.app.engine.tenants().verify_erased(&tenant).await?;
    Ok(Reply::json(&found))
}
