//! Whoever lost a claim changes nothing any more.

use windlass_queue::{Failure, Return, Settle, State, Work};

use crate::support::{
    MINUTE, SECOND, START, TTL, World, claim_any, claim_of, code, complete, job, name, names,
    renew, session, settle,
};

#[tokio::test]
async fn a_claim_is_over_at_exactly_its_deadline_also_for_its_owner() {
    let world = World::new();
    world.push(job("a")).await;
    let claim = world.take(1).await;
    world.env.advance_ms(TTL - 1);
    assert_eq!(world.claim(1).await, None, "it lasts for one more moment");
    world.env.advance_ms(1);
    assert_eq!(code(world.complete(&claim).await), "claim_expired");
    assert_eq!(
        code(renew(&world.queue, &claim, TTL).await),
        "claim_expired"
    );
    let again = world.take(1).await;
    assert_eq!(
        (names(&again), again.token),
        (names(&claim), claim.token + 1)
    );
    assert_eq!(again.work[0].attempt, 2);
}

#[tokio::test]
async fn a_stale_holder_is_refused_with_everything() {
    let world = World::new();
    let ids = world.push_many(3).await;
    let stale = world.take(3).await;
    world.env.advance_ms(TTL);
    let fresh = world.take(3).await;
    assert_eq!(fresh.owner, stale.owner);
    for settle_it in [stale.completed(), stale.failed("x"), stale.abandoned(0)] {
        let refused = settle(&world.queue, &stale.session, settle_it.clone()).await;
        assert_eq!(code(refused), "claim_expired", "{settle_it:?}");
    }
    assert_eq!(
        code(renew(&world.queue, &stale, TTL).await),
        "claim_expired"
    );
    assert_eq!(fresh.ids(), ids);
    assert_eq!(world.complete(&fresh).await.expect("held").held, 0);
    assert_eq!(code(world.complete(&fresh).await), "claim_expired", "once");
    assert_eq!(world.counts().await.pending, 0);
}

#[tokio::test]
async fn renewing_holds_a_claim_and_never_shortens_it() {
    let world = World::new();
    world.push(job("a")).await;
    let claim = world.take(1).await;
    let until = renew(&world.queue, &claim, SECOND).await.expect("held");
    assert_eq!(until, START.plus_ms(TTL));
    for _ in 0..10 {
        world.env.advance_ms(TTL - 1);
        let until = renew(&world.queue, &claim, TTL).await.expect("held");
        assert_eq!(until, world.now().plus_ms(TTL));
        assert_eq!(claim_any(&world.queue, 1).await, None);
        assert_eq!(claim_of(&world.reopen(), "s1", 1).await, None);
    }
    world.complete(&claim).await.expect("held");
}

#[tokio::test]
async fn other_processes_leave_a_claim_alone_until_their_clocks_agree_that_it_is_over() {
    let world = World::shared();
    world.push(job("a")).await;
    let claim = world.take(1).await;
    world.env.advance_ms(TTL);
    let other = world.reopen();
    assert_eq!(claim_of(&other, "s1", 1).await, None, "within the skew");
    assert_eq!(code(world.complete(&claim).await), "claim_expired");
    world.env.advance_ms(5 * SECOND - 1);
    assert_eq!(claim_of(&other, "s1", 1).await, None);
    assert_eq!(claim_any(&other, 1).await, None);
    world.env.advance_ms(1);
    let taken = claim_any(&other, 1).await.expect("its time is over");
    assert_eq!(names(&taken), ["a"]);
}

#[tokio::test]
async fn who_saw_a_claim_unchanged_for_its_time_takes_it_at_its_deadline() {
    let world = World::shared();
    world.push(job("a")).await;
    let claim = world.take(1).await;
    let other = world.reopen();
    world.env.advance_ms(10 * SECOND);
    assert_eq!(
        claim_of(&other, "s1", 1).await,
        None,
        "seen for the first time"
    );
    renew(&world.queue, &claim, TTL).await.expect("held");
    world.env.advance_ms(TTL);
    assert_eq!(
        claim_of(&other, "s1", 1).await,
        None,
        "it was renewed meanwhile"
    );
    let own = claim_of(&world.queue, "s1", 1)
        .await
        .expect("seen since its renewal");
    assert_eq!(own.token, claim.token + 1);
    assert_eq!(code(world.complete(&claim).await), "claim_expired");
}

