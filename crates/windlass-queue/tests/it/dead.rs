//! Work that is not tried any more, and what may be done with it.

use std::sync::Arc;

use windlass_queue::{Backoff, Claim, Failure, Queue, Settle, State, Under, Work, WorkId};
use windlass_store_testing::{Slow, Strict, StrictOptions};

use crate::support::{
    MINUTE, START, TTL, World, caller, code, complete, job, list, names, session, settle, under,
};

async fn fail_all(world: &World, fatal: bool) -> Vec<WorkId> {
    let claim = world.take(100).await;
    let failures = claim.ids().into_iter().map(|id| Failure {
        fatal,
        reason: Some("broken".into()),
        ..Failure::new(id)
    });
    let failed = Settle {
        fail: failures.collect(),
        ..Settle::nothing(claim.token)
    };
    settle(&world.queue, &claim.session, failed)
        .await
        .expect("held")
        .dead
}

#[tokio::test]
async fn failed_work_rests_longer_each_time_and_dies_after_its_last_attempt() {
    let world = World::new();
    let backoff = Backoff {
        first_ms: 1_000,
        max_ms: 5_000,
    };
    let work = Work {
        attempts_max: 5,
        backoff,
        ..job("a")
    };
    let id = world.push(work).await;
    for whole in [1_000, 2_000, 4_000, 5_000] {
        let claim = world.take(1).await;
        let failed = settle(&world.queue, &claim.session, claim.failed("again")).await;
        let rest = failed.expect("held").resting[0].1;
        let wait = rest.since(world.now());
        assert!((whole / 2..=whole).contains(&wait), "{wait} of {whole} ms");
        world.env.advance_to(rest);
    }
    assert_eq!(fail_all(&world, false).await, [id]);
    assert_eq!(world.claim(1).await, None);
    let dead = world.list(State::Dead).await;
    assert_eq!((dead[0].id, dead[0].attempts), (id, 5));
    assert_eq!(dead[0].reason.as_deref(), Some("broken"));
    assert_eq!(dead[0].died_at, Some(world.now()));
    assert_eq!(world.counts().await.dead, 1);
}

#[tokio::test]
async fn retried_work_stands_where_it_stood_with_all_its_attempts() {
    let world = World::new();
    let ids = world.push_many(5).await;
    assert_eq!(fail_all(&world, true).await, ids);
    world.env.advance_ms(MINUTE);
    world.push(job("new")).await;
    for id in [ids[3], ids[1]] {
        let retried = world
            .queue
            .retry(&caller(), &session("s1"), id, Under::NOTHING)
            .await;
        retried.expect("dead work");
        let again = world
            .queue
            .retry(&caller(), &session("s1"), id, Under::NOTHING)
            .await;
        assert_eq!(code(again), "work_not_found");
    }
    let claim = world.take(100).await;
    assert_eq!(names(&claim), ["1", "3", "new"]);
    assert_eq!((claim.work[0].attempt, claim.work[0].id), (1, ids[1]));
    world.complete(&claim).await.expect("held");
    assert_eq!(world.counts().await.dead, 3);
}

#[tokio::test]
async fn retried_work_goes_back_among_its_neighbours() {
    let world = World::new();
    let ids = world.push_many(5).await;
    let claim = world.take(5).await;
    let middle = Settle {
        fail: vec![Failure {
            fatal: true,
            ..Failure::new(ids[2])
        }],
        ..Settle::nothing(claim.token)
    };
    settle(&world.queue, &claim.session, middle)
        .await
        .expect("held");
    world.env.advance_ms(TTL);
    let retried = world
        .reopen()
        .retry(&caller(), &session("s1"), ids[2], Under::NOTHING)
        .await;
    retried.expect("dead work");
    assert_eq!(world.take(100).await.ids(), ids);
}

