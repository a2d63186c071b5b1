//! Upkeep: expired sessions are marked, ended ones go when their retention
//! is over, and nothing of them stays.

use std::sync::Arc;

use windlass_core::ErrorKind;
use windlass_session::limits::RETENTION_MS_DEFAULT;
use windlass_session::{Config, SessionError, Sessions, Status, SweepReport};
use windlass_store::{Entry, Store, StoreErrorKind};
use windlass_store_testing::{Counting, Fault, Faulty, Moment, Verb};

use crate::support::{
    DAY, HOUR, START, World, agent, call, caller, caller_of, close, code, get, history, operation,
    request, session_id, use_tools,
};

async fn sweep(sessions: &Sessions, limit: usize) -> SweepReport {
    sessions.sweep(limit).await.expect("swept")
}

/// Calls under operation ids, with a reservation that nobody settles.
async fn busy(sessions: &Sessions, name: &str, calls: u32) {
    for number in 0..calls {
        let mut request = call("search");
        request.operation = Some(operation(&format!("{name}-{number}")));
        request.items[0].reserve = number == 0;
        use_tools(sessions, name, request).await.expect("granted");
    }
}

/// A session with operations, to be removed.
async fn doomed(world: &World, name: &str, calls: u32) {
    world
        .create(|request| {
            request.id = Some(session_id(name));
            request.budget.calls = 10_000;
            request.operation = Some(operation(&format!("{name}-born")));
        })
        .await;
    busy(&world.sessions, name, calls).await;
}

/// A session of another tenant, and one of the same agent that lives on.
async fn neighbours(world: &World) {
    let foreign = caller_of("umbrella", "runtime");
    let created = world.sessions.create(&foreign, request(|_| {})).await;
    created.expect("created");
    world
        .create(|request| {
            request.id = Some(session_id("stays"));
            request.time_limit_ms = DAY;
            request.operation = Some(operation("stays-born"));
        })
        .await;
    busy(&world.sessions, "stays", 3).await;
}

/// What is stored but for the agent's head, which counts what there was.
fn without_agent_head(rows: Vec<Entry>) -> Vec<(String, String)> {
    let plain = |row: Entry| {
        let value = String::from_utf8(row.value.to_vec()).expect("values are text");
        (crate::support::text(&row.key), value)
    };
    let rows = rows.into_iter().map(plain);
    rows.filter(|(key, _)| key != "acme/agent/researcher/head")
        .collect()
}

#[tokio::test]
async fn a_sweep_marks_what_expired_and_reports_it() {
    let world = World::new();
    doomed(&world, "s1", 1).await;
    doomed(&world, "s2", 1).await;
    world.env.advance_ms(HOUR - 1);
    assert_eq!(sweep(&world.sessions, 100).await, SweepReport::default());
    world.env.advance_ms(1);
    assert_eq!(
        world.get("s1").await.status,
        Status::Expired,
        "derived from the time"
    );
    let report = sweep(&world.sessions, 100).await;
    let expected = SweepReport {
        scanned: 2,
        expired: 2,
        ..SweepReport::default()
    };
    assert_eq!(report, expected);
    assert_eq!(sweep(&world.sessions, 100).await, SweepReport::default());
    let session = world.get("s1").await;
    assert_eq!(
        (session.status, session.ended_at),
        (Status::Expired, Some(session.expires_at))
    );
    let keys = world.keys().await;
    let active = keys
        .iter()
        .filter(|key| key.contains("/active/") || key.ends_with("/alive"));
    assert_eq!(active.count(), 0);
}

#[tokio::test]
async fn due_rows_of_other_parts_do_not_use_up_the_limit_of_a_sweep() {
    let world = World::new();
    doomed(&world, "s1", 1).await;
    for number in 0..20 {
        let key = format!("due/{:020}/stash/acme/s{number}", START.get());
        world.put(&key, "").await;
    }
    world.env.advance_ms(HOUR);
    let report = sweep(&world.sessions, 1).await;
    assert_eq!((report.scanned, report.expired), (1, 1), "{report:?}");
    let keys = world.keys().await;
    let foreign = keys.iter().filter(|key| key.contains("/stash/"));
    assert_eq!(foreign.count(), 20, "they are not ours to remove");
}

