//! Ten thousand callers that come and go: nobody waits for ever, nothing is
//! done twice, and what was answered is so.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::hash::{BuildHasher, Hasher, RandomState};

use windlass_core::ManualEnv;
use windlass_queue::{Queue, QueueError, State, Under, WorkId};
use windlass_store_testing::come_and_go;

use crate::support::{
    MINUTE, World, ask, caller, claim_of, complete, job, list, push_to, slow, try_claim_any,
    try_push,
};

const CALLERS: usize = 10_000;
const SESSIONS: usize = 5;

fn fresh() -> u64 {
    RandomState::new().build_hasher().finish()
}

fn processes(world: &World, seed: u64, count: u64) -> Vec<Queue> {
    let process = |number| world.over(slow(&world.ground, seed ^ number));
    (0..count).map(process).collect()
}

/// The numbers of the callers whose work is stored.
async fn stored(world: &World) -> Vec<usize> {
    let eye = world.over(std::sync::Arc::clone(&world.ground) as _);
    let mut found = Vec::new();
    for place in 0..SESSIONS {
        let mut query = windlass_queue::ListQuery {
            limit: 1_000,
            payloads: true,
            ..windlass_queue::ListQuery::default()
        };
        loop {
            let id = crate::support::session(&format!("s{place}"));
            let page = eye.list(&caller(), &id, &query).await.expect("readable");
            for one in &page.work {
                let name: String = one.payloads[0].parse().expect("a name");
                found.push(name.parse().expect("a number"));
            }
            match page.next {
                Some(next) => query.after = Some(next),
                None => break,
            }
        }
    }
    found
}

async fn push_all(seed: u64, count: u64) {
    let world = World::new();
    let queues = processes(&world, seed, count);
    let heard = come_and_go(seed, CALLERS, |number| {
        let queue = &queues[number / SESSIONS % queues.len()];
        async move {
            let id = format!("s{}", number % SESSIONS);
            let work = vec![job(&number.to_string())];
            try_push(queue, &id, work, Under::NOTHING).await
        }
    });
    let found = stored(&world).await;
    let once: BTreeSet<usize> = found.iter().copied().collect();
    assert_eq!(once.len(), found.len(), "seed {seed:#x}: twice");
    for (number, answer) in &heard.answered {
        match answer {
            Ok(_) => assert!(once.contains(number), "seed {seed:#x}: {number} is lost"),
            // Where nobody really waits after a lost race, one may lose all.
            Err(QueueError::Busy) if count > 1 => {
                assert!(
                    !once.contains(number),
                    "seed {seed:#x}: {number} was refused"
                );
            }
            Err(error) => panic!("seed {seed:#x}: {error}"),
        }
    }
    let ghost = heard.unpolled.iter().find(|number| once.contains(number));
    assert_eq!(ghost, None, "seed {seed:#x}: never asked for");
    assert!(heard.answered.len() > CALLERS / 5, "seed {seed:#x}");
}

#[tokio::test]
async fn ten_thousand_dropped_pushes_strand_nobody_and_happen_at_most_once() {
    push_all(0xd20b, 1).await;
    push_all(fresh(), 1).await;
}

#[tokio::test]
async fn dropped_pushes_of_two_processes_strand_nobody_and_happen_at_most_once() {
    push_all(fresh(), 2).await;
}

/// Takes something and completes it; who is dropped in between leaves it held.
async fn take_one(
    queue: &Queue,
    env: &ManualEnv,
    begun: &RefCell<BTreeSet<WorkId>>,
) -> Vec<WorkId> {
    let claim = try_claim_any(queue, &ask(3)).await;
    let Some(claim) = claim.expect("a claim that may be made") else {
        env.advance_ms(MINUTE);
        return Vec::new();
    };
    begun.borrow_mut().extend(claim.ids());
    match complete(queue, &claim).await {
        Ok(settled) => {
            assert_eq!(settled.held, 0);
            claim.ids()
        }
        Err(QueueError::ClaimExpired) => Vec::new(),
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn ten_thousand_dropped_workers_complete_nothing_twice_and_lose_nothing() {
    let seed = fresh();
    let world = World::new();
    let queues = processes(&world, seed, 1);
    let mut all = BTreeSet::new();
    for number in 0..2_000 {
        let work = windlass_queue::Work {
            attempts_max: 1_000,
            ..job(&number.to_string())
        };
        let id = format!("s{}", number % 40);
        all.insert(push_to(&world.queue, &id, work).await);
    }
    let begun = RefCell::new(BTreeSet::new());
    let heard = come_and_go(seed, CALLERS, |_| take_one(&queues[0], &world.env, &begun));
    let mut done = BTreeSet::new();
    for id in heard.answered.values().flatten() {
        assert!(done.insert(*id), "seed {seed:#x}: {id} was completed twice");
    }
    world.env.advance_ms(MINUTE);
    for place in 0..40 {
        let id = format!("s{place}");
        while let Some(claim) = claim_of(&world.queue, &id, 100).await {
            complete(&world.queue, &claim).await.expect("held");
            for id in claim.ids() {
                assert!(done.insert(id), "seed {seed:#x}: {id} came back");
            }
        }
        assert_eq!(list(&world.queue, &id, State::Dead).await, []);
    }
    // Whose worker left while it was completed may be done or not.
    let lost = all
        .iter()
        .find(|id| !done.contains(id) && !begun.borrow().contains(id));
    assert_eq!(lost, None, "seed {seed:#x}");
    assert!(done.len() > 500, "seed {seed:#x}: {}", done.len());
}
