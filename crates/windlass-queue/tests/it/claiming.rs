//! Who gets what, in which order, and for how long.

use windlass_queue::{Ask, Boundary, Delivery, Slot, State, Under, Work};

use crate::support::{
    MINUTE, SECOND, START, TTL, World, acquire, ask, claim_any, claim_of, code, complete, job,
    name, names, push_to, renew, session, settle, try_claim, try_claim_any,
};

#[tokio::test]
async fn work_is_handed_out_in_order_and_gone_once_completed() {
    let world = World::new();
    for name in ["a", "b", "c"] {
        world.push(job(name)).await;
    }
    for expected in ["a", "b", "c"] {
        let claim = world.take(1).await;
        assert_eq!(names(&claim), [expected]);
        assert_eq!(
            (claim.until, claim.work[0].attempt),
            (START.plus_ms(TTL), 1)
        );
        assert_eq!(world.complete(&claim).await.expect("done").held, 0);
    }
    assert_eq!(world.claim(1).await, None);
    let left = world.keys().await;
    let work = left
        .iter()
        .filter(|key| key.contains("/item/") || key.contains("-ready/"));
    assert_eq!(work.count(), 0, "{left:?}");
}

#[tokio::test]
async fn while_a_head_is_held_nobody_takes_what_stands_behind() {
    let world = World::new();
    world.push_many(3).await;
    let first = world.take(1).await;
    assert_eq!(world.claim(1).await, None);
    assert_eq!(claim_any(&world.queue, 1).await, None);
    assert_eq!(claim_of(&world.reopen(), "s1", 1).await, None);
    complete(&world.queue, &first).await.expect("held");
    assert_eq!(names(&world.take(1).await), ["1"]);
}

#[tokio::test]
async fn a_join_head_takes_its_adjacent_compatible_followers() {
    let world = World::new();
    let merged = |name: &str, key: &str| Work {
        merge_key: Some(key.into()),
        ..job(name)
    };
    let early = |name: &str| Work {
        delivery: Delivery::EarliestBoundary,
        ..merged(name, "x")
    };
    let alone = Work {
        slot: Slot::Exclusive,
        ..merged("e", "x")
    };
    for work in [
        merged("a", "x"),
        merged("b", "x"),
        merged("c", "y"),
        early("d"),
        alone,
        merged("f", "x"),
        merged("g", "x"),
    ] {
        world.push(work).await;
    }
    let expected: [&[&str]; 5] = [&["a", "b"], &["c"], &["d"], &["e"], &["f", "g"]];
    for expected in expected {
        let claim = world.take(10).await;
        assert_eq!(names(&claim), expected);
        world.complete(&claim).await.expect("held");
    }
}

#[tokio::test]
async fn a_claim_takes_no_more_than_it_asks_for() {
    let world = World::new();
    world.push_many(100).await;
    for (max, first) in [(3, "0"), (32, "3"), (64, "35"), (100, "99")] {
        let claim = world.take(max).await;
        assert_eq!(name(&claim.work[0]), first);
        assert_eq!(
            claim.work.len(),
            max.min(100 - first.parse::<usize>().expect("a number"))
        );
        world.complete(&claim).await.expect("held");
    }
}

#[tokio::test]
async fn inside_a_turn_only_what_may_be_delivered_early_is_handed_out() {
    let world = World::new();
    let inside = Ask {
        boundary: Boundary::Checkpoint,
        ..ask(10)
    };
    world.push(job("late")).await;
    let early = Work {
        delivery: Delivery::EarliestBoundary,
        ..job("early")
    };
    push_to(&world.queue, "s2", early).await;
    let none = try_claim(&world.queue, "s1", &inside).await;
    assert_eq!(none.expect("a claim that may be made"), None);
    let any = try_claim_any(&world.queue, &inside).await;
    let any = any.expect("a claim that may be made").expect("early work");
    assert_eq!(names(&any), ["early"]);
    complete(&world.queue, &any).await.expect("held");
    let none = try_claim_any(&world.queue, &inside).await;
    assert_eq!(none.expect("a claim that may be made"), None);
    assert_eq!(
        names(&claim_any(&world.queue, 10).await.expect("late work")),
        ["late"]
    );
}

#[tokio::test]
async fn higher_priorities_go_first_and_each_in_its_order() {
    let world = World::new();
    for (name, priority) in [("a", 4), ("b", 9), ("c", 0), ("d", 9), ("e", 4)] {
        world
            .push(Work {
                priority,
                ..job(name)
            })
            .await;
    }
    let claim = world.take(10).await;
    assert_eq!(names(&claim), ["b", "d", "a", "e", "c"]);
}

