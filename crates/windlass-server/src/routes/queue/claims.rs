//! Claims: work in the hands of whoever does it.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use windlass::access::{Reach, Verb};
use windlass::core::SessionId;
use windlass::queue::{Ask, Caller, Claim, Under};
use windlass_client::queue as wire;

use super::answer::{claim, settled};
use super::request::{ask, settle};
use super::{TAG, caller_of, invalid, of, queue, under_operation};
use crate::call::{Call, Reply};
use crate::problem::{Problem, Refused};
use crate::route::{Access, Route};

/// Refusals of whatever is done with a claim.
const OF_CLAIM: &[&str] = &["claim_expired", "lease_lost"];

pub(super) fn routes() -> Vec<Route> {
    let mut routes = claiming();
    routes.extend(holding());
    routes
}

fn claiming() -> Vec<Route> {
    vec![
        Route::post("/v1/sessions/{session}/claims", "claim_work", |call| {
            Box::pin(claim_one(call))
        })
        .about(
            TAG,
            "Takes the head of a session's line, and waits for it if asked to",
        )
        .access(Access::Tenant(Verb::QueueWork))
        .serves(&["Queue::claim", "Queue::wait", "Queue::next"])
        .takes::<wire::ClaimWork>()
        .answers::<wire::ClaimAnswer>(200, "The claim, or that there is nothing")
        .fails(OF_CLAIM)
        .endless(),
        Route::post("/v1/claims", "claim_any", |call| Box::pin(claim_any(call)))
            .about(
                TAG,
                "Takes the head of the line of any session of the tenant that has work",
            )
            .access(Access::Tenant(Verb::QueueWork))
            .serves(&["Queue::claim_any"])
            .takes::<wire::ClaimWork>()
            .answers::<wire::ClaimAnswer>(200, "The claim, or that there is nothing")
            .fails(&["claim_expired", "reach_too_narrow"])
            .endless(),
    ]
}

fn holding() -> Vec<Route> {
    vec![
        Route::post(
            "/v1/sessions/{session}/claims/{token}/renew",
            "renew_claim",
            |call| Box::pin(renew(call)),
        )
        .about(TAG, "Holds a claim on")
        .access(Access::Tenant(Verb::QueueWork))
        .serves(&["Queue::renew"])
        .takes::<wire::RenewClaim>()
        .answers::<wire::Renewed>(200, "Until when")
        .fails(OF_CLAIM),
        Route::post(
            "/v1/sessions/{session}/claims/{token}/settle",
            "settle_claim",
            |call| Box::pin(settle_claim(call)),
        )
        .about(
            TAG,
            "Says what became of claimed work, and may claim what stands behind it",
        )
        .access(Access::Tenant(Verb::QueueWork))
        .serves(&["Queue::settle", "Queue::settle_and_claim"])
        .takes::<wire::SettleClaim>()
        .answers::<wire::Settled>(200, "What it did")
        .fails(OF_CLAIM)
        .fails(&["work_not_found"]),
    ]
}

/// What is asked for, and how long it may be waited for.
fn wanted(asked: &wire::ClaimWork) -> Result<(Ask, Duration), Refused> {
    let wait_ms = asked.wait_ms.unwrap_or(0);
    if wait_ms > wire::WAIT_MS_MAX {
        let max = wire::WAIT_MS_MAX;
        let detail = format!("`wait_ms` is {wait_ms}; 0 to {max} are allowed");
        return Err(invalid("wait_ms", &detail));
    }
    let next = wire::NextClaim {
        owner: asked.owner.clone(),
        ttl_ms: asked.ttl_ms,
        boundary: asked.boundary,
        max: asked.max,
    };
    Ok((ask(&next)?, Duration::from_millis(wait_ms)))
}

async fn claim_one(call: Call) -> Result<Reply, Refused> {
    let asked: wire::ClaimWork = call.json()?;
    let (ask, wait) = wanted(&asked)?;
    let of = of(&call).await?;
    let under = of.under(&call, asked.lease.as_ref()).await?;
    let seeking = Seeking {
        caller: of.caller,
        session: Some(of.session),
        ask,
        under,
    };
    seeking.answer(&call, wait).await
}

