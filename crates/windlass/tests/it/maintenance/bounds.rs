//! How much upkeep does at a time.

use windlass_store_testing::Counting;

use super::*;

fn sessions() -> &'static Task {
    Task::named("sessions").unwrap()
}

/// An engine each commit of which takes so long.
fn slow(base: &Engine, options: &Options, commit_ms: u64) -> Engine {
    let env = Arc::new(std::sync::Mutex::new(None::<Arc<ManualEnv>>));
    let clock = Arc::clone(&env);
    let engine = base.hooked(options, move |asked| {
        if let (Asked::Commit(_), Some(env)) = (asked, &*clock.lock().unwrap()) {
            env.advance_ms(commit_ms);
        }
        Ok(())
    });
    *env.lock().unwrap() = Some(Arc::clone(&engine.env));
    engine
}

#[tokio::test]
async fn a_step_ends_when_its_time_is_over() {
    let base = Engine::new().await;
    base.sessions(300).await;
    base.env.advance_ms(60_000);
    let one = slow(&base, &options(), 1);
    let report = round(one.keeper().turn().await.unwrap());
    // A session takes up to three commits, and a first bite is of 16.
    assert_eq!(report.changed, 600, "{report:?}");
    assert!(report.step_ms_max <= 50, "{report:?}");
    assert!(report.steps >= 12, "{report:?}");
}

#[tokio::test]
async fn a_step_ends_when_it_has_looked_at_enough() {
    let base = Engine::new().await;
    base.due_rows("access", 100).await;
    let mut small = options();
    small.maintenance.step_entries = 10;
    let one = base.another(2, &small);
    let report = round(one.keeper().turn().await.unwrap());
    assert_eq!((report.scanned, report.steps), (100, 10), "{report:?}");
}

#[tokio::test]
async fn a_round_ends_after_its_time_and_the_next_goes_on_at_once() {
    let base = Engine::new().await;
    base.sessions(400).await;
    base.env.advance_ms(60_000);
    let mut short = options();
    short.maintenance.round_ms = 500;
    let one = slow(&base, &short, 2);
    let mut keeper = one.keeper();
    let first = round(keeper.turn().await.unwrap());
    assert!(first.truncated && first.elapsed_ms < 700, "{first:?}");
    assert!(one.task("sessions").await.overdue.entries > 0);
    let mut removed = first.changed;
    while one.task("sessions").await.overdue.entries > 0 {
        removed += round(keeper.turn().await.unwrap()).changed;
    }
    assert_eq!(removed, 800);
}

#[tokio::test]
async fn a_task_by_hand_stops_at_its_bounds_and_says_exactly_whether_work_is_left() {
    let one = Engine::new().await;
    one.due_rows("access", 12).await;
    let maintenance = one.windlass.maintenance();
    let keys = Task::named("keys").unwrap();
    let limit = |entries, millis| RunLimit { entries, millis };
    let table = [
        (limit(Some(0), None), 0, true),
        (limit(None, Some(0)), 0, true),
        (limit(Some(5), None), 5, true),
        (limit(Some(7), None), 7, false),
        (limit(Some(7), None), 0, false),
        (limit(Some(0), None), 0, false),
    ];
    for (limit, scanned, truncated) in table {
        let report = maintenance.run_now(keys, limit, &mut |_| ()).await.unwrap();
        let found = (report.scanned, report.truncated);
        assert_eq!(found, (scanned, truncated), "{limit:?}");
    }
}

#[tokio::test]
async fn what_is_due_for_others_is_no_work_left() {
    let one = Engine::new().await;
    one.due_rows("queue", 3).await;
    // More than a part passes over before it says that there may be more.
    one.due_rows_at(START, "of-another", 4_500).await;
    let maintenance = one.windlass.maintenance();
    let queue = Task::named("queue").unwrap();
    let limit = RunLimit {
        entries: Some(3),
        millis: None,
    };
    let report = maintenance
        .run_now(queue, limit, &mut |_| ())
        .await
        .unwrap();
    assert_eq!((report.scanned, report.truncated), (3, false), "{report:?}");
}

#[tokio::test]
async fn what_is_due_for_others_is_passed_over_however_much_it_is() {
    let one = Engine::new().await;
    one.due_rows("of-another", 4_500).await;
    one.sessions(3).await;
    one.env.advance_ms(60_000);
    let report = one.by_hand("sessions").await.unwrap();
    let found = (report.counts["removed"], report.truncated);
    assert_eq!(found, (3, false), "{report:?}");
}

#[tokio::test]
async fn what_has_to_wait_for_others_ends_a_run_and_is_work_left() {
    let one = Engine::new().await;
    one.sessions(40).await;
    one.env.advance_ms(60_000);
    // Nothing that belongs to a session can be taken along.
    let stuck = one.hooked(&options(), |asked| match asked.is_about("/checkpoint/") {
        true => Err(StoreError::new(
            windlass::store::StoreErrorKind::Unavailable,
            "read",
            "not now",
        )),
        false => Ok(()),
    });
    let report = stuck.by_hand("sessions").await.unwrap();
    assert_eq!(report.counts.get("removed"), None, "{report:?}");
    assert!(report.truncated, "{report:?}");
}

#[tokio::test]
async fn a_run_by_hand_tells_how_far_it_is() {
    let base = Engine::new().await;
    base.sessions(100).await;
    base.env.advance_ms(60_000);
    let one = slow(&base, &options(), 1);
    let mut seen = Vec::new();
    let maintenance = one.windlass.maintenance();
    let mut observe = |report: &TaskReport| seen.push(report.scanned);
    let report = maintenance.run_now(sessions(), RunLimit::default(), &mut observe);
    let report = report.await.unwrap();
    assert!(seen.len() >= 4 && seen.is_sorted(), "{seen:?}");
    assert!(seen.last().unwrap() <= &report.scanned);
}

#[tokio::test]
async fn a_round_with_nothing_due_costs_a_few_calls_whatever_is_stored() {
    let base = Engine::new().await;
    let store = Arc::new(Counting::new(Arc::clone(base.windlass.store())));
    let mut costs = Vec::new();
    let mut often = options();
    often.maintenance.round_ms = 1_000;
    let one = base.over(3, START, Arc::clone(&store) as _, &often);
    let mut keeper = one.keeper();
    round(keeper.turn().await.unwrap());
    for sessions in [10, 1_000] {
        base.sessions(sessions).await;
        one.env.advance_ms(1_101);
        let before = store.counts();
        round(keeper.turn().await.unwrap());
        let cost = store.counts() - before;
        costs.push((cost.reads, cost.commits));
    }
    assert_eq!(costs, [(4, 1), (4, 1)]);
}

#[tokio::test]
async fn settings_out_of_range_are_refused_when_it_is_opened() {
    let mut wrong = options();
    wrong.maintenance.step_ms = 0;
    let error = Windlass::open(&StoreLocation::Memory, wrong)
        .await
        .unwrap_err();
    assert_eq!(windlass::core::Coded::code(&error), "invalid_config");
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(
        source,
        "`step_ms` of maintenance is 0; 1 to 10000 are allowed"
    );
}
