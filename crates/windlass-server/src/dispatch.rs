//! The way of every request: route, credential, verb, preconditions, body,
//! handler, answer. What is refused on the way has changed nothing.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::RawPathParams;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, Response, header};
use futures_util::FutureExt;
use tokio::time::{Instant, timeout_at};
use tracing::Instrument;
use windlass::audit::{AuditEvent, Chain, on_behalf};
use windlass::core::OperationId;

use crate::app::App;
use crate::auth::Identity;
use crate::body::{incoming, receive};
use crate::call::{Call, Incoming, Precondition, Reply, parse_id, tag_text};
use crate::codes;
use crate::connection::Flights;
use crate::problem::{Problem, Refused};
use crate::route::{Access, Preconditions, Route};
use crate::trace::{RequestId, span};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Answers one request of `route`.
pub(crate) async fn answer(
    app: Arc<App>,
    route: Arc<Route>,
    parameters: Result<RawPathParams, Refused>,
    request: Request<Body>,
) -> Response<Body> {
    let began = app.env.monotonic();
    let id = app.ids.next();
    let span = span(&route, request.headers(), &id);
    let work = guarded(Arc::clone(&app), &route, &id, parameters, request);
    let mut response = work.instrument(span.clone()).await;
    let took = app.env.monotonic().saturating_sub(began);
    let status = response.status().as_u16();
    app.metrics.answered(Some(route.name), status, took);
    if !route.endless {
        app.metrics.times().note(took);
    }
    span.in_scope(|| {
        let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        tracing::debug!(status, took_us, "answered");
    });
    finish(response.headers_mut(), &id, app.is_draining());
    response
}

/// A request that no route takes.
pub(crate) fn no_route(app: &App, problem: Problem) -> Response<Body> {
    let id = app.ids.next();
    app.metrics.answered(None, problem.status(), Duration::ZERO);
    let mut response = problem.into_response();
    finish(response.headers_mut(), &id, app.is_draining());
    response
}