async fn claim_any(call: Call) -> Result<Reply, Refused> {
    let asked: wire::ClaimWork = call.json()?;
    let (ask, wait) = wanted(&asked)?;
    let caller = call.caller()?;
    if call.identity.grant.reach != Reach::Tenant {
        let detail = "this needs a credential that reaches all sessions of its tenant";
        return Err(Box::new(Problem::new(403, "reach_too_narrow", detail)));
    }
    if asked.lease.is_some() {
        let detail = "`lease` is of one session: claim of that one";
        return Err(invalid("lease", detail));
    }
    let seeking = Seeking {
        caller: caller_of(caller),
        session: None,
        ask,
        under: under_operation(call.operation.clone()),
    };
    seeking.answer(&call, wait).await
}

/// Somebody who wants work.
struct Seeking {
    caller: Caller,
    /// Of any if `None`.
    session: Option<SessionId>,
    ask: Ask,
    under: Under,
}

impl Seeking {
    /// The claim, or that there is nothing. Only the waiting ends at the
    /// deadline: a claim that has begun is answered.
    async fn answer(&self, call: &Call, wait: Duration) -> Result<Reply, Refused> {
        let deadline = Instant::now() + wait;
        let mut stage = call.app.stage.clone();
        loop {
            let found = self.within(call).await?;
            if found.is_some() || call.app.is_draining() || Instant::now() >= deadline {
                return Ok(Reply::json(&wire::ClaimAnswer {
                    claim: found.map(claim),
                }));
            }
            let session = self.session.as_ref();
            let queue = queue(call);
            tokio::select! {
                waited = timeout_at(deadline, queue.wait(&self.caller, session, self.ask.boundary)) => {
                    if let Ok(waited) = waited {
                        waited?;
                    }
                }
                _ = stage.changed() => {}
            }
            // A credential that has ended meanwhile takes nothing.
            let auth = &call.app.auth;
            if !auth.still_holds(&call.headers, &call.identity).await {
                return Err(Box::new(Problem::unauthenticated()));
            }
        }
    }

    /// One attempt, in the time that any request has.
    async fn within(&self, call: &Call) -> Result<Option<Claim>, Refused> {
        let limit = Duration::from_millis(call.app.config.request_ms_max);
        let attempt = tokio::time::timeout(limit, self.attempt(call));
        attempt.await.unwrap_or_else(|_| {
            let detail = "the request took too long; what it asked for may have happened";
            let problem = Problem::new(503, "timeout", detail);
            Err(Box::new(problem.with("outcome", "unknown")))
        })
    }

    async fn attempt(&self, call: &Call) -> Result<Option<Claim>, Refused> {
        let (queue, under) = (queue(call), self.under.clone());
        let claim = match &self.session {
            Some(session) => queue.claim(&self.caller, session, &self.ask, under).await?,
            None => queue.claim_any(&self.caller, &self.ask, under).await?,
        };
        Ok(claim)
    }
}

/// The token in the path. What is none belongs to no claim.
fn token(call: &Call) -> Result<u64, Refused> {
    let token = call.text("token").parse();
    token.map_err(|_| Box::new(Problem::not_found()))
}

async fn renew(call: Call) -> Result<Reply, Refused> {
    let asked: wire::RenewClaim = call.json()?;
    let of = of(&call).await?;
    let token = token(&call)?;
    let under = of.under(&call, asked.lease.as_ref()).await?;
    let until = queue(&call).renew(&of.caller, &of.session, token, asked.ttl_ms, under);
    let until = until.await?.get();
    Ok(Reply::json(&wire::Renewed { until }))
}

async fn settle_claim(call: Call) -> Result<Reply, Refused> {
    let asked: wire::SettleClaim = call.json()?;
    let next = asked.next.as_ref().map(ask).transpose()?;
    let of = of(&call).await?;
    let settle = settle(token(&call)?, &asked)?;
    let under = of.under(&call, asked.lease.as_ref()).await?;
    let (caller, session) = (&of.caller, &of.session);
    let queue = queue(&call);
    let (done, next) = match next {
        None => (queue.settle(caller, session, settle, under).await?, None),
        Some(next) => {
            let both = queue.settle_and_claim(caller, session, settle, &next, under);
            both.await?
        }
    };
    Ok(Reply::json(&settled(done, next)))
}
