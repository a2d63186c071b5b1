//! Sessions: made, used, read and ended.

use std::fmt::{self, Display};

use axum::http::StatusCode;
use serde_json::json;
use windlass::access::Verb;
use windlass::core::{Millis, OperationId};
use windlass::session::{
    Agent, Caller, ListQuery, Name, Outcome, Problem as Flaw, Session, SessionError, Settle,
    Status, TopUp, TreeQuery, Use, UseItem,
};
use windlass::{Admission, AdmitError};
use windlass_client::page::Order;
use windlass_client::session as wire;

use super::{create, limit, position, settled};
use crate::call::{Call, Reply, parse_id, tag_text};
use crate::problem::{Problem, Refused};
use crate::route::{Access, Preconditions, Route};

const TAG: &str = "sessions";

/// Refusals of a use, beside those of its session.
pub(super) const OF_USE: &[&str] = &[
    "agent_mismatch",
    "already_closed",
    "expired",
    "budget_exceeded",
    "tool_not_allowed",
    "credential_not_allowed",
    "sensitivity_exceeded",
    "rate_limited",
    "too_many_reservations",
];

/// Refusals of a creation.
const OF_CREATION: &[&str] = &[
    "already_exists",
    "too_many_sessions",
    "tenant_quota_exceeded",
];

pub(super) fn routes() -> Vec<Route> {
    let mut routes = births();
    routes.extend(changes());
    routes.extend(readings());
    routes
}

fn births() -> Vec<Route> {
    vec![
        Route::post("/v1/sessions", "create_session", |call| {
            Box::pin(create(call))
        })
        .about(TAG, "Creates a session under its agent's cap")
        .access(Access::Tenant(Verb::SessionCreate))
        .serves(&["Sessions::create_under_cap"])
        .takes::<wire::CreateSession>()
        .answers::<wire::Session>(201, "The session")
        .tagged()
        .located()
        .fails(OF_CREATION),
        Route::post("/v1/sessions/{session}/children", "delegate", |call| {
            Box::pin(delegate(call))
        })
        .about(TAG, "Creates a session within another one, never wider")
        .access(Access::Tenant(Verb::SessionCreate))
        .serves(&["Sessions::delegate_under_cap"])
        .takes::<wire::Delegate>()
        .answers::<wire::Session>(201, "The new session")
        .tagged()
        .located()
        .fails(OF_CREATION)
        .fails(&[
            "agent_mismatch",
            "already_closed",
            "expired",
            "delegation_refused",
        ]),
    ]
}

fn changes() -> Vec<Route> {
    vec![
        Route::post("/v1/sessions/{session}/uses", "use_tools", |call| {
            Box::pin(use_tools(call))
        })
        .about(
            TAG,
            "Authorises and charges tool calls, all of them or none",
        )
        .access(Access::Tenant(Verb::SessionUse))
        .serves(&["Sessions::use_tools"])
        .takes::<wire::UseTools>()
        .answers::<wire::Receipt>(200, "The receipt, given once the use is durable")
        .fails(OF_USE),
        Route::post(
            "/v1/sessions/{session}/calls/{call}/settle",
            "settle",
            |call| Box::pin(settle(call)),
        )
        .about(
            TAG,
            "Replaces the estimate of a reserved call by what it cost, or gives it back",
        )
        .access(Access::Tenant(Verb::SessionUse))
        .serves(&["Sessions::settle"])
        .takes::<wire::Settle>()
        .answers::<wire::Left>(200, "What is left")
        .fails(&["agent_mismatch", "reservation_not_found"]),
        Route::post("/v1/sessions/{session}/top-up", "top_up", |call| {
            Box::pin(top_up(call))
        })
        .about(TAG, "Raises the budget of an active session")
        .access(Access::Tenant(Verb::SessionManage))
        .serves(&["Sessions::top_up"])
        .takes::<wire::TopUp>()
        .answers::<wire::Session>(200, "The session")
        .tagged()
        .fails(&["already_closed", "expired"]),
        Route::post("/v1/sessions/{session}/close", "close_session", |call| {
            Box::pin(close(call))
        })
        .about(
            TAG,
            "Closes a session, and with it whatever was delegated by it",
        )
        .access(Access::Tenant(Verb::SessionManage))
        .serves(&["Sessions::close"])
        .answers::<wire::Session>(200, "The session as it ended")
        .tagged()
        .fails(&["already_closed"]),
    ]
}

