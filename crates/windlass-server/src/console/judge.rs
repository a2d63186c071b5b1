//! What of the figures that were read is shown, and what of it counts as
//! stuck: rules without a clock or a store.

use windlass::activity;
use windlass::core::{Millis, SessionId};
use windlass::maintenance::{MaintenanceCounts, TaskCounts};
use windlass::queue::Counts;
use windlass::session::{Reading, Session};
use windlass_client::console as wire;
use windlass_client::console::StuckKind;
use windlass_client::session::{Reading as WireReading, Readings, Status};

/// For how long work may stand in line before it is called stuck, if nobody
/// works.
const WAITING_MS: u64 = 60_000;
/// For how long upkeep may be due.
const OVERDUE_MS: u64 = 3_600_000;
/// The share of something that is nearly nothing.
const LITTLE: f64 = 0.1;

/// A session as it is shown.
pub(super) fn running(session: &Session, uses: u64, now: Millis) -> wire::RunningSession {
    let budget = &session.budget;
    wire::RunningSession {
        id: session.id.to_string(),
        agent: session.agent.to_string(),
        intent: session.intent.clone(),
        parent: session.parent.as_ref().map(ToString::to_string),
        status: Status::Active,
        created_at: session.created_at.get(),
        changed_at: session.changed_at.get(),
        expires_at: session.expires_at.get(),
        calls_made: session.calls_made,
        budget: Readings {
            calls: reading(&budget.calls),
            tokens: reading(&budget.tokens),
            cost_micros: reading(&budget.cost_micros),
        },
        left: wire::Shares {
            calls: left(&budget.calls),
            tokens: left(&budget.tokens),
            cost_micros: left(&budget.cost_micros),
            time: Some(time_left(session, now)),
        },
        uses,
    }
}

const fn reading(reading: &Reading) -> WireReading {
    WireReading {
        limit: reading.limit,
        used: reading.used,
        lent: reading.lent,
    }
}

fn left(reading: &Reading) -> Option<f64> {
    Some(share(reading.left()?, reading.limit?))
}

fn time_left(session: &Session, now: Millis) -> f64 {
    let between = |from: Millis, to: Millis| to.get().saturating_sub(from.get());
    let all = between(session.created_at, session.expires_at);
    share(between(now, session.expires_at), all)
}

/// What share of `all` is `part`, in thousandths: finer than that it would be
/// another one each moment.
#[expect(
    clippy::cast_precision_loss,
    reason = "it is rounded to thousandths in any case"
)]
fn share(part: u64, all: u64) -> f64 {
    if all == 0 {
        return 0.0;
    }
    let share = part.min(all) as f64 / all as f64;
    (share * 1_000.0).round() / 1_000.0
}

/// What of a session is nearly at its end.
pub(super) fn nearly_over(session: &wire::RunningSession) -> Vec<wire::Stuck> {
    let of = |kind, what: &str, left: Option<f64>| {
        let left = left.filter(|left| *left <= LITTLE)?;
        Some(wire::Stuck {
            kind,
            session: Some(session.id.clone()),
            since: None,
            count: None,
            detail: format!("{:.1} % of its {what} are left", left * 100.0),
        })
    };
    let (spent, shares) = (StuckKind::BudgetNearlySpent, &session.left);
    let found = [
        of(spent, "calls", shares.calls),
        of(spent, "tokens", shares.tokens),
        of(spent, "cost", shares.cost_micros),
        of(StuckKind::TimeNearlyOver, "time", shares.time),
    ];
    found.into_iter().flatten().collect()
}

pub(super) fn refused(kind: activity::Refused) -> wire::RefusedKind {
    wire::RefusedKind {
        action: kind.action.to_owned(),
        code: kind.code.to_owned(),
        count: kind.count,
        last_at: kind.last_at.get(),
        session: kind.session,
        tool: kind.tool,
    }
}

/// Adds the work of a session to that of others.
pub(super) fn add(all: &mut wire::WorkCounts, counts: &Counts, now: Millis) {
    all.ready += counts.pending;
    all.claimed += counts.claimed;
    all.dead += counts.dead;
    all.oldest_ms = all.oldest_ms.max(age(counts, now));
}

fn age(counts: &Counts, now: Millis) -> Option<u64> {
    let oldest = counts.oldest?;
    Some(now.get().saturating_sub(oldest.get()))
}

/// What is stuck of a session's work.
pub(super) fn stuck_work(session: &SessionId, counts: &Counts, now: Millis) -> Vec<wire::Stuck> {
    let of = |kind, since: Option<Millis>, count, detail: &str| wire::Stuck {
        kind,
        session: Some(session.to_string()),
        since: since.map(Millis::get),
        count: Some(count),
        detail: detail.to_owned(),
    };
    let mut stuck = Vec::new();
    if counts.dead > 0 {
        let detail = "work that is not tried any more; retry or drop it";
        stuck.push(of(StuckKind::DeadWork, None, counts.dead, detail));
    }
    let waits = age(counts, now).is_some_and(|age| age > WAITING_MS);
    if waits && counts.claimed == 0 {
        let detail = "work stands in line and nobody has claimed any";
        let kind = StuckKind::WorkWaiting;
        stuck.push(of(kind, counts.oldest, counts.pending, detail));
    }
    stuck
}

