//! Waiting for work, and holding a claim while the work takes its time.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use windlass_core::{BoxFuture, Env, ManualEnv, Millis, RandomError};
use windlass_queue::{Boundary, Caller, Config, Delivery, Queue, QueueError, Work};
use windlass_store::Store;
use windlass_store_memory::MemoryStore;
use windlass_store_testing::{Counting, Strict, StrictOptions};

use crate::support::{
    SECOND, START, TTL, ask, caller, claim_any, claim_of, code, complete, job, names, push_to,
    session,
};

/// An environment whose sleepers wake when the test moves the clock.
#[derive(Debug)]
struct Patient {
    random: ManualEnv,
    clock: Arc<Mutex<Clock>>,
}

#[derive(Debug, Default)]
struct Clock {
    now: Duration,
    sleepers: Vec<Waker>,
}

fn lock(clock: &Mutex<Clock>) -> MutexGuard<'_, Clock> {
    clock.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Patient {
    fn advance_ms(&self, ms: u64) {
        let mut clock = lock(&self.clock);
        clock.now += Duration::from_millis(ms);
        let sleepers = std::mem::take(&mut clock.sleepers);
        drop(clock);
        sleepers.into_iter().for_each(Waker::wake);
    }
}

impl Env for Patient {
    fn now(&self) -> Millis {
        let ms = self.monotonic().as_millis();
        START.plus_ms(u64::try_from(ms).expect("small"))
    }

    fn monotonic(&self) -> Duration {
        lock(&self.clock).now
    }

    fn random(&self, bytes: &mut [u8]) -> Result<(), RandomError> {
        self.random.random(bytes)
    }

    fn sleep_until(&self, deadline: Duration) -> BoxFuture<'static, ()> {
        let clock = Arc::clone(&self.clock);
        Box::pin(poll_fn(move |context| {
            let mut clock = lock(&clock);
            if clock.now >= deadline {
                return Poll::Ready(());
            }
            clock.sleepers.push(context.waker().clone());
            Poll::Pending
        }))
    }
}

/// A queue of which it is counted what it asks of its store.
struct World {
    env: Arc<Patient>,
    counting: Arc<Counting<dyn Store>>,
    queue: Queue,
}

impl World {
    fn new(options: StrictOptions) -> Self {
        let ground = Arc::new(MemoryStore::new().expect("an incarnation"));
        let store: Arc<dyn Store> = Arc::new(Strict::new(ground, options));
        let counting = Arc::new(Counting::new(store));
        let env = Arc::new(Patient {
            random: ManualEnv::new(7, START),
            clock: Arc::default(),
        });
        let store = Arc::clone(&counting) as Arc<dyn Store>;
        let queue = Queue::new(store, Arc::clone(&env) as _, Config::default());
        let queue = queue.expect("settings in range");
        Self {
            env,
            counting,
            queue,
        }
    }

    /// Somebody who waits for any work.
    fn wait(&self, boundary: Boundary) -> Waiter<'_> {
        let caller = caller();
        let queue = &self.queue;
        Box::pin(async move { queue.wait(&caller, None, boundary).await })
    }
}

type Waiter<'a> = Pin<Box<dyn Future<Output = Result<(), QueueError>> + 'a>>;

const HINTS: StrictOptions = StrictOptions {
    one_tenant: true,
    ..StrictOptions::NONE
};

/// Polls everybody until nobody gets any further; how many are done.
fn poll_all(waiters: &mut Vec<Waiter<'_>>) -> usize {
    let before = waiters.len();
    for _ in 0..100 {
        waiters.retain_mut(|waiter| {
            let polled = waiter
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()));
            match polled {
                Poll::Ready(answer) => {
                    answer.expect("a store that works");
                    false
                }
                Poll::Pending => true,
            }
        });
    }
    before - waiters.len()
}

#[tokio::test]
async fn who_waits_is_called_when_work_comes_and_no_more_than_there_is_work_for() {
    let world = World::new(HINTS);
    let mut waiters: Vec<_> = (0..16).map(|_| world.wait(Boundary::Idle)).collect();
    assert_eq!(poll_all(&mut waiters), 0);
    push_to(&world.queue, "s1", job("a")).await;
    assert_eq!(poll_all(&mut waiters), 1);
    let claim = claim_any(&world.queue, 1).await.expect("work");
    assert_eq!(poll_all(&mut waiters), 0, "it is taken");
    complete(&world.queue, &claim).await.expect("held");
    for id in ["s2", "s3", "s4"] {
        push_to(&world.queue, id, job(id)).await;
    }
    assert_eq!(poll_all(&mut waiters), 3);
}

#[tokio::test]
async fn without_hints_work_of_others_is_found_at_the_next_poll() {
    let world = World::new(StrictOptions::WITHOUT_ERRORS);
    let mut waiters = vec![world.wait(Boundary::Idle)];
    assert_eq!(poll_all(&mut waiters), 0);
    push_to(&world.queue, "s1", job("a")).await;
    assert_eq!(poll_all(&mut waiters), 0, "nobody said anything");
    world.env.advance_ms(SECOND);
    assert_eq!(poll_all(&mut waiters), 1);
}

