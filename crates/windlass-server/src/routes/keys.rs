//! API keys.

use axum::http::StatusCode;
use serde_json::json;
use windlass::access::{
    ApiKey, Grant, Groups, KeyId, KeyQuery, KeysOf, NewKey, Reach, Rotate, Scope, Secret, Verb,
    Verbs,
};
use windlass::core::TenantId;
use windlass_client::access as wire;

use super::{limit, position};
use crate::call::{Call, Reply, parse_id};
use crate::problem::{Problem, Refused};
use crate::route::{Access, Route};

const TAG: &str = "keys";

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::post("/v1/keys", "create_key", |call| Box::pin(create(call)))
            .about(
                TAG,
                "Makes a key, never wider than the credential that asks",
            )
            .access(Access::Either(Verb::KeyManage))
            .serves(&["Keys::create"])
            .takes::<wire::CreateKey>()
            .answers::<wire::CreatedKey>(201, "The key, and its secret, which is shown only now")
            .located()
            .fails(&[
                "grant_too_wide",
                "verb_out_of_scope",
                "too_many_keys",
                "key_already_created",
            ]),
        Route::get("/v1/keys", "list_keys", |call| Box::pin(list(call)))
            .about(TAG, "Lists keys, ended ones for 30 days")
            .access(Access::Either(Verb::KeyManage))
            .serves(&["Keys::list"])
            .query::<wire::ApiKeysQuery>()
            .answers::<wire::ApiKeyPage>(200, "A page")
            .fails(&["cursor_invalid", "invalid_id", "invalid_request"]),
        Route::get("/v1/keys/{key}", "get_key", |call| Box::pin(get(call)))
            .about(TAG, "Shows a key, never its secret")
            .access(Access::Either(Verb::KeyManage))
            .serves(&["Keys::get"])
            .answers::<wire::ApiKey>(200, "The key"),
        Route::post("/v1/keys/{key}/revoke", "revoke_key", |call| Box::pin(revoke(call)))
            .about(TAG, "Ends a key at once, and what it has open; can be repeated")
            .access(Access::Either(Verb::KeyManage))
            .serves(&["Keys::revoke"])
            .answers::<wire::ApiKey>(200, "The key")
            // To revoke what is revoked changes nothing.
            .without_operation(),
        Route::post("/v1/keys/{key}/rotate", "rotate_key", |call| {
            Box::pin(rotate(call))
        })
        .about(
            TAG,
            "Gives a key a new secret; the present one works for the overlap",
        )
        .access(Access::Either(Verb::KeyManage))
        .serves(&["Keys::rotate"])
        .takes::<wire::Rotate>()
        .optionally()
        .answers::<wire::CreatedKey>(200, "The key, and its new secret, which is shown only now")
        .fails(&["key_ended", "key_already_rotated", "grant_too_wide"]),
    ]
}

/// The tenant whose keys an asker sees to; `None` for an operator's.
fn own_tenant(call: &Call) -> Option<TenantId> {
    match call.identity.is_operator() {
        true => None,
        false => call.identity.tenant().cloned(),
    }
}

fn grant(call: &Call, asked: &wire::CreateKey) -> Result<Grant, Refused> {
    let tenant = asked.tenant.as_deref();
    let tenant = tenant
        .map(|tenant| parse_id("tenant", tenant))
        .transpose()?;
    let principal = asked.principal.as_deref();
    let principal = principal.map(|id| parse_id("principal", id)).transpose()?;
    let scope = match (tenant.or_else(|| own_tenant(call)), principal) {
        (Some(tenant), Some(principal)) => Scope::Tenant { tenant, principal },
        (None, None) => Scope::Operator,
        _ => {
            let detail = "a key has a tenant and a principal, or neither and is an operator's";
            let problem = Problem::new(400, "invalid_request", detail);
            return Err(Box::new(problem.with("field", "principal")));
        }
    };
    let verbs = Verbs::of(asked.verbs.iter().map(String::as_str)).map_err(|flaw| {
        let detail = format!("one of `verbs` {flaw}");
        Box::new(Problem::new(400, "invalid_request", &detail).with("field", "verbs"))
    })?;
    let groups = match asked.groups.clone().unwrap_or_default() {
        wire::Groups::None => Groups::None,
        wire::Groups::All => Groups::All,
        wire::Groups::Only(names) => {
            let names = names.iter().map(|name| parse_id("groups", name));
            Groups::Only(names.collect::<Result<_, _>>()?)
        }
    };
    Ok(Grant {
        scope,
        reach: match asked.reach.unwrap_or_default() {
            wire::Reach::Own => Reach::Own,
            wire::Reach::Tenant => Reach::Tenant,
        },
        groups,
        verbs,
    })
}