fn readings() -> Vec<Route> {
    vec![
        Route::get("/v1/sessions", "list_sessions", |call| Box::pin(list(call)))
            .about(TAG, "Lists sessions by their time of creation")
            .access(Access::Tenant(Verb::SessionRead))
            .serves(&["Sessions::list"])
            .query::<wire::ListSessions>()
            .answers::<wire::SessionPage>(200, "A page")
            .fails(&["cursor_invalid", "invalid_id", "invalid_request"]),
        Route::get("/v1/sessions/{session}", "get_session", |call| Box::pin(get(call)))
            .about(TAG, "Shows a session as it is stored now")
            .access(Access::Tenant(Verb::SessionRead))
            .serves(&["Sessions::get"])
            .answers::<wire::Session>(200, "The session")
            .tagged()
            .sends(304, None, "The session has the revision that is known already")
            .tagged()
            .honours(Preconditions {
                if_changed: true,
                ..Preconditions::default()
            }),
        Route::get("/v1/sessions/{session}/tree", "get_tree", |call| Box::pin(tree(call)))
            .about(TAG, "Shows a session and all that hangs below it")
            .access(Access::Tenant(Verb::SessionRead))
            .serves(&["Sessions::tree"])
            .query::<windlass_client::page::PageQuery>()
            .answers::<wire::TreePage>(200, "A page, each session before its children")
            .fails(&["cursor_invalid", "invalid_request"]),
        Route::get("/v1/sessions/{session}/events", "get_events", |call| {
            Box::pin(events(call))
        })
        .about(TAG, "Shows, or follows, the recorded changes of a session")
        .access(Access::Tenant(Verb::SessionRead))
        .serves(&["Sessions::history", "Windlass::session_changes"])
        .query::<wire::EventsQuery>()
        .answers::<wire::HistoryPage>(200, "A part of the history; with `Accept: text/event-stream` all of it, and what is to come")
        .sends(200, Some("text/event-stream"), "")
        .endless()
        .fails(&["invalid_request", "too_many_streams"]),
    ]
}

/// A cap that a client asks for never raises the configured one.
fn lower_cap(call: &Call, asked: Option<u64>) -> Option<u64> {
    asked.map(|cap| cap.min(call.app.engine.sessions().cap()))
}

/// The place of one more session within the tenant's quota. `None` for a
/// creation that was done before under its operation id, which takes none:
/// `probe`, the same creation under a cap of nothing, creates nothing and
/// conflicts with what the id was used for.
async fn admitted(
    call: &Call,
    caller: &Caller,
    probe: impl Future<Output = Result<Session, SessionError>>,
) -> Result<Option<Admission>, Refused> {
    match call.app.engine.admit_session(&caller.tenant).await {
        Ok(admitted) => Ok(Some(admitted)),
        Err(refused @ AdmitError::TenantQuotaExceeded { .. }) if call.operation.is_some() => {
            match probe.await {
                Err(SessionError::OperationConflict) => Ok(None),
                _ => Err(refused.into()),
            }
        }
        Err(error) => Err(error.into()),
    }
}

fn created(session: &Session) -> Reply {
    Reply::json(session)
        .status(StatusCode::CREATED)
        .tag(tag_of(session))
        .location(format!("/v1/sessions/{}", session.id))
}

/// Its revision, and when it was created: an id that is used again after a
/// removal begins with the first revision once more.
fn tag_of(session: &Session) -> impl Display {
    let (revision, created_ms) = (session.revision, session.created_at.get());
    fmt::from_fn(move |f| write!(f, "{revision}-{created_ms}"))
}

fn shown(session: &Session) -> Reply {
    Reply::json(session).tag(tag_of(session))
}

async fn create(call: Call) -> Result<Reply, Refused> {
    let caller = call.caller()?;
    let (request, cap) = create::create(call.json()?, call.operation.clone())?;
    let cap = lower_cap(&call, cap);
    let sessions = call.app.engine.sessions();
    let probe = async {
        sessions
            .create_under_cap(&caller, request.clone(), Some(0))
            .await
    };
    let admitted = admitted(&call, &caller, probe).await?;
    let session = sessions.create_under_cap(&caller, request, cap).await;
    let session = settled(admitted, session)?;
    Ok(created(&session))
}