#[tokio::test]
async fn scheduled_work_joins_the_line_when_its_time_comes() {
    let world = World::new();
    let later = Work {
        available_at: Some(START.plus_ms(MINUTE)),
        ..job("later")
    };
    world.push(later).await;
    world.push(job("now")).await;
    assert_eq!(names(&world.take(10).await), ["now"]);
    assert_eq!(claim_any(&world.queue, 10).await, None, "held, and not yet");
    world.env.advance_ms(MINUTE);
    world.push(job("after")).await;
    let again = claim_any(&world.queue, 10)
        .await
        .expect("its time has come");
    assert_eq!(names(&again), ["now", "later", "after"]);
}

#[tokio::test]
async fn what_failed_rests_in_its_place_and_lets_only_higher_priorities_pass() {
    let world = World::new();
    world.push(job("a")).await;
    world.push(job("b")).await;
    let claim = world.take(1).await;
    let failed = settle(&world.queue, &session("s1"), claim.failed("no luck")).await;
    let failed = failed.expect("held");
    let (id, rest) = failed.resting[0];
    assert_eq!((failed.held, id), (0, claim.work[0].id));
    let wait = rest.since(START);
    assert!((500..=SECOND).contains(&wait), "{wait} ms");
    assert_eq!(world.claim(10).await, None);
    assert_eq!(claim_any(&world.queue, 10).await, None);
    world
        .push(Work {
            priority: 5,
            ..job("urgent")
        })
        .await;
    let urgent = world.take(10).await;
    assert_eq!(names(&urgent), ["urgent"]);
    world.complete(&urgent).await.expect("held");
    world.env.advance_to(rest);
    let again = claim_any(&world.queue, 10).await.expect("rested");
    assert_eq!(names(&again), ["a", "b"]);
    assert_eq!((again.work[0].attempt, again.work[1].attempt), (2, 1));
    assert_eq!(again.work[0].reason.as_deref(), Some("no luck"));
}

#[tokio::test]
async fn abandoned_work_is_back_at_once_or_after_its_delay() {
    let world = World::new();
    world.push(job("a")).await;
    let claim = world.take(1).await;
    settle(&world.queue, &session("s1"), claim.abandoned(0))
        .await
        .expect("held");
    let claim = world.take(1).await;
    assert_eq!(
        claim.work[0].attempt, 2,
        "an attempt counts when it is claimed"
    );
    settle(&world.queue, &session("s1"), claim.abandoned(SECOND))
        .await
        .expect("held");
    world.env.advance_ms(SECOND - 1);
    assert_eq!(world.claim(1).await, None);
    world.env.advance_ms(1);
    assert_eq!(names(&world.take(1).await), ["a"]);
}

#[tokio::test]
async fn zero_times_and_counts_are_refused() {
    let world = World::new();
    world.push(job("a")).await;
    let zeros = [
        Ask { max: 0, ..ask(1) },
        Ask { max: 101, ..ask(1) },
        Ask {
            ttl_ms: 0,
            ..ask(1)
        },
    ];
    for ask in zeros {
        let one = try_claim(&world.queue, "s1", &ask).await;
        assert_eq!(code(one), "invalid_request", "{ask:?}");
        let any = try_claim_any(&world.queue, &ask).await;
        assert_eq!(code(any), "invalid_request", "{ask:?}");
    }
    let claim = world.take(1).await;
    let renewed = renew(&world.queue, &claim, 0).await;
    assert_eq!(code(renewed), "invalid_request");
    let lease = acquire(&world.queue, "s1", "w", 0).await;
    assert_eq!(code(lease), "invalid_request");
}

#[tokio::test]
async fn sessions_do_not_wait_for_each_other() {
    let world = World::new();
    for id in ["s1", "s2", "s3"] {
        push_to(&world.queue, id, job(id)).await;
    }
    let mut taken = Vec::new();
    for _ in 0..3 {
        taken.extend(names(&claim_any(&world.queue, 5).await.expect("one each")));
    }
    taken.sort();
    assert_eq!(taken, ["s1", "s2", "s3"]);
    assert_eq!(claim_any(&world.queue, 5).await, None);
    assert_eq!(world.list(State::Claimed).await.len(), 1);
}

#[tokio::test]
async fn work_of_another_tenant_is_nobodys_business() {
    let world = World::new();
    world.push(job("a")).await;
    let stranger = crate::support::caller_of("other", "runtime");
    let none = world
        .queue
        .claim_any(&stranger, &ask(1), Under::NOTHING)
        .await;
    assert_eq!(none.expect("a claim that may be made"), None);
    let none = world
        .queue
        .claim(&stranger, &session("s1"), &ask(1), Under::NOTHING)
        .await;
    assert_eq!(none.expect("a claim that may be made"), None);
}
