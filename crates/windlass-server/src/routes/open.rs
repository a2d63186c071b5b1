//! What needs no credential, or any: whether the server is there, what it can
//! do, and who asks.

use axum::body::Body;
use axum::http::StatusCode;
use serde_json::json;
use windlass::access::{Groups, Scope, Verb};
use windlass_client::access as wire;

use crate::app::App;
use crate::call::{Call, Reply};
use crate::metrics::Now;
use crate::page::{DOCUMENT_PATH, PAGE_PATH};
use crate::problem::{Problem, Refused};
use crate::route::{Access, Route};

const TAG: &str = "service";

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/v1/whoami", "whoami", |call| Box::pin(whoami(call)))
            .about(TAG, "Shows what the credential stands for")
            .access(Access::Anyone)
            .answers::<wire::Whoami>(200, "Who asks"),
        Route::get("/livez", "livez", |call| Box::pin(live(call)))
            .about(TAG, "Whether the server runs")
            .sends(200, Some("text/plain; charset=utf-8"), "It does"),
        Route::get("/readyz", "readyz", |call| Box::pin(ready(call)))
            .about(
                TAG,
                "Whether the server takes requests and reaches its store",
            )
            .sends(200, Some("text/plain; charset=utf-8"), "It does")
            .fails(&[
                "unavailable",
                "closed",
                "environment",
                "corrupt",
                "indeterminate",
            ]),
        Route::get("/metrics", "metrics", |call| Box::pin(metrics(call)))
            .about(
                TAG,
                "The server's counters, for Prometheus; for everybody if it is configured so",
            )
            .fails(crate::codes::OF_CLOSED_ROUTES)
            .sends(
                200,
                Some("text/plain; version=0.0.4; charset=utf-8"),
                "The counters",
            ),
        Route::get(DOCUMENT_PATH, "openapi", |call| Box::pin(document(call)))
            .about(TAG, "This document")
            .sends(200, Some("application/json"), "An OpenAPI 3.1 document"),
        Route::get(PAGE_PATH, "docs", |call| Box::pin(page(call)))
            .about(TAG, "This document, to be read by people")
            .sends(
                200,
                Some("text/html; charset=utf-8"),
                "A page that needs nothing else",
            ),
    ]
}

const TEXT: &str = "text/plain; charset=utf-8";

async fn live(_: Call) -> Result<Reply, Refused> {
    Ok(Reply::of(TEXT, Body::from("live\n")))
}

async fn ready(call: Call) -> Result<Reply, Refused> {
    if call.app.is_draining() {
        let problem = Problem::new(503, "closed", "the server is stopping");
        return Err(Box::new(problem.retry_after_ms(1_000)));
    }
    let reached = call.app.engine.due(1).await;
    reached.map_err(|error| Box::new(Problem::of(&error, serde_json::Map::new())))?;
    Ok(Reply::of(TEXT, Body::from("ready\n")))
}

/// The figures that are read when they are asked for.
#[expect(
    clippy::cast_precision_loss,
    reason = "a gauge is a float, and shows what it can"
)]
pub(crate) fn figures_now(app: &App) -> Now {
    let health = app.engine.health();
    Now {
        connections: app.places.taken() as f64,
        streams: app.streams.taken() as f64,
        bodies_bytes: app.bodies.taken() as f64,
        webhooks: app.hooks.figures.read(),
        maintenance: app.engine.maintenance().counts(),
        audit: app.engine.audit().figures(),
        at_ms: app.env.now().get(),
        wal_bytes: health
            .and_then(|health| health.wal_bytes)
            .map(|bytes| bytes as f64),
    }
}

async fn metrics(call: Call) -> Result<Reply, Refused> {
    if !call.app.config.metrics_public {
        let identity = call.app.auth.identify(&call.headers).await?;
        if !identity.is_operator() || !identity.may(Verb::StoreRead) {
            let verb = Verb::StoreRead.as_str();
            let detail = format!("this needs the credential of an operator that holds `{verb}`");
            let problem = Problem::new(403, "verb_missing", &detail);
            return Err(Box::new(problem.with("verb", verb)));
        }
    }
    let text = call.app.metrics.render(&figures_now(&call.app));
    let media = "text/plain; version=0.0.4; charset=utf-8";
    Ok(Reply::of(media, Body::from(text)))
}

async fn document(call: Call) -> Result<Reply, Refused> {
    let app = &call.app;
    let document = app.document.get_or_init(|| {
        let routes: Vec<_> = app.routes.iter().map(AsRef::as_ref).collect();
        crate::openapi::document(&routes).into()
    });
    Ok(Reply::of("application/json", Body::from(document.clone())))
}

async fn page(_: Call) -> Result<Reply, Refused> {
    let html = crate::page::HTML;
    Ok(Reply::of("text/html; charset=utf-8", Body::from(html)).status(StatusCode::OK))
}

async fn whoami(call: Call) -> Result<Reply, Refused> {
    let identity = &call.identity;
    let (tenant, principal) = match &identity.grant.scope {
        Scope::Operator => (None, None),
        Scope::Tenant { tenant, principal } => (Some(tenant), Some(principal)),
    };
    let groups = match &identity.grant.groups {
        Groups::None => json!("none"),
        Groups::All => json!("all"),
        Groups::Only(groups) => json!({ "only": groups }),
    };
    let mut shown = json!({
        "credential": identity.kind(),
        "key": identity.key.as_ref().map(windlass::access::KeyId::as_str),
        "scope": if tenant.is_some() { "tenant" } else { "operator" },
        "reach": identity.grant.reach,
        "groups": groups,
        "verbs": identity.grant.verbs,
        "expires_at": identity.expires_ms(),
    });
    if let (Some(members), Some(tenant), Some(principal)) =
        (shown.as_object_mut(), tenant, principal)
    {
        members.insert("tenant".to_owned(), json!(tenant));
        members.insert("principal".to_owned(), json!(principal));
    }
    Ok(Reply::json(&shown))
}