async fn delegate(call: Call) -> Result<Reply, Refused> {
    let caller = call.caller()?;
    let parent = call.id("session")?;
    let (request, cap) = create::delegate(call.json()?, call.operation.clone())?;
    let cap = lower_cap(&call, cap);
    let sessions = call.app.engine.sessions();
    let probe = async {
        let request = request.clone();
        sessions
            .delegate_under_cap(&caller, &parent, request, Some(0))
            .await
    };
    let admitted = admitted(&call, &caller, probe).await?;
    let session = sessions
        .delegate_under_cap(&caller, &parent, request, cap)
        .await;
    let session = settled(admitted, session)?;
    Ok(created(&session))
}

async fn use_tools(call: Call) -> Result<Reply, Refused> {
    let caller = call.caller()?;
    let id = call.id("session")?;
    let request = uses(&call.json()?, call.operation.clone())?;
    let sessions = call.app.engine.sessions();
    let receipt = sessions.use_tools(&caller, &id, request).await?;
    Ok(Reply::json(&receipt))
}

/// Tool calls as they are asked for.
pub(super) fn uses(asked: &wire::UseTools, operation: Option<OperationId>) -> Result<Use, Refused> {
    let items = asked.items.iter().map(item);
    Ok(Use {
        agent: Agent::Is(parse_id("agent", &asked.agent)?),
        items: items.collect::<Result<_, _>>()?,
        operation,
    })
}

/// How a reserved use ended.
pub(super) fn outcome(told: wire::Outcome) -> Outcome {
    match told {
        wire::Outcome::Cost(cost) => Outcome::Cost(create::charge(cost)),
        wire::Outcome::Refund => Outcome::Refund,
    }
}

fn item(asked: &wire::UseItem) -> Result<UseItem, Refused> {
    let mut item = UseItem::new(name("tool", &asked.tool)?);
    let credentials = asked.credentials.iter();
    let credentials = credentials.map(|credential| name("credentials", credential));
    item.credentials = credentials.collect::<Result<_, _>>()?;
    item.sensitivity = asked.sensitivity.map(create::sensitivity);
    item.charge = create::charge(asked.charge.unwrap_or_default());
    item.reserve = asked.reserve;
    Ok(item)
}

fn name(field: &'static str, text: &str) -> Result<Name, Refused> {
    text.parse().map_err(|flaw: Flaw| {
        let detail = format!("`{field}` {flaw}");
        Box::new(Problem::new(400, "invalid_request", &detail).with("field", field))
    })
}

async fn settle(call: Call) -> Result<Reply, Refused> {
    let caller = call.caller()?;
    let id = call.id("session")?;
    let number = call.text("call").parse().map_err(|_| Problem::not_found());
    let asked: wire::Settle = call.json()?;
    let request = Settle {
        agent: Agent::Is(parse_id("agent", &asked.agent)?),
        call: number.map_err(Box::new)?,
        outcome: outcome(asked.outcome),
        operation: call.operation.clone(),
    };
    let left = call
        .app
        .engine
        .sessions()
        .settle(&caller, &id, request)
        .await?;
    Ok(Reply::json(&left))
}

async fn top_up(call: Call) -> Result<Reply, Refused> {
    let caller = call.caller()?;
    let id = call.id("session")?;
    let asked: wire::TopUp = call.json()?;
    let request = TopUp {
        calls: asked.calls,
        tokens: asked.tokens,
        cost_micros: asked.cost_micros,
        operation: call.operation.clone(),
    };
    let session = call
        .app
        .engine
        .sessions()
        .top_up(&caller, &id, request)
        .await?;
    Ok(shown(&session))
}

async fn close(call: Call) -> Result<Reply, Refused> {
    let caller = call.caller()?;
    let id = call.id("session")?;
    let sessions = call.app.engine.sessions();
    let session = sessions.close(&caller, &id, call.operation.clone()).await?;
    Ok(shown(&session))
}

