//! Who is woken, and when.

use std::sync::Arc;

use windlass_store_testing::Slow;
use windlass_stream::subscription::Subscriptions;
use windlass_stream::{Settings, Streams};

use super::{
    ack, acked, append, at, called, code, create, hook, made, pending, pull, subscriptions,
};
use crate::support::World;

/// The same as a second process sees it: what they share is what is stored.
fn another(world: &World, seed: u64) -> Subscriptions {
    let store = Slow::new(Arc::clone(&world.ground), seed + 1_000);
    let env = Arc::clone(&world.env);
    let streams = Streams::new(Arc::new(store), env, &Settings::default());
    streams.expect("settings in range").subscriptions()
}

#[tokio::test]
async fn a_wake_is_appended_once_however_often_anybody_looks() {
    let world = World::new();
    for path in ["wake/pool", "events/a"] {
        create(&world, path).await;
    }
    let subscriptions = made(&world, pull()).await;
    append(&world, "events/a").await;
    for _ in 0..3 {
        let wake = subscriptions
            .look(&at(), None)
            .await
            .expect("a store that works");
        assert!(wake.is_none(), "{wake:?}");
        append(&world, "events/a").await;
    }
    assert_eq!(called(&world).await, [1]);
    let claimed = subscriptions.claim(&at(), "w").await.expect("pending");
    assert_eq!(claimed.hold.generation, 1, "the wake that was appended");
    assert_eq!(pending(&claimed), [("events/a".to_owned(), 0, 4)]);
    let done = [ack("events/a", 3)];
    let done = subscriptions.ack(&at(), &claimed.hold, &done, true).await;
    assert!(done.expect("it holds it").is_pending);
    subscriptions
        .look(&at(), None)
        .await
        .expect("a store that works");
    assert_eq!(called(&world).await, [1, 2]);
}

#[tokio::test]
async fn of_many_who_look_at_once_one_is_given_the_wake() {
    for seed in 0..50 {
        let world = World::over(&Settings::default(), |ground| {
            Arc::new(Slow::new(ground, seed))
        });
        create(&world, "events/a").await;
        made(&world, hook()).await;
        append(&world, "events/a").await;
        let (one, two) = (subscriptions(&world), another(&world, seed));
        let at = at();
        let looks = tokio::join!(
            one.look(&at, None),
            two.look(&at, None),
            one.look(&at, None),
            two.look(&at, None)
        );
        let looks = [looks.0, looks.1, looks.2, looks.3];
        let wakes = looks.map(|wake| wake.expect("a store that works").is_some());
        let given = wakes.iter().filter(|given| **given).count();
        assert_eq!(given, 1, "seed {seed}: {wakes:?}");
        let view = one.show(&at).await.expect("it is there");
        assert_eq!(view.generation, 1, "seed {seed}");
    }
}

#[tokio::test]
async fn of_many_who_look_at_once_one_appends_the_wake() {
    for seed in 0..50 {
        let world = World::over(&Settings::default(), |ground| {
            Arc::new(Slow::new(ground, seed))
        });
        for path in ["wake/pool", "events/a"] {
            create(&world, path).await;
        }
        made(&world, pull()).await;
        append(&world, "events/a").await;
        let (one, two) = (subscriptions(&world), another(&world, seed));
        let at = at();
        let looks = tokio::join!(
            one.look(&at, None),
            two.look(&at, None),
            one.look(&at, None)
        );
        for wake in [looks.0, looks.1, looks.2] {
            let wake = wake.expect("a store that works");
            assert!(wake.is_none(), "{wake:?}");
        }
        assert_eq!(called(&world).await, [1], "seed {seed}");
    }
}

#[tokio::test]
async fn what_nobody_was_told_of_is_found_after_a_restart() {
    let world = World::new();
    create(&world, "events/a").await;
    made(&world, hook()).await;
    append(&world, "events/a").await;
    let world = world.calm();
    let subscriptions = subscriptions(&world);
    let resting = subscriptions
        .resting(None, 10)
        .await
        .expect("a store that works");
    assert_eq!((resting.subscriptions, resting.next), (vec![at()], None));
    let wake = subscriptions
        .look(&at(), None)
        .await
        .expect("a store that works");
    assert_eq!(
        pending(&wake.expect("pending")),
        [("events/a".to_owned(), 0, 1)]
    );
}

#[tokio::test]
async fn a_worker_that_is_gone_is_followed_by_the_next_generation() {
    let world = World::new();
    for path in ["wake/pool", "events/a"] {
        create(&world, path).await;
    }
    let subscriptions = made(&world, pull()).await;
    append(&world, "events/a").await;
    let first = subscriptions.claim(&at(), "first").await.expect("pending");
    world.env.advance_ms(999);
    let busy = subscriptions.claim(&at(), "second").await;
    assert_eq!(code(busy.map(|_| ())), Err("already_claimed"));
    let due = subscriptions
        .due(None, 10)
        .await
        .expect("a store that works");
    assert_eq!(due.subscriptions, []);
    world.env.advance_ms(1);
    let due = subscriptions
        .due(None, 10)
        .await
        .expect("a store that works");
    assert_eq!(due.subscriptions, [at()]);
    subscriptions
        .look(&at(), None)
        .await
        .expect("a store that works");
    assert_eq!(called(&world).await, [2]);
    let stale = subscriptions
        .ack(&at(), &first.hold, &[ack("events/a", 1)], true)
        .await;
    assert_eq!(code(stale.map(|_| ())), Err("fenced"));
    assert_eq!(acked(&world, "events/a").await, Some(0));
    let second = subscriptions.claim(&at(), "second").await.expect("pending");
    assert_eq!(second.hold.generation, 2);
}

#[tokio::test]
async fn only_what_is_pending_is_claimed() {
    let world = World::new();
    create(&world, "events/a").await;
    let subscriptions = made(&world, pull()).await;
    let none = subscriptions.claim(&at(), "w").await;
    assert_eq!(code(none.map(|_| ())), Err("nothing_pending"));
    // Nobody has looked, and the stream is new.
    create(&world, "events/b").await;
    append(&world, "events/b").await;
    let claimed = subscriptions.claim(&at(), "w").await.expect("pending");
    assert_eq!(pending(&claimed), [("events/b".to_owned(), 0, 1)]);
}

#[tokio::test]
async fn a_look_for_one_path_finds_what_is_new_there() {
    let world = World::new();
    let subscriptions = made(&world, hook()).await;
    for path in ["events/a", "events/b", "other/c"] {
        create(&world, path).await;
        append(&world, path).await;
    }
    let other = subscriptions.look(&at(), Some(&["other/c".into()])).await;
    let other = other.expect("a store that works");
    assert!(other.is_none(), "{other:?}");
    let wake = subscriptions.look(&at(), Some(&["events/b".into()])).await;
    let wake = wake.expect("a store that works").expect("pending");
    assert_eq!(pending(&wake), [("events/b".to_owned(), 0, 1)]);
    assert_eq!(acked(&world, "events/a").await, None);
}

#[tokio::test]
async fn an_idle_subscription_costs_no_write() {
    let world = World::new();
    create(&world, "events/a").await;
    let subscriptions = made(&world, hook()).await;
    let before = world.rows().await;
    for _ in 0..3 {
        world.env.advance_ms(60_000);
        let wake = subscriptions
            .look(&at(), None)
            .await
            .expect("a store that works");
        assert!(wake.is_none(), "{wake:?}");
    }
    assert_eq!(world.rows().await, before);
}