#[tokio::test]
async fn dropped_work_is_gone() {
    let world = World::new();
    let ids = world.push_many(2).await;
    fail_all(&world, true).await;
    let drop_it = async || {
        let queue = &world.queue;
        queue
            .drop_dead(&caller(), &session("s1"), ids[0], under("drop-1"))
            .await
    };
    drop_it().await.expect("dead work");
    drop_it().await.expect("the first answer");
    let again = world
        .queue
        .drop_dead(&caller(), &session("s1"), ids[0], Under::NOTHING)
        .await;
    assert_eq!(code(again), "work_not_found");
    let left: Vec<_> = world
        .list(State::Dead)
        .await
        .iter()
        .map(|it| it.id)
        .collect();
    assert_eq!(left, [ids[1]]);
}

#[tokio::test]
async fn work_can_be_cancelled_unless_somebody_holds_it() {
    let world = World::new();
    let ids = world.push_many(3).await;
    let claim = world.take(1).await;
    let cancel = async |id: WorkId| {
        let queue = &world.queue;
        queue
            .cancel(&caller(), &session("s1"), id, Under::NOTHING)
            .await
    };
    assert_eq!(code(cancel(ids[0]).await), "work_claimed");
    cancel(ids[1]).await.expect("nobody holds it");
    assert_eq!(code(cancel(ids[1]).await), "work_not_found");
    world.env.advance_ms(TTL);
    cancel(ids[0]).await.expect("its claim ran out");
    assert_eq!(code(complete(&world.queue, &claim).await), "claim_expired");
    assert_eq!(names(&world.take(3).await), ["2"]);
    assert_eq!(world.now(), START.plus_ms(TTL));
}

/// A row in front, and one behind it that a process which has just begun has
/// not read: who looks for it for ever is stopped by a store that fails.
async fn claimed_in_two_rows(world: &World) -> (Queue, [WorkId; 2], Claim) {
    let front = Work {
        priority: 9,
        ..job("front")
    };
    let behind = Work {
        attempts_max: 1,
        ..job("behind")
    };
    let ids = [world.push(front).await, world.push(behind).await];
    let claim = world.take(2).await;
    assert_eq!(claim.ids(), ids);
    let options = StrictOptions {
        unavailable_every: 50,
        ..StrictOptions::WITHOUT_ERRORS
    };
    let failing = Strict::new(Arc::clone(&world.ground), options);
    let slow = Slow::new(Arc::new(failing), 1);
    (world.over(Arc::new(slow)), ids, claim)
}

#[tokio::test]
async fn work_whose_last_claim_ran_out_is_cancelled_wherever_its_row_is() {
    let world = World::new();
    let (queue, ids, _) = claimed_in_two_rows(&world).await;
    world.env.advance_ms(MINUTE);
    let cancelled = queue
        .cancel(&caller(), &session("s1"), ids[1], Under::NOTHING)
        .await;
    cancelled.expect("its claim ran out");
    let left = world.reopen();
    assert_eq!(list(&left, "s1", State::Dead).await, []);
    assert_eq!(list(&left, "s1", State::Pending).await[0].id, ids[0]);
}

#[tokio::test]
async fn what_one_call_takes_the_next_one_of_the_same_commit_does_not_look_for() {
    let world = World::new();
    let (queue, ids, claim) = claimed_in_two_rows(&world).await;
    let (who, id) = (caller(), session("s1"));
    let done = Settle {
        complete: vec![ids[1]],
        ..Settle::nothing(claim.token)
    };
    // While the first is on its way the others wait, and go together.
    let (renewed, settled, cancelled) = tokio::join!(
        queue.renew(&who, &id, claim.token, TTL, Under::NOTHING),
        queue.settle(&who, &id, done, Under::NOTHING),
        queue.cancel(&who, &id, ids[1], Under::NOTHING),
    );
    renewed.expect("held");
    assert_eq!(settled.expect("held").held, 1);
    assert_eq!(code(cancelled), "work_not_found");
}
