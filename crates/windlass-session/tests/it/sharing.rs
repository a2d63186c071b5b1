//! Two processes on one store, and a process that has the store alone.

use std::sync::Arc;

use futures_util::future::join_all;
use windlass_core::Sharing;
use windlass_session::{Config, Status};
use windlass_store::Store;
use windlass_store_testing::{Counting, Moment, Pausing, Verb};

use crate::support::slow;
use crate::support::{
    HOUR, World, agent, call, caller, close, code, get, session_id, top_up, use_tools,
};

#[tokio::test]
async fn what_one_process_changed_the_very_next_call_of_another_sees() {
    let world = World::new();
    world.create(|request| request.budget.calls = 1).await;
    let (one, other) = (world.reopen(), world.reopen());
    use_tools(&other, "s1", call("search"))
        .await
        .expect("granted");
    for _ in 0..20 {
        assert_eq!(
            code(use_tools(&other, "s1", call("search")).await),
            "budget_exceeded"
        );
        top_up(&one, "s1", 1).await.expect("raised");
        use_tools(&other, "s1", call("search"))
            .await
            .expect("topped up");
    }
    close(&one, "s1").await.expect("closed");
    assert_eq!(
        code(use_tools(&other, "s1", call("search")).await),
        "already_closed"
    );
    let seen = get(&other, "s1").await.expect("readable").expect("there");
    assert_eq!((seen.status, seen.calls_made), (Status::Closed, 21));
}

#[tokio::test]
async fn processes_on_the_same_sessions_grant_what_the_budgets_hold() {
    let world = World::new();
    for number in 0..20 {
        let name = session_id(&format!("s{number}"));
        world
            .create(|request| {
                request.id = Some(name);
                request.budget.calls = 15;
            })
            .await;
    }
    let processes = [1, 2, 3].map(|seed| world.over(slow(&world.ground, seed)));
    let using = (0..900_usize).map(|number| {
        let sessions = &processes[number % 3];
        async move { use_tools(sessions, &format!("s{}", number % 20), call("search")).await }
    });
    let answers = join_all(using).await;
    let granted = answers.iter().filter(|answer| answer.is_ok()).count();
    let mut made = 0;
    for number in 0..20 {
        let session = world.get(&format!("s{number}")).await;
        assert!(session.budget.calls.used <= 15, "{session:?}");
        assert_eq!(session.calls_made, session.budget.calls.used);
        made += session.calls_made;
    }
    assert_eq!(u64::try_from(granted).expect("small"), made);
    assert_eq!(made, 300, "every budget is spent");
}

#[tokio::test]
async fn a_refusal_costs_one_read_and_no_commit() {
    let world = World::new();
    world.create(|request| request.budget.calls = 1).await;
    let counting = Arc::new(Counting::new(Arc::clone(&world.ground)));
    let sessions = world.over(Arc::clone(&counting) as Arc<dyn Store>);
    use_tools(&sessions, "s1", call("search"))
        .await
        .expect("granted");
    let before = counting.counts();
    assert_eq!(
        code(use_tools(&sessions, "s1", call("search")).await),
        "budget_exceeded"
    );
    let cost = counting.counts() - before;
    assert_eq!((cost.reads, cost.scans, cost.commits), (1, 1, 0));
}

#[tokio::test]
async fn a_hot_use_costs_one_commit_and_no_read() {
    let world = World::new();
    world.create(|_| {}).await;
    let counting = Arc::new(Counting::new(Arc::clone(&world.ground)));
    let sessions = world.over(Arc::clone(&counting) as Arc<dyn Store>);
    use_tools(&sessions, "s1", call("search"))
        .await
        .expect("granted");
    let before = counting.counts();
    use_tools(&sessions, "s1", call("search"))
        .await
        .expect("granted");
    let cost = counting.counts() - before;
    assert_eq!((cost.reads, cost.commits, cost.writes), (0, 1, 2));
}

#[tokio::test]
async fn uses_that_wait_share_one_commit_and_one_row() {
    let world = World::new();
    world.create(|request| request.budget.calls = 100).await;
    let counting = Arc::new(Counting::new(Arc::clone(&world.ground)));
    let pausing = Arc::new(Pausing::new(Arc::clone(&counting)));
    let first = pausing.pause(Verb::Commit, Moment::Before);
    let sessions = world.over(pausing);
    let using = (0..64).map(|_| use_tools(&sessions, "s1", call("search")));
    // The others come while the first one's commit is held.
    let (receipts, ()) = tokio::join!(join_all(using), async {
        first.reached().await.release();
    });
    let calls = receipts
        .into_iter()
        .map(|receipt| receipt.expect("granted").first_call);
    assert_eq!(calls.collect::<Vec<_>>(), (1..=64).collect::<Vec<_>>());
    assert_eq!(counting.counts().commits, 2);
    let keys = world.keys().await;
    let rows = keys.iter().filter(|key| key.contains("/event/")).count();
    assert_eq!(rows, 2);
    assert_eq!(world.history("s1").await.len(), 64);
}

/// A world whose process has the store to itself.
fn alone() -> World {
    World::with_config(Config {
        sharing: Sharing::Exclusive,
        retention_ms: 0,
        ..Config::default()
    })
}

#[tokio::test]
async fn alone_on_its_store_a_refusal_costs_nothing() {
    let world = alone();
    let counting = Arc::new(Counting::new(Arc::clone(&world.ground)));
    let sessions = world.over(Arc::clone(&counting) as Arc<dyn Store>);
    world.create(|request| request.budget.calls = 1).await;
    use_tools(&sessions, "s1", call("search"))
        .await
        .expect("granted");
    let before = counting.counts();
    assert_eq!(
        code(use_tools(&sessions, "s1", call("search")).await),
        "budget_exceeded"
    );
    assert_eq!(
        counting.counts() - before,
        windlass_store_testing::Counts::default()
    );
}

#[tokio::test]
async fn alone_on_its_store_a_process_sees_what_it_closed_and_swept_itself() {
    let world = alone();
    world.create(|request| request.budget.calls = 1).await;
    world.call("s1", "search").await.expect("granted");
    assert_eq!(code(world.call("s1", "search").await), "budget_exceeded");
    let closed = world.sessions.close_agent(&caller(), &agent()).await;
    assert_eq!(closed.expect("closed"), 1);
    assert_eq!(code(world.call("s1", "search").await), "already_closed");
    let swept = world.sessions.sweep(100).await.expect("swept");
    assert_eq!(swept.removed, 1);
    assert_eq!(code(world.call("s1", "search").await), "not_found");
}

#[tokio::test]
async fn alone_on_its_store_a_process_sees_that_it_marked_a_session_expired() {
    let world = alone();
    world.create(|request| request.budget.calls = 1).await;
    world.call("s1", "search").await.expect("granted");
    world.env.advance_ms(HOUR);
    assert_eq!(code(world.call("s1", "search").await), "expired");
    let marked = world.sessions.sweep(1).await.expect("swept");
    assert_eq!((marked.expired, marked.truncated), (1, true));
    assert_eq!(code(world.call("s1", "search").await), "expired");
    let removed = world.sessions.sweep(1).await.expect("swept");
    assert_eq!((removed.removed, removed.truncated), (1, false));
    assert_eq!(code(world.call("s1", "search").await), "not_found");
}