#[tokio::test]
async fn settling_names_exactly_what_is_held() {
    let world = World::new();
    let ids = world.push_many(4).await;
    let claim = world.take(3).await;
    let foreign = Settle {
        complete: vec![ids[0], ids[3]],
        ..Settle::nothing(claim.token)
    };
    let refused = settle(&world.queue, &claim.session, foreign).await;
    let refused = refused.expect_err("the fourth is not held");
    assert_eq!(refused.to_string(), "no such work");
    let twice = Settle {
        complete: vec![ids[0], ids[1]],
        fail: vec![Failure::new(ids[1])],
        ..Settle::nothing(claim.token)
    };
    let refused = settle(&world.queue, &claim.session, twice).await;
    assert_eq!(code(refused), "invalid_request");
    let nothing = settle(&world.queue, &claim.session, Settle::nothing(claim.token)).await;
    assert_eq!(code(nothing), "invalid_request");
    assert_eq!(
        world.list(State::Claimed).await.len(),
        3,
        "nothing happened"
    );
    assert_eq!(world.complete(&claim).await.expect("held").held, 0);
}

#[tokio::test]
async fn a_claim_is_settled_in_parts_and_ends_with_the_last() {
    let world = World::new();
    let ids = world.push_many(4).await;
    let claim = world.take(4).await;
    let some = Settle {
        complete: vec![ids[1]],
        fail: vec![Failure {
            delay_ms: Some(MINUTE),
            ..Failure::new(ids[2])
        }],
        ..Settle::nothing(claim.token)
    };
    let settled = settle(&world.queue, &claim.session, some)
        .await
        .expect("held");
    assert_eq!(settled.held, 2);
    assert_eq!(settled.resting, [(ids[2], START.plus_ms(MINUTE))]);
    assert_eq!(world.claim(4).await, None, "the rest is still held");
    let rest = Settle {
        complete: vec![ids[0]],
        abandon: vec![Return {
            id: ids[3],
            delay_ms: 0,
        }],
        ..Settle::nothing(claim.token)
    };
    let settled = settle(&world.queue, &claim.session, rest)
        .await
        .expect("held");
    assert_eq!(settled.held, 0);
    assert_eq!(
        world.claim(4).await,
        None,
        "the third rests and keeps its place"
    );
    world.env.advance_ms(MINUTE);
    assert_eq!(names(&world.take(4).await), ["2", "3"]);
}

#[tokio::test]
async fn poison_is_claimed_so_often_and_no_more() {
    let world = World::new();
    let poison = Work {
        attempts_max: 3,
        ..job("poison")
    };
    world.push(poison).await;
    world.push(job("next")).await;
    for attempt in 1..=3 {
        let claim = world.take(1).await;
        assert_eq!(
            (name(&claim.work[0]).as_str(), claim.work[0].attempt),
            ("poison", attempt)
        );
        // Its worker dies each time.
        world.env.advance_ms(TTL);
    }
    assert_eq!(names(&world.take(1).await), ["next"]);
    let dead = world.list(State::Dead).await;
    let reasons: Vec<_> = dead
        .iter()
        .map(|it| (it.attempts, it.reason.as_deref()))
        .collect();
    assert_eq!(reasons, [(3, Some("its last claim ran out"))]);
}

#[tokio::test]
async fn a_late_holder_cannot_complete_what_came_back_to_another_session_of_the_same_name() {
    let world = World::new();
    world.push(job("a")).await;
    let old = world.take(1).await;
    world
        .queue
        .remove(&crate::support::caller().tenant, &session("s1"))
        .await
        .expect("removed");
    world.env.advance_ms(1);
    world.push(job("b")).await;
    let new = world.take(1).await;
    assert_ne!(new.token, old.token);
    assert_eq!(code(complete(&world.queue, &old).await), "claim_expired");
    assert_eq!(world.complete(&new).await.expect("held").held, 0);
}