/// Whether it is for those alone who may read queues.
pub(super) const fn is_of_queue(kind: StuckKind) -> bool {
    matches!(kind, StuckKind::DeadWork | StuckKind::WorkWaiting)
}

/// Upkeep as it is shown.
pub(super) fn upkeep(counts: &MaintenanceCounts) -> wire::UpkeepFigures {
    let tasks = counts.tasks.iter().map(|task| wire::TaskFigures {
        task: task.task.to_owned(),
        steps: task.steps,
        failures: task.failures,
        overdue: task.overdue,
        oldest_at: oldest(task),
    });
    wire::UpkeepFigures {
        holds: counts.holds,
        rounds: counts.rounds,
        rounds_failed: counts.rounds_failed,
        tasks: tasks.collect(),
    }
}

fn oldest(task: &TaskCounts) -> Option<u64> {
    Some(task.oldest_at_ms).filter(|at| *at > 0)
}

/// What is stuck of a service.
pub(super) fn stuck_service(
    service: &wire::Service,
    failing: &[(&'static str, u32)],
) -> Vec<wire::Stuck> {
    let of = |kind, since, count, detail: String| wire::Stuck {
        kind,
        session: None,
        since,
        count,
        detail,
    };
    let mut stuck = Vec::new();
    if service.store.as_ref().is_some_and(|store| !store.settled) {
        let detail = "it is not known what the last commit did";
        stuck.push(of(StuckKind::StoreUnsettled, None, None, detail.to_owned()));
    }
    let failed = service.backup.as_ref().and_then(|it| it.failed.as_ref());
    if let Some(failed) = failed {
        let detail = format!("the last backup failed: {}", failed.code);
        stuck.push(of(StuckKind::BackupFailed, Some(failed.at), None, detail));
    }
    for (task, failures) in failing {
        let detail = format!("`{task}` fails each time it is tried");
        let count = Some(u64::from(*failures));
        stuck.push(of(StuckKind::TaskFailing, None, count, detail));
    }
    for task in &service.maintenance.tasks {
        let is_late = |at: u64| service.at.saturating_sub(at) > OVERDUE_MS;
        if task.oldest_at.is_some_and(is_late) {
            let detail = format!("`{}` has been due for long", task.task);
            let (since, count) = (task.oldest_at, Some(task.overdue));
            stuck.push(of(StuckKind::UpkeepOverdue, since, count, detail));
        }
    }
    stuck
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(stuck: &[wire::Stuck]) -> Vec<StuckKind> {
        stuck.iter().map(|one| one.kind).collect()
    }

    #[test]
    fn work_is_stuck_if_it_is_dead_or_nobody_takes_it_for_a_minute() {
        let session: SessionId = "s1".parse().expect("an identifier");
        let now = Millis::new(1_000_000);
        let judged = |counts: Counts| kinds(&stuck_work(&session, &counts, now));
        let waits = |ms| Counts {
            pending: 1,
            oldest: Some(Millis::new(1_000_000 - ms)),
            ..Counts::default()
        };
        assert_eq!(judged(Counts::default()), []);
        assert_eq!(judged(waits(WAITING_MS)), []);
        assert_eq!(judged(waits(WAITING_MS + 1)), [StuckKind::WorkWaiting]);
        let claimed = Counts {
            claimed: 1,
            ..waits(WAITING_MS + 1)
        };
        assert_eq!(judged(claimed), []);
        let dead = Counts {
            dead: 3,
            ..Counts::default()
        };
        assert_eq!(judged(dead), [StuckKind::DeadWork]);
    }

    #[test]
    fn shares_stay_between_nothing_and_all() {
        for (part, all, wanted) in [
            (0, 0, 0.0),
            (0, 10, 0.0),
            (1, 3, 0.333),
            (10, 10, 1.0),
            (11, 10, 1.0),
            (u64::MAX, u64::MAX, 1.0),
        ] {
            assert!((share(part, all) - wanted).abs() < 1e-9, "{part}/{all}");
        }
    }

    #[test]
    fn work_adds_up_and_the_oldest_is_the_oldest_of_all() {
        let now = Millis::new(1_000);
        let mut all = wire::WorkCounts::default();
        for oldest in [Some(900), None, Some(400)] {
            let counts = Counts {
                pending: 1,
                claimed: 2,
                dead: 3,
                oldest: oldest.map(Millis::new),
            };
            add(&mut all, &counts, now);
        }
        assert_eq!((all.ready, all.claimed, all.dead), (3, 6, 9));
        assert_eq!(all.oldest_ms, Some(600));
    }
}
