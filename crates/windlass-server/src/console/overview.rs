//! What is going on in a tenant: read here, judged by the rules beside it.
//!
//! What is looked at is bounded, whatever there is: where it does not reach
//! the end, the answer says so.

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
/// Sessions read to find these among those heard of, which may have ended.
const RECENT_MAX: usize = 44;
/// And among those stored as active.
const OTHERS_MAX: usize = RUNNING_MAX;
/// Agents, active sessions and those above them that are counted.
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
    let tally = app.engine.sessions().tally(tenant, ROWS_MAX).await?;
    let heard = app.engine.activity().of(tenant);
    let running = running(app, tenant, &heard, &tally.some).await?;
    let (work, mut stuck) = work(app, tenant, now).await?;
    let shown = running.iter();
    let shown: Vec<_> = shown
        .map(|(session, uses)| judge::running(session, *uses, now))
        .collect();
    stuck.extend(shown.iter().flat_map(judge::nearly_over));
    stuck.truncate(STUCK_MAX);
    let mut overview = wire::TenantOverview {
        at: now.get(),
        sessions: wire::SessionCounts {
            active: tally.active,
            stored: tally.stored,
            at_least: tally.more || tally.unreadable > 0,
            unreadable: tally.unreadable,
        },
        running: shown,
        work: Some(work),
        stuck,
        ..nothing(app)
    };
    hear(&mut overview, app, tenant);
    Ok(overview)
}

/// What is shown of a tenant that could not be looked at yet: at least nothing.
pub(super) fn nothing(app: &App) -> wire::TenantOverview {
    wire::TenantOverview {
        at: app.env.now().get(),
        failed: None,
        started_at: app.console.started_at.get(),
        counted: wire::ProcessCounts::default(),
        sessions: wire::SessionCounts {
            at_least: true,
            ..wire::SessionCounts::default()
        },
        running: Vec::new(),
        refused: Vec::new(),
        work: None,
        streams: None,
        stuck: Vec::new(),
    }
}

/// Brings what is kept in memory up to date, for which nothing is read.
pub(super) fn hear(overview: &mut wire::TenantOverview, app: &App, tenant: &TenantId) {
    let heard = app.engine.activity().of(tenant);
    overview.counted = wire::ProcessCounts {
        uses: heard.counted.uses,
        refused: heard.counted.refused,
    };
    overview.refused = heard.refused.into_iter().map(judge::refused).collect();
    overview.streams = Some(reads(app, tenant));
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
    let mut found = Vec::new();
    for (id, uses) in candidates(heard, others) {
        if found.len() >= RUNNING_MAX {
            break;
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

/// Sessions to read, and the calls that each was granted. However many of those
/// heard of have ended, some that are stored as active are among them.
fn candidates(heard: &TenantActivity, others: &[SessionId]) -> Vec<(SessionId, u64)> {
    let heard = heard.sessions.iter();
    let heard = heard.filter_map(|seen| Some((seen.id.parse().ok()?, seen.uses)));
    let heard: Vec<(SessionId, u64)> = heard.collect();
    let (recent, older) = heard.split_at(heard.len().min(RECENT_MAX));
    let is_new = |id: &&SessionId| !recent.iter().any(|(known, _)| known == *id);
    let uses_of = |id: &SessionId| {
        let known = older.iter().find(|(known, _)| known == id);
        known.map_or(0, |(_, uses)| *uses)
    };
    let others = others.iter().filter(is_new).take(OTHERS_MAX);
    let others = others.map(|id| (id.clone(), uses_of(id)));
    recent.iter().cloned().chain(others).collect()
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
        at_least: page.next.is_some() || !page.unreadable.is_empty(),
        unreadable: u64::try_from(page.unreadable.len()).unwrap_or(u64::MAX),
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
