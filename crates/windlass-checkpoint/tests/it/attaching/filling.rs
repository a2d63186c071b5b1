//! Bytes in pieces, from any place, again after a failure.

use bytes::Bytes;
use proptest::prelude::*;
use windlass_checkpoint::{BlobId, CheckpointError, NewAttachment};

use super::noise;
use crate::support::{START, World, caller, id};

const MIB: usize = 1_024 * 1_024;

#[tokio::test]
async fn what_is_announced_is_shown_until_bytes_come() {
    let world = World::new();
    let new = NewAttachment {
        kind: Some("application/pdf".into()),
        name: Some("an invoice".into()),
    };
    let begun = world
        .states
        .begin_attachment(&caller(), &id("a"), new)
        .await;
    let begun = begun.expect("an attachment");
    assert_eq!(begun.kind.as_deref(), Some("application/pdf"));
    assert_eq!(begun.name.as_deref(), Some("an invoice"));
    assert_eq!(
        (begun.created, begun.touched, begun.size),
        (START, START, 0)
    );
    assert_eq!((begun.whole, begun.revision), (None, None));
    let found = world
        .states
        .attachment(&caller(), &id("a"), &begun.id)
        .await;
    assert_eq!(found.expect("readable"), Some(begun.clone()));
    assert_eq!(
        world
            .bytes_of("a", &begun.id, 0..9)
            .await
            .expect("readable"),
        Some(vec![])
    );
    let elsewhere = world
        .states
        .attachment(&caller(), &id("b"), &begun.id)
        .await;
    assert_eq!(elsewhere.expect("readable"), None);
}

#[tokio::test]
async fn bytes_go_on_where_those_before_end() {
    let world = World::new();
    let begun = world.begin("a").await;
    let all = noise(1, 5_000);
    for (start, end) in [(0, 10), (10, 10), (10, 3_000), (3_000, 5_000)] {
        let piece = all.slice(start..end);
        let done = world.append("a", &begun.id, start as u64, &piece).await;
        assert_eq!(done.expect("the right place").size, end as u64);
    }
    for start in [0, 4_999, 5_001, u64::MAX] {
        let refused = world.append("a", &begun.id, start, &all.slice(..1)).await;
        let refused = refused.expect_err("another place");
        let expected = match start {
            u64::MAX => matches!(refused, CheckpointError::Invalid { field: "size", .. }),
            _ => matches!(refused, CheckpointError::AttachmentOffset { size: 5_000 }),
        };
        assert!(expected, "{start}: {refused:?}");
    }
    let found = world
        .bytes_of("a", &begun.id, 0..u64::MAX)
        .await
        .expect("readable");
    assert!(found.as_deref() == Some(&all[..]));
}

#[tokio::test]
async fn what_is_too_much_is_refused_and_changes_nothing() {
    let world = World::new();
    let begun = world.begin("a").await;
    let much = Bytes::from(vec![0; 16 * MIB + 1]);
    let refused = world
        .append("a", &begun.id, 0, &much)
        .await
        .expect_err("too much");
    assert!(
        matches!(refused, CheckpointError::Invalid { field: "bytes", .. }),
        "{refused:?}"
    );
    let long = NewAttachment {
        kind: None,
        name: Some("n".repeat(257).into()),
    };
    let refused = world
        .states
        .begin_attachment(&caller(), &id("a"), long)
        .await;
    let refused = refused.expect_err("too long");
    assert!(
        matches!(refused, CheckpointError::Invalid { field: "name", .. }),
        "{refused:?}"
    );
    let found = world
        .states
        .attachment(&caller(), &id("a"), &begun.id)
        .await;
    assert_eq!(found.expect("readable"), Some(begun));
}

#[tokio::test]
async fn a_large_call_is_stored_in_rows_of_a_mebibyte() {
    let world = World::new();
    let all = noise(2, 10 * MIB + 5);
    let whole = world.whole("a", &all).await;
    assert_eq!(whole.whole, Some(BlobId::of(&all)));
    let keys = world.attachment_keys().await;
    let pieces = keys.iter().filter(|key| {
        key.contains("/attach/")
            && key.ends_with(|it: char| it.is_ascii_digit())
            && key.split('/').count() == 6
    });
    assert_eq!(pieces.count(), 11);
    let found = world
        .bytes_of("a", &whole.id, 0..u64::MAX)
        .await
        .expect("readable");
    assert!(found.as_deref() == Some(&all[..]));
}

#[tokio::test]
async fn a_finished_attachment_takes_no_more_bytes() {
    let world = World::new();
    let all = noise(3, 100);
    let begun = world.begin("a").await;
    world
        .append("a", &begun.id, 0, &all)
        .await
        .expect("bytes that fit");
    let (who, session) = (caller(), id("a"));
    let expected = BlobId::of(b"something else");
    let refused = world
        .states
        .finish_attachment(&who, &session, &begun.id, Some(expected))
        .await;
    let refused = refused.expect_err("other bytes");
    let actual = BlobId::of(&all);
    assert!(
        matches!(refused, CheckpointError::DigestMismatch { expected: e, actual: a } if (e, a) == (expected, actual)),
        "{refused:?}"
    );
    let whole = world
        .states
        .finish_attachment(&who, &session, &begun.id, Some(actual))
        .await;
    let whole = whole.expect("the right bytes");
    assert_eq!(whole.whole, Some(actual));
    let again = world
        .states
        .finish_attachment(&who, &session, &begun.id, None)
        .await;
    assert_eq!(again.expect("it is finished"), whole);
    let late = world
        .append("a", &begun.id, 100, &all)
        .await
        .expect_err("finished");
    assert!(
        matches!(late, CheckpointError::AttachmentFinished),
        "{late:?}"
    );
    let absent = world
        .append("a", "no such", 0, &all)
        .await
        .expect_err("absent");
    assert!(
        matches!(absent, CheckpointError::AttachmentNotFound),
        "{absent:?}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_range_of_bytes_that_came_in_any_pieces_is_what_was_sent(
        sizes in prop::collection::vec(1..3_000_usize, 0..12),
        start in 0..20_000_u64,
        length in 0..20_000_u64,
    ) {
        let total: usize = sizes.iter().sum();
        let all = noise(4, total);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let found = runtime.block_on(async {
            let world = World::new();
            let begun = world.begin("a").await;
            let mut sent = 0;
            for size in &sizes {
                let piece = all.slice(sent..sent + size);
                world.append("a", &begun.id, sent as u64, &piece).await.unwrap();
                sent += size;
            }
            world.bytes_of("a", &begun.id, start..start + length).await.unwrap().unwrap()
        });
        let within = |place: u64| usize::try_from(place).unwrap().min(total);
        let expected = &all[within(start)..within(start + length)];
        prop_assert!(found == expected, "{} of {}", found.len(), expected.len());
    }
}
