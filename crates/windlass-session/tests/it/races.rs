//! Windows between two steps: commits that arrive late, sessions that go
//! while they are read.

use std::sync::Arc;

use windlass_core::{Coded, ErrorKind};
use windlass_session::{Config, Sessions, Status};
use windlass_store::{Commit, Store};
use windlass_store_testing::{Moment, Pausing, Strict, StrictOptions, Verb};

use crate::late::Late;
use crate::support::{
    HOUR, World, agent, call, caller, close, code, get, operation, request, session_id, use_tools,
};

/// A world and its sessions over a store that can hold a commit back.
fn late() -> (World, Arc<Late>, Sessions) {
    let world = World::new();
    let late = Late::new(&world.ground, &world.env);
    let sessions = world.over(Arc::clone(&late) as Arc<dyn Store>);
    (world, late, sessions)
}

#[tokio::test]
async fn a_use_that_may_still_arrive_is_never_called_refused() {
    let (world, late, sessions) = late();
    world.create(|_| {}).await;
    late.hold(HOUR);
    let unknown = use_tools(&sessions, "s1", call("search")).await;
    let error = unknown.expect_err("expired by now, but it may have been granted");
    assert_eq!(error.kind(), ErrorKind::Indeterminate, "{error}");
    let arrived = late.arrive().await;
    assert!(matches!(arrived, Commit::Applied(_)), "{arrived:?}");
    assert_eq!(world.get("s1").await.budget.calls.used, 1);
}

#[tokio::test]
async fn a_use_that_arrives_late_is_not_made_twice() {
    let (world, late, sessions) = late();
    world.create(|_| {}).await;
    late.hold_until_the_next();
    let used = use_tools(&sessions, "s1", call("search")).await;
    assert_eq!(used.expect("granted").last_call, 1);
    assert_eq!(world.get("s1").await.budget.calls.used, 1);
}

#[tokio::test]
async fn a_use_under_an_operation_id_that_arrives_late_is_not_made_twice() {
    let (world, late, sessions) = late();
    world.create(|_| {}).await;
    late.hold_until_the_next();
    let mut request = call("search");
    request.operation = Some(operation("o1"));
    let used = use_tools(&sessions, "s1", request).await;
    assert_eq!(used.expect("granted").last_call, 1);
    assert_eq!(world.get("s1").await.budget.calls.used, 1);
}

/// Both would have written the same revision, since the second was decided
/// from what the process remembered.
#[tokio::test]
async fn a_use_that_arrived_late_is_not_taken_for_the_next_one() {
    let (world, late, sessions) = late();
    world.create(|_| {}).await;
    for number in 1..=2 {
        match number {
            1 => late.hold_until_the_next(),
            _ => late.hold(0),
        }
        let mut request = call("search");
        request.operation = Some(operation(&format!("o{number}")));
        let used = use_tools(&sessions, "s1", request).await;
        assert_eq!(used.expect("granted").last_call, number);
        assert_eq!(world.get("s1").await.budget.calls.used, number);
    }
    let arrived = late.arrive().await;
    assert!(matches!(arrived, Commit::Conflict { .. }), "{arrived:?}");
}

#[tokio::test]
async fn a_creation_that_arrives_late_is_not_taken_for_somebody_elses() {
    let (world, late, sessions) = late();
    late.hold_until_the_next();
    let created = sessions.create(&caller(), request(|_| {})).await;
    assert_eq!(created.expect("created").id, session_id("s1"));
    assert_eq!(world.get("s1").await.calls_made, 0);
}

