//! Changing a line of work: enqueuing, cancelling, and what is done with the
//! dead.

use axum::http::{Method, StatusCode};
use windlass::access::Verb;
use windlass::core::SessionId;
use windlass::queue::WorkId;
use windlass_client::queue as wire;

use super::answer::enqueued;
use super::request::work;
use super::{TAG, caller_of, check_reach, of, queue, under_operation, work_id};
use crate::call::{Call, Reply, parse_id};
use crate::problem::Refused;
use crate::route::{Access, Route};
use crate::routes::stash::VALUE_BYTES_MAX;

pub(super) fn routes() -> Vec<Route> {
    let mut routes = enqueuing();
    routes.extend(single());
    routes
}

fn enqueuing() -> Vec<Route> {
    vec![
        Route::post("/v1/sessions/{session}/work", "enqueue", |call| {
            Box::pin(enqueue(call))
        })
        .about(TAG, "Enqueues work of a session: all of it, or none")
        .access(Access::Tenant(Verb::QueueWrite))
        .serves(&["Queue::enqueue"])
        .takes::<wire::Enqueue>()
        .body_bytes_max(VALUE_BYTES_MAX)
        .answers::<wire::EnqueuedAll>(201, "The work, in its order")
        .fails(&["source_key_conflict", "lease_lost"]),
        Route::post("/v1/work", "enqueue_all", |call| {
            Box::pin(enqueue_all(call))
        })
        .about(TAG, "Enqueues work of several sessions: all of it, or none")
        .access(Access::Tenant(Verb::QueueWrite))
        .serves(&["Queue::enqueue_all"])
        .takes::<wire::EnqueueAll>()
        .body_bytes_max(VALUE_BYTES_MAX)
        .answers::<wire::EnqueuedAll>(201, "The work, in its order")
        .fails(&["not_found", "source_key_conflict"]),
    ]
}

fn single() -> Vec<Route> {
    vec![
        Route::post(
            "/v1/sessions/{session}/work/{work}/cancel",
            "cancel_work",
            |call| Box::pin(cancel(call)),
        )
        .about(TAG, "Removes work that nobody holds, before it is done")
        .access(Access::Tenant(Verb::QueueWrite))
        .serves(&["Queue::cancel"])
        .answers::<wire::WorkNamed>(200, "What was removed")
        .fails(&["work_not_found", "work_claimed"]),
        Route::post(
            "/v1/sessions/{session}/work/{work}/retry",
            "retry_work",
            |call| Box::pin(retry(call)),
        )
        .about(
            TAG,
            "Lets dead work stand in line again, with all its attempts",
        )
        .access(Access::Tenant(Verb::QueueManage))
        .serves(&["Queue::retry"])
        .answers::<wire::WorkNamed>(200, "What is tried again")
        .fails(&["work_not_found"]),
        Route::new(
            Method::DELETE,
            "/v1/sessions/{session}/work/{work}",
            "drop_work",
            |call| Box::pin(drop_dead(call)),
        )
        .about(TAG, "Removes dead work for good")
        .access(Access::Tenant(Verb::QueueManage))
        .serves(&["Queue::drop_dead"])
        .answers::<wire::WorkNamed>(200, "What was removed")
        .fails(&["work_not_found"])
        .with_operation(),
        Route::new(
            Method::DELETE,
            "/v1/sessions/{session}/work",
            "remove_queue",
            |call| Box::pin(remove(call)),
        )
        .about(
            TAG,
            "Removes a session's queue and lease, whatever is in it; can be repeated",
        )
        .access(Access::Tenant(Verb::QueueManage))
        .serves(&["Queue::remove"])
        .answers::<wire::RemovedQueue>(200, "How much that was"),
    ]
}

fn made(all: Vec<windlass::queue::Enqueued>) -> Reply {
    let work = all.into_iter().map(enqueued).collect();
    Reply::json(&wire::EnqueuedAll { work }).status(StatusCode::CREATED)
}

async fn enqueue(call: Call) -> Result<Reply, Refused> {
    let asked: wire::Enqueue = call.json()?;
    let all = asked.work.into_iter().map(work);
    let all = all.collect::<Result<_, _>>()?;
    let of = of(&call).await?;
    let under = of.under(&call, asked.lease.as_ref()).await?;
    let done = queue(&call).enqueue(&of.caller, &of.session, all, under);
    Ok(made(done.await?))
}

async fn enqueue_all(call: Call) -> Result<Reply, Refused> {
    let asked: wire::EnqueueAll = call.json()?;
    let caller = call.caller()?;
    let mut all = Vec::with_capacity(asked.work.len());
    for one in asked.work {
        let session: SessionId = parse_id("session", &one.session)?;
        all.push((session, work(one.work)?));
    }
    // Each session once.
    let mut sessions: Vec<&SessionId> = all.iter().map(|(session, _)| session).collect();
    sessions.sort_unstable();
    sessions.dedup();
    for session in sessions {
        check_reach(&call, &caller, session).await?;
    }
    let under = under_operation(call.operation.clone());
    let caller = caller_of(caller);
    let done = queue(&call).enqueue_all(&caller, all, under);
    Ok(made(done.await?))
}

fn named(id: WorkId) -> Reply {
    Reply::json(&wire::WorkNamed { id: id.to_string() })
}

async fn cancel(call: Call) -> Result<Reply, Refused> {
    let of = of(&call).await?;
    let id = work_id(&call)?;
    let under = under_operation(call.operation.clone());
    queue(&call)
        .cancel(&of.caller, &of.session, id, under)
        .await?;
    Ok(named(id))
}

async fn retry(call: Call) -> Result<Reply, Refused> {
    let of = of(&call).await?;
    let id = work_id(&call)?;
    let under = under_operation(call.operation.clone());
    queue(&call)
        .retry(&of.caller, &of.session, id, under)
        .await?;
    Ok(named(id))
}

async fn drop_dead(call: Call) -> Result<Reply, Refused> {
    let of = of(&call).await?;
    let id = work_id(&call)?;
    let under = under_operation(call.operation.clone());
    queue(&call)
        .drop_dead(&of.caller, &of.session, id, under)
        .await?;
    Ok(named(id))
}

async fn remove(call: Call) -> Result<Reply, Refused> {
    let of = of(&call).await?;
    let removed = queue(&call).remove(&of.caller.tenant, &of.session);
    let rows = removed.await?;
    Ok(Reply::json(&wire::RemovedQueue { rows }))
}
