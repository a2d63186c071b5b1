//! Who a token lets in, and until when.

use std::sync::Arc;

use windlass_access::{AccessError, NewKey, Rotate};
use windlass_core::{Coded, ErrorKind};
use windlass_store_testing::Counting;

use crate::support::{DAY, SECOND, World, grant_of, text};

#[tokio::test]
async fn a_token_proves_its_key_and_has_the_documented_form() {
    let world = World::new();
    let (key, secret) = world.key().await;
    let token = secret.reveal();
    assert_eq!((token.len(), &token[..3], &token[19..20]), (84, "wl_", "_"));
    assert_eq!(&token[3..19], key.id.as_str());
    assert_eq!(world.prove(token).await, Some(key));
}

#[tokio::test]
async fn a_token_with_any_other_character_proves_nothing() {
    let world = World::new();
    let (_, secret) = world.key().await;
    let token = secret.reveal();
    for place in 0..token.len() {
        for other in ["0", "f", "F", "_", "é"] {
            let mut changed = token.to_owned();
            changed.replace_range(place..=place, other);
            if changed != token {
                assert_eq!(world.prove(&changed).await, None, "{place} {other}");
            }
        }
    }
    let longer = format!("{token}0");
    let padded = format!(" {token}");
    for text in ["", "wl_", "wl__", &token[..83], &longer, &padded] {
        assert_eq!(world.prove(text).await, None, "{text:?}");
    }
}

#[tokio::test]
async fn the_secret_is_neither_stored_nor_shown() {
    let world = World::new();
    let (key, first) = world.key().await;
    let rotate = Rotate {
        overlap_ms: DAY,
        operation: None,
    };
    let (_, second) = world.keys.rotate(&key.id, rotate).await.expect("a key");
    assert_eq!(format!("{first:?} {second:?}"), "Secret(…) Secret(…)");
    for row in world.rows().await {
        let value = text(&row.value);
        for secret in [&first, &second] {
            let digits = &secret.reveal()[20..];
            assert!(!value.contains(digits), "{}", text(&row.key));
        }
    }
}

#[tokio::test]
async fn every_attempt_costs_one_read_of_one_point_whatever_is_there() {
    let world = World::new();
    let counting = Arc::new(Counting::new(Arc::clone(&world.ground)));
    let keys = world.keys_over(Arc::clone(&counting) as _);
    let (key, secret) = world.key().await;
    let token = secret.reveal().to_owned();
    let unknown = token.replace(key.id.as_str(), "0123456789abcdef");
    let wrong = format!("{}{}", &token[..20], "0".repeat(64));
    for (token, known) in [(&token, true), (&unknown, false), (&wrong, false)] {
        let before = counting.counts();
        let proven = keys.authenticate(token).await.expect("a store that works");
        assert_eq!(proven.is_some(), known, "{token}");
        let cost = counting.counts() - before;
        assert_eq!((cost.reads, cost.scans, cost.commits), (1, 1, 0), "{token}");
    }
}

#[tokio::test]
async fn a_key_ends_at_exactly_its_expiry() {
    let world = World::new();
    let mut request = NewKey::new("short", grant_of("acme", &["*"]));
    request.ttl_ms = Some(SECOND);
    let (key, secret) = world.keys.create(request).await.expect("a key");
    world.env.advance_ms(SECOND - 1);
    assert_eq!(world.prove(secret.reveal()).await, Some(key.clone()));
    world.env.advance_ms(1);
    assert_eq!(world.prove(secret.reveal()).await, None);
    let shown = world.keys.get(&key.id).await.expect("a store that works");
    assert_eq!(shown, Some(key), "it can still be looked at");
}

#[tokio::test]
async fn a_revoked_key_is_unknown_to_the_very_next_call_of_another_process() {
    let world = World::new();
    let (key, secret) = world.key().await;
    let elsewhere = world.keys_over(Arc::clone(&world.ground) as _);
    assert_eq!(
        elsewhere
            .authenticate(secret.reveal())
            .await
            .expect("a read"),
        Some(key.clone())
    );
    let revoked = world.keys.revoke(&key.id).await.expect("a key");
    assert_eq!(
        elsewhere
            .authenticate(secret.reveal())
            .await
            .expect("a read"),
        None
    );
    world.env.advance_ms(SECOND);
    let again = world.keys.revoke(&key.id).await.expect("a key");
    assert_eq!(again, revoked, "the first time is kept");
}

