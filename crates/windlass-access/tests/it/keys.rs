//! Making keys: what is refused, how many there may be, and what is told.

use std::sync::Arc;

use futures_util::future::join_all;
use futures_util::{FutureExt, StreamExt, stream};
use windlass_access::{AccessError, Grant, Groups, NewKey, Rotate};
use windlass_core::{Coded, ErrorKind};
use windlass_store_testing::{Slow, StrictOptions};

use crate::support::{SECOND, World, grant_of, operators, strict, verbs};

/// What the making of a key is refused with.
async fn refused(edit: impl FnOnce(&mut NewKey)) -> String {
    let world = World::new();
    let mut request = NewKey::new("a label", grant_of("acme", &["session.*"]));
    edit(&mut request);
    let made = world.keys.create(request).await;
    let error = made.expect_err("a refusal");
    assert_eq!(
        (error.kind(), world.names().await.len()),
        (ErrorKind::Invalid, 0)
    );
    format!("{}: {error}", error.code())
}

#[tokio::test]
async fn what_cannot_be_accepted_is_refused_and_leaves_nothing() {
    let long = "x".repeat(129);
    let label = |text: &str| {
        let text = text.to_owned();
        move |request: &mut NewKey| request.label = text
    };
    assert_eq!(
        refused(label("")).await,
        "invalid_request: `label` must not be empty"
    );
    assert_eq!(
        refused(label(&long)).await,
        "invalid_request: `label` has 129 bytes; at most 128 are allowed"
    );
    assert_eq!(
        refused(label("a\nb")).await,
        "invalid_request: `label` has a character that is not allowed there"
    );
    assert_eq!(
        refused(|request| request.grant.verbs = verbs(&[])).await,
        "invalid_request: `verbs` must not be empty"
    );
    assert_eq!(
        refused(|request| request.ttl_ms = Some(SECOND - 1)).await,
        "invalid_request: `ttl_ms` is 999; 1000 to 315360000000 are allowed"
    );
    let many = (0..65).map(|number| format!("g{number}").parse().expect("an identifier"));
    let many = Groups::Only(many.collect());
    assert_eq!(
        refused(|request| request.grant.groups = many).await,
        "invalid_request: `groups` has 65 elements; at most 64 are allowed"
    );
}

#[tokio::test]
async fn a_verb_that_the_scope_cannot_hold_is_refused_by_name() {
    let with = |grant: Grant| move |request: &mut NewKey| request.grant = grant;
    for verb in ["tenant.manage", "store.read", "store.*"] {
        let expected = format!("verb_out_of_scope: a key of this scope cannot hold `{verb}`");
        assert_eq!(
            refused(with(grant_of("acme", &[verb, "session.use"]))).await,
            expected
        );
    }
    for verb in ["session.use", "stash.*"] {
        let expected = format!("verb_out_of_scope: a key of this scope cannot hold `{verb}`");
        assert_eq!(
            refused(with(operators(&[verb, "key.manage"]))).await,
            expected
        );
    }
    let world = World::new();
    world.make(grant_of("acme", &["tenant.*"])).await;
    world.make(operators(&["*"])).await;
}

#[tokio::test]
async fn of_two_at_once_one_gets_the_last_place() {
    let world = World::new();
    world.key().await;
    let head = "system/tenant/acme/head";
    world.edit(head, |head| head["keys"] = 9_998.into()).await;
    let made = join_all((0..8).map(|seed| {
        let store = strict(&world.ground, StrictOptions::WITHOUT_ERRORS);
        let keys = world.keys_over(Arc::new(Slow::new(store, seed)));
        let request = NewKey::new("one of many", grant_of("acme", &["*"]));
        async move { keys.create(request).await.map_err(|error| error.code()) }
    }));
    let made = made.await;
    let refused = made
        .iter()
        .filter(|made| made.as_ref().err() == Some(&"too_many_keys"));
    assert_eq!(refused.count(), 6, "{made:?}");
    assert_eq!(world.keys_of("acme").await, 10_000);
    world.make(grant_of("other", &["*"])).await;
    world.make(operators(&["*"])).await;
}

#[tokio::test]
async fn whether_a_key_was_ever_made_is_not_forgotten() {
    let world = World::new();
    assert!(!world.keys.any().await.expect("a read"));
    let (key, _) = world.key().await;
    world.keys.revoke(&key.id).await.expect("a key");
    world.erase("acme").await.expect("a tenant");
    assert_eq!(world.keys.get(&key.id).await.expect("a read"), None);
    assert!(world.keys.any().await.expect("a read"));
}

#[tokio::test]
async fn who_listens_is_told_of_every_change_of_a_key() {
    let world = World::new();
    let keys = world.keys_over(Arc::clone(&world.ground) as _);
    let mut changes = keys.changes();
    assert_eq!(changes.changed().now_or_never(), None);
    let (key, _) = world.key().await;
    assert_eq!(changes.changed().now_or_never(), Some(true));
    keys.rotate(&key.id, Rotate::default())
        .await
        .expect("a key");
    assert_eq!(changes.changed().now_or_never(), Some(true));
    keys.revoke(&key.id).await.expect("a key");
    assert_eq!(changes.changed().now_or_never(), Some(true));
    world
        .tenants
        .set_quota(&"acme".parse().expect("a name"), Default::default())
        .await
        .expect("set");
    assert_eq!(changes.changed().now_or_never(), None, "a quota is no key");
}

#[tokio::test]
async fn an_unknown_key_is_not_found() {
    let world = World::new();
    let id = "0123456789abcdef".parse().expect("an id");
    assert_eq!(world.keys.get(&id).await.expect("a read"), None);
    let revoked = world.keys.revoke(&id).await.unwrap_err();
    let rotated = world.keys.rotate(&id, Rotate::default()).await.unwrap_err();
    for error in [revoked, rotated] {
        assert!(
            matches!(error, AccessError::NotFound { what: "key" }),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn concurrent_changes_of_one_key_all_happen() {
    let world = World::new();
    let (key, _) = world.key().await;
    let rotations = stream::iter(0..6).map(|seed| {
        let store = strict(&world.ground, StrictOptions::WITHOUT_ERRORS);
        let keys = world.keys_over(Arc::new(Slow::new(store, seed)));
        let id = key.id.clone();
        let request = Rotate {
            overlap_ms: SECOND,
            operation: None,
        };
        async move { keys.rotate(&id, request).await.expect("a key").1 }
    });
    let secrets: Vec<_> = rotations.buffer_unordered(6).collect().await;
    let mut working = 0;
    for secret in &secrets {
        working += usize::from(world.prove(secret.reveal()).await.is_some());
    }
    assert_eq!(working, 2, "the last, and the one before it");
}
