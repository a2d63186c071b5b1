//! Deliveries that fail, and that are tried again.

use windlass_stream::subscription::Failure;

use super::{append, at, called, code, create, hook, made, pull};
use crate::support::{START, World};

#[tokio::test]
async fn a_delivery_that_failed_is_tried_again_later_each_time() {
    let world = World::new();
    create(&world, "events/a").await;
    let subscriptions = made(&world, hook()).await;
    append(&world, "events/a").await;
    for (failures, seconds) in [
        (1, 1),
        (2, 2),
        (3, 4),
        (4, 8),
        (5, 16),
        (6, 32),
        (7, 60),
        (8, 60),
    ] {
        let wake = subscriptions
            .look(&at(), None)
            .await
            .expect("a store that works");
        let wake = wake.unwrap_or_else(|| panic!("nothing after {failures} failures"));
        assert_eq!(wake.hold.generation, failures);
        let now = windlass_core::Env::now(world.env.as_ref());
        let failed = subscriptions
            .failed(&at(), &wake.hold, Failure::Refused)
            .await;
        failed.expect("it was the last one");
        let view = subscriptions.show(&at()).await.expect("it is there");
        let waits = view.retry_at.expect("it failed").since(now);
        let expected = seconds * 800..=seconds * 1_200;
        assert!(expected.contains(&waits), "{failures} failures: {waits} ms");
        world.env.advance_ms(waits - 1);
        let early = subscriptions
            .look(&at(), None)
            .await
            .expect("a store that works");
        assert!(early.is_none(), "{early:?}");
        world.env.advance_ms(1);
        let due = subscriptions
            .due(None, 10)
            .await
            .expect("a store that works");
        assert_eq!(due.subscriptions, [at()]);
    }
    let wake = subscriptions
        .look(&at(), None)
        .await
        .expect("a store that works");
    let wake = wake.expect("it is tried for ever");
    subscriptions
        .arrived(&at(), &wake.hold)
        .await
        .expect("the last one");
    let view = subscriptions.show(&at()).await.expect("it is there");
    assert_eq!(view.retry_at, None);
    let acks = wake.all();
    let done = subscriptions.ack(&at(), &wake.hold, &acks, true).await;
    assert!(!done.expect("it holds it").is_pending);
}

#[tokio::test]
async fn who_may_have_got_a_delivery_keeps_the_lease() {
    let world = World::new();
    create(&world, "events/a").await;
    let subscriptions = made(&world, hook()).await;
    append(&world, "events/a").await;
    let wake = subscriptions
        .look(&at(), None)
        .await
        .expect("a store that works");
    let wake = wake.expect("pending");
    let failed = subscriptions
        .failed(&at(), &wake.hold, Failure::Unanswered)
        .await;
    failed.expect("it was the last one");
    let again = subscriptions
        .look(&at(), None)
        .await
        .expect("a store that works");
    assert!(again.is_none(), "{again:?}");
    let done = subscriptions
        .ack(&at(), &wake.hold, &wake.all(), true)
        .await;
    assert!(!done.expect("it was worked on").is_pending);
    let view = subscriptions.show(&at()).await.expect("it is there");
    assert_eq!(view.retry_at, None);
}

#[tokio::test]
async fn a_failure_of_an_earlier_wake_says_nothing() {
    let world = World::new();
    create(&world, "events/a").await;
    let subscriptions = made(&world, hook()).await;
    append(&world, "events/a").await;
    let first = subscriptions
        .look(&at(), None)
        .await
        .expect("a store that works");
    let first = first.expect("pending").hold;
    world.env.advance_ms(1_000);
    let second = subscriptions
        .look(&at(), None)
        .await
        .expect("a store that works");
    let second = second.expect("the lease ran out").hold;
    let late = subscriptions.failed(&at(), &first, Failure::Refused).await;
    assert_eq!(code(late), Err("fenced"));
    assert_eq!(
        code(subscriptions.arrived(&at(), &first).await),
        Err("fenced")
    );
    let done = subscriptions.ack(&at(), &second, &[], false).await;
    assert!(done.expect("it holds it").is_pending);
}

#[tokio::test]
async fn wakes_for_a_stream_that_is_not_there_wait_for_it() {
    let world = World::new();
    create(&world, "events/a").await;
    let subscriptions = made(&world, pull()).await;
    append(&world, "events/a").await;
    subscriptions
        .look(&at(), None)
        .await
        .expect("a store that works");
    let view = subscriptions.show(&at()).await.expect("it is there");
    let retry = view.retry_at.expect("it failed");
    create(&world, "wake/pool").await;
    world.env.advance_ms(retry.since(START) + 1);
    subscriptions
        .look(&at(), None)
        .await
        .expect("a store that works");
    assert_eq!(called(&world).await, [1]);
    let view = subscriptions.show(&at()).await.expect("it is there");
    assert_eq!(view.retry_at, None);
}

#[tokio::test]
async fn a_retry_for_which_nothing_is_left_is_forgotten() {
    let world = World::new();
    create(&world, "events/a").await;
    let subscriptions = made(&world, hook()).await;
    append(&world, "events/a").await;
    let wake = subscriptions
        .look(&at(), None)
        .await
        .expect("a store that works");
    let wake = wake.expect("pending");
    let failed = subscriptions
        .failed(&at(), &wake.hold, Failure::Refused)
        .await;
    failed.expect("it was the last one");
    super::remove(&world, "events/a").await;
    world.env.advance_ms(2_000);
    let wake = subscriptions
        .look(&at(), None)
        .await
        .expect("a store that works");
    assert!(wake.is_none(), "{wake:?}");
    let due = subscriptions
        .due(None, 10)
        .await
        .expect("a store that works");
    assert_eq!(due.subscriptions, []);
}
