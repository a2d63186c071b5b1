//! Commits whose outcome is unknown, processes that die, stores that fail.

use std::sync::Arc;

use windlass_core::{Coded, ErrorKind};
use windlass_stash::{Operation, Put};
use windlass_store::StoreErrorKind;
use windlass_store_testing::{Fault, Faulty, Moment, Strict, StrictOptions, Verb};

use super::super::crashes::Dying;
use super::super::world::{World, stash};
use super::{changes, count, id, under};
use crate::support::{key, sized};

async fn world() -> World {
    let world = World::new(|config| config.keys_max = 2_000);
    for name in ["first", "n"] {
        world
            .outside()
            .put(&key(name), &40, None)
            .await
            .expect("room");
    }
    world
}

#[tokio::test]
async fn a_commit_in_doubt_is_told_as_the_first_time() {
    for (name, change) in changes() {
        for moment in [Moment::Before, Moment::After] {
            for number in 1..10 {
                let world = world().await;
                let faulty = Arc::new(Faulty::new(Arc::clone(&world.ground)));
                faulty.plan(Fault {
                    verb: Some(Verb::Commit),
                    number,
                    moment,
                    kind: StoreErrorKind::Indeterminate,
                });
                let first = change(&under(&world.over(faulty.clone()), id("once"))).await;
                assert!(first.starts_with("ok: "), "{name}: {first}");
                let rows = world.rows().await;
                let again = change(&under(&world.reopen(), id("once"))).await;
                assert_eq!(again, first, "{name}, commit {number}, {moment:?}");
                assert_eq!(world.rows().await, rows, "{name}");
                world.recount().await;
                if faulty.hits() == 0 {
                    break;
                }
            }
        }
    }
}

#[tokio::test]
async fn whoever_heard_nothing_repeats_and_is_told() {
    for (name, change) in changes() {
        for moment in [Moment::Before, Moment::After] {
            for number in 1.. {
                let world = world().await;
                let faulty = Arc::new(Faulty::new(Arc::clone(&world.ground)));
                faulty.plan(Fault {
                    verb: None,
                    number,
                    moment,
                    kind: StoreErrorKind::Unavailable,
                });
                let unheard = change(&under(&world.over(faulty.clone()), id("once"))).await;
                if faulty.hits() == 0 {
                    break;
                }
                let first = change(&under(&world.reopen(), id("once"))).await;
                assert!(first.starts_with("ok: "), "{name}: {first}");
                if unheard.starts_with("ok: ") {
                    assert_eq!(first, unheard, "{name}, call {number}");
                }
                let once = changed_once(&world).await;
                assert!(once, "{name}, call {number}, {moment:?}: {first}");
                let again = change(&under(&world.stashes, id("once"))).await;
                assert_eq!(again, first, "{name}, call {number}, {moment:?}");
                world.recount().await;
            }
        }
    }
}

/// Whether what counts has counted no more than once.
async fn changed_once(world: &World) -> bool {
    let value = world.outside().get(&key("n")).await.expect("readable");
    let number = value.and_then(|value| value.parse::<i64>().ok());
    number.is_none_or(|number| [1, 40, 42, 43].contains(&number))
}

#[tokio::test]
async fn over_a_store_that_fails_all_the_time_each_id_counts_once() {
    let world = World::new(|_| {});
    let strict = Strict::new(Arc::clone(&world.ground), StrictOptions::ALL);
    let stashes = world.over(Arc::new(strict));
    for number in 1..=100 {
        let once = id(&format!("count-{number}"));
        let counted = loop {
            match count(&stashes, once.clone()).await {
                Ok(value) => break value,
                Err(error) => {
                    let kinds = [ErrorKind::Unavailable, ErrorKind::Indeterminate];
                    assert!(kinds.contains(&error.kind()), "{error:?}");
                }
            }
        };
        assert_eq!(counted, number);
    }
    world.recount().await;
}

#[tokio::test]
async fn a_clearing_that_was_cut_off_goes_on_and_counts_all() {
    let world = world().await;
    for chunk in 0..3 {
        let puts = (0..200).map(|number| {
            let name = key(&format!("k{chunk}-{number}"));
            Operation::Put(Put::new(name, sized(2)))
        });
        let step: Vec<Operation> = puts.collect();
        world.outside().step(&step).await.expect("room");
    }
    let dying = Dying::after(Faulty::new(Arc::clone(&world.ground)), 2);
    let dead = world.over(dying);
    let cut = stash(&dead).clear_once(None, id("once")).await;
    assert_eq!(
        cut.expect_err("the process is dead").code(),
        "store_unavailable"
    );
    assert_eq!(world.recount().await.rows, 602 - 512);
    world
        .outside()
        .put(&key("late"), &1, None)
        .await
        .expect("room");
    let cleared = stash(&world.reopen()).clear_once(None, id("once")).await;
    let cleared = cleared.expect("a store that works");
    assert_eq!((cleared.removed, cleared.truncated), (603, false));
    world
        .outside()
        .put(&key("later"), &1, None)
        .await
        .expect("room");
    let again = stash(&world.stashes).clear_once(None, id("once")).await;
    assert_eq!(again.expect("the first answer"), cleared);
    assert_eq!(world.recount().await.rows, 1);
}
