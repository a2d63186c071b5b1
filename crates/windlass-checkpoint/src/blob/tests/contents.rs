//! What goes in comes out, in as few rows and reads as it should.

use std::sync::Arc;

use proptest::prelude::*;
use windlass_store_testing::{Counting, Random};

use super::*;
use crate::blob::limits::WHOLE_BYTES_MAX;
use crate::blob::{Kind, Reader, size_of};

fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    runtime.unwrap().block_on(future)
}

/// Contents of all sizes up to 200 KiB, some of which look like JSON and some
/// of which repeat themselves.
fn contents() -> impl Strategy<Value = Bytes> {
    let short = prop::collection::vec(any::<u8>(), 0..5_000).prop_map(Bytes::from);
    let long = (any::<u64>(), 0..200_000_usize).prop_map(|(seed, size)| noise(seed, size));
    let json = (any::<u64>(), 0..200_000_usize).prop_map(|(seed, size)| state(seed, size).into());
    let text = "[\\[{,\":\\\\a ]{1,40}";
    let repeated = (text, 1..4_000_usize).prop_map(|(text, times)| text.repeat(times).into());
    prop_oneof![short, long, json, repeated]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_content_comes_back_as_it_was(content in contents(), profile in 0..3_usize) {
        let profile = [Profile::LowLatency, Profile::Balanced, Profile::Compact][profile];
        let world = World::new();
        block_on(world.put(built_in(&content, profile), None));
        let id = BlobId::of(&content);
        let found = block_on(world.read(id)).unwrap();
        prop_assert!(found.as_ref() == Some(&content), "{} bytes", content.len());
    }

    #[test]
    fn any_range_is_that_of_the_content(
        seed in any::<u64>(),
        start in 0..70_000_u64,
        length in 0..70_000_u64,
    ) {
        let content = noise(seed, 50_000);
        let world = World::new();
        block_on(world.put(built(&content), None));
        let given = block_on(range(&world, BlobId::of(&content), start..start + length));
        let within = |position: u64| usize::try_from(position.min(50_000)).unwrap();
        let expected = &content[within(start)..within(start + length)];
        prop_assert!(given == expected, "{} of {} bytes", given.len(), expected.len());
    }
}

async fn range(world: &World, id: BlobId, range: std::ops::Range<u64>) -> Vec<u8> {
    let (store, keys) = (&world.store, &world.keys);
    let reader = Reader::open_range(store, keys, id, range).await.unwrap();
    let mut reader = reader.expect("it was put");
    let mut given = Vec::new();
    while let Some(piece) = reader.next(store).await.unwrap() {
        assert!(!piece.is_empty());
        given.extend_from_slice(&piece);
    }
    given
}

#[tokio::test]
async fn what_was_never_put_is_absent() {
    let world = World::new();
    let found = world.read(BlobId::of(b"nothing")).await.unwrap();
    assert_eq!(found, None);
}

#[tokio::test]
async fn a_content_of_one_row_is_one_and_a_larger_one_is_cut() {
    for (size, whole) in [
        (0, true),
        (1, true),
        (WHOLE_BYTES_MAX, true),
        (WHOLE_BYTES_MAX + 1, false),
    ] {
        let world = World::new();
        let content = noise(1, size);
        let rows = world.put(built(&content), None).await;
        assert_eq!(rows.len() == 1, whole, "{size} bytes");
        assert_eq!(rows[0].name.kind, Kind::Blob);
        assert_eq!(rows[0].may_go_ahead, whole, "{size} bytes");
        let told = size_of(rows[0].name.id, &rows[0].value).unwrap();
        assert_eq!(told, size as u64);
        assert_eq!(
            world.read(BlobId::of(&content)).await.unwrap(),
            Some(content)
        );
    }
}

#[test]
fn only_what_gets_smaller_is_compressed() {
    let stored = |content: &Bytes, profile| {
        let rows = built_in(content, profile).into_rows();
        rows.iter().map(|row| row.value.len()).sum::<usize>()
    };
    let text: Bytes = state(1, 3_000).into();
    let noise = noise(1, 4_000);
    for profile in [Profile::LowLatency, Profile::Balanced] {
        assert!(stored(&text, profile) > text.len(), "{profile:?}");
    }
    assert!(stored(&text, Profile::Compact) < text.len() * 3 / 4);
    for profile in [Profile::LowLatency, Profile::Balanced, Profile::Compact] {
        let size = stored(&noise, profile);
        assert!(
            (1..32).contains(&(size - noise.len())),
            "{profile:?}: {size}"
        );
    }
    let long: Bytes = vec![b'a'; 100_000].into();
    assert!(stored(&long, Profile::Balanced) < 2_000);
    let plain = stored(&long, Profile::LowLatency);
    assert!(plain < 20_000, "equal chunks are one row: {plain}");
}

#[tokio::test]
async fn what_stays_the_same_costs_neither_rows_nor_reads() {
    let world = World::new();
    let content: Bytes = state(1, 300_000).into();
    let id = BlobId::of(&content);
    world.put(built(&content), None).await;
    let counting = Counting::new(Arc::clone(&world.ground));
    let mut again = built(&content);
    drop_known(&counting, &world.keys, id, &mut again)
        .await
        .unwrap();
    assert_eq!(again.into_rows(), []);
    assert_eq!(counting.counts().reads, 0);
}

#[tokio::test]
async fn a_large_content_takes_few_reads() {
    let world = World::new();
    let content: Bytes = noise(3, 1_000_000);
    let rows = world.put(built(&content), None).await.len() as u64;
    let counting = Counting::new(Arc::clone(&world.ground));
    let found = read(&counting, &world.keys, BlobId::of(&content))
        .await
        .unwrap();
    assert_eq!(found, Some(content));
    let reads = counting.counts().reads;
    assert!(
        reads <= rows.div_ceil(16) + 4,
        "{reads} reads of {rows} rows"
    );
}

#[tokio::test]
async fn pieces_come_one_by_one_and_are_the_content() {
    let world = World::new();
    let content: Bytes = state(4, 500_000).into();
    world.put(built(&content), None).await;
    let id = BlobId::of(&content);
    let reader = Reader::open(&world.store, &world.keys, id).await.unwrap();
    let mut reader = reader.expect("it was put");
    assert_eq!(reader.size(), content.len() as u64);
    let mut given = Vec::new();
    while let Some(piece) = reader.next(&world.store).await.unwrap() {
        assert!(piece.len() <= 64 * 1_024, "{}", piece.len());
        given.extend_from_slice(&piece);
    }
    assert!(given == content, "{} bytes", given.len());
}

#[tokio::test]
async fn what_two_contents_share_is_found_again_after_any_edit() {
    let mut random = Random::new(5);
    let world = World::new();
    let mut text = state(6, 200_000);
    let (mut before, mut stored) = (None, 0);
    for _ in 0..20 {
        let at = random.below(text.len());
        let end = (at + random.below(3_000)).min(text.len());
        text.replace_range(at..end, &state(random.next(), random.below(3_000)));
        let content: Bytes = text.clone().into();
        let id = BlobId::of(&content);
        let rows = world.put(built(&content), before).await;
        if before.is_some() {
            stored += rows.iter().map(|row| row.value.len()).sum::<usize>();
        }
        assert!(world.read(id).await.unwrap() == Some(content));
        before = Some(id);
    }
    assert!(stored < 600_000, "{stored} bytes for 20 edits");
}
