//! Which streams a subscription is linked to, and from where on.

use std::sync::Arc;

use windlass_store::{Batch, Commit, Store};
use windlass_stream::subscription::{Delivery, NewSubscription};

use super::{
    ack, acked, append, at, at_of, code, create, hook, made, path_key, pending, pull, remove,
    subscriptions,
};
use crate::support::{World, caller_of, text};

#[tokio::test]
async fn streams_that_are_there_begin_at_their_tail_and_later_ones_at_their_start() {
    let world = World::new();
    create(&world, "events/old").await;
    append(&world, "events/old").await;
    create(&world, "other/old").await;
    let subscriptions = made(&world, hook()).await;
    assert_eq!(acked(&world, "events/old").await, Some(1));
    assert_eq!(acked(&world, "other/old").await, None);
    create(&world, "events/new").await;
    append(&world, "events/new").await;
    create(&world, "other/new").await;
    append(&world, "other/new").await;
    let wake = subscriptions
        .look(&at(), None)
        .await
        .expect("a store that works");
    let wake = wake.expect("something is pending");
    assert_eq!(pending(&wake), [("events/new".to_owned(), 0, 1)]);
    assert_eq!(acked(&world, "other/new").await, None);
}

#[tokio::test]
async fn the_same_words_confirm_a_subscription_and_others_are_refused() {
    let world = World::new();
    let subscriptions = made(&world, hook()).await;
    let again = subscriptions
        .confirm(&at(), hook())
        .await
        .expect("the same");
    assert!(!again.is_new);
    let ttl = NewSubscription {
        lease_ttl_ms: 2_000,
        ..hook()
    };
    let described = NewSubscription {
        description: Some("mine".into()),
        ..hook()
    };
    for other in [ttl, described, pull()] {
        let refused = subscriptions.confirm(&at(), other).await;
        assert_eq!(
            code(refused.map(|it| it.is_new)),
            Err("subscription_differs")
        );
    }
}

#[tokio::test]
async fn the_order_of_streams_is_not_part_of_the_words() {
    let world = World::new();
    let of = |paths: &[&str]| NewSubscription {
        streams: paths.iter().map(|path| Arc::from(*path)).collect(),
        ..hook()
    };
    let subscriptions = made(&world, of(&["a", "b"])).await;
    let again = subscriptions.confirm(&at(), of(&["b", "a", "b"])).await;
    assert_eq!(code(again.map(|it| it.is_new)), Ok(false));
}

#[tokio::test]
async fn what_is_no_subscription_is_refused_before_anything_is_written() {
    let world = World::new();
    let nothing = NewSubscription::of(Delivery::PullWake("wake".into()));
    let short = NewSubscription {
        lease_ttl_ms: 999,
        ..hook()
    };
    let long = NewSubscription {
        lease_ttl_ms: 600_001,
        ..hook()
    };
    let reserved = NewSubscription {
        streams: vec!["__ds/x".into()],
        ..hook()
    };
    let no_url = NewSubscription {
        delivery: Delivery::Webhook("".into()),
        ..hook()
    };
    for new in [nothing, short, long, reserved, no_url] {
        let refused = subscriptions(&world).confirm(&at(), new).await;
        assert_eq!(code(refused.map(|it| it.is_new)), Err("invalid_request"));
    }
    assert_eq!(world.keys().await, Vec::<String>::new());
}

#[tokio::test]
async fn named_streams_are_linked_and_let_go_and_the_pattern_keeps_its_own() {
    let world = World::new();
    create(&world, "events/a").await;
    let subscriptions = made(&world, hook()).await;
    let paths: [Arc<str>; 2] = ["events/a".into(), "manual/b".into()];
    for _ in 0..2 {
        subscriptions
            .link(&at(), &paths)
            .await
            .expect("two streams");
    }
    let explicit = |view: windlass_stream::subscription::SubscriptionView| {
        let links = view.streams.into_iter();
        links
            .map(|it| (it.path.to_string(), it.explicit))
            .collect::<Vec<_>>()
    };
    let view = subscriptions.show(&at()).await.expect("it is there");
    let both = [("events/a".to_owned(), true), ("manual/b".to_owned(), true)];
    assert_eq!(explicit(view), both);
    for path in ["events/a", "manual/b", "manual/b", "events/never"] {
        subscriptions.unlink(&at(), path).await.expect("no error");
    }
    let view = subscriptions.show(&at()).await.expect("it is there");
    assert_eq!(explicit(view), [("events/a".to_owned(), false)]);
}

#[tokio::test]
async fn a_stream_made_anew_under_its_path_is_worked_on_from_its_beginning() {
    let world = World::new();
    create(&world, "events/a").await;
    let subscriptions = made(&world, pull()).await;
    append(&world, "events/a").await;
    append(&world, "events/a").await;
    let wake = subscriptions.claim(&at(), "w").await.expect("pending");
    remove(&world, "events/a").await;
    create(&world, "events/a").await;
    append(&world, "events/a").await;
    // What was worked on is not what the path leads to now.
    let acks = [ack("events/a", 2)];
    let done = subscriptions.ack(&at(), &wake.hold, &acks, true).await;
    assert!(done.expect("it holds it").is_pending);
    let wake = subscriptions.claim(&at(), "w").await.expect("pending");
    assert_eq!(pending(&wake), [("events/a".to_owned(), 0, 1)]);
}