async fn get(call: Call) -> Result<Reply, Refused> {
    let caller = call.caller()?;
    let id = call.id("session")?;
    let found = call.app.engine.sessions().get(&caller, &id).await?;
    let session = found.ok_or_else(|| Box::new(Problem::not_found()))?;
    // A status can change without a revision, by time or by what is above:
    // only of one that was closed itself it never does.
    let known = call.known.as_deref();
    let is_known = known.is_some_and(|known| known == tag_text(tag_of(&session)));
    let is_final = session.status == Status::Closed && session.ended_through.is_none();
    if is_known && is_final {
        return Ok(Reply::not_modified(tag_of(&session)));
    }
    Ok(shown(&session))
}

/// What a cursor of a listing is bound to: the listing, who asked, and every
/// filter.
fn listing(call: &Call, name: &str, filters: &[String]) -> Result<Vec<String>, Refused> {
    let caller = call.caller()?;
    let mut listing = vec![
        name.to_owned(),
        caller.tenant.to_string(),
        caller.principal.to_string(),
        format!("{:?}", call.identity.grant.reach),
    ];
    listing.extend_from_slice(filters);
    Ok(listing)
}

async fn list(call: Call) -> Result<Reply, Refused> {
    let caller = call.caller()?;
    let asked: wire::ListSessions = call.query()?;
    let filters = [
        asked.agent.clone().unwrap_or_default(),
        format!("{:?}", asked.status),
        format!("{:?}", asked.created_from),
        format!("{:?}", asked.created_until),
        format!("{:?}", asked.order),
    ];
    let listing = listing(&call, "sessions", &filters)?;
    let listing: Vec<&str> = listing.iter().map(String::as_str).collect();
    let query = ListQuery {
        agent: asked
            .agent
            .map(|agent| parse_id("agent", &agent))
            .transpose()?,
        status: asked.status.map(|status| match status {
            wire::Status::Active => Status::Active,
            wire::Status::Closed => Status::Closed,
            wire::Status::Expired => Status::Expired,
        }),
        created_from: Millis::new(asked.created_from.unwrap_or(0)),
        created_until: Millis::new(asked.created_until.unwrap_or(u64::MAX)),
        newest_first: asked.order == Some(Order::Newest),
        limit: limit(asked.limit),
        after: position(&call, &listing, asked.cursor.as_deref())?,
    };
    let page = call.app.engine.sessions().list(&caller, &query).await?;
    let next = page
        .next
        .map(|next| call.app.seal.close(&listing, &next.to_string()));
    Ok(Reply::json(&json!({
        "sessions": page.sessions,
        "next_cursor": next,
        "unreadable": page.unreadable,
    })))
}

async fn tree(call: Call) -> Result<Reply, Refused> {
    let caller = call.caller()?;
    let root = call.id("session")?;
    let asked: windlass_client::page::PageQuery = call.query()?;
    let listing = listing(&call, "tree", &[call.text("session").to_owned()])?;
    let listing: Vec<&str> = listing.iter().map(String::as_str).collect();
    let query = TreeQuery {
        limit: limit(asked.limit),
        after: position(&call, &listing, asked.cursor.as_deref())?,
    };
    let found = call
        .app
        .engine
        .sessions()
        .tree(&caller, &root, &query)
        .await?;
    let page = found.ok_or_else(|| Box::new(Problem::not_found()))?;
    let next = page
        .next
        .map(|next| call.app.seal.close(&listing, &next.to_string()));
    Ok(Reply::json(&json!({
        "nodes": page.nodes,
        "next_cursor": next,
        "unreadable": page.unreadable,
    })))
}

async fn events(call: Call) -> Result<Reply, Refused> {
    let caller = call.caller()?;
    let id = call.id("session")?;
    let asked: wire::EventsQuery = call.query()?;
    if crate::events::wants_stream(&call.headers) {
        return crate::events::follow(call, caller, id, asked.after).await;
    }
    let sessions = call.app.engine.sessions();
    let after = asked.after.unwrap_or(0);
    let found = sessions
        .history(&caller, &id, after, limit(asked.limit))
        .await?;
    let page = found.ok_or_else(|| Box::new(Problem::not_found()))?;
    Ok(Reply::json(
        &json!({ "events": page.events, "more": page.more }),
    ))
}
