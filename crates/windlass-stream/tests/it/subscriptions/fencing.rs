//! What a worker may do, and which one.

use windlass_stream::subscription::{Ack, Hold};

use super::{ack, acked, append, at, code, create, made, pull};
use crate::support::World;

#[tokio::test]
async fn a_worker_that_gives_signs_of_life_keeps_its_lease() {
    let world = World::new();
    create(&world, "events/a").await;
    let subscriptions = made(&world, pull()).await;
    append(&world, "events/a").await;
    append(&world, "events/a").await;
    let wake = subscriptions.claim(&at(), "w").await.expect("pending");
    for _ in 0..5 {
        world.env.advance_ms(900);
        let kept = subscriptions
            .ack(&at(), &wake.hold, &[ack("events/a", 1)], false)
            .await;
        let kept = kept.expect("it holds it");
        assert!(kept.is_pending && kept.until.is_some(), "{kept:?}");
    }
    let done = subscriptions
        .ack(&at(), &wake.hold, &[ack("events/a", 2)], true)
        .await;
    let done = done.expect("it holds it");
    assert!(!done.is_pending && done.until.is_none(), "{done:?}");
    assert_eq!(acked(&world, "events/a").await, Some(2));
}

#[tokio::test]
async fn wake_generation_and_token_have_to_be_those_of_the_lease() {
    let world = World::new();
    create(&world, "events/a").await;
    let subscriptions = made(&world, pull()).await;
    append(&world, "events/a").await;
    let first = subscriptions.claim(&at(), "w").await.expect("pending").hold;
    subscriptions
        .release(&at(), &first)
        .await
        .expect("it holds it");
    let held = subscriptions.claim(&at(), "w").await.expect("pending").hold;
    let generation = Hold {
        generation: held.generation + 1,
        ..held.clone()
    };
    let wake = Hold {
        wake: first.wake.clone(),
        ..held.clone()
    };
    let token = Hold {
        token: first.token,
        ..held.clone()
    };
    for hold in [&first, &generation, &wake, &token] {
        let acks = [ack("events/a", 1)];
        let refused = subscriptions.ack(&at(), hold, &acks, false).await;
        assert_eq!(code(refused.map(|_| ())), Err("fenced"), "{hold:?}");
        assert_eq!(
            code(subscriptions.release(&at(), hold).await),
            Err("fenced")
        );
    }
    assert_eq!(acked(&world, "events/a").await, Some(0));
    let good = subscriptions
        .ack(&at(), &held, &[ack("events/a", 1)], true)
        .await;
    assert!(!good.expect("it holds it").is_pending);
    let again = subscriptions.ack(&at(), &held, &[], true).await;
    assert_eq!(code(again.map(|_| ())), Err("fenced"), "it let go");
}

#[tokio::test]
async fn a_lease_that_ran_out_counts_for_nothing_even_if_nobody_took_over() {
    let world = World::new();
    create(&world, "events/a").await;
    let subscriptions = made(&world, pull()).await;
    append(&world, "events/a").await;
    let wake = subscriptions.claim(&at(), "w").await.expect("pending");
    world.env.advance_ms(1_000);
    let late = subscriptions
        .ack(&at(), &wake.hold, &[ack("events/a", 1)], true)
        .await;
    assert_eq!(code(late.map(|_| ())), Err("fenced"));
    assert_eq!(acked(&world, "events/a").await, Some(0));
}

#[tokio::test]
async fn acknowledging_never_goes_back_and_never_beyond_the_tail() {
    let world = World::new();
    create(&world, "events/a").await;
    let subscriptions = made(&world, pull()).await;
    for _ in 0..3 {
        append(&world, "events/a").await;
    }
    let wake = subscriptions.claim(&at(), "w").await.expect("pending");
    let table: [(&[Ack], Result<(), &str>, u64); 5] = [
        (&[ack("events/a", 2)], Ok(()), 2),
        (&[ack("events/a", 1)], Ok(()), 2),
        (&[ack("events/a", 4)], Err("offset_beyond_tail"), 2),
        (
            &[ack("events/a", 3), ack("events/b", 0)],
            Err("stream_not_linked"),
            2,
        ),
        (&[ack("events/a", 3), ack("events/a", 1)], Ok(()), 3),
    ];
    for (acks, expected, stands) in table {
        let answer = subscriptions.ack(&at(), &wake.hold, acks, false).await;
        assert_eq!(code(answer.map(|_| ())), expected, "{acks:?}");
        assert_eq!(acked(&world, "events/a").await, Some(stands), "{acks:?}");
    }
}

#[tokio::test]
async fn no_token_is_stored_or_shown() {
    let world = World::new();
    create(&world, "events/a").await;
    let subscriptions = made(&world, pull()).await;
    append(&world, "events/a").await;
    let wake = subscriptions.claim(&at(), "w").await.expect("pending");
    let token = wake.hold.token.to_string();
    assert_eq!(token.len(), 64);
    assert!(!format!("{wake:?}").contains(&token));
    for row in world.rows().await {
        let value = String::from_utf8_lossy(&row.value).into_owned();
        assert!(!value.contains(&token), "{:?}", row.key);
    }
}
