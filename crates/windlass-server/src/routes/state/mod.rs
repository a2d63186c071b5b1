//! The state of a session: what it is, how it came to be, and its next
//! commit.

mod attach;
mod change;
mod content;
mod read;
mod request;
mod turn;

use windlass::checkpoint::{At, Caller, Checkpoints};
use windlass::core::{Millis, SessionId};
use windlass::session::Status;

use crate::call::Call;
use crate::problem::{Problem, Refused};
use crate::route::Route;

const TAG: &str = "state";

/// Most that a page can hold.
const LIMIT_MAX: u64 = windlass_client::page::LIMIT_MAX;

pub(super) fn routes() -> Vec<Route> {
    let mut routes = read::routes();
    routes.extend(content::routes());
    routes.extend(change::routes());
    routes.extend(turn::routes());
    routes.extend(attach::routes());
    routes
}

/// The session a request is about, which the caller may see.
struct Of {
    caller: Caller,
    session: SessionId,
    status: Status,
    expires_at: Millis,
}

/// The session in the path.
async fn of(call: &Call) -> Result<Of, Refused> {
    within_reach(call, call.id("session")?).await
}

async fn within_reach(call: &Call, session: SessionId) -> Result<Of, Refused> {
    let caller = call.caller()?;
    let found = call.app.engine.sessions().get(&caller, &session).await?;
    let found = found.ok_or_else(absent)?;
    Ok(Of {
        caller: Caller::new(caller.tenant, caller.principal),
        session,
        status: found.status,
        expires_at: found.expires_at,
    })
}

fn states(call: &Call) -> &Checkpoints {
    call.app.engine.checkpoints()
}

fn absent() -> Refused {
    Box::new(Problem::not_found())
}

fn invalid(field: &'static str, detail: &str) -> Refused {
    let problem = Problem::new(400, "invalid_request", detail);
    Box::new(problem.with("field", field))
}

/// Which state is meant: `head`, a revision, or `tag:` and a name.
fn at(field: &'static str, text: Option<&str>) -> Result<At, Refused> {
    let Some(text) = text.filter(|text| *text != "head") else {
        return Ok(At::Head);
    };
    if let Some(tag) = text.strip_prefix("tag:") {
        return Ok(At::Tag(tag.parse()?));
    }
    // `+1` would be read as 1.
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    let revision = text.parse().ok().filter(|_| is_number);
    revision.map(At::Revision).ok_or_else(|| {
        let detail = format!("`{field}` is `head`, a revision, or `tag:` and the name of a tag");
        invalid(field, &detail)
    })
}

/// Entries of a page.
fn limit(asked: Option<u64>) -> Result<usize, Refused> {
    let limit = super::limit(asked);
    match asked {
        Some(asked) if !(1..=LIMIT_MAX).contains(&asked) => {
            let detail = format!("`limit` is {asked}; 1 to {LIMIT_MAX} are allowed");
            Err(invalid("limit", &detail))
        }
        _ => Ok(limit),
    }
}
