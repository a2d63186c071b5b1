//! Two processes on one store, and what each call costs.

use std::sync::Arc;

use futures_util::future::join_all;
use windlass_core::{Env as _, ManualEnv, Sharing};
use windlass_stash::durable::Options;
use windlass_stash::{Put, StashError};
use windlass_store::Store;
use windlass_store_testing::{Counting, Counts, Moment, Pausing, Verb};

use super::world::{World, execution};
use crate::support::{SECOND, code, key, sized};

#[tokio::test]
async fn what_one_process_changed_the_very_next_call_of_another_sees() {
    let world = World::new(|_| {});
    let (one, other) = (world.reopen(), world.reopen());
    let (one, other) = (execution(&one, None), execution(&other, None));
    let name = key("k");
    for number in 0..20_u32 {
        one.put(&name, &number, None).await.expect("room");
        let seen = other.get(&name).await.expect("readable").expect("there");
        assert_eq!(seen.as_json(), number.to_string());
        assert!(other.delete(&name).await.expect("a store"), "{number}");
        assert_eq!(one.get(&name).await.expect("readable"), None);
        let swapped = one.compare_and_swap(&name, 1, &number, None).await;
        assert_eq!(code(swapped), "version_mismatch");
    }
}

#[tokio::test]
async fn what_one_process_remembers_refuses_nobody() {
    let world = World::new(|config| config.keys_max = 1);
    let (one, other) = (world.reopen(), world.reopen());
    let (one, other) = (execution(&one, Some("g")), execution(&other, Some("h")));
    one.put(&key("k"), &1, None).await.expect("room");
    let refused = other.put(&key("k"), &2, None).await;
    assert_eq!(code(refused), "cross_group_access");
    let refused = other.put(&key("other"), &2, None).await;
    assert_eq!(code(refused), "key_limit_exceeded");
    assert!(
        one.delete(&key("k")).await.expect("a store"),
        "it was there"
    );
    other.put(&key("k"), &2, None).await.expect("room again");
}

#[tokio::test]
async fn a_clock_that_is_behind_brings_back_no_entry() {
    let world = World::new(|_| {});
    let execution_there = world.outside();
    let put = execution_there.put(&key("k"), &1, Some(SECOND)).await;
    put.expect("room");
    let behind = Arc::new(ManualEnv::new(8, world.env.now()));
    let behind = super::world::over(world.ground.clone(), &behind, &world.options);
    let behind = execution(&behind, None);
    world.env.advance_ms(SECOND);
    let put = execution_there.put(&key("other"), &1, None).await;
    let decided = put.expect("room").created;
    assert_eq!(behind.get(&key("k")).await.expect("readable"), None);
    let later = behind.put(&key("k"), &2, None).await.expect("room");
    assert_eq!((later.created, later.updated), (decided, decided));
}

#[tokio::test]
async fn processes_that_count_together_lose_nothing() {
    let world = World::new(|_| {});
    let processes = [world.reopen(), world.reopen(), world.reopen()];
    let name = key("n");
    let counting = (0..300).map(|number: usize| {
        let (execution, name) = (execution(&processes[number % 3], None), name.clone());
        async move { execution.increment(&name, 1, None).await }
    });
    let numbers = join_all(counting).await;
    let mut numbers: Vec<i64> = numbers
        .into_iter()
        .map(|number| number.expect("counted").value)
        .collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=300).collect::<Vec<_>>());
    world.recount().await;
}

/// A world and what its one process asks of the store.
fn counted(
    options: Options,
) -> (
    World,
    Arc<Counting<dyn Store>>,
    windlass_stash::durable::Stashes,
) {
    let world = World::with_options(options);
    let ground: Arc<dyn Store> = world.ground.clone();
    let counting = Arc::new(Counting::new(ground));
    let stashes = world.over(counting.clone());
    (world, counting, stashes)
}

#[tokio::test]
async fn a_hot_put_is_one_commit_of_two_rows_and_reads_nothing() {
    let (_world, counting, stashes) = counted(Options::default());
    let execution = execution(&stashes, Some("g"));
    let name = key("k");
    execution.store_sized(&name, 200).await;
    let before = counting.counts();
    execution.store_sized(&name, 200).await;
    let cost = counting.counts() - before;
    assert_eq!((cost.reads, cost.commits, cost.writes), (0, 1, 2));
}

#[tokio::test]
async fn a_hot_get_and_a_refusal_are_one_point_read_each() {
    let (_world, counting, stashes) = counted(Options::default());
    let (owner, other) = (execution(&stashes, Some("g")), execution(&stashes, None));
    let name = key("k");
    owner.store_sized(&name, 200).await;
    let before = counting.counts();
    assert_eq!(owner.get(&name).await.expect("readable"), Some(sized(200)));
    assert_eq!(code(other.get(&name).await), "cross_group_access");
    assert_eq!(other.get(&key("none")).await.expect("readable"), None);
    assert_eq!(code(other.put(&name, &1, None).await), "cross_group_access");
    let cost = counting.counts() - before;
    assert_eq!((cost.reads, cost.scans, cost.commits), (4, 4, 0));
}

