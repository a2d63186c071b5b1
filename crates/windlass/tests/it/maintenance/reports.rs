//! What upkeep says, and how long it is remembered.

use super::*;
use crate::place::Place;

#[tokio::test]
async fn the_last_reports_are_read_after_a_restart_and_by_others() {
    for &scheme in crate::SCHEMES.iter().filter(|scheme| **scheme != "memory") {
        let place = Place::new(scheme);
        let env = Arc::new(ManualEnv::new(1, START));
        let location = place.location();
        let opened = Windlass::with_env(&location, options(), env.clone());
        let one = Engine {
            windlass: opened.await.unwrap(),
            env,
        };
        one.sessions(4).await;
        one.env.advance_ms(60_000);
        round(one.keeper().turn().await.unwrap());
        one.due_rows("access", 3).await;
        let maintenance = one.windlass.maintenance();
        let by_hand = one.by_hand("keys").await.unwrap();
        let before = maintenance.status().await.unwrap();
        one.windlass.close().await.unwrap();

        let env = Arc::new(ManualEnv::new(2, one.env.now()));
        let opened = Windlass::with_env(&location, options(), env.clone());
        let other = opened.await.unwrap();
        let after = other.maintenance().status().await.unwrap();
        assert_eq!(after, before, "{scheme}");
        let task = |name| after.tasks.iter().find(|task| task.task == name).unwrap();
        let sessions = task("sessions").last.as_ref().unwrap();
        assert_eq!(sessions.counts["removed"], 4, "{scheme}");
        assert_eq!(task("keys").by_hand.as_ref(), Some(&by_hand), "{scheme}");
        assert_eq!(
            (after.rounds.len(), after.rounds[0].changed),
            (1, 8),
            "{scheme}"
        );
        other.close().await.unwrap();
    }
}

#[tokio::test]
async fn no_more_than_32_rounds_are_remembered() {
    let one = Engine::new().await;
    let mut keeper = one.keeper();
    for _ in 0..40 {
        round(keeper.turn().await.unwrap());
        one.env.advance_ms(33_001);
    }
    let rounds = one.windlass.maintenance().status().await.unwrap().rounds;
    let begun = rounds.iter().map(|round| round.at).collect::<Vec<_>>();
    assert_eq!(begun.len(), 32);
    assert!(
        begun.iter().rev().is_sorted(),
        "the newest first: {begun:?}"
    );
}

#[tokio::test]
async fn what_is_overdue_is_counted_for_its_task() {
    let one = Engine::new().await;
    one.due_rows("queue", 2).await;
    one.due_rows("lease", 3).await;
    one.due_rows("of-another", 1).await;
    let status = one.windlass.maintenance().status().await.unwrap();
    let overdue = |name| {
        let mut tasks = status.tasks.iter();
        tasks.find(|task| task.task == name).unwrap().overdue
    };
    let found = overdue("queue");
    let since = Millis::new(START.get() - 10_000);
    assert_eq!((found.entries, found.oldest_at), (5, Some(since)));
    assert_eq!(overdue("sessions").entries, 0);
    assert!(!status.overdue_more);
}