/// Nobody gives away more than they have; an operator gives any key of a
/// tenant, and of operators' keys those that may no more than its own.
fn check_width(call: &Call, grant: &Grant) -> Result<(), Refused> {
    if call.identity.covers(grant) {
        return Ok(());
    }
    let detail = "a key cannot be wider than the credential that makes it";
    Err(Box::new(Problem::new(403, "grant_too_wide", detail)))
}

async fn create(call: Call) -> Result<Reply, Refused> {
    let asked: wire::CreateKey = call.json()?;
    let grant = grant(&call, &asked)?;
    check_width(&call, &grant)?;
    let mut request = NewKey::new(asked.label, grant);
    request.ttl_ms = asked.expires_in_ms;
    request.operation = call.operation.clone();
    let (key, secret) = call.app.engine.keys().create(request).await?;
    call.app.auth.keys_changed();
    Ok(shown(&key, &secret)
        .status(StatusCode::CREATED)
        .location(format!("/v1/keys/{}", key.id)))
}

fn shown(key: &ApiKey, secret: &Secret) -> Reply {
    Reply::json(&json!({ "key": key, "secret": secret.reveal() }))
}

async fn list(call: Call) -> Result<Reply, Refused> {
    let asked: wire::ApiKeysQuery = call.query()?;
    let named = asked.tenant.as_deref();
    let named: Option<TenantId> = named.map(|tenant| parse_id("tenant", tenant)).transpose()?;
    let of = match (own_tenant(&call), named) {
        (None, None) => KeysOf::All,
        (None, Some(tenant)) => KeysOf::Tenant(tenant),
        (Some(own), None) => KeysOf::Tenant(own),
        // Of another tenant's keys nothing is said, as if it had none.
        (Some(own), Some(named)) if own != named => {
            return Ok(Reply::json(&wire::ApiKeyPage::default()));
        }
        (Some(own), Some(_)) => KeysOf::Tenant(own),
    };
    let whose = format!("{of:?}");
    let listing = ["api_keys", whose.as_str()];
    let mut query = KeyQuery {
        of,
        limit: limit(asked.limit),
        after: position(&call, &listing, asked.cursor.as_deref())?,
    };
    let wanted = query.limit;
    let mut seen: Vec<ApiKey> = Vec::new();
    let mut unreadable = Vec::new();
    // What the asker may not know of shows neither in the length of a page
    // nor in where the next one begins.
    let next = loop {
        let page = call.app.engine.keys().list(&query).await?;
        seen.extend(page.keys.into_iter().filter(|key| is_seen(&call, key)));
        if sees_all(&call) {
            unreadable.extend(page.unreadable);
            break page.next;
        }
        query.limit = wanted.saturating_sub(seen.len());
        if page.next.is_none() || query.limit == 0 {
            let last = seen.last().map(|key| key.id.clone());
            break page.next.and(last);
        }
        query.after = page.next;
    };
    let next = next.map(|next| call.app.seal.close(&listing, next.as_str()));
    Ok(Reply::json(&json!({
        "api_keys": seen,
        "next_cursor": next,
        "unreadable": unreadable,
    })))
}

/// Whether the asker may know of every key that it lists.
fn sees_all(call: &Call) -> bool {
    call.identity.is_operator() || call.identity.grant.reach == Reach::Tenant
}

/// Whether the asker may know of a key: an operator of all of them, others of
/// their tenant's, or of those of their own principal if they reach no other.
fn is_seen(call: &Call, key: &ApiKey) -> bool {
    if call.identity.is_operator() {
        return true;
    }
    let asker = &call.identity.grant;
    match asker.reach {
        Reach::Own => asker.scope == key.grant.scope,
        Reach::Tenant => asker.scope.tenant() == key.grant.scope.tenant(),
    }
}

/// The key in the path, if the asker may know of it. What is no name of a key
/// names none.
async fn find(call: &Call) -> Result<ApiKey, Refused> {
    let none = || Box::new(Problem::not_found());
    let id: KeyId = call.text("key").parse().map_err(|_| none())?;
    let found = call.app.engine.keys().get(&id).await?;
    found.filter(|key| is_seen(call, key)).ok_or_else(none)
}

async fn get(call: Call) -> Result<Reply, Refused> {
    Ok(Reply::json(&find(&call).await?))
}

async fn revoke(call: Call) -> Result<Reply, Refused> {
    let key = find(&call).await?;
    let revoked = call.app.engine.keys().revoke(&key.id).await?;
    call.app.auth.keys_changed();
    Ok(Reply::json(&revoked))
}

async fn rotate(call: Call) -> Result<Reply, Refused> {
    let key = find(&call).await?;
    // Whoever gets a new secret of a key gets what the key may do.
    check_width(&call, &key.grant)?;
    let asked: wire::Rotate = call.json_or_default()?;
    let request = Rotate {
        overlap_ms: asked.overlap_ms.unwrap_or(0),
        operation: call.operation.clone(),
    };
    let (key, secret) = call.app.engine.keys().rotate(&key.id, request).await?;
    call.app.auth.keys_changed();
    Ok(shown(&key, &secret))
}