#[tokio::test]
async fn alone_on_its_store_a_process_reads_nothing_twice() {
    let (_world, counting, stashes) = counted(Options {
        sharing: Sharing::Exclusive,
        ..Options::default()
    });
    let execution = execution(&stashes, None);
    let name = key("k");
    execution.store_sized(&name, 300_000).await;
    let before = counting.counts();
    assert_eq!(
        execution.get(&name).await.expect("readable"),
        Some(sized(300_000))
    );
    assert_eq!(code(execution.put(&name, &1, Some(0)).await), "ttl_zero");
    assert_eq!(counting.counts() - before, Counts::default());
}

#[tokio::test]
async fn puts_that_wait_share_one_commit() {
    let world = World::new(|_| {});
    let ground: Arc<dyn Store> = world.ground.clone();
    let counting = Arc::new(Counting::new(ground));
    let pausing = Arc::new(Pausing::new(counting.clone()));
    let first = pausing.pause(Verb::Commit, Moment::Before);
    let stashes = world.over(pausing);
    let putting = (0..64).map(|number| {
        let (execution, name) = (execution(&stashes, None), key(&format!("k{number}")));
        async move { execution.put(&name, &number, None).await }
    });
    // The others come while the first one's commit is held.
    let (stored, ()) = tokio::join!(join_all(putting), async {
        first.reached().await.release();
    });
    for metadata in stored {
        metadata.expect("room");
    }
    assert_eq!(counting.counts().commits, 2);
    assert_eq!(world.recount().await.rows, 64);
}

#[tokio::test]
async fn a_long_value_on_its_way_does_not_delay_a_get_or_a_put_of_another_key() {
    let world = World::new(|_| {});
    let pausing = Arc::new(Pausing::new(Arc::clone(&world.ground)));
    let stashes = world.over(pausing.clone());
    let execution = execution(&stashes, None);
    execution.put(&key("small"), &1, None).await.expect("room");
    let piece = pausing.pause(Verb::Commit, Moment::Before);
    let (long, short) = (key("long"), key("small"));
    let value = sized(2_000_000);
    let put = Put::new(long.clone(), value.clone());
    let (stored, ()) = tokio::join!(execution.store(put), async {
        let held = piece.reached().await;
        let seen = execution.get(&short).await.expect("readable");
        assert_eq!(
            seen.map(|value| value.as_json().to_owned()),
            Some("1".to_owned())
        );
        execution.put(&short, &2, None).await.expect("room");
        assert_eq!(execution.get(&long).await.expect("readable"), None);
        held.release();
    });
    assert_eq!(stored.expect("room").size, 2_000_000);
    assert_eq!(execution.get(&long).await.expect("readable"), Some(value));
    world.recount().await;
}

#[tokio::test]
async fn kept_values_stay_within_their_budget() {
    const BUDGET: u64 = 400_000;
    let (world, counting, stashes) = counted(Options {
        sharing: Sharing::Exclusive,
        cached_value_bytes: BUDGET,
        ..Options::default()
    });
    let execution = execution(&stashes, None);
    for number in 0..200 {
        let name = key(&format!("k{number}"));
        let size = 1_000 * (1 + number % 40);
        execution.store_sized(&name, size).await;
        assert!(stashes.cached_value_bytes() <= BUDGET, "{number}");
    }
    // Alone on its store, a process reads what it has not kept; the latest
    // first, before others take their place.
    let mut kept = 0;
    for number in (0..200).rev() {
        let before = counting.counts();
        let seen = execution.get(&key(&format!("k{number}"))).await;
        let seen = seen.expect("readable").expect("there");
        assert_eq!(seen, sized(1_000 * (1 + number % 40)), "{number}");
        if counting.counts() == before {
            kept += seen.size();
        }
    }
    assert!((1..=BUDGET).contains(&kept), "{kept} bytes were kept");
    assert_eq!(world.recount().await.rows, 200);
}

#[tokio::test]
async fn a_stash_whose_store_always_conflicts_is_busy_and_says_so() {
    let world = World::new(|_| {});
    let store = Arc::new(super::space::Rival::over(&world));
    let stashes = world.over(store);
    let put = execution(&stashes, None).put(&key("k"), &1, None).await;
    assert!(matches!(put, Err(StashError::Busy)), "{put:?}");
    assert_eq!(
        world.outside().get(&key("k")).await.expect("readable"),
        None
    );
}

/// Puts of a given size.
trait StoreSized {
    async fn store_sized(&self, name: &windlass_stash::Key, size: usize);
}

impl StoreSized for windlass_stash::durable::Execution {
    async fn store_sized(&self, name: &windlass_stash::Key, size: usize) {
        let put = Put::new(name.clone(), sized(size));
        self.store(put).await.expect("room");
    }
}
