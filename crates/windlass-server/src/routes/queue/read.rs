//! Looking at queues.

use windlass::access::Verb;
use windlass::core::SessionId;
use windlass::queue::{ListQuery, QueueError, State, WorkId};
use windlass_client::page::PageQuery;
use windlass_client::queue as wire;
use windlass_client::session::Unreadable;

use super::answer::{counts, listed};
use super::{TAG, caller_of, is_in_reach, listing, of, queue, work_id};
use crate::call::{Call, Reply};
use crate::problem::Refused;
use crate::route::{Access, Route};
use crate::routes::{limit, position};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/v1/queue", "list_queues", |call| Box::pin(overview(call)))
            .about(
                TAG,
                "Lists the sessions that have queues, and how much work each has",
            )
            .access(Access::Tenant(Verb::QueueRead))
            .serves(&["Queue::overview"])
            .query::<PageQuery>()
            .answers::<wire::Overview>(200, "A page, by name; those out of reach are left out")
            .fails(&["cursor_invalid", "invalid_request"]),
        Route::get("/v1/sessions/{session}/work", "list_work", |call| {
            Box::pin(list(call))
        })
        .about(TAG, "Lists a session's work in the order of its line")
        .access(Access::Tenant(Verb::QueueRead))
        .serves(&["Queue::list"])
        .query::<wire::WorkQuery>()
        .answers::<wire::WorkPage>(200, "A page")
        .fails(&["cursor_invalid", "invalid_request"]),
        Route::get("/v1/sessions/{session}/work/counts", "count_work", |call| {
            Box::pin(count(call))
        })
        .about(TAG, "Counts a session's work")
        .access(Access::Tenant(Verb::QueueRead))
        .serves(&["Queue::counts"])
        .answers::<wire::Counts>(200, "The counts"),
        Route::get("/v1/sessions/{session}/work/{work}", "get_work", |call| {
            Box::pin(peek(call))
        })
        .about(TAG, "Shows work with its payloads, in whatever state")
        .access(Access::Tenant(Verb::QueueRead))
        .serves(&["Queue::peek"])
        .answers::<wire::WorkItem>(200, "The work")
        .fails(&["work_not_found"]),
    ]
}

async fn overview(call: Call) -> Result<Reply, Refused> {
    let asked: PageQuery = call.query()?;
    let caller = call.caller()?;
    let listing = listing(&call, "queues", &[])?;
    let listing: Vec<&str> = listing.iter().map(String::as_str).collect();
    let after: Option<SessionId> = position(&call, &listing, asked.cursor.as_deref())?;
    let of_queue = caller_of(caller.clone());
    let page = queue(&call).overview(&of_queue, after.as_ref(), limit(asked.limit));
    let page = page.await?;
    let mut shown = wire::Overview {
        next_cursor: page
            .next
            .map(|next| call.app.seal.close(&listing, next.as_str())),
        ..wire::Overview::default()
    };
    for (session, found) in page.sessions {
        if is_in_reach(&call, &caller, &session).await? {
            shown.sessions.push(wire::OverviewEntry {
                session: session.to_string(),
                counts: counts(found),
            });
        }
    }
    for (session, why) in page.unreadable {
        if is_in_reach(&call, &caller, &session).await? {
            let id = session.to_string();
            shown.unreadable.push(Unreadable { id, why });
        }
    }
    Ok(Reply::json(&shown))
}

async fn list(call: Call) -> Result<Reply, Refused> {
    let asked: wire::WorkQuery = call.query()?;
    let of = of(&call).await?;
    let filters = [
        call.text("session").to_owned(),
        format!("{:?}", asked.state),
    ];
    let listing = listing(&call, "work", &filters)?;
    let listing: Vec<&str> = listing.iter().map(String::as_str).collect();
    let after: Option<WorkId> = position(&call, &listing, asked.cursor.as_deref())?;
    let query = ListQuery {
        state: match asked.state.unwrap_or_default() {
            wire::WorkState::Pending => State::Pending,
            wire::WorkState::Claimed => State::Claimed,
            wire::WorkState::Dead => State::Dead,
        },
        after,
        limit: limit(asked.limit),
        payloads: asked.payloads.unwrap_or(false),
    };
    let page = queue(&call).list(&of.caller, &of.session, &query).await?;
    let work = page.work.into_iter();
    let next = page.next.map(|next| next.to_string());
    Ok(Reply::json(&wire::WorkPage {
        work: work.map(|work| listed(work, query.payloads)).collect(),
        next_cursor: next.map(|next| call.app.seal.close(&listing, &next)),
        unreadable: page.unreadable,
    }))
}

async fn peek(call: Call) -> Result<Reply, Refused> {
    let of = of(&call).await?;
    let id = work_id(&call)?;
    let found = queue(&call).peek(&of.caller, &of.session, id).await?;
    let work = found.ok_or(QueueError::NotFound { id })?;
    Ok(Reply::json(&listed(work, true)))
}

async fn count(call: Call) -> Result<Reply, Refused> {
    let of = of(&call).await?;
    let found = queue(&call).counts(&of.caller, &of.session).await?;
    Ok(Reply::json(&counts(found)))
}