#[tokio::test]
async fn both_secrets_work_until_the_overlap_is_over() {
    let world = World::new();
    let (key, first) = world.key().await;
    let (rotated, second) = world
        .keys
        .rotate(&key.id, overlap(SECOND))
        .await
        .expect("a key");
    assert_eq!(rotated.overlap_until, Some(world.env_plus(SECOND)));
    world.env.advance_ms(SECOND - 1);
    assert_eq!(world.prove(first.reveal()).await, Some(rotated.clone()));
    assert_eq!(world.prove(second.reveal()).await, Some(rotated.clone()));
    world.env.advance_ms(1);
    assert_eq!(world.prove(first.reveal()).await, None);
    assert_eq!(world.prove(second.reveal()).await, Some(rotated));
}

#[tokio::test]
async fn a_second_rotation_ends_the_oldest_secret_at_once() {
    let world = World::new();
    let (key, first) = world.key().await;
    let (_, second) = world
        .keys
        .rotate(&key.id, overlap(DAY))
        .await
        .expect("a key");
    let (_, third) = world
        .keys
        .rotate(&key.id, overlap(DAY))
        .await
        .expect("a key");
    assert_eq!(world.prove(first.reveal()).await, None);
    let mut known = Vec::new();
    for secret in [&second, &third] {
        known.extend(world.prove(secret.reveal()).await.map(|key| key.id));
    }
    assert_eq!(known, [key.id.clone(), key.id.clone()]);
    let (_, fourth) = world.keys.rotate(&key.id, overlap(0)).await.expect("a key");
    assert_eq!(
        world.prove(third.reveal()).await,
        None,
        "without an overlap"
    );
    assert!(
        world
            .prove(fourth.reveal())
            .await
            .is_some_and(|found| found.id == key.id)
    );
}

#[tokio::test]
async fn revoking_ends_the_former_secret_too() {
    let world = World::new();
    let (key, first) = world.key().await;
    let (_, second) = world
        .keys
        .rotate(&key.id, overlap(DAY))
        .await
        .expect("a key");
    world.keys.revoke(&key.id).await.expect("a key");
    for secret in [first, second] {
        assert_eq!(world.prove(secret.reveal()).await, None);
    }
}

#[tokio::test]
async fn a_key_that_ended_gets_no_new_secret() {
    let world = World::new();
    let (revoked, _) = world.key().await;
    world.keys.revoke(&revoked.id).await.expect("a key");
    let mut request = NewKey::new("short", grant_of("acme", &["*"]));
    request.ttl_ms = Some(SECOND);
    let (expired, _) = world.keys.create(request).await.expect("a key");
    world.env.advance_ms(SECOND);
    for key in [revoked, expired] {
        let refused = world
            .keys
            .rotate(&key.id, Rotate::default())
            .await
            .unwrap_err();
        assert_eq!(
            (refused.code(), refused.kind()),
            ("key_ended", ErrorKind::Conflict)
        );
    }
}

#[tokio::test]
async fn a_damaged_record_lets_nobody_in_and_says_so() {
    let world = World::new();
    let (key, secret) = world.key().await;
    let row = format!("system/key/{}", key.id);
    world
        .edit(&row, |record| record["secret"] = "abc".into())
        .await;
    let failed = world.keys.authenticate(secret.reveal()).await.unwrap_err();
    assert!(
        matches!(&failed, AccessError::Corrupt { record: "key", .. }),
        "{failed:?}"
    );
}

fn overlap(overlap_ms: u64) -> Rotate {
    Rotate {
        overlap_ms,
        operation: None,
    }
}

impl World {
    fn env_plus(&self, ms: u64) -> windlass_core::Millis {
        windlass_core::Env::now(self.env.as_ref()).plus_ms(ms)
    }
}
