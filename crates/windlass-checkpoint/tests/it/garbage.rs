//! Collections that are due: bounded in all, and gone on with.

use std::sync::Arc;

use windlass_checkpoint::{Collect, GarbageReport, Reason, Sweep};
use windlass_store::{Batch, Commit, KeyRange, Store, StoreExt};
use windlass_store_testing::{Damage, Damaged};

use crate::support::{HOUR, World, caller, id, over};

const SESSIONS: usize = 6;

/// Sessions whose states were removed, long enough ago to be collected.
async fn removed() -> World {
    let world = World::new();
    for number in 0..SESSIONS {
        let session = format!("s{number}");
        let large = format!("[\"{}\"]", "word ".repeat(4_000));
        let part = "state".parse().expect("a part name");
        let changes = windlass_checkpoint::Changes::default().json(part, large);
        world.commit(&session, changes).await.expect("a state");
        let gone = world.states.remove(&caller().tenant, &id(&session)).await;
        gone.expect("a removal");
    }
    world.env.advance_ms(2 * HOUR);
    world
}

async fn round(world: &World, limit: u64) -> GarbageReport {
    let round = world
        .states
        .collect_due(Sweep::Due, Collect::default(), limit);
    round.await.expect("a round")
}

/// How many rows the collection of one of them looks at.
async fn rows_of_one() -> u64 {
    let all = round(&removed().await, u64::MAX).await;
    assert_eq!(all.lineages, SESSIONS as u64, "{all:?}");
    all.collected.scanned / all.lineages
}

/// Goes on until nothing is left; how many rounds that took.
async fn rounds(world: &World, limit: u64) -> usize {
    for number in 1..200 {
        if !round(world, limit).await.collected.truncated {
            let left = world.states.lineages(&caller().tenant, None, 10).await;
            assert_eq!(left.expect("a read"), Vec::<String>::new());
            return number;
        }
    }
    panic!("rounds of {limit} rows get no further");
}

#[tokio::test]
async fn a_round_is_bounded_over_all_lineages_and_the_next_goes_on() {
    let world = removed().await;
    assert_eq!(round(&world, 0).await.lineages, 0);
    // Enough for each of them alone, with the rows that are written.
    let limit = 4 * rows_of_one().await;
    let first = round(&world, limit).await;
    assert!(first.collected.truncated, "{first:?}");
    assert!((2..SESSIONS as u64).contains(&first.lineages), "{first:?}");
    assert!(rounds(&world, limit).await > 1, "{first:?}");
}

#[tokio::test]
async fn a_lineage_that_takes_several_rounds_is_told_of_once() {
    let sum = async |world: &World, limit| {
        let mut sum = (0, 0, 0);
        for _ in 0..200 {
            let done = round(world, limit).await.collected;
            sum.0 += done.scanned;
            sum.1 += done.deleted;
            sum.2 += done.bytes;
            if !done.truncated {
                break;
            }
        }
        sum
    };
    let whole = sum(&removed().await, u64::MAX).await;
    assert!(whole.1 > 0, "{whole:?}");
    let in_parts = sum(&removed().await, rows_of_one().await / 3).await;
    assert_eq!(whole, in_parts);
}

#[tokio::test]
async fn a_lineage_that_is_too_large_for_one_round_is_gone_on_with() {
    let world = removed().await;
    let limit = rows_of_one().await / 2;
    let first = round(&world, limit).await;
    assert_eq!((first.lineages, first.collected.truncated), (1, true));
    let rounds = rounds(&world, limit).await;
    assert!(rounds > SESSIONS, "{rounds} rounds");
}

#[tokio::test]
async fn a_lineage_that_cannot_be_read_is_tried_again_later_and_holds_up_no_other() {
    let world = removed().await;
    let due = rows_due(&world).await;
    let lineages = world.states.lineages(&caller().tenant, None, 10).await;
    let damaged = lineages.expect("a read").swap_remove(0);
    let gc = format!("acme/lineage/{damaged}/gc").into_bytes();
    let batch = Batch::new().put(gc, &b"no record"[..]);
    let written = world.ground.commit(batch).await.expect("a write");
    assert!(matches!(written, Commit::Applied(_)), "{written:?}");
    let done = round(&world, u64::MAX).await.collected;
    let unreadable = |reason: &Reason| matches!(reason, Reason::Unreadable { .. });
    assert!(done.reasons.iter().any(unreadable), "{done:?}");
    assert!(done.deleted > 0, "{done:?}");
    let left = rows_due(&world).await;
    assert_eq!(left.len(), 1, "{left:?}");
    assert!(!due.contains(&left[0]), "it is where it was: {left:?}");
    assert_eq!(round(&world, u64::MAX).await, GarbageReport::default());
    world.env.advance_ms(HOUR);
    let again = round(&world, u64::MAX).await;
    assert_eq!(again.lineages, 1, "{again:?}");
}

/// The rows of lineages in the index of due work.
async fn rows_due(world: &World) -> Vec<String> {
    let rows = world.ground.scan_all(KeyRange::prefix(&b"due/"[..])).await;
    let rows = rows.expect("a read").into_iter();
    let keys = rows.map(|row| String::from_utf8_lossy(&row.key).into_owned());
    keys.filter(|key| key.contains("/lineage/")).collect()
}

#[tokio::test]
async fn a_lineage_whose_record_the_store_refuses_holds_up_no_other_either() {
    let world = removed().await;
    let due = rows_due(&world).await;
    let lineages = world.states.lineages(&caller().tenant, None, 10).await;
    let lineage = lineages.expect("a read").swap_remove(0);
    let damaged = Arc::new(Damaged::new(Arc::clone(&world.ground)));
    damaged.damage(format!("acme/lineage/{lineage}/gc"), Damage::Value);
    let states = over(damaged, &world.env, &world.config);
    let done = states.collect_due(Sweep::Due, Collect::default(), u64::MAX);
    let done = done.await.expect("a round").collected;
    let unreadable = |reason: &Reason| matches!(reason, Reason::Unreadable { .. });
    assert!(done.reasons.iter().any(unreadable), "{done:?}");
    assert!(done.deleted > 0, "{done:?}");
    let left = rows_due(&world).await;
    assert_eq!(left.len(), 1, "{left:?}");
    assert!(!due.contains(&left[0]), "it is where it was: {left:?}");
}
