//! The queues of sessions: their lines of work, claims of it, and the leases
//! of sessions.

mod answer;
mod change;
mod claims;
mod lease;
mod read;
mod request;

use windlass::core::{OperationId, OwnerId, SessionId};
use windlass::queue::{Caller, Queue, QueueError, Under, WorkId};
use windlass::session::Caller as SessionCaller;
use windlass_client::queue as wire;

pub(super) use answer::worked;
pub(super) use request::{settle, work};

use crate::call::{Call, parse_id};
use crate::problem::{Problem, Refused};
use crate::route::Route;

const TAG: &str = "queue";

pub(super) fn routes() -> Vec<Route> {
    let mut routes = change::routes();
    routes.extend(read::routes());
    routes.extend(claims::routes());
    routes.extend(lease::routes());
    routes
}

/// The session a request is about, which the caller may see.
struct Of {
    caller: Caller,
    session: SessionId,
}

impl Of {
    /// What a change carries: its operation id, and the lease that has to be
    /// held for it.
    async fn under(&self, call: &Call, lease: Option<&wire::HeldLease>) -> Result<Under, Refused> {
        let bound = match lease {
            None => None,
            Some(held) => Some(
                held_lease(call, &self.caller, &self.session, held)
                    .await?
                    .bound(),
            ),
        };
        Ok(Under {
            operation: call.operation.clone(),
            bound,
        })
    }
}

/// The lease that a request says is held.
pub(super) async fn held_lease(
    call: &Call,
    caller: &Caller,
    session: &SessionId,
    held: &wire::HeldLease,
) -> Result<windlass::queue::Lease, Refused> {
    let owner: OwnerId = parse_id("owner", &held.owner)?;
    let lease = queue(call).held_lease(caller, session, &owner, held.generation);
    Ok(lease.await?)
}

/// The session in the path.
async fn of(call: &Call) -> Result<Of, Refused> {
    let session = call.id("session")?;
    let caller = call.caller()?;
    check_reach(call, &caller, &session).await?;
    Ok(Of {
        caller: caller_of(caller),
        session,
    })
}

/// What is out of the caller's reach answers as what is not there.
pub(super) async fn check_reach(
    call: &Call,
    caller: &SessionCaller,
    session: &SessionId,
) -> Result<(), Refused> {
    match is_in_reach(call, caller, session).await? {
        true => Ok(()),
        false => Err(Box::new(Problem::not_found())),
    }
}

async fn is_in_reach(
    call: &Call,
    caller: &SessionCaller,
    session: &SessionId,
) -> Result<bool, Refused> {
    let found = call.app.engine.sessions().get(caller, session).await?;
    Ok(found.is_some())
}

fn caller_of(caller: SessionCaller) -> Caller {
    Caller::new(caller.tenant, caller.principal)
}

fn queue(call: &Call) -> &Queue {
    call.app.engine.queue()
}

/// The operation id alone.
const fn under_operation(operation: Option<OperationId>) -> Under {
    Under {
        operation,
        bound: None,
    }
}

/// The work in the path. What is no name of work names nothing.
fn work_id(call: &Call) -> Result<WorkId, Refused> {
    let id = call.text("work").parse();
    id.map_err(|_: QueueError| Box::new(Problem::not_found()))
}

pub(super) fn invalid(field: &'static str, detail: &str) -> Refused {
    let problem = Problem::new(400, "invalid_request", detail);
    Box::new(problem.with("field", field))
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
