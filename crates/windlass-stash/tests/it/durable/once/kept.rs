//! How long operation ids are remembered, and how many.

use std::sync::Arc;

use futures_util::future::join_all;
use windlass_stash::durable::limits::{OPERATION_MS, OPERATIONS_BYTES_MAX};
use windlass_stash::durable::{ReapReport, Stashes};
use windlass_store_testing::Slow;

use super::super::world::{World, strict};
use super::{count, id, told};
use crate::support::{HOUR, SECOND, key};

async fn reap(stashes: &Stashes, limit: usize) -> ReapReport {
    stashes.reap_due(limit).await.expect("a store that works")
}

async fn counts(world: &World, names: std::ops::Range<u64>) {
    let calls = names.map(|number| count(&world.stashes, id(&format!("{number}"))));
    for counted in join_all(calls).await {
        counted.expect("a number");
    }
}

#[tokio::test]
async fn ids_are_remembered_for_a_day_and_then_forgotten() {
    let world = World::new(|_| {});
    assert_eq!(told(count(&world.stashes, id("once")).await), "ok: 1");
    world.env.advance_ms(OPERATION_MS - 1);
    let report = reap(&world.stashes, 100).await;
    assert_eq!((report.removed, report.operations_removed), (1, 0));
    world.recount().await;
    for stashes in [&world.stashes, &world.reopen()] {
        assert_eq!(told(count(stashes, id("once")).await), "ok: 1");
    }
    assert_eq!(world.recount().await.rows, 0, "what was counted is gone");
    world.env.advance_ms(1);
    let report = reap(&world.reopen(), 100).await;
    assert_eq!((report.operations_removed, report.truncated), (1, false));
    assert_eq!(world.rows().await, [], "nothing is left of the stash");
    assert_eq!(told(count(&world.stashes, id("once")).await), "ok: 1");
}

#[tokio::test]
async fn forgetting_goes_in_bounded_steps_the_oldest_first() {
    let world = World::new(|_| {});
    // Whose pages hold more than one row.
    let plain = world.over(Arc::clone(&world.ground) as _);
    for (round, stashes) in [&plain, &plain, &world.stashes].into_iter().enumerate() {
        for number in 0..[300, 200, 20][round] {
            let once = id(&format!("{round}-{number}"));
            count(stashes, once).await.expect("a number");
        }
        world.env.advance_ms(HOUR);
    }
    world.env.advance_ms(OPERATION_MS - 3 * HOUR);
    let mut removed = Vec::new();
    for stashes in [&plain, &plain, &world.stashes] {
        let mut steps = Vec::new();
        loop {
            let report = reap(stashes, 1).await;
            assert_eq!(report.unreadable, []);
            world.recount().await;
            if report.scanned == 0 {
                break;
            }
            steps.push(report.operations_removed);
        }
        assert!(steps.iter().all(|step| *step <= 257), "{steps:?}");
        removed.push(steps.iter().sum::<u64>());
        world.env.advance_ms(HOUR);
    }
    assert_eq!(removed, [300, 200, 20]);
    reap(&world.stashes, 100).await;
    assert_eq!(world.rows().await, []);
}

#[tokio::test]
async fn upkeep_in_two_processes_forgets_each_id_once() {
    let world = World::new(|_| {});
    counts(&world, 0..300).await;
    world.env.advance_ms(OPERATION_MS);
    counts(&world, 300..310).await;
    // Whose steps come in between one another.
    let processes =
        [1, 2, 3].map(|seed| world.over(Arc::new(Slow::new(strict(&world.ground), seed))));
    let reports = join_all(processes.iter().map(|it| reap(it, 1_000))).await;
    let removed: u64 = reports.iter().map(|report| report.operations_removed).sum();
    assert_eq!(removed, 300);
    world.recount().await;
    assert_eq!(world.keys("/op/").await.len(), 10);
}

#[tokio::test]
async fn a_stash_remembers_no_more_than_it_may() {
    let world = World::new(|_| {});
    assert_eq!(told(count(&world.stashes, id("first")).await), "ok: 1");
    world
        .edit("acme/stash/s1/head", |head| {
            head["ops"]["bytes"] = OPERATIONS_BYTES_MAX.into();
        })
        .await;
    let stashes = world.reopen();
    let rows = world.rows().await;
    assert_eq!(
        told(count(&stashes, id("second")).await),
        "too_many_operations"
    );
    assert_eq!(told(count(&stashes, id("first")).await), "ok: 1");
    assert_eq!(world.rows().await, rows);
    let plain = super::super::world::execution(&stashes, None);
    let counted = plain.increment(&key("n"), 1, None).await;
    assert_eq!(counted.expect("a number").value, 2);
    world.env.advance_ms(OPERATION_MS);
    reap(&stashes, 100).await;
    assert_eq!(told(count(&stashes, id("third")).await), "ok: 1");
}

#[tokio::test]
async fn ids_take_nothing_of_what_a_stash_may_hold() {
    let world = World::new(|config| config.keys_max = 1);
    counts(&world, 0..100).await;
    let usage = world.stash().usage().await.expect("readable");
    assert_eq!((usage.live.keys, usage.live.value_bytes), (1, 3));
}

#[tokio::test]
async fn a_lost_row_of_the_order_is_reported_and_stops_no_expiry() {
    let world = World::new(|_| {});
    let brief = super::under(&world.stashes, id("brief"));
    brief.put(&key("k"), &1, Some(SECOND)).await.expect("room");
    let order = world.keys("/order/").await;
    world.remove(&order[0]).await;
    world.env.advance_ms(OPERATION_MS);
    let report = reap(&world.reopen(), 100).await;
    assert_eq!((report.removed, report.operations_removed), (1, 0));
    let why: Vec<&str> = report.unreadable.iter().map(|it| it.why.as_str()).collect();
    assert_eq!(
        why,
        ["the stored order of operations cannot be read: its rows are missing"]
    );
}