#[tokio::test]
async fn a_sweep_ends_among_rows_of_other_parts_and_the_next_goes_on_from_there() {
    let world = World::new();
    for number in 0..4_100 {
        let key = format!("due/{:020}/stash/acme/s{number}", START.get());
        world.put(&key, "").await;
    }
    doomed(&world, "s1", 1).await;
    world.env.advance_ms(HOUR);
    let passed = SweepReport {
        truncated: true,
        ..SweepReport::default()
    };
    assert_eq!(
        sweep(&world.sessions, 10).await,
        passed,
        "4,096 and no more"
    );
    let expected = SweepReport {
        scanned: 1,
        expired: 1,
        ..SweepReport::default()
    };
    assert_eq!(sweep(&world.sessions, 10).await, expected);
    assert_eq!(sweep(&world.sessions, 10).await, passed, "all over again");
    let other = sweep(&world.reopen(), 5_000).await;
    assert_eq!(other, SweepReport::default(), "as many as it is asked for");
}

#[tokio::test]
async fn an_ended_session_stays_readable_until_its_retention_ends() {
    let world = World::new();
    doomed(&world, "s1", 3).await;
    close(&world.sessions, "s1").await.expect("closed");
    world.env.advance_ms(RETENTION_MS_DEFAULT - 1);
    sweep(&world.sessions, 100).await;
    assert_eq!(world.get("s1").await.status, Status::Closed);
    assert_eq!(world.history("s1").await.len(), 4);
    world.env.advance_ms(1);
    let report = sweep(&world.sessions, 100).await;
    assert_eq!((report.removed, report.truncated), (1, false));
    assert_eq!(get(&world.sessions, "s1").await.expect("readable"), None);
    assert_eq!(code(close(&world.sessions, "s1").await), "not_found");
    assert_eq!(world.keys().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_retention_of_zero_removes_at_the_next_sweep() {
    let world = World::with_config(Config {
        retention_ms: 0,
        ..Config::default()
    });
    doomed(&world, "s1", 2).await;
    doomed(&world, "s2", 2).await;
    close(&world.sessions, "s1").await.expect("closed");
    assert_eq!(
        world.get("s1").await.status,
        Status::Closed,
        "until the sweep comes by"
    );
    assert_eq!(sweep(&world.sessions, 100).await.removed, 1);
    world.env.advance_ms(HOUR);
    let report = sweep(&world.sessions, 100).await;
    assert_eq!(
        (report.expired, report.removed),
        (1, 1),
        "marked and removed at once"
    );
    assert_eq!(world.keys().await, Vec::<String>::new());
}

#[tokio::test]
async fn nothing_of_a_removed_session_stays_and_others_are_untouched() {
    let world = World::with_config(Config {
        retention_ms: 0,
        ..Config::default()
    });
    neighbours(&world).await;
    let before = without_agent_head(world.rows().await);
    for name in ["s1", "s2", "s3"] {
        doomed(&world, name, 40).await;
    }
    close(&world.sessions, "s2").await.expect("closed");
    let end = Some(operation("end"));
    let closed = world
        .sessions
        .close(&caller(), &session_id("s3"), end)
        .await;
    assert_eq!(closed.expect("closed").status, Status::Closed);
    world.env.advance_ms(HOUR - 1);
    while sweep(&world.sessions, 3).await.truncated {}
    assert_eq!(get(&world.sessions, "s2").await.expect("readable"), None);
    close(&world.sessions, "s1").await.expect("closed");
    while sweep(&world.sessions, 3).await.truncated {}
    assert_eq!(without_agent_head(world.rows().await), before);
    let count = world.sessions.count_active(&caller(), &agent()).await;
    assert_eq!(count.expect("a store that works"), 1);
}

#[tokio::test]
async fn a_removed_id_can_be_taken_again_and_starts_afresh() {
    let world = World::with_config(Config {
        retention_ms: 0,
        ..Config::default()
    });
    doomed(&world, "s1", 5).await;
    let old = world.reopen();
    use_tools(&old, "s1", call("search"))
        .await
        .expect("granted");
    close(&world.sessions, "s1").await.expect("closed");
    sweep(&world.sessions, 100).await;
    world.create(|_| {}).await;
    for sessions in [world.sessions.clone(), old] {
        use_tools(&sessions, "s1", call("search"))
            .await
            .expect("granted");
    }
    assert_eq!(world.get("s1").await.calls_made, 2);
    assert_eq!(world.history("s1").await.len(), 2);
}

#[tokio::test]
async fn a_long_history_goes_in_bounded_steps_and_the_session_with_the_first() {
    let world = World::with_config(Config {
        retention_ms: 0,
        ..Config::default()
    });
    doomed(&world, "s1", 1_300).await;
    close(&world.sessions, "s1").await.expect("closed");
    let counting = Arc::new(Counting::new(Arc::clone(&world.ground)));
    let sessions = world.over(Arc::clone(&counting) as Arc<dyn Store>);
    let mut removed = 0;
    for step in 1.. {
        let before = counting.counts();
        let report = sweep(&sessions, 1).await;
        let cost = counting.counts() - before;
        assert_eq!((report.scanned, cost.commits), (1, 1), "{report:?}");
        assert!(cost.writes <= 700, "{cost:?}");
        assert_eq!(
            get(&sessions, "s1").await.expect("readable"),
            None,
            "step {step}"
        );
        assert_eq!(code(close(&world.sessions, "s1").await), "not_found");
        removed += report.operations_removed;
        if !report.truncated {
            assert_eq!((report.removed, removed), (1, 1_301));
            break;
        }
    }
    assert_eq!(world.keys().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_sweep_takes_no_more_steps_than_it_may() {
    let world = World::with_config(Config {
        retention_ms: 0,
        ..Config::default()
    });
    for number in 0..10 {
        doomed(&world, &format!("s{number}"), 1).await;
        close(&world.sessions, &format!("s{number}"))
            .await
            .expect("closed");
    }
    let none = sweep(&world.sessions, 0).await;
    assert_eq!(
        none,
        SweepReport {
            truncated: true,
            ..SweepReport::default()
        }
    );
    let mut removed = 0;
    loop {
        let report = sweep(&world.sessions, 4).await;
        removed += report.removed;
        if !report.truncated {
            break;
        }
        assert_eq!(report.scanned, 4, "{report:?}");
    }
    assert_eq!(removed, 10);
    assert_eq!(sweep(&world.sessions, 0).await, SweepReport::default());
}

#[tokio::test]
async fn where_nothing_is_due_a_sweep_costs_one_read() {
    let world = World::new();
    for number in 0..50 {
        doomed(&world, &format!("s{number}"), 1).await;
    }
    let counting = Arc::new(Counting::new(Arc::clone(&world.ground)));
    let sessions = world.over(Arc::clone(&counting) as Arc<dyn Store>);
    sweep(&sessions, 1_000).await;
    let cost = counting.counts();
    assert_eq!((cost.reads, cost.commits), (1, 0));
}

#[tokio::test]
async fn what_cannot_be_read_is_reported_and_left_alone() {
    let world = World::with_config(Config {
        retention_ms: 0,
        ..Config::default()
    });
    for name in ["s1", "s2", "s3"] {
        doomed(&world, name, 1).await;
    }
    world.put("acme/session/s1/head", "{}").await;
    world.delete("acme/session/s2/spec").await;
    world.env.advance_ms(HOUR);
    for _ in 0..2 {
        let report = sweep(&world.sessions, 100).await;
        let unreadable: Vec<_> = report
            .unreadable
            .iter()
            .map(|one| one.id.as_str())
            .collect();
        assert_eq!(unreadable, ["s1", "s2"]);
    }
    let keys = world.keys().await;
    assert_eq!(keys.iter().filter(|key| key.starts_with("due/")).count(), 2);
    assert_eq!(get(&world.sessions, "s3").await.expect("readable"), None);
}

/// A world in which sessions of every kind are due, and neighbours are not.
async fn all_due() -> (World, Vec<(String, String)>) {
    let world = World::new();
    neighbours(&world).await;
    world.env.advance_ms(DAY);
    sweep(&world.sessions, 1_000).await;
    close(&world.sessions, "stays").await.expect("closed");
    let before = without_agent_head(world.rows().await);
    let world = World {
        config: Config {
            retention_ms: HOUR,
            ..world.config.clone()
        },
        ..world
    };
    let short = world.reopen();
    let world = World {
        sessions: short,
        ..world
    };
    for name in ["s1", "s2"] {
        doomed(&world, name, 4).await;
    }
    close(&world.sessions, "s2").await.expect("closed");
    world.env.advance_ms(2 * HOUR);
    (world, before)
}

/// Sweeps with the fault in place and answers whether it was hit; whatever
/// came of it, every session is either whole or gone.
async fn interrupted(world: &World, fault: Fault) -> bool {
    let faulty = Arc::new(Faulty::new(Arc::clone(&world.ground)));
    faulty.plan(fault);
    let sessions = world.over(Arc::clone(&faulty) as Arc<dyn Store>);
    let swept: Result<SweepReport, SessionError> = sessions.sweep(1_000).await;
    if let Err(error) = &swept {
        let kind = windlass_core::Coded::kind(error);
        assert!(
            matches!(kind, ErrorKind::Unavailable | ErrorKind::Indeterminate),
            "{error:?}"
        );
    }
    let reader = world.reopen();
    for name in ["s1", "s2"] {
        if get(&reader, name).await.expect("whole or gone").is_some() {
            let events = history(&reader, name).await;
            assert!(events.len() >= 4, "{fault:?}: {events:?}");
        }
    }
    faulty.hits() > 0
}

#[tokio::test]
async fn a_sweep_stopped_at_any_call_goes_on_where_it_was() {
    let kinds = [
        (Moment::Before, StoreErrorKind::Unavailable),
        (Moment::Before, StoreErrorKind::Indeterminate),
        (Moment::After, StoreErrorKind::Indeterminate),
    ];
    for (moment, kind) in kinds {
        for number in 1.. {
            let (world, before) = all_due().await;
            let fault = Fault {
                verb: None,
                number,
                moment,
                kind,
            };
            if !interrupted(&world, fault).await {
                assert!(number > 8, "only {number} calls");
                break;
            }
            while sweep(&world.reopen(), 2).await.truncated {}
            assert_eq!(without_agent_head(world.rows().await), before, "{fault:?}");
        }
    }
}

#[tokio::test]
async fn sweeps_of_several_processes_at_once_do_the_work_once() {
    let world = World::with_config(Config {
        retention_ms: 0,
        ..Config::default()
    });
    for number in 0..40 {
        doomed(&world, &format!("s{number}"), 3).await;
        close(&world.sessions, &format!("s{number}"))
            .await
            .expect("closed");
    }
    let processes = [world.reopen(), world.reopen(), world.reopen()];
    let mut removed = 0;
    loop {
        let sweeping = processes.iter().map(|sessions| sweep(sessions, 7));
        let reports = futures_util::future::join_all(sweeping).await;
        removed += reports.iter().map(|report| report.removed).sum::<u64>();
        if !reports.iter().any(|report| report.truncated) {
            break;
        }
    }
    assert_eq!(removed, 40);
    assert_eq!(world.keys().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_commit_of_upkeep_counts_against_nobody_else() {
    let world = World::with_config(Config {
        retention_ms: 0,
        ..Config::default()
    });
    doomed(&world, "s1", 1).await;
    close(&world.sessions, "s1").await.expect("closed");
    let faulty = Arc::new(Faulty::new(Arc::clone(&world.ground)));
    faulty.plan(Fault {
        verb: Some(Verb::Commit),
        number: 1,
        moment: Moment::Before,
        kind: StoreErrorKind::Environment,
    });
    let failed = world
        .over(faulty)
        .sweep(10)
        .await
        .expect_err("the disk is full");
    assert_eq!(windlass_core::Coded::kind(&failed), ErrorKind::Environment);
    assert_eq!(sweep(&world.sessions, 10).await.removed, 1);
}
