//! A row that is lost or damaged is an error that says so, never an answer.

use windlass_core::Coded as _;
use windlass_core::ErrorKind;
use windlass_stash::StashError;

use super::world::{World, execution};
use crate::support::{HOUR, key, sized};

/// A world with one short and one long value, and what can be lost of it.
async fn world() -> World {
    let world = World::new(|_| {});
    let execution = world.outside();
    execution.put(&key("short"), &1, None).await.expect("room");
    let long = windlass_stash::Put::new(key("long"), sized(1_500_000));
    execution.store(long).await.expect("room");
    world
}

async fn look(world: &World, name: &str) -> Result<Option<u64>, StashError> {
    let found = execution(&world.reopen(), None).get(&key(name)).await?;
    Ok(found.map(|value| value.size()))
}

fn corrupt<T: std::fmt::Debug>(answer: Result<T, StashError>, what: &str) {
    let error = answer.expect_err(what);
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{what}: {error}");
}

#[tokio::test]
async fn a_missing_row_of_any_kind_is_corrupt_and_not_absent() {
    for part in ["/entry/short", "/entry/long", "/head", "/piece/"] {
        let world = world().await;
        let stored = world.keys(part).await;
        world.remove(stored.last().expect("such a row")).await;
        corrupt(look(&world, "long").await, part);
        if part != "/piece/" {
            corrupt(look(&world, "short").await, part);
        }
    }
}

#[tokio::test]
async fn a_row_of_an_earlier_moment_is_corrupt() {
    let world = world().await;
    let row = "acme/stash/s1/entry/short";
    let early = world.rows().await;
    let early = early.iter().find(|entry| entry.key == row).expect("a row");
    let touched = world.outside().touch(&key("short"), Some(2 * HOUR)).await;
    assert_ne!(touched.expect("a store"), None);
    world.put(row, early.value.clone()).await;
    corrupt(look(&world, "short").await, "an earlier deadline");
}

#[tokio::test]
async fn a_row_that_nobody_put_is_corrupt() {
    let world = world().await;
    let rows = world.rows().await;
    let row = rows
        .iter()
        .find(|row| row.key == "acme/stash/s1/entry/short");
    let value = row.expect("a row").value.clone();
    world.put("acme/stash/s1/entry/smuggled", value).await;
    corrupt(look(&world, "smuggled").await, "one row too many");
}

#[tokio::test]
async fn a_record_of_another_format_is_named_as_such() {
    let world = world().await;
    world.put("acme/stash/s1/head", r#"{"v":2,"new":1}"#).await;
    let error = look(&world, "short").await.expect_err("another format");
    assert!(error.to_string().contains("format 2"), "{error}");
}
