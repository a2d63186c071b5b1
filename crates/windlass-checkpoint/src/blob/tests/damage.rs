//! Rows that are not what they were are never given out as content.

use proptest::prelude::*;
use windlass_store::Store;

use super::*;
use crate::blob::row::{Decoder, Row};
use crate::blob::{Kind, Name, Reader};

/// A content with lists below its top, and its rows.
async fn stored() -> (World, Bytes, Vec<BlobRow>) {
    let world = World::new();
    let content: Bytes = state(1, 150_000).into();
    let rows = world.put(built_in(&content, Profile::Compact), None).await;
    (world, content, rows)
}

async fn replace(world: &World, row: &BlobRow, value: Option<Bytes>) {
    let key = row.key(&world.keys);
    let batch = match value {
        Some(value) => Batch::new().put(key, value),
        None => Batch::new().delete(key),
    };
    let done = world.ground.commit(batch).await.unwrap();
    assert!(matches!(done, Commit::Applied(_)), "{done:?}");
}

/// What a damaged content is answered with: an error that names its row.
fn assert_names(error: &CheckpointError, name: Name) {
    let CheckpointError::Corrupt { what, .. } = error else {
        panic!("{error:?}");
    };
    assert_eq!(*what, name.to_string());
}

#[tokio::test]
async fn a_missing_row_is_corrupt_and_named_and_a_missing_top_is_absent() {
    let (world, content, rows) = stored().await;
    let id = BlobId::of(&content);
    for row in &rows {
        replace(&world, row, None).await;
        let found = world.read(id).await;
        if row.name == Name::blob(id) {
            assert_eq!(found.unwrap(), None);
        } else {
            assert_names(&found.unwrap_err(), row.name);
        }
        replace(&world, row, Some(row.value.clone())).await;
    }
    assert!(world.read(id).await.unwrap() == Some(content));
}

#[tokio::test]
async fn a_row_that_ends_early_is_corrupt_and_named() {
    let (world, content, rows) = stored().await;
    for row in &rows {
        for end in [0, 1, 2, 8, 9, 12, row.value.len() / 2, row.value.len() - 1] {
            replace(&world, row, Some(row.value.slice(..end))).await;
            let found = world.read(BlobId::of(&content)).await;
            assert_names(&found.unwrap_err(), row.name);
        }
        replace(&world, row, Some(row.value.clone())).await;
    }
}

#[tokio::test]
async fn rows_in_each_others_place_are_corrupt() {
    let (world, content, rows) = stored().await;
    let id = BlobId::of(&content);
    for pair in rows.windows(2) {
        replace(&world, &pair[0], Some(pair[1].value.clone())).await;
        let found = world.read(id).await;
        assert!(
            matches!(found, Err(CheckpointError::Corrupt { .. })),
            "{:?}",
            pair[0].name
        );
        replace(&world, &pair[0], Some(pair[0].value.clone())).await;
    }
}

#[tokio::test]
async fn a_damaged_chunk_is_not_given_out_as_part_of_a_content() {
    let world = World::new();
    let content = noise(3, 100_000);
    let rows = world.put(built(&content), None).await;
    let chunks = rows.iter().filter(|row| row.name.kind == Kind::Chunk);
    for row in chunks {
        let mut value = row.value.to_vec();
        *value.last_mut().unwrap() ^= 1;
        replace(&world, row, Some(value.into())).await;
        let (store, keys, id) = (&world.store, &world.keys, BlobId::of(&content));
        let reader = Reader::open_range(store, keys, id, 1..99_999).await;
        let mut reader = reader.unwrap().expect("its top is there");
        let mut place = 1;
        let error = loop {
            match reader.next(store).await {
                Ok(found) => {
                    let found = found.expect("a chunk is damaged");
                    assert!(found == content[place..place + found.len()], "{place}");
                    place += found.len();
                }
                Err(error) => break error,
            }
        };
        assert_names(&error, row.name);
        replace(&world, row, Some(row.value.clone())).await;
    }
}

#[tokio::test]
async fn the_top_of_another_content_is_not_taken_for_this_one() {
    let (world, content, rows) = stored().await;
    let other: Bytes = state(2, 150_000).into();
    let others = world.put(built(&other), None).await;
    replace(&world, &rows[0], Some(others[0].value.clone())).await;
    let found = world.read(BlobId::of(&content)).await;
    assert_names(&found.unwrap_err(), rows[0].name);
}

#[tokio::test]
async fn a_flipped_bit_never_changes_what_is_read() {
    let (world, content, rows) = stored().await;
    let id = BlobId::of(&content);
    let mut refused = 0;
    for (count, row) in rows.iter().enumerate() {
        for bit in (count % 7..row.value.len() * 8).step_by(997) {
            let mut value = row.value.to_vec();
            value[bit / 8] ^= 1 << (bit % 8);
            replace(&world, row, Some(value.into())).await;
            match world.read(id).await {
                Ok(found) => assert!(found.as_ref() == Some(&content), "bit {bit}"),
                Err(CheckpointError::Corrupt { .. }) => refused += 1,
                Err(other) => panic!("{other:?}"),
            }
        }
        replace(&world, row, Some(row.value.clone())).await;
    }
    assert!(refused > rows.len(), "{refused} of {} rows", rows.len());
}

#[tokio::test]
async fn a_damaged_earlier_content_only_costs_room() {
    let (world, content, rows) = stored().await;
    let id = BlobId::of(&content);
    replace(&world, &rows[0], Some(Bytes::from_static(b"?"))).await;
    let mut new = content.to_vec();
    new[70_000] ^= 1;
    let new: Bytes = new.into();
    world.put(built(&new), Some(id)).await;
    assert!(world.read(BlobId::of(&new)).await.unwrap() == Some(new));
}

proptest! {
    #[test]
    fn no_bytes_make_the_codec_panic(
        mut bytes in prop::collection::vec(any::<u8>(), 0..200),
        encoding in 0..4_u8,
        well_begun in any::<bool>(),
    ) {
        if well_begun && bytes.len() > 2 {
            bytes[0] = 1;
            bytes[1] = encoding;
        }
        let value = Bytes::from(bytes);
        if let Ok(row) = Row::decode(&value) {
            let sum: u64 = row.children().iter().map(|child| child.size).sum();
            prop_assert!(row.children().is_empty() || sum == row.size);
            if let Ok(content) = Decoder::default().content(&row) {
                prop_assert_eq!(content.len() as u64, row.size);
            }
        }
    }
}
