//! Requests that are sent again, and commits of which the outcome is unknown.

use std::sync::Arc;

use windlass_access::{AccessError, ApiKey, KeyQuery, Keys, NewKey, Rotate, Secret};
use windlass_core::{Coded, ErrorKind};
use windlass_store::StoreErrorKind;
use windlass_store_testing::{Fault, Faulty, Moment, StrictOptions, Verb};

use crate::support::{DAY, World, grant_of, strict};

fn request(operation: &str) -> NewKey {
    let mut request = NewKey::new("a label", grant_of("acme", &["session.*"]));
    request.operation = Some(operation.parse().expect("an identifier"));
    request
}

fn rotation(operation: &str) -> Rotate {
    Rotate {
        overlap_ms: DAY,
        operation: Some(operation.parse().expect("an identifier")),
    }
}

#[tokio::test]
async fn an_operation_makes_one_key_and_names_it_ever_after() {
    let world = World::new();
    let (key, _) = world.keys.create(request("op-1")).await.expect("a key");
    let again = world.keys.create(request("op-1")).await.unwrap_err();
    assert!(
        matches!(&again, AccessError::KeyAlreadyCreated { id } if *id == key.id),
        "{again:?}"
    );
    let mut other = request("op-1");
    other.label.push('!');
    let other = world.keys.create(other).await.unwrap_err();
    assert_eq!(
        (other.code(), other.kind()),
        ("operation_conflict", ErrorKind::Conflict)
    );
    assert_eq!(world.keys_of("acme").await, 1);
    world
        .keys
        .create(request("op-2"))
        .await
        .expect("another operation");
    let mut elsewhere = request("op-1");
    elsewhere.grant = grant_of("beta", &["session.*"]);
    world
        .keys
        .create(elsewhere)
        .await
        .expect("another tenant's operation");
}

#[tokio::test]
async fn an_operation_rotates_once() {
    let world = World::new();
    let (key, first) = world.key().await;
    let (_, second) = world
        .keys
        .rotate(&key.id, rotation("op"))
        .await
        .expect("a key");
    let again = world
        .keys
        .rotate(&key.id, rotation("op"))
        .await
        .unwrap_err();
    assert!(
        matches!(&again, AccessError::KeyAlreadyRotated { id } if *id == key.id),
        "{again:?}"
    );
    for secret in [&first, &second] {
        assert!(
            world
                .prove(secret.reveal())
                .await
                .is_some_and(|found| found.id == key.id)
        );
    }
}

/// Over a store that fails in every way it may, an answer that came is true,
/// and what was answered with a failure can be asked again.
#[tokio::test]
async fn over_a_store_that_fails_everything_happens_once() {
    let world = World::new();
    let keys = world.keys_over(strict(&world.ground, StrictOptions::ALL));
    let mut made: Vec<(ApiKey, Secret)> = Vec::new();
    let mut lost = 0_u64;
    for number in 0..60 {
        match insist(&keys, &format!("op-{number}")).await {
            Some(pair) => made.push(pair),
            None => lost += 1,
        }
    }
    assert!(made.len() > 30, "{}", made.len());
    assert_eq!(world.keys_of("acme").await, 60);
    for (key, secret) in &made {
        assert_eq!(world.prove(secret.reveal()).await.as_ref(), Some(key));
    }
    let listed = world
        .keys
        .list(&KeyQuery::default())
        .await
        .expect("a read")
        .keys;
    let listed = u64::try_from(listed.len()).expect("few");
    assert_eq!(
        listed,
        u64::try_from(made.len()).expect("few") + lost,
        "none beside them"
    );
}

/// A key, or `None` if it was made by an attempt whose answer was lost.
async fn insist(keys: &Keys, operation: &str) -> Option<(ApiKey, Secret)> {
    let mut doubted = false;
    loop {
        match keys.create(request(operation)).await {
            Ok(pair) => return Some(pair),
            Err(AccessError::KeyAlreadyCreated { .. }) => {
                assert!(doubted, "the first answer of {operation}");
                return None;
            }
            Err(error) => match error.kind() {
                ErrorKind::Unavailable => {}
                ErrorKind::Indeterminate => doubted = true,
                _ => panic!("{error:?}"),
            },
        }
    }
}

fn fault(verb: Verb, number: u64, moment: Moment, kind: StoreErrorKind) -> Fault {
    Fault {
        verb: Some(verb),
        number,
        moment,
        kind,
    }
}

#[tokio::test]
async fn an_unknown_outcome_is_found_out_whichever_it_was() {
    for moment in [Moment::Before, Moment::After] {
        let world = World::new();
        let faulty = Arc::new(Faulty::new(Arc::clone(&world.ground)));
        let keys = world.keys_over(Arc::clone(&faulty) as _);
        for number in [1, if moment == Moment::Before { 3 } else { 2 }] {
            faulty.plan(fault(
                Verb::Commit,
                number,
                moment,
                StoreErrorKind::Indeterminate,
            ));
        }
        let (key, first) = keys.create(request("op")).await.expect("a key");
        let (rotated, second) = keys.rotate(&key.id, rotation("op")).await.expect("a key");
        assert_eq!(faulty.hits(), 2, "{moment:?}");
        for secret in [first, second] {
            assert_eq!(world.prove(secret.reveal()).await.as_ref(), Some(&rotated));
        }
        assert_eq!(world.keys_of("acme").await, 1, "{moment:?}");
    }
}

#[tokio::test]
async fn what_is_not_known_is_never_said_not_to_have_happened() {
    let world = World::new();
    let faulty = Arc::new(Faulty::new(Arc::clone(&world.ground)));
    let keys = world.keys_over(Arc::clone(&faulty) as _);
    faulty.plan(fault(
        Verb::Commit,
        1,
        Moment::After,
        StoreErrorKind::Indeterminate,
    ));
    faulty.plan(fault(
        Verb::Read,
        2,
        Moment::Before,
        StoreErrorKind::Unavailable,
    ));
    let unknown = keys.create(request("op")).await.unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::Indeterminate, "{unknown:?}");
    let made = keys.create(request("op")).await.unwrap_err();
    assert_eq!(made.code(), "key_already_created");
    faulty.plan(fault(
        Verb::Read,
        4,
        Moment::Before,
        StoreErrorKind::Unavailable,
    ));
    let nothing = keys.create(request("op-2")).await.unwrap_err();
    assert_eq!(nothing.kind(), ErrorKind::Unavailable, "{nothing:?}");
}

impl World {
    /// How many keys a tenant's record counts.
    pub(crate) async fn keys_of(&self, name: &str) -> u64 {
        let found = self.tenants.get(&crate::support::tenant(name)).await;
        found.expect("a read").expect("a tenant").keys
    }
}