/// The headers of every answer.
fn finish(headers: &mut HeaderMap, id: &RequestId, draining: bool) {
    let fixed = [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
    ];
    for (name, value) in fixed {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
    headers.insert(HeaderName::from_static("x-request-id"), id.value());
    if draining {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
}

/// The answer of a route whose handler may panic, as one of this request
/// alone.
async fn guarded(
    app: Arc<App>,
    route: &Route,
    id: &RequestId,
    parameters: Result<RawPathParams, Refused>,
    request: Request<Body>,
) -> Response<Body> {
    let work = AssertUnwindSafe(respond(app, route, id, parameters, request)).catch_unwind();
    let answer = work.await.unwrap_or_else(|_| {
        tracing::error!("a request panicked");
        let detail = "something is wrong inside; the outcome is unknown";
        let problem = Problem::new(500, "internal", detail);
        Err(Box::new(problem.with("outcome", "unknown")))
    });
    match answer {
        Ok(reply) => reply.into_response(),
        Err(problem) => {
            debug_assert!(
                declares(route, problem.code()),
                "{route:?} does not say that it may answer `{}`",
                problem.code()
            );
            tracing::debug!(code = problem.code(), "refused");
            problem.into_response()
        }
    }
}

/// Whether the description of `route` has `code` among its answers.
fn declares(route: &Route, code: &str) -> bool {
    crate::openapi::codes_of(route).any(|known| known == code)
}

async fn respond(
    app: Arc<App>,
    route: &Route,
    id: &RequestId,
    parameters: Result<RawPathParams, Refused>,
    request: Request<Body>,
) -> Result<Reply, Refused> {
    let (head, body) = request.into_parts();
    let identity = identify(&app, route, &head.headers, id).await?;
    let parameters = parameters?;
    let conditions = conditions(route, &head.headers)?;
    let operation = operation(route, &head.headers)?;
    let streamed = route.body.as_ref().filter(|spec| spec.streamed);
    let (body, incoming) = match streamed {
        Some(spec) => {
            let flights = head.extensions.get::<Flights>().cloned();
            let body = incoming(body, &head.headers, spec)?;
            (Body::empty(), Some(Incoming::new(body, flights)))
        }
        None => (body, None),
    };
    let spec = route.body.as_ref().filter(|spec| !spec.streamed);
    let received = receive(body, &head.headers, spec, &app.bodies).await?;
    let deadline = Instant::now() + Duration::from_millis(app.config.request_ms_max);
    let who = identity.who(id);
    let call = Call {
        app: Arc::clone(&app),
        identity: Arc::clone(&identity),
        parameters,
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers: head.headers,
        body: received.bytes.clone(),
        incoming,
        operation,
        precondition: conditions.0,
        known: conditions.1,
    };
    let work = on_behalf(who, (route.run)(call));
    if route.endless {
        return work.await;
    }
    let answer = timeout_at(deadline, work).await.unwrap_or_else(|_| {
        let detail = "the request took too long; what it asked for may have happened";
        let problem = Problem::new(503, "timeout", detail);
        Err(Box::new(problem.with("outcome", "unknown")))
    });
    answer.inspect_err(|problem| count_untold(&app, route, &identity, problem))
}

/// Counts a refusal of which no part tells.
fn count_untold(app: &App, route: &Route, identity: &Identity, problem: &Problem) {
    let mut untold = codes::UNTOLD.iter();
    let code = untold.find(|code| **code == problem.code());
    if let (Some(code), Some(tenant)) = (code, identity.tenant()) {
        app.engine.activity().refused(tenant, route.name, code);
    }
}

/// Who asks, if they may.
async fn identify(
    app: &App,
    route: &Route,
    headers: &HeaderMap,
    id: &RequestId,
) -> Result<Arc<Identity>, Refused> {
    if matches!(route.access, Access::Open | Access::Wake) {
        return Ok(Arc::new(Identity::nobody()));
    }
    let identity = app.auth.identify(headers).await?;
    check(route, &identity).inspect_err(|problem| tell(app, route, &identity, id, problem))?;
    Ok(identity)
}

/// Tells the audit of somebody who was let in and not to this. Whoever is not
/// let in at all is counted and not told: anybody could fill the store.
fn tell(app: &App, route: &Route, identity: &Identity, id: &RequestId, problem: &Problem) {
    let (now, chain) = (app.env.now(), Chain::of(identity.tenant()));
    let code = match problem.code() {
        "scope_not_allowed" => "scope_not_allowed",
        _ => "verb_missing",
    };
    let mut event = AuditEvent::new(now, chain, "access.refused")
        .about("route", &route.name)
        .refused(code);
    let who = identity.who(id);
    if let Some(tenant) = identity.tenant() {
        app.engine.activity().refused(tenant, route.name, code);
    }
    event.principal = who.principal.map(|principal| principal.as_str().to_owned());
    (event.key, event.request) = (who.key, who.request);
    app.engine.audit().tell(event);
}

/// Refuses what a credential is not for.
fn check(route: &Route, identity: &Identity) -> Result<(), Refused> {
    let in_scope = match route.access {
        Access::Tenant(_) => identity.tenant().is_some(),
        Access::Operator(_) => identity.is_operator(),
        Access::Open | Access::Wake | Access::Anyone | Access::Either(_) => true,
    };
    if !in_scope {
        let detail = match route.access {
            Access::Operator(_) => "this needs the credential of an operator",
            _ => "this needs the credential of a tenant",
        };
        return Err(Box::new(Problem::new(403, "scope_not_allowed", detail)));
    }
    match route.access.verb() {
        Some(verb) if !identity.may(verb) => {
            let detail = format!("the credential does not hold `{}`", verb.as_str());
            let problem = Problem::new(403, "verb_missing", &detail);
            Err(Box::new(problem.with("verb", verb.as_str())))
        }
        _ => Ok(()),
    }
}

fn operation(route: &Route, headers: &HeaderMap) -> Result<Option<OperationId>, Refused> {
    let Some(text) = single(headers, &IDEMPOTENCY_KEY)? else {
        return Ok(None);
    };
    if !route.operation {
        return Err(unsupported("Idempotency-Key"));
    }
    parse_id("Idempotency-Key", text).map(Some)
}

/// The conditions a request carries, and the tag it knows already.
fn conditions(
    route: &Route,
    headers: &HeaderMap,
) -> Result<(Precondition, Option<String>), Refused> {
    let Preconditions {
        if_match,
        if_absent,
        if_changed,
    } = route.preconditions;
    if headers.contains_key(header::IF_UNMODIFIED_SINCE) {
        return Err(unsupported("If-Unmodified-Since"));
    }
    let mut precondition = Precondition::None;
    if let Some(text) = single(headers, &header::IF_MATCH)? {
        if !if_match {
            return Err(unsupported("If-Match"));
        }
        let bare = text
            .strip_prefix('"')
            .and_then(|text| text.strip_suffix('"'));
        let version = bare.and_then(|text| text.parse().ok());
        let said = version.filter(|version| tag_text(version) == text);
        precondition = Precondition::Version(said.ok_or_else(|| unsupported("If-Match"))?);
    }
    let Some(text) = single(headers, &header::IF_NONE_MATCH)? else {
        return Ok((precondition, None));
    };
    match (if_absent, if_changed) {
        (true, _) if text == "*" && precondition == Precondition::None => {
            Ok((Precondition::Absent, None))
        }
        (false, true) => Ok((precondition, Some(text.to_owned()))),
        _ => Err(unsupported("If-None-Match")),
    }
}

/// The one value of a header that may be there once.
fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Refused> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => match value.to_str() {
            Ok(text) => Ok(Some(text)),
            Err(_) => Err(unsupported(name.as_str())),
        },
        _ => Err(unsupported(name.as_str())),
    }
}

fn unsupported(name: &str) -> Refused {
    let detail = format!("`{name}` cannot be honoured here in this form");
    let problem = Problem::new(400, "precondition_not_supported", &detail);
    Box::new(problem.with("header", name))
}