#[tokio::test]
async fn who_waits_is_called_when_work_becomes_ready_by_time_alone() {
    let world = World::new(HINTS);
    let later = Work {
        available_at: Some(START.plus_ms(300)),
        ..job("later")
    };
    push_to(&world.queue, "s1", later).await;
    let mut waiters = vec![world.wait(Boundary::Idle)];
    world.env.advance_ms(299);
    assert_eq!(poll_all(&mut waiters), 0);
    world.env.advance_ms(1);
    assert_eq!(poll_all(&mut waiters), 1);
    // So is who waits for what a dead worker holds.
    let claim = claim_any(&world.queue, 1).await.expect("its time has come");
    let mut waiters = vec![world.wait(Boundary::Idle)];
    world.env.advance_ms(TTL + 5 * SECOND - 1);
    assert_eq!(poll_all(&mut waiters), 0);
    world.env.advance_ms(1);
    assert_eq!(poll_all(&mut waiters), 1);
    let again = claim_any(&world.queue, 1).await.expect("it ran out");
    assert_eq!(again.ids(), claim.ids());
}

#[tokio::test]
async fn sixteen_who_wait_cost_one_look_a_poll_whatever_the_number_of_sessions() {
    for sessions in [1, 200] {
        let world = World::new(HINTS);
        for number in 0..sessions {
            let id = format!("s{number}");
            push_to(&world.queue, &id, job("x")).await;
            claim_of(&world.queue, &id, 1).await.expect("work");
        }
        let mut waiters: Vec<_> = (0..16).map(|_| world.wait(Boundary::Idle)).collect();
        assert_eq!(poll_all(&mut waiters), 0);
        let before = world.counting.counts();
        for _ in 0..10 {
            world.env.advance_ms(SECOND);
            assert_eq!(poll_all(&mut waiters), 0);
        }
        let after = world.counting.counts();
        assert_eq!(after.reads - before.reads, 10, "{sessions} sessions");
        assert_eq!(after.commits, before.commits);
    }
}

#[tokio::test]
async fn the_watch_goes_on_when_who_had_it_leaves() {
    let world = World::new(HINTS);
    let mut waiters: Vec<_> = (0..3).map(|_| world.wait(Boundary::Idle)).collect();
    assert_eq!(poll_all(&mut waiters), 0);
    drop(waiters.remove(0));
    push_to(&world.queue, "s1", job("a")).await;
    assert_eq!(poll_all(&mut waiters), 1);
}

#[tokio::test]
async fn inside_a_turn_nobody_is_called_for_what_comes_after_it() {
    let world = World::new(HINTS);
    let mut waiters = vec![world.wait(Boundary::Checkpoint)];
    push_to(&world.queue, "s1", job("late")).await;
    assert_eq!(poll_all(&mut waiters), 0);
    let early = Work {
        delivery: Delivery::EarliestBoundary,
        ..job("early")
    };
    push_to(&world.queue, "s2", early).await;
    assert_eq!(poll_all(&mut waiters), 1);
}

#[tokio::test]
async fn the_next_work_of_one_session_is_waited_for_too() {
    let world = World::new(HINTS);
    let caller: Caller = caller();
    let id = session("s1");
    let asked = ask(1);
    let mut next = Box::pin(world.queue.next(&caller, Some(&id), &asked));
    let mut poll = || next.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(poll().is_pending());
    push_to(&world.queue, "s2", job("other")).await;
    assert!(poll().is_pending());
    push_to(&world.queue, "s1", job("a")).await;
    let Poll::Ready(claim) = poll() else {
        panic!("there is work");
    };
    assert_eq!(names(&claim.expect("work")), ["a"]);
}

#[tokio::test]
async fn a_kept_claim_outlasts_its_time_and_ends_when_it_is_let_go() {
    let world = World::new(HINTS);
    push_to(&world.queue, "s1", job("a")).await;
    let claim = claim_any(&world.queue, 1).await.expect("work");
    let mut keeping = world.queue.keep(&caller(), &claim);
    let mut poll = |world: &World, ms: u64| {
        world.env.advance_ms(ms);
        keeping
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
    };
    for _ in 0..30 {
        let kept = poll(&world, TTL / 3);
        assert!(kept.is_pending(), "{kept:?}");
    }
    assert_eq!(claim_any(&world.queue, 1).await, None);
    complete(&world.queue, &claim)
        .await
        .expect("held all the time");
    let Poll::Ready(ended) = poll(&world, TTL / 3) else {
        panic!("there is nothing left to keep");
    };
    assert_eq!(code(Err::<(), _>(ended)), "claim_expired");
}

#[tokio::test]
async fn work_is_held_while_it_is_done_and_not_after() {
    let world = World::new(HINTS);
    push_to(&world.queue, "s1", job("a")).await;
    let claim = claim_any(&world.queue, 1).await.expect("work");
    let done = world.queue.hold(&caller(), &claim, async { 7 }).await;
    assert_eq!(done.expect("held"), 7);
    world.env.advance_ms(TTL + 5 * SECOND);
    let caller = caller();
    let mut held = Box::pin(
        world
            .queue
            .hold(&caller, &claim, std::future::pending::<()>()),
    );
    claim_any(&world.queue, 1).await.expect("it ran out");
    let mut poll = || held.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(poll().is_pending());
    world.env.advance_ms(TTL / 3);
    let Poll::Ready(ended) = poll() else {
        panic!("it is in other hands");
    };
    assert_eq!(code(ended), "claim_expired");
}
