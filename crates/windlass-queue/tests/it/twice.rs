//! What is asked twice: source keys, operation ids, and commits of which
//! nobody knows whether they happened.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::future::join_all;
use windlass_core::{Coded, ErrorKind};
use windlass_queue::{Counts, Enqueued, Queue, QueueError, State, Under, Work};
use windlass_store::{Store, StoreErrorKind};
use windlass_store_testing::{Fault, Faulty, Moment, Verb};

use crate::support::{
    DAY, TTL, World, ask, caller, claim_of, code, complete, job, names, push_to, session, slow,
    try_push, under,
};

fn keyed(name: &str, key: &str) -> Work {
    Work {
        source_key: Some(key.into()),
        ..job(name)
    }
}

async fn push_keyed(queue: &Queue, name: &str, key: &str) -> Result<Enqueued, QueueError> {
    let pushed = try_push(queue, "s1", vec![keyed(name, key)], Under::NOTHING).await;
    pushed.map(|pushed| pushed[0])
}

#[tokio::test]
async fn work_under_a_live_source_key_is_enqueued_once() {
    let world = World::new();
    let first = push_keyed(&world.queue, "a", "k/1").await.expect("new");
    assert!(!first.known);
    for queue in [&world.queue, &world.reopen()] {
        let again = push_keyed(queue, "a", "k/1").await.expect("the first");
        assert_eq!((again.id, again.known), (first.id, true));
        let other = push_keyed(queue, "b", "k/1").await;
        assert_eq!(code(other), "source_key_conflict");
    }
    assert_eq!(world.counts().await.pending, 1);
}

#[tokio::test]
async fn a_source_key_is_known_for_a_day_after_its_work_is_finished() {
    let world = World::new();
    let first = push_keyed(&world.queue, "a", "k").await.expect("new");
    let claim = world.take(1).await;
    world.complete(&claim).await.expect("held");
    world.env.advance_ms(DAY - 1);
    let again = push_keyed(&world.queue, "a", "k").await.expect("the first");
    assert_eq!((again.id, again.known), (first.id, true));
    assert_eq!(
        code(push_keyed(&world.queue, "b", "k").await),
        "source_key_conflict"
    );
    assert_eq!(world.claim(1).await, None, "nothing came back");
    world.env.advance_ms(1);
    let new = push_keyed(&world.queue, "b", "k").await.expect("new");
    assert!(!new.known && new.id != first.id, "{new:?}");
    // Upkeep is about the work that is finished, not about the one in line.
    world.env.advance_ms(DAY);
    world.queue.sweep(1_000).await.expect("a store that works");
    assert_eq!(
        code(push_keyed(&world.queue, "c", "k").await),
        "source_key_conflict"
    );
}

#[tokio::test]
async fn equal_source_keys_in_one_call_are_one_batch_of_work() {
    let world = World::new();
    let work = vec![keyed("a", "k"), job("b"), keyed("a", "k")];
    let pushed = try_push(&world.queue, "s1", work, Under::NOTHING).await;
    let pushed = pushed.expect("work that may be enqueued");
    assert_eq!((pushed[0].id, pushed[2].known), (pushed[2].id, true));
    let clash = vec![job("x"), keyed("a", "new"), keyed("b", "new")];
    let refused = try_push(&world.queue, "s1", clash, Under::NOTHING).await;
    assert_eq!(code(refused), "invalid_request");
    assert_eq!(names(&world.take(10).await), ["a", "b"]);
}

#[tokio::test]
async fn a_hundred_and_twenty_at_once_get_as_many_ids() {
    let world = World::shared();
    let processes = [1, 2, 3].map(|seed| world.over(slow(&world.ground, seed)));
    let pushes = (0..120).map(|number| {
        let queue = &processes[number % 3];
        let id = format!("s{}", number % 4);
        async move { try_push(queue, &id, vec![job("x")], Under::NOTHING).await }
    });
    let mut ids = BTreeSet::new();
    for pushed in join_all(pushes).await {
        ids.insert(pushed.expect("work that may be enqueued")[0].id);
    }
    assert_eq!(ids.len(), 120);
    let mut listed = 0;
    for number in 0..4 {
        let id = format!("s{number}");
        listed += crate::support::list(&processes[0], &id, State::Pending)
            .await
            .len();
    }
    assert_eq!(listed, 120);
}

#[tokio::test]
async fn every_change_under_an_operation_id_happens_once() {
    let world = World::new();
    let queue = world.reopen();
    let push = || try_push(&queue, "s1", vec![job("a"), job("b")], under("push"));
    let first = push().await.expect("new");
    assert_eq!(push().await.expect("the first answer"), first);
    let claim = || queue.claim(&CALLER, &S1, &ASK, under("claim"));
    let held = claim().await.expect("a claim").expect("work");
    assert_eq!(claim().await.expect("the first answer"), Some(held.clone()));
    let renew = || queue.renew(&CALLER, &S1, held.token, 2 * TTL, under("renew"));
    let until = renew().await.expect("held");
    world.env.advance_ms(1);
    assert_eq!(renew().await.expect("the first answer"), until);
    let settle = || queue.settle(&CALLER, &S1, held.completed(), under("settle"));
    let settled = settle().await.expect("held");
    assert_eq!(settle().await.expect("the first answer"), settled);
    assert_eq!(code(claim().await), "claim_expired", "it is over");
    let other = queue.claim(&CALLER, &S1, &ask(2), under("settle")).await;
    assert_eq!(code(other), "operation_conflict");
    assert_eq!(world.counts().await.pending, 0);
}

