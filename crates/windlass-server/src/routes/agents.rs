//! Agents: what of theirs is active, and ending all of it.

use windlass::access::Verb;
use windlass::core::AgentId;
use windlass_client::session as wire;

use crate::call::{Call, Reply};
use crate::problem::{Problem, Refused};
use crate::route::{Access, Route};

const TAG: &str = "agents";

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/v1/agents/{agent}", "count_active", |call| {
            Box::pin(count(call))
        })
        .about(TAG, "Counts the active sessions of an agent")
        .access(Access::Tenant(Verb::SessionRead))
        .serves(&["Sessions::count_active"])
        .answers::<wire::ActiveCount>(200, "How many there are"),
        Route::post("/v1/agents/{agent}/close", "close_agent", |call| Box::pin(close(call)))
            .about(TAG, "Closes the active sessions of an agent; can be repeated")
            .access(Access::Tenant(Verb::SessionManage))
            .serves(&["Sessions::close_agent"])
            .answers::<wire::Closed>(200, "How many were closed now")
            // Asked again it closes what is active then.
            .without_operation(),
    ]
}

async fn count(call: Call) -> Result<Reply, Refused> {
    let caller = call.caller()?;
    let agent: AgentId = call.id("agent")?;
    let active = call
        .app
        .engine
        .sessions()
        .count_active(&caller, &agent)
        .await?;
    Ok(Reply::json(&wire::ActiveCount {
        agent: agent.to_string(),
        active,
    }))
}

async fn close(call: Call) -> Result<Reply, Refused> {
    let caller = call.caller()?;
    let agent: AgentId = call.id("agent")?;
    let sessions = call.app.engine.sessions();
    match sessions.close_agent(&caller, &agent).await {
        Ok(closed) => Ok(Reply::json(&wire::Closed { closed })),
        Err(error) => {
            let problem: Refused = error.cause.into();
            let problem: Problem = *problem;
            Err(Box::new(problem.with("closed", error.closed)))
        }
    }
}
