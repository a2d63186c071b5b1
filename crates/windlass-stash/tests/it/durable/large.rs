//! Values that are longer than a row: in pieces, whole or not at all.

use std::sync::Arc;

use windlass_stash::durable::Options;
use windlass_stash::{Operation, Put, Value};
use windlass_store::Store;
use windlass_store_testing::Counting;

use super::world::{World, execution};
use crate::support::{code, key, sized};

const MIB: usize = 1_024 * 1_024;

#[tokio::test]
async fn values_of_every_length_around_each_boundary_come_back_whole() {
    let world = World::new(|_| {});
    let lengths = [
        2,
        1_023,
        1_024,
        1_025,
        256 * 1_024,
        256 * 1_024 + 1,
        MIB - 1,
        MIB,
        MIB + 1,
        2 * MIB,
        2 * MIB + 1,
        16 * MIB,
    ];
    let execution = world.outside();
    for length in lengths {
        let name = key(&format!("k{length}"));
        let put = Put::new(name, sized(length));
        assert_eq!(
            execution.store(put).await.expect("room").size,
            length as u64
        );
    }
    let other = super::world::execution(&world.reopen(), None);
    for length in lengths {
        let seen = other.get(&key(&format!("k{length}"))).await;
        assert_eq!(seen.expect("readable"), Some(sized(length)), "{length}");
    }
    let recount = world.recount().await;
    assert_eq!((recount.rows, recount.loose), (12, 0));
}

#[tokio::test]
async fn a_replaced_or_deleted_long_value_leaves_nothing_but_what_upkeep_takes() {
    let world = World::new(|_| {});
    let execution = world.outside();
    let name = key("k");
    for length in [5 * MIB, 300_000, 10, 4 * MIB, 2_000] {
        execution
            .store(Put::new(name.clone(), sized(length)))
            .await
            .expect("room");
        world.recount().await;
    }
    assert!(execution.delete(&name).await.expect("a store"));
    world.recount().await;
    world.stashes.reap_due(1_000).await.expect("a store");
    assert_eq!(world.keys("/piece/").await, Vec::<String>::new());
    assert_eq!(world.keys("/loose/").await, Vec::<String>::new());
}

#[tokio::test]
async fn a_refused_long_value_is_not_written_at_all() {
    let world = World::new(|config| config.keys_max = 1);
    let ground: Arc<dyn Store> = world.ground.clone();
    let counting = Arc::new(Counting::new(ground));
    let stashes = world.over(counting.clone());
    let (owner, other) = (execution(&stashes, Some("g")), execution(&stashes, None));
    owner.put(&key("k"), &1, None).await.expect("room");
    let (before, counts) = (world.rows().await, counting.counts());
    let long = sized(3 * MIB);
    let put = |name: &str| Put::new(key(name), long.clone());
    assert_eq!(code(other.store(put("k")).await), "cross_group_access");
    assert_eq!(code(owner.store(put("other")).await), "key_limit_exceeded");
    assert_eq!(world.rows().await, before);
    assert_eq!((counting.counts() - counts).commits, 0);
}

#[tokio::test]
async fn one_value_under_many_keys_is_stored_for_each_of_them() {
    let world = World::new(|_| {});
    let execution = world.outside();
    for size in [2_000, 600_000] {
        let value = sized(size);
        let puts =
            ["a", "b", "a", "c"].map(|name| Operation::Put(Put::new(key(name), value.clone())));
        execution.step(&puts).await.expect("room");
        world.recount().await;
        assert!(
            execution.delete(&key("b")).await.expect("a store"),
            "{size}"
        );
        let other = super::world::execution(&world.reopen(), None);
        for name in ["a", "c"] {
            let seen = other.get(&key(name)).await.expect("readable");
            assert_eq!(seen.as_ref(), Some(&value), "{name} of {size}");
        }
    }
}

#[tokio::test]
async fn a_step_of_as_many_operations_as_there_may_be_is_one_change() {
    let world = World::with_options(Options::default());
    let execution = world.outside();
    for size in [1_025, 5_000, 20_000] {
        let puts = (0..256).map(|number| {
            Operation::Put(Put::new(key(&format!("k{number}")), sized(size + number)))
        });
        execution
            .step(&puts.collect::<Vec<_>>())
            .await
            .expect("room");
        let recount = world.recount().await;
        assert_eq!(recount.rows, 256);
    }
    let cleared = execution.clear().await.expect("a store");
    assert_eq!((cleared.removed, cleared.truncated), (256, false));
    assert_eq!(world.recount().await.rows, 0);
}

#[tokio::test]
async fn null_and_deep_values_are_kept_as_they_are() {
    let world = World::new(|_| {});
    let execution = world.outside();
    let deep = format!("{}{}", "[".repeat(120), "]".repeat(120));
    for json in ["null", "\"\"", "1.0", "1e400", "{\"v\":1}", &deep] {
        let value = Value::from_json(json).expect("JSON");
        execution
            .store(Put::new(key("k"), value))
            .await
            .expect("room");
        let other = super::world::execution(&world.reopen(), None);
        let seen = other
            .get(&key("k"))
            .await
            .expect("readable")
            .expect("there");
        assert_eq!(seen.as_json(), json);
    }
}