#[tokio::test]
async fn a_creation_in_doubt_whose_id_another_agent_took_says_so_in_the_end() {
    let (world, late, sessions) = late();
    late.hold(0);
    let pausing = Arc::new(Pausing::new(Arc::clone(&late)));
    let pause = pausing.pause(Verb::Commit, Moment::After);
    let sessions_paused = world.over(Arc::clone(&pausing) as Arc<dyn Store>);
    let creating =
        tokio::spawn(async move { sessions_paused.create(&caller(), request(|_| {})).await });
    let held = pause.reached().await;
    let other = request(|request| request.agent = "other".parse().expect("an identifier"));
    sessions.create(&caller(), other).await.expect("created");
    held.release();
    let error = creating
        .await
        .expect("no panic")
        .expect_err("it is not there");
    assert_eq!(error.kind(), ErrorKind::Indeterminate, "{error}");
    let arrived = late.arrive().await;
    assert!(matches!(arrived, Commit::Conflict { .. }), "{arrived:?}");
    assert_eq!(world.get("s1").await.agent.as_str(), "other");
}

/// A session closed, with its retention over, and a store that can be stopped.
async fn about_to_be_removed() -> (World, Arc<Pausing<dyn Store>>) {
    let world = World::with_config(Config {
        retention_ms: 0,
        ..Config::default()
    });
    world.create(|_| {}).await;
    for _ in 0..3 {
        world.call("s1", "search").await.expect("granted");
    }
    close(&world.sessions, "s1").await.expect("closed");
    let pausing = Arc::new(Pausing::new(Arc::clone(&world.ground) as Arc<dyn Store>));
    (world, pausing)
}

#[tokio::test]
async fn a_session_removed_while_its_history_is_read_is_absent_and_not_corrupt() {
    let (world, pausing) = about_to_be_removed().await;
    let pause = pausing.pause(Verb::Read, Moment::After);
    let reader = world.over(pausing);
    let reading = tokio::spawn(async move {
        let page = reader.history(&caller(), &session_id("s1"), 0, 10).await;
        page.map(|page| page.is_some())
    });
    let held = pause.reached().await;
    let swept = world.sessions.sweep(100).await.expect("swept");
    assert_eq!(swept.removed, 1);
    held.release();
    let found = reading.await.expect("no panic").expect("no corruption");
    assert!(!found, "it is gone");
}

#[tokio::test]
async fn a_session_removed_while_it_is_loaded_is_absent_or_whole_but_not_corrupt() {
    let (world, pausing) = about_to_be_removed().await;
    let pause = pausing.pause(Verb::Read, Moment::After);
    let reader = world.over(Arc::new(Strict::new(
        pausing,
        StrictOptions::WITHOUT_ERRORS,
    )));
    let reading = tokio::spawn(async move { get(&reader, "s1").await });
    let held = pause.reached().await;
    let swept = world.sessions.sweep(100).await.expect("swept");
    assert_eq!(swept.removed, 1);
    held.release();
    let found = reading.await.expect("no panic").expect("no corruption");
    let calls = found.map(|session| session.calls_made);
    assert_eq!(calls, Some(3), "as it was when it was read");
}

#[tokio::test]
async fn what_another_process_removed_is_absent_and_not_corrupt() {
    let world = World::with_config(Config {
        retention_ms: 0,
        ..Config::default()
    });
    world.create(|_| {}).await;
    let stale = world.reopen();
    use_tools(&stale, "s1", call("search"))
        .await
        .expect("granted");
    close(&world.sessions, "s1").await.expect("closed");
    let swept = world.sessions.sweep(100).await.expect("swept");
    assert_eq!(swept.removed, 1);
    assert_eq!(code(close(&stale, "s1").await), "not_found");
}

#[tokio::test]
async fn a_session_created_while_its_agents_are_closed_is_not_taken_for_damage() {
    let world = World::new();
    world
        .create(|request| request.id = Some(session_id("s0")))
        .await;
    close(&world.sessions, "s0").await.expect("closed");
    let pausing = Arc::new(Pausing::new(Arc::clone(&world.ground)));
    let first = pausing.pause(Verb::Read, Moment::After);
    let closer = world.over(pausing);
    let closing = tokio::spawn(async move { closer.close_agent(&caller(), &agent()).await });
    let held = first.reached().await;
    world.create(|_| {}).await;
    held.release();
    let closed = closing.await.expect("no panic").expect("no damage");
    assert_eq!(closed, 0, "it was created later");
    assert_eq!(world.get("s1").await.status, Status::Active);
}
