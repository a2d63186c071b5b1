//! What is going on in a tenant: read here, judged by the rules beside it.
//!
//! What is looked at is bounded, whatever there is: where it does not reach
//! the end, the answer says so.

use std::collections::HashSet;

use windlass::access::Verb;
use windlass::activity::TenantActivity;
use windlass::core::{Millis, PrincipalId, SessionId, TenantId};
use windlass::queue;
use windlass::session::{Caller, Session, SessionError, Status};
use windlass_client::console as wire;

use super::judge;
use crate::app::App;
use crate::auth::Identity;
use crate::problem::Refused;

/// Sessions shown.
const RUNNING_MAX: usize = 20;
/// Sessions read to find these.
const READS_MAX: usize = 64;
/// Agents and active sessions counted.
const ROWS_MAX: usize = 2_000;
/// Sessions whose queues are looked at.
const QUEUES_MAX: usize = 200;
/// Things shown that are stuck.
const STUCK_MAX: usize = 50;

/// In whose name it is looked, which reads leave no trace of.
fn looker() -> PrincipalId {
    "console".parse().expect("a word is an identifier")
}

/// Looks at what is going on in `tenant`, all of it.
pub(super) async fn look(app: &App, tenant: &TenantId) -> Result<wire::TenantOverview, Refused> {
    let now = app.env.now();
    let heard = app.engine.activity().of(tenant);
    let tally = app.engine.sessions().tally(tenant, ROWS_MAX).await?;
    let running = running(app, tenant, &heard, &tally.some).await?;
    let (work, mut stuck) = work(app, tenant, now).await?;
    let shown = running.iter();
    let shown: Vec<_> = shown
        .map(|(session, uses)| judge::running(session, *uses, now))
        .collect();
    stuck.extend(shown.iter().flat_map(judge::nearly_over));
    stuck.truncate(STUCK_MAX);
    Ok(wire::TenantOverview {
        at: now.get(),
        started_at: app.console.started_at.get(),
        counted: wire::ProcessCounts {
            uses: heard.counted.uses,
            refused: heard.counted.refused,
        },
        sessions: wire::SessionCounts {
            active: tally.active,
            stored: tally.stored,
            at_least: tally.more,
        },
        running: shown,
        refused: heard.refused.into_iter().map(judge::refused).collect(),
        work: Some(work),
        streams: Some(reads(app, tenant)),
        stuck,
    })
}

/// Whether all of an overview is for whoever asks.
pub(super) fn may_see_all(identity: &Identity) -> bool {
    identity.may(Verb::QueueRead) && identity.may(Verb::StreamRead)
}

/// What of an overview is for whoever asks.
pub(super) fn for_verbs(
    mut overview: wire::TenantOverview,
    identity: &Identity,
) -> wire::TenantOverview {
    if !identity.may(Verb::QueueRead) {
        overview.work = None;
        overview.stuck.retain(|one| !judge::is_of_queue(one.kind));
    }
    if !identity.may(Verb::StreamRead) {
        overview.streams = None;
    }
    overview
}

/// Active sessions, with the calls that each was granted: those heard of last
/// first, then others.
async fn running(
    app: &App,
    tenant: &TenantId,
    heard: &TenantActivity,
    others: &[SessionId],
) -> Result<Vec<(Session, u64)>, SessionError> {
    let caller = Caller::new(tenant.clone(), looker());
    let recent = heard.sessions.iter();
    let recent = recent.filter_map(|seen| Some((seen.id.parse().ok()?, seen.uses)));
    let others = others.iter().map(|id| (id.clone(), 0));
    let mut seen: HashSet<SessionId> = HashSet::new();
    let mut found = Vec::new();
    for (id, uses) in recent.chain(others) {
        if found.len() >= RUNNING_MAX || seen.len() >= READS_MAX {
            break;
        }
        if !seen.insert(id.clone()) {
            continue;
        }
        match app.engine.sessions().get(&caller, &id).await {
            Ok(Some(session)) if session.status == Status::Active => found.push((session, uses)),
            // One that cannot be read is what a check of the store is for.
            Ok(_) | Err(SessionError::Corrupt { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

async fn work(
    app: &App,
    tenant: &TenantId,
    now: Millis,
) -> Result<(wire::WorkCounts, Vec<wire::Stuck>), Refused> {
    let caller = queue::Caller::new(tenant.clone(), looker());
    let page = app.engine.queue().overview(&caller, None, QUEUES_MAX);
    let page = page.await?;
    let mut all = wire::WorkCounts {
        sessions: u64::try_from(page.sessions.len()).unwrap_or(u64::MAX),
        at_least: page.next.is_some(),
        ..wire::WorkCounts::default()
    };
    let mut stuck = Vec::new();
    for (session, counts) in page.sessions {
        judge::add(&mut all, &counts, now);
        stuck.extend(judge::stuck_work(&session, &counts, now));
    }
    Ok((all, stuck))
}

/// Reads of the tenant's streams in this process.
fn reads(app: &App, tenant: &TenantId) -> wire::ReadCounts {
    let streams = app.engine.streams();
    let by = streams.occupancy().by.into_iter();
    let own = by.filter(|(caller, _)| caller.tenant == *tenant);
    let reading: usize = own.map(|(_, count)| count).sum();
    let most = streams.settings().streams_max;
    wire::ReadCounts {
        reading: u64::try_from(reading).unwrap_or(u64::MAX),
        reading_max: u64::try_from(most).unwrap_or(u64::MAX),
    }
}
