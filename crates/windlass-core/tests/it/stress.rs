//! Callers on several threads.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use windlass_core::{BoxFuture, Combiner, Drive};

use crate::support::{Random, fresh_seed, lock};

const SEEDS: &[u64] = &[1, 2, 3];
const TASKS: u64 = 64;
const REQUESTS: u64 = 100;
/// Far beyond what a run takes; only a hang reaches it.
const HANG: Duration = Duration::from_secs(120);

/// Notes what it ran, and lets go of its thread at random.
struct Restless {
    random: Mutex<Random>,
    running: AtomicBool,
    seen: Mutex<HashSet<u64>>,
}

impl Restless {
    fn pause(&self) -> usize {
        lock(&self.random).below(4)
    }
}

impl Drive for Restless {
    type Request = u64;
    type Answer = u64;

    fn run(self: Arc<Self>, requests: Vec<u64>) -> BoxFuture<'static, Vec<u64>> {
        Box::pin(async move {
            assert!(
                !self.running.swap(true, Ordering::SeqCst),
                "two runs at once"
            );
            for request in &requests {
                assert!(lock(&self.seen).insert(*request), "{request} was run twice");
            }
            match self.pause() {
                0 => {}
                1 => tokio::task::yield_now().await,
                // Woken from another task, perhaps on another thread.
                _ => tokio::spawn(tokio::task::yield_now())
                    .await
                    .expect("no panic"),
            }
            self.running.store(false, Ordering::SeqCst);
            requests.into_iter().map(|request| request * 2).collect()
        })
    }
}

/// Submits one request after the other; some are given up after a few polls.
async fn call(combiner: Arc<Combiner<Restless>>, task: u64, seed: u64) -> Vec<u64> {
    let random = Random::new(seed ^ task.wrapping_mul(0x9e37_79b9));
    let mut answered = Vec::new();
    for number in 0..REQUESTS {
        let request = task * REQUESTS + number;
        let patience = random.below(12);
        let submitted = combiner.submit(request);
        let given_up = async {
            for _ in 0..patience {
                tokio::task::yield_now().await;
            }
        };
        if random.one_in(2) {
            assert_eq!(submitted.await, Ok(request * 2), "seed {seed:#x}");
            answered.push(request);
            continue;
        }
        tokio::select! {
            answer = submitted => {
                assert_eq!(answer, Ok(request * 2), "seed {seed:#x}");
                answered.push(request);
            }
            () = given_up => {}
        }
    }
    answered
}

async fn stress(seed: u64) {
    let combiner = Arc::new(Combiner::new(Arc::new(Restless {
        random: Mutex::new(Random::new(seed)),
        running: AtomicBool::new(false),
        seen: Mutex::default(),
    })));
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| tokio::spawn(call(Arc::clone(&combiner), task, seed)))
        .collect();
    let mut answered = Vec::new();
    for task in tasks {
        answered.extend(task.await.expect("no caller panics"));
    }
    let seen = lock(&combiner.drive().seen);
    let lost = answered.iter().find(|request| !seen.contains(*request));
    assert_eq!(lost, None, "seed {seed:#x}: answered without a run");
    let least = usize::try_from(TASKS * REQUESTS / 4).expect("small");
    assert!(answered.len() > least, "seed {seed:#x}: {}", answered.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn callers_on_several_threads_are_all_answered_and_nothing_runs_twice() {
    for seed in SEEDS.iter().copied().chain([fresh_seed()]) {
        let done = tokio::time::timeout(HANG, stress(seed)).await;
        assert_eq!(done, Ok(()), "seed {seed:#x}: callers are stranded");
    }
}
