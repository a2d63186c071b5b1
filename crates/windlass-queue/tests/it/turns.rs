//! Changes of the queue as a part of somebody else's commit, and what a change
//! can be bound to.

use windlass_queue::{Done, Settle, Step, Under, Work};
use windlass_store::{Batch, Commit, Store};

use crate::support::{
    MINUTE, TTL, World, acquire, ask, caller, claim_of, code, complete, job, names, session,
    settle, try_push, under,
};

fn enqueue(id: &str, name: &str) -> Step {
    Step::Enqueue {
        session: session(id),
        work: job(name),
    }
}

async fn commit(world: &World, batch: Batch) -> Commit {
    world
        .ground
        .commit(batch)
        .await
        .expect("a store that works")
}

#[tokio::test]
async fn a_plan_does_nothing_until_it_is_committed_and_then_all_of_it() {
    let world = World::new();
    world.push(job("first")).await;
    let claim = world.take(1).await;
    let steps = [
        Step::Settle {
            session: claim.session.clone(),
            settle: claim.completed(),
        },
        enqueue("s1", "follow-up"),
        enqueue("s2", "other"),
    ];
    let planned = world.queue.plan(&caller(), &steps, None).await;
    let planned = planned.expect("steps that may be taken");
    assert_eq!(world.counts().await.claimed, 1, "nothing happened");
    assert_eq!(planned.sessions, [session("s1"), session("s2")]);
    let mine = Batch::new().put("acme/mine", "1");
    let mut batch = mine;
    batch.append(planned.batch);
    let applied = commit(&world, batch).await;
    assert!(matches!(applied, Commit::Applied(_)), "{applied:?}");
    for session in &planned.sessions {
        world.queue.forget(&caller().tenant, session);
    }
    let Done::Enqueued(follow_up) = planned.done[1] else {
        panic!("{:?}", planned.done);
    };
    let next = world.take(5).await;
    assert_eq!(
        (names(&next), next.ids()),
        (vec!["follow-up".to_owned()], vec![follow_up.id])
    );
    assert_eq!(
        names(&claim_of(&world.queue, "s2", 5).await.expect("work")),
        ["other"]
    );
    assert_eq!(code(complete(&world.queue, &claim).await), "claim_expired");
}

#[tokio::test]
async fn a_plan_conflicts_once_anything_it_was_made_from_has_changed() {
    let world = World::new();
    world.push(job("first")).await;
    let claim = world.take(1).await;
    let step = [Step::Settle {
        session: claim.session.clone(),
        settle: claim.completed(),
    }];
    let planned = world.queue.plan(&caller(), &step, None).await;
    let planned = planned.expect("a step that may be taken");
    world.env.advance_ms(TTL);
    let thief = world.take(1).await;
    let late = commit(&world, planned.batch).await;
    assert!(matches!(late, Commit::Conflict { .. }), "{late:?}");
    let again = world.queue.plan(&caller(), &step, None).await;
    assert_eq!(code(again), "claim_expired");
    world.complete(&thief).await.expect("held");
}

#[tokio::test]
async fn a_plan_that_goes_past_what_is_remembered_costs_a_lost_race_and_no_more() {
    let world = World::new();
    world.push(job("a")).await;
    let planned = world
        .queue
        .plan(&caller(), &[enqueue("s1", "b")], None)
        .await;
    let applied = commit(&world, planned.expect("a step").batch).await;
    assert!(matches!(applied, Commit::Applied(_)), "{applied:?}");
    // Nobody told the queue.
    assert_eq!(names(&world.take(5).await), ["a", "b"]);
}

#[tokio::test]
async fn all_steps_of_a_plan_or_none() {
    let world = World::new();
    let keyed = |name: &str| Work {
        source_key: Some("k".into()),
        ..job(name)
    };
    let known = try_push(&world.queue, "s1", vec![keyed("a")], Under::NOTHING).await;
    let known = known.expect("new")[0].id;
    let same = Step::Enqueue {
        session: session("s1"),
        work: keyed("a"),
    };
    let planned = world
        .queue
        .plan(&caller(), &[same], None)
        .await
        .expect("known");
    let Done::Enqueued(one) = planned.done[0] else {
        panic!("{:?}", planned.done);
    };
    assert_eq!(
        (one.id, one.known, planned.batch),
        (known, true, Batch::new())
    );
    let clash = Step::Enqueue {
        session: session("s1"),
        work: keyed("b"),
    };
    let refused = world
        .queue
        .plan(&caller(), &[enqueue("s2", "x"), clash], None)
        .await;
    assert_eq!(code(refused), "source_key_conflict");
    let stale = Step::Settle {
        session: session("s1"),
        settle: Settle {
            complete: vec![known],
            ..Settle::nothing(1)
        },
    };
    let refused = world.queue.plan(&caller(), &[stale], None).await;
    assert_eq!(code(refused), "claim_expired");
}