#[tokio::test]
async fn a_stream_that_is_gone_is_let_go_unless_it_was_named() {
    let world = World::new();
    for path in ["events/a", "events/b"] {
        create(&world, path).await;
    }
    let named = NewSubscription {
        streams: vec!["events/b".into()],
        ..hook()
    };
    let subscriptions = made(&world, named).await;
    for path in ["events/a", "events/b"] {
        remove(&world, path).await;
    }
    let wake = subscriptions
        .look(&at(), None)
        .await
        .expect("a store that works");
    assert!(wake.is_none(), "{wake:?}");
    assert_eq!(acked(&world, "events/a").await, None);
    assert_eq!(acked(&world, "events/b").await, Some(0));
}

#[tokio::test]
async fn a_stream_of_wakes_does_not_wake_its_own_subscription() {
    let world = World::new();
    create(&world, "wake/pool").await;
    let all = NewSubscription {
        pattern: Some("**".parse().expect("a pattern")),
        ..pull()
    };
    let subscriptions = made(&world, all).await;
    append(&world, "wake/pool").await;
    subscriptions
        .look(&at(), None)
        .await
        .expect("a store that works");
    assert_eq!(acked(&world, "wake/pool").await, None);
    let claimed = subscriptions.claim(&at(), "w").await;
    assert_eq!(code(claimed.map(|_| ())), Err("nothing_pending"));
}

#[tokio::test]
async fn a_subscription_of_another_principal_is_answered_like_none() {
    let world = World::new();
    create(&world, "events/a").await;
    let subscriptions = made(&world, pull()).await;
    append(&world, "events/a").await;
    let wake = subscriptions.claim(&at(), "w").await.expect("pending");
    for (tenant, principal, id) in [
        ("acme", "bob", "s"),
        ("other", "ann", "s"),
        ("acme", "ann", "t"),
    ] {
        let other = at_of(caller_of(tenant, principal), id);
        let shown = subscriptions.show(&other).await;
        assert_eq!(code(shown.map(|_| ())), Err("not_found"));
        let claimed = subscriptions.claim(&other, "w").await;
        assert_eq!(code(claimed.map(|_| ())), Err("not_found"));
        let acked = subscriptions.ack(&other, &wake.hold, &[], true).await;
        assert_eq!(code(acked.map(|_| ())), Err("not_found"));
        assert_eq!(
            code(subscriptions.release(&other, &wake.hold).await),
            Err("not_found")
        );
        assert_eq!(
            code(subscriptions.unlink(&other, "events/a").await),
            Err("not_found")
        );
        assert_eq!(code(subscriptions.delete(&other).await), Err("not_found"));
    }
    // A foreign one of the same name is another one.
    let foreign = at_of(caller_of("acme", "bob"), "s");
    let made = subscriptions
        .confirm(&foreign, hook())
        .await
        .expect("a new name");
    assert!(made.is_new);
    assert_eq!(made.subscription.streams, []);
}

#[tokio::test]
async fn a_link_that_is_missing_is_damage_and_no_shorter_list() {
    let world = World::new();
    create(&world, "events/a").await;
    let subscriptions = made(&world, hook()).await;
    let keys = world.keys().await;
    let link = keys
        .iter()
        .find(|key| key.contains("/link/"))
        .expect("one link");
    world.delete(link).await;
    let shown = subscriptions.show(&at()).await;
    assert_eq!(code(shown.map(|_| ())), Err("corrupt_record"));
}

#[tokio::test]
async fn a_pattern_for_more_streams_than_fit_is_refused() {
    let world = World::new();
    for part in 0..3_u64 {
        let mut batch = Batch::new();
        for number in 0..334 {
            let path = format!("events/{:04}", part * 334 + number);
            let row = format!(
                "{{\"v\":1,\"stream\":\"x{part}-{number}\",\"path\":\"{path}\",\
                 \"content_type\":\"application/json\"}}"
            );
            batch = batch.put(path_key(&path), row);
        }
        let put = world
            .ground
            .commit(batch)
            .await
            .expect("a store that works");
        assert!(matches!(put, Commit::Applied(_)), "{put:?}");
    }
    let refused = subscriptions(&world).confirm(&at(), hook()).await;
    assert_eq!(code(refused.map(|it| it.is_new)), Err("too_many_links"));
}

#[tokio::test]
async fn a_deleted_subscription_leaves_its_generation_and_then_nothing() {
    let world = World::new();
    create(&world, "events/a").await;
    let before = world.keys().await.len();
    let subscriptions = made(&world, pull()).await;
    append(&world, "events/a").await;
    let wake = subscriptions.claim(&at(), "w").await.expect("pending");
    assert_eq!(wake.hold.generation, 1);
    subscriptions.delete(&at()).await.expect("it is there");
    assert_eq!(code(subscriptions.delete(&at()).await), Err("not_found"));
    let acked = subscriptions
        .ack(&at(), &wake.hold, &[ack("events/a", 1)], true)
        .await;
    assert_eq!(code(acked.map(|_| ())), Err("not_found"));
    subscriptions
        .confirm(&at(), pull())
        .await
        .expect("the name is free");
    append(&world, "events/a").await;
    let wake = subscriptions.claim(&at(), "w").await.expect("pending");
    assert_eq!(wake.hold.generation, 2, "generations go on");
    subscriptions.delete(&at()).await.expect("it is there");
    world.env.advance_ms(600_000);
    let due = subscriptions
        .due(None, 10)
        .await
        .expect("a store that works");
    assert_eq!(due.subscriptions, [at()]);
    subscriptions
        .look(&at(), None)
        .await
        .expect("a store that works");
    let keys: Vec<String> = world
        .rows()
        .await
        .iter()
        .map(|row| text(&row.key))
        .collect();
    let left: Vec<&String> = keys
        .iter()
        .filter(|key| key.contains("subscription"))
        .collect();
    assert_eq!(left, Vec::<&String>::new());
    assert_eq!(keys.len(), before + 2, "two chunks were appended");
}
