//! Ten thousand changes whose callers come and go: nobody waits for ever,
//! nothing is done twice or by half, and the rows add up.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;

use windlass_stash::durable::limits::LOOSE_MS;
use windlass_stash::durable::{Execution, Stashes};
use windlass_stash::{Condition, Increment, Operation, Put, StashError, StepError, Value};
use windlass_store_testing::{Heard, Slow, come_and_go};

use super::world::{World, execution};
use crate::support::{HOUR, key, sized};

const CALLERS: usize = 10_000;
/// Each lost race reads all keys again.
const CALLERS_OF_TWO: usize = 1_000;
const SEEDS: &[u64] = &[1, 0xd20b];

fn fresh() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// The mark that a caller leaves, which must not be there yet.
fn mark(number: usize) -> Put {
    let value = Value::of(&number).expect("JSON");
    Put::new(key(&format!("d{number}")), value).condition(Condition::Absent)
}

/// A step: counts itself, leaves its mark, and now and then puts a longer
/// value.
fn step(number: usize) -> Vec<Operation> {
    let counting = Increment {
        key: key("n"),
        by: 1,
        ttl_ms: None,
    };
    let mut step = vec![Operation::Increment(counting), Operation::Put(mark(number))];
    let long = match number % 64 {
        1 => Some(2_000),
        2 => Some(300_000),
        _ => None,
    };
    let name = key(&format!("long{}", number % 5));
    step.extend(long.map(|size| Operation::Put(Put::new(name, sized(size)))));
    step
}

/// One caller in three puts, the others make a step.
async fn deed(execution: Execution, number: usize) -> Result<(), StashError> {
    if number.is_multiple_of(3) {
        return execution.store(mark(number)).await.map(drop);
    }
    let done = execution.step(&step(number)).await;
    done.map(drop).map_err(|StepError { error, .. }| error)
}

/// The callers whose marks are there.
async fn marks(world: &World) -> BTreeSet<usize> {
    let entries = world.keys("/entry/d").await;
    let marks = entries.iter().map(|row| {
        let number = row.rsplit_once("/d").expect("a mark").1;
        number.parse().expect("a number")
    });
    marks.collect()
}

async fn play(seed: u64, callers: usize, processes: u64) {
    let world = World::new(|config| {
        config.keys_max = 100_000;
        config.ttl_ms_default = 2 * HOUR;
    });
    let slow = |number| Arc::new(Slow::new(Arc::clone(&world.ground), seed ^ number));
    let processes: Vec<Stashes> = (0..processes)
        .map(|number| world.over(slow(number)))
        .collect();
    let mut heard = come_and_go(seed, callers, |number| {
        let stashes = &processes[number / 2 % processes.len()];
        deed(execution(stashes, None), number)
    });
    let marks = marks(&world).await;
    heard.answered.retain(|number, answer| match answer {
        // Where nobody really waits after a lost race, one may lose them all.
        Err(StashError::Busy) if processes.len() > 1 => {
            assert!(!marks.contains(number), "seed {seed:#x}: busy, and done");
            false
        }
        Err(error) => panic!("seed {seed:#x}, caller {number}: {error}"),
        Ok(()) => true,
    });
    check(&world, &heard, &marks, seed).await;
    for stashes in &processes {
        let more = execution(stashes, None).put(&key("more"), &1, None).await;
        more.unwrap_or_else(|error| panic!("seed {seed:#x}: {error}"));
    }
    settle(&world, seed).await;
}

/// What was answered was done, what was never asked for was not, and each
/// step was done once and whole.
async fn check(
    world: &World,
    heard: &Heard<Result<(), StashError>>,
    marks: &BTreeSet<usize>,
    seed: u64,
) {
    let lost = heard.answered.keys().find(|number| !marks.contains(number));
    assert_eq!(lost, None, "seed {seed:#x}: answered and not done");
    let ghost = heard.unpolled.iter().find(|number| marks.contains(number));
    assert_eq!(ghost, None, "seed {seed:#x}: never asked for");
    let steps = marks
        .iter()
        .filter(|number| !number.is_multiple_of(3))
        .count();
    let n = world.outside().get(&key("n")).await.expect("readable");
    let n: usize = n.expect("there").parse().expect("a number");
    assert_eq!(n, steps, "seed {seed:#x}: done twice, or by half");
    assert!(
        heard.answered.len() > n / 3,
        "seed {seed:#x}: too few stayed"
    );
    let usage = world.stash().usage().await.expect("readable");
    let recount = world.recount().await;
    let shown = [
        usage.live.keys,
        usage.live.value_bytes,
        usage.live.charged_bytes,
    ];
    let found = [recount.rows, recount.value_bytes, recount.charged_bytes];
    assert_eq!(shown, found, "seed {seed:#x}");
}

/// Upkeep finds the pieces of those who left while they wrote ahead.
async fn settle(world: &World, seed: u64) {
    world.env.advance_ms(LOOSE_MS);
    world.stashes.reap_due(100_000).await.expect("a store");
    let recount = world.recount().await;
    assert_eq!(recount.loose, 0, "seed {seed:#x}");
    world.env.advance_ms(2 * HOUR);
    world.stashes.reap_due(100_000).await.expect("a store");
    assert_eq!(world.rows().await, [], "seed {seed:#x}");
}

#[tokio::test]
async fn ten_thousand_dropped_changes_strand_nobody_and_are_made_at_most_once() {
    for seed in SEEDS.iter().copied().chain([fresh()]) {
        play(seed, CALLERS, 1).await;
    }
}

#[tokio::test]
async fn dropped_changes_of_two_processes_strand_nobody_and_are_made_at_most_once() {
    play(fresh(), CALLERS_OF_TWO, 2).await;
}
