//! A task that fails, and the others.

use std::sync::atomic::{AtomicBool, Ordering};

use windlass::core::Coded;
use windlass::store::StoreErrorKind;

use super::*;

/// Work for a task, the queue's, and for tasks before and after it.
async fn work() -> Engine {
    let base = Engine::new().await;
    base.sessions(3).await;
    base.due_rows("queue", 2).await;
    base.due_rows("access", 20).await;
    base.env.advance_ms(60_000);
    base
}

fn unavailable() -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable, "read", "the disk is away")
}

/// A switch that makes what is about queues that were due fail.
fn broken(base: &Engine, how: fn() -> StoreError) -> (Engine, Arc<AtomicBool>) {
    let switch = Arc::new(AtomicBool::new(true));
    let on = Arc::clone(&switch);
    let engine = base.hooked(&options(), move |asked| {
        let about = asked.is_about("acme/queue/0000");
        match about && on.load(Ordering::Relaxed) {
            true => Err(how()),
            false => Ok(()),
        }
    });
    (engine, switch)
}

#[tokio::test]
async fn a_task_that_fails_stops_no_other() {
    let base = work().await;
    let (one, _) = broken(&base, unavailable);
    let report = round(one.keeper().turn().await.unwrap());
    let failure = &report.failed["queue"];
    assert_eq!(failure.code, "store_unavailable", "{report:?}");
    assert!(failure.message.contains("the disk is away"), "{failure:?}");
    assert_eq!(report.failed.len(), 1, "{report:?}");
    assert_eq!(
        one.task("sessions").await.last.unwrap().counts["removed"],
        3
    );
    assert_eq!(one.task("keys").await.last.unwrap().scanned, 20);
    let counts = one.windlass.maintenance().counts();
    assert_eq!((counts.rounds, counts.rounds_failed), (0, 1));
    let failures = counts.tasks.iter().map(|task| task.failures);
    assert_eq!(
        failures.collect::<Vec<_>>(),
        [0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]
    );
}

#[tokio::test]
async fn a_task_that_fails_is_tried_less_and_less_often_until_it_is_well() {
    let base = work().await;
    let (one, switch) = broken(&base, unavailable);
    let mut keeper = one.keeper();
    let mut tried = Vec::new();
    for number in 0..40 {
        let report = round(keeper.turn().await.unwrap());
        if !report.failed.is_empty() {
            tried.push(number);
        }
        one.env.advance_ms(33_000);
    }
    let waits: Vec<i32> = tried.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(&waits[..4], [1, 2, 4, 8], "{tried:?}");
    let status = one.task("queue").await;
    assert!(
        status.failures >= 5 && status.next_try.is_some(),
        "{status:?}"
    );

    switch.store(false, Ordering::Relaxed);
    one.env.advance_ms(600_000);
    let report = round(keeper.turn().await.unwrap());
    assert_eq!((report.failed.len(), report.scanned), (0, 2), "{report:?}");
    let status = one.task("queue").await;
    assert_eq!((status.failures, status.next_try), (0, None));
}

#[tokio::test]
async fn a_task_that_panics_stops_no_other() {
    let base = work().await;
    let (one, _) = broken(&base, || panic!("the sky fell"));
    let report = round(one.keeper().turn().await.unwrap());
    let failure = &report.failed["queue"];
    assert_eq!(failure.code, "task_panicked", "{report:?}");
    assert!(failure.message.ends_with("the sky fell"), "{failure:?}");
    assert_eq!(one.task("keys").await.last.unwrap().scanned, 20);
}

#[tokio::test]
async fn a_task_that_fails_by_hand_says_so_and_keeps_what_it_did() {
    let base = work().await;
    let (one, _) = broken(&base, unavailable);
    let error = one.by_hand("queue").await.unwrap_err();
    assert_eq!(error.to_string(), "the task `queue` failed");
    assert_eq!(error.code(), "store_unavailable");
    let kept = one.task("queue").await.by_hand.unwrap();
    assert!(kept.truncated && kept.failure.is_some(), "{kept:?}");
}

#[tokio::test]
async fn all_parts_have_their_turn_in_one_pass_over_them() {
    let base = work().await;
    let (one, _) = broken(&base, unavailable);
    let error = one.windlass.maintain(1_000).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot sweep the queue");
    let left = one.windlass.due(100).await.unwrap();
    assert_eq!(left.entries, 2, "only what failed");
}

#[test]
fn a_task_that_is_not_there_is_refused_with_those_that_are() {
    let error = Task::named("queues").unwrap_err();
    assert_eq!(error.code(), "unknown_task");
    assert_eq!(
        error.to_string(),
        "there is no task `queues`; there are sessions, stash, queue, streams, checkpoints, \
         attachments, blobs, keys, audit, cache, cache_orphans"
    );
}