static CALLER: std::sync::LazyLock<windlass_queue::Caller> = std::sync::LazyLock::new(caller);
static S1: std::sync::LazyLock<windlass_core::SessionId> =
    std::sync::LazyLock::new(|| session("s1"));
static ASK: std::sync::LazyLock<windlass_queue::Ask> = std::sync::LazyLock::new(|| ask(10));

#[tokio::test]
async fn a_claim_of_any_session_under_an_operation_id_takes_one_of_them() {
    let world = World::new();
    for id in ["s1", "s2"] {
        push_to(&world.queue, id, job(id)).await;
    }
    let claim = || world.queue.claim_any(&CALLER, &ASK, under("any"));
    let first = claim().await.expect("a claim").expect("work");
    assert_eq!(claim().await.expect("the first answer"), Some(first));
    assert!(
        crate::support::claim_any(&world.queue, 1)
            .await
            .is_some_and(|it| it.work.len() == 1)
    );
}

/// A queue over a store of which one commit fails.
fn failing(world: &World, number: u64, moment: Moment, kind: StoreErrorKind) -> Failing {
    let faulty = Arc::new(Faulty::new(Arc::clone(&world.ground)));
    let verb = Some(Verb::Commit);
    faulty.plan(Fault {
        verb,
        number,
        moment,
        kind,
    });
    let queue = world.over(Arc::clone(&faulty) as Arc<dyn Store>);
    (faulty, queue)
}

type Failing = (Arc<Faulty<windlass_store_memory::MemoryStore>>, Queue);

#[tokio::test]
async fn a_commit_in_doubt_is_found_out_and_done_once() {
    for moment in [Moment::Before, Moment::After] {
        for number in 1..=3 {
            let world = World::new();
            let (faulty, queue) = failing(&world, number, moment, StoreErrorKind::Indeterminate);
            let why = format!("commit {number}, {moment:?}");
            let pushed = try_push(&queue, "s1", vec![job("a")], Under::NOTHING).await;
            let id = pushed.expect(&why)[0].id;
            let claim = claim_of(&queue, "s1", 1).await.expect(&why);
            assert_eq!((claim.ids(), claim.work[0].attempt), (vec![id], 1), "{why}");
            assert_eq!(complete(&queue, &claim).await.expect(&why).held, 0);
            assert_eq!(world.claim(1).await, None, "{why}");
            assert_eq!(faulty.hits(), 1, "{why}");
            assert_eq!(world.counts().await, Counts::default(), "{why}");
        }
    }
}

#[tokio::test]
async fn a_commit_in_doubt_of_several_sessions_is_found_out_too() {
    for moment in [Moment::Before, Moment::After] {
        let world = World::new();
        let (_, queue) = failing(&world, 1, moment, StoreErrorKind::Indeterminate);
        let work = vec![(session("s1"), job("a")), (session("s2"), job("b"))];
        let pushed = queue.enqueue_all(&CALLER, work, Under::NOTHING).await;
        assert_eq!(pushed.expect("found out").len(), 2);
        assert_eq!(
            queue.stored(&CALLER.tenant).await.expect("counted"),
            2,
            "{moment:?}"
        );
    }
}

#[tokio::test]
async fn what_the_store_refused_has_not_happened() {
    for number in 1..=3 {
        let world = World::new();
        let (_, queue) = failing(&world, number, Moment::Before, StoreErrorKind::Unavailable);
        let mut failures = 0;
        let mut insist = |kind: ErrorKind| {
            failures += 1;
            assert_eq!(kind, ErrorKind::Unavailable);
        };
        let pushed = loop {
            match try_push(&queue, "s1", vec![job("a")], Under::NOTHING).await {
                Ok(pushed) => break pushed,
                Err(error) => insist(error.kind()),
            }
        };
        let claim = loop {
            match crate::support::try_claim(&queue, "s1", &ask(1)).await {
                Ok(claim) => break claim.expect("work"),
                Err(error) => insist(error.kind()),
            }
        };
        assert_eq!(
            (claim.ids(), claim.work[0].attempt),
            (vec![pushed[0].id], 1)
        );
        while let Err(error) = complete(&queue, &claim).await {
            insist(error.kind());
        }
        assert_eq!(failures, 1);
        assert_eq!(world.counts().await, Counts::default());
    }
}

#[tokio::test]
async fn work_of_several_sessions_is_enqueued_all_or_none() {
    let world = World::new();
    let all = |key: &str, names: [&str; 3]| {
        let work = names.map(|name| (session(&format!("s-{name}")), keyed(name, key)));
        world
            .queue
            .enqueue_all(&CALLER, work.to_vec(), Under::NOTHING)
    };
    let first = all("k", ["a", "b", "c"]).await.expect("new");
    assert_eq!(first.iter().filter(|one| one.known).count(), 0);
    push_to(&world.queue, "s-e", keyed("other", "l")).await;
    let refused = all("l", ["d", "e", "f"]).await;
    assert_eq!(code(refused), "source_key_conflict");
    assert_eq!(
        world.queue.stored(&CALLER.tenant).await.expect("counted"),
        4
    );
    let again = all("k", ["a", "b", "c"]).await.expect("the first");
    assert_eq!(again.iter().filter(|one| one.known).count(), 3);
}