#[tokio::test]
async fn what_is_bound_to_a_lease_happens_only_while_it_is_held() {
    let world = World::new();
    let lease = acquire(&world.queue, "s1", "w1", TTL).await.expect("free");
    let bound = Under::bound(lease.bound());
    let pushed = try_push(&world.queue, "s1", vec![job("a")], bound.clone()).await;
    pushed.expect("the lease is held");
    world.env.advance_ms(TTL / 2);
    world
        .queue
        .renew_lease(&caller(), &lease)
        .await
        .expect("held");
    let claim = world
        .queue
        .claim(&caller(), &session("s1"), &ask(1), bound.clone())
        .await;
    let claim = claim.expect("renewals change nothing").expect("work");
    world.env.advance_ms(TTL);
    let other = acquire(&world.queue, "s1", "w2", TTL)
        .await
        .expect("it ran out");
    assert!(other.generation > lease.generation, "{other:?}");
    let done = claim.completed();
    let lost = world
        .queue
        .settle(&caller(), &session("s1"), done, bound.clone())
        .await;
    // Its claim ran out as well; what it enqueues is refused for the lease.
    assert_eq!(code(lost), "claim_expired");
    let lost = try_push(&world.queue, "s1", vec![job("b")], bound).await;
    assert_eq!(code(lost), "lease_lost");
    let planned = [enqueue("s1", "c")];
    let planned = world
        .queue
        .plan(&caller(), &planned, Some(&lease.bound()))
        .await;
    let late = commit(&world, planned.expect("decided, not checked").batch).await;
    assert!(matches!(late, Commit::Conflict { .. }), "{late:?}");
    let counts = world.counts().await;
    assert_eq!(counts.pending + counts.claimed, 1);
}

#[tokio::test]
async fn a_lease_has_one_holder_and_rising_generations() {
    let world = World::new();
    let first = acquire(&world.queue, "s1", "w1", TTL).await.expect("free");
    for by in ["w1", "w2"] {
        let held = acquire(&world.reopen(), "s1", by, TTL).await;
        assert_eq!(code(held), "lease_held", "{by}");
    }
    let shown = world
        .queue
        .lease(&caller(), &session("s1"))
        .await
        .expect("readable");
    assert_eq!(shown.map(|it| it.generation), Some(first.generation));
    world
        .queue
        .release_lease(&caller(), &first)
        .await
        .expect("held");
    assert_eq!(
        world
            .queue
            .lease(&caller(), &session("s1"))
            .await
            .expect("readable"),
        None
    );
    let second = acquire(&world.queue, "s1", "w2", TTL).await.expect("free");
    assert_eq!(second.generation, first.generation + 1);
    for stale in [
        world.queue.renew_lease(&caller(), &first).await.map(drop),
        world.queue.release_lease(&caller(), &first).await,
    ] {
        assert_eq!(code(stale), "lease_lost");
    }
    world.env.advance_ms(TTL);
    let late = world.queue.renew_lease(&caller(), &second).await;
    assert_eq!(code(late), "lease_lost", "over at exactly its deadline");
    let third = acquire(&world.queue, "s1", "w3", TTL)
        .await
        .expect("it ran out");
    assert!(third.generation > second.generation, "{third:?}");
}

#[tokio::test]
async fn a_lease_taken_under_an_operation_id_is_given_again_while_it_lasts() {
    let world = World::new();
    let take = async |by: &str| {
        let owner = crate::support::owner(by);
        let queue = &world.queue;
        queue
            .acquire_lease(&caller(), &session("s1"), &owner, TTL, under("take"))
            .await
    };
    let first = take("w1").await.expect("free");
    assert_eq!(take("w1").await.expect("the same"), first);
    assert_eq!(code(take("w2").await), "lease_held");
    world.env.advance_ms(MINUTE);
    assert_ne!(take("w1").await.expect("anew").generation, first.generation);
}

#[tokio::test]
async fn settling_and_claiming_again_share_a_commit_and_a_fate() {
    let world = World::new();
    world.push_many(5).await;
    let mut claim = world.take(2).await;
    let mut seen = names(&claim);
    loop {
        let next = world
            .queue
            .settle_and_claim(
                &caller(),
                &session("s1"),
                claim.completed(),
                &ask(2),
                Under::NOTHING,
            )
            .await;
        let (settled, next) = next.expect("held");
        assert_eq!(settled.held, 0);
        match next {
            Some(next) => claim = next,
            None => break,
        }
        seen.extend(names(&claim));
    }
    assert_eq!(seen, ["0", "1", "2", "3", "4"]);
    let over = settle(&world.queue, &session("s1"), claim.completed()).await;
    assert_eq!(code(over), "claim_expired");
}
