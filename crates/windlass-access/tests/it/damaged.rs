//! A tenant some rows of which cannot be read is erased whole.

use std::sync::Arc;

use windlass_access::{Progress, Tenants};
use windlass_core::{Coded, ErrorKind};
use windlass_store::{Batch, Commit, Store};
use windlass_store_memory::MemoryStore;
use windlass_store_testing::{Damage, Damaged};

use crate::erasing::{fill, rows_of};
use crate::support::{World, tenant};

fn over(world: &World, keys: Vec<Vec<u8>>, damage: Damage) -> Arc<Damaged<MemoryStore>> {
    let store = Arc::new(Damaged::new(Arc::clone(&world.ground)));
    keys.into_iter().for_each(|key| store.damage(key, damage));
    store
}

async fn write(world: &World, batch: Batch) {
    let written = world.ground.commit(batch).await.expect("a write");
    assert!(matches!(written, Commit::Applied(_)), "{written:?}");
}

#[tokio::test]
async fn damaged_rows_are_erased_like_any_other_and_counted() {
    let world = World::new();
    fill(&world, 5).await;
    let rows = rows_of(&world, "ab").await;
    let others = world.rows().await.len() - rows.len();
    let damaged = rows.iter().step_by(rows.len() / 7 + 1);
    let keys: Vec<Vec<u8>> = damaged.map(|row| row.key.to_vec()).collect();
    assert!(keys.len() > 3, "{} are too few", keys.len());
    let count = keys.len() as u64;
    let store = over(&world, keys, Damage::Value);
    let tenants = Tenants::new(store, world.env.clone());
    let erased = tenants.erase(&tenant("ab"), &mut |_| {}).await;
    let certificate = erased.expect("it is erased whole");
    assert_eq!(certificate.unreadable, count);
    assert_eq!(certificate.rows, rows.len() as u64);
    assert!(rows_of(&world, "ab").await.is_empty());
    // Beside them its head and the record of the erasure.
    let left = world.rows().await.len();
    assert!((others..=others + 2).contains(&left), "{left} of {others}");
    let found = tenants.verify_erased(&tenant("ab")).await;
    assert_eq!(found.expect("a store that works").remaining(), 0);
}

#[tokio::test]
async fn a_row_of_due_work_that_cannot_be_listed_stops_no_erasure() {
    let world = World::new();
    fill(&world, 5).await;
    let row = |tenant: &str, number: u32| {
        let key = format!("due/{number:020}/queue/{tenant}/jobs");
        key.into_bytes()
    };
    let mut batch = Batch::new();
    for number in 0..20 {
        batch = batch.put(row(["cd", "ab"][number as usize % 2], number), &b""[..]);
    }
    write(&world, batch).await;
    let lost = vec![row("cd", 6), row("cd", 8), row("ab", 9), row("cd", 18)];
    let store = over(&world, lost, Damage::Key);
    let tenants = Tenants::new(store, world.env.clone());
    let erased = tenants.erase(&tenant("ab"), &mut |_| {}).await;
    erased.expect("it is erased as far as it is known");
    let found = tenants.verify_erased(&tenant("ab")).await;
    assert_eq!(found.expect("a store that works").remaining(), 0);
    let rows = world.rows().await;
    let left = rows.iter().filter(|row| row.key.starts_with(b"due/"));
    let left = left.filter(|row| String::from_utf8_lossy(&row.key).contains("/ab/"));
    let left: Vec<&[u8]> = left.map(|row| &*row.key).collect();
    assert_eq!(left, [row("ab", 9)]);
}

#[tokio::test]
async fn a_row_of_the_tenant_that_cannot_be_listed_is_no_proof_of_anything() {
    let world = World::new();
    fill(&world, 5).await;
    let rows = rows_of(&world, "ab").await;
    let lost = rows.iter().find(|row| row.key.starts_with(b"ab/"));
    let lost = lost.expect("a row of its own").key.to_vec();
    let store = over(&world, vec![lost.clone()], Damage::Key);
    let tenants = Tenants::new(store, world.env.clone());
    let failed = tenants.erase(&tenant("ab"), &mut |_| {}).await;
    assert_eq!(
        failed.expect_err("a row is left").kind(),
        ErrorKind::Corrupt
    );
    let left = rows_of(&world, "ab").await;
    let left: Vec<&[u8]> = left.iter().map(|row| &*row.key).collect();
    assert_eq!(left, [&lost[..]], "all else is gone");
}

#[tokio::test]
async fn large_rows_beside_a_damaged_one_are_not_all_kept_in_mind() {
    let world = World::new();
    let key = |number: u32| format!("ab/large/{number:02}").into_bytes();
    for number in 0..20 {
        let batch = Batch::new().put(key(number), vec![7_u8; 1 << 20]);
        write(&world, batch).await;
    }
    let store = over(&world, vec![key(0)], Damage::Value);
    let tenants = Tenants::new(store, world.env.clone());
    let mut steps = Vec::new();
    let mut observe = |done: &Progress| steps.push(done.rows);
    let erased = tenants.erase(&tenant("ab"), &mut observe).await;
    assert_eq!(erased.expect("it is erased").rows, 20);
    assert!(steps[0] <= 9, "{steps:?}");
}
