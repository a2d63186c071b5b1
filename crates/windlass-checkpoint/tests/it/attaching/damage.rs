//! Bytes that are not those that were sent are never given out.

use windlass_checkpoint::CheckpointError;
use windlass_store::{Batch, Commit, Store, StoreExt};

use super::noise;
use crate::support::World;

async fn write(world: &World, batch: Batch) {
    let done = world.ground.commit(batch).await.expect("a commit");
    assert!(matches!(done, Commit::Applied(_)), "{done:?}");
}

#[tokio::test]
async fn damaged_missing_and_swapped_pieces_are_corrupt_and_named() {
    let world = World::new();
    let begun = world.begin("a").await;
    let all = noise(1, 3_000);
    for start in [0, 1_000, 2_000_usize] {
        let piece = all.slice(start..start + 1_000);
        world
            .append("a", &begun.id, start as u64, &piece)
            .await
            .expect("bytes that fit");
    }
    let (who, session) = (crate::support::caller(), crate::support::id("a"));
    let whole = world
        .states
        .finish_attachment(&who, &session, &begun.id, None)
        .await;
    let whole = whole.expect("all is there");
    let key = |start: usize| format!("acme/checkpoint/a/attach/{}/{start:020}", whole.id);
    let mut values = Vec::new();
    for start in [0, 1_000, 2_000] {
        let entry = world.ground.get(key(start).into()).await.expect("readable");
        values.push(entry.expect("a piece").value);
    }
    let mut flipped = values[1].to_vec();
    *flipped.last_mut().expect("bytes") ^= 1;
    for batch in [
        Batch::new().put(key(1_000), flipped),
        Batch::new().put(key(1_000), values[1].slice(..20)),
        Batch::new().put(key(1_000), values[2].clone()),
        Batch::new().delete(key(1_000)),
        Batch::new().delete(key(2_000)),
        Batch::new().delete(key(0)),
    ] {
        write(&world, batch).await;
        let found = world.bytes_of("a", &whole.id, 0..u64::MAX).await;
        let Err(CheckpointError::Corrupt { what, .. }) = &found else {
            panic!("{found:?}");
        };
        assert_eq!(*what, format!("attachment {}", whole.id));
        for (start, value) in [0, 1_000, 2_000].into_iter().zip(&values) {
            write(&world, Batch::new().put(key(start), value.clone())).await;
        }
    }
    let found = world
        .bytes_of("a", &whole.id, 0..u64::MAX)
        .await
        .expect("readable");
    assert!(found.as_deref() == Some(&all[..]));
}
