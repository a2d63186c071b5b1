//! Upkeep: what ended long ago goes, with everything that belonged to it.

use windlass_access::{NewKey, Rotate};
use windlass_store::Batch;

use crate::support::{DAY, SECOND, START, World, grant_of, operators};

const KEPT: [&str; 2] = ["system/keyed", "system/tenant/acme/head"];

#[tokio::test]
async fn a_key_goes_thirty_days_after_it_expired_and_leaves_no_row() {
    let world = World::new();
    let mut request = NewKey::new("short", grant_of("acme", &["*"]));
    request.ttl_ms = Some(SECOND);
    request.operation = Some("op".parse().expect("an identifier"));
    let (key, _) = world.keys.create(request).await.expect("a key");
    world.env.advance_ms(SECOND + 30 * DAY - 1);
    assert_eq!(world.keys.sweep(100).await.expect("a sweep").scanned, 0);
    assert_eq!(world.keys.get(&key.id).await.expect("a read"), Some(key));
    world.env.advance_ms(1);
    let report = world.keys.sweep(100).await.expect("a sweep");
    assert_eq!(
        (report.scanned, report.removed, report.truncated),
        (1, 1, false)
    );
    assert_eq!(world.names().await, KEPT);
    assert_eq!(world.keys_of("acme").await, 0);
}

#[tokio::test]
async fn a_revoked_key_goes_thirty_days_after_and_an_expiry_later_than_that_is_forgotten() {
    let world = World::new();
    let mut request = NewKey::new("long", grant_of("acme", &["*"]));
    request.ttl_ms = Some(365 * DAY);
    let (key, _) = world.keys.create(request).await.expect("a key");
    let (operator, _) = world.make(operators(&["*"])).await;
    for id in [&key.id, &operator.id] {
        world
            .keys
            .rotate(id, Rotate::default())
            .await
            .expect("a key");
        world.keys.revoke(id).await.expect("a key");
    }
    world.env.advance_ms(30 * DAY);
    assert_eq!(world.keys.sweep(100).await.expect("a sweep").removed, 2);
    let mut kept = KEPT.to_vec();
    kept.insert(1, "system/operator/head");
    assert_eq!(world.names().await, kept);
}

#[tokio::test]
async fn a_round_does_what_it_may_and_the_next_goes_on() {
    let world = World::new();
    for _ in 0..5 {
        let (key, _) = world.key().await;
        world.keys.revoke(&key.id).await.expect("a key");
    }
    world.env.advance_ms(30 * DAY);
    let mut removed = Vec::new();
    for _ in 0..3 {
        let report = world.keys.sweep(2).await.expect("a sweep");
        removed.push((report.removed, report.truncated));
    }
    assert_eq!(removed, [(2, true), (2, true), (1, false)]);
    assert_eq!(world.keys.sweep(0).await.expect("a sweep").removed, 0);
}

#[tokio::test]
async fn rows_of_other_parts_are_passed_over_and_left() {
    let world = World::new();
    let (key, _) = world.key().await;
    world.keys.revoke(&key.id).await.expect("a key");
    let foreign = format!("due/{:020}/session/acme/s1", START.get());
    world.put(&foreign, "").await;
    let stale = format!("due/{:020}/access/acme/{}", START.get(), key.id);
    world.put(&stale, "").await;
    world.env.advance_ms(SECOND);
    let report = world.keys.sweep(10).await.expect("a sweep");
    assert_eq!(
        (report.scanned, report.removed),
        (1, 0),
        "the row of an earlier end"
    );
    let names = world.names().await;
    assert!(
        names.contains(&foreign) && !names.contains(&stale),
        "{names:?}"
    );
    assert!(
        world
            .keys
            .get(&key.id)
            .await
            .expect("a read")
            .is_some_and(|found| found.id == key.id)
    );
}

#[tokio::test]
async fn rows_of_other_parts_do_not_keep_a_sweep_from_what_is_behind_them() {
    let world = World::new();
    let (key, _) = world.key().await;
    world.keys.revoke(&key.id).await.expect("a key");
    for chunk in 0..12 {
        let rows = (0..1_000).map(|row| format!("due/{:020}/other/t/{chunk}-{row}", START.get()));
        world
            .commit(rows.fold(Batch::new(), |batch, row| batch.put(row, "")))
            .await;
    }
    world.env.advance_ms(30 * DAY);
    let keys = world.keys_over(std::sync::Arc::clone(&world.ground) as _);
    let first = keys.sweep(10).await.expect("a sweep");
    assert_eq!((first.removed, first.truncated), (0, true));
    let second = keys.sweep(10).await.expect("a sweep");
    assert_eq!((second.removed, second.truncated), (1, false));
}

#[tokio::test]
async fn one_damaged_key_stops_no_others_upkeep() {
    let world = World::new();
    let mut ids = Vec::new();
    for _ in 0..3 {
        let (key, _) = world.key().await;
        world.keys.revoke(&key.id).await.expect("a key");
        ids.push(key.id);
    }
    ids.sort();
    world.put(&format!("system/key/{}", ids[0]), "{}").await;
    world.env.advance_ms(30 * DAY);
    let report = world.keys.sweep(10).await.expect("a sweep");
    let named: Vec<_> = report.unreadable.iter().map(|key| &key.id).collect();
    assert_eq!((report.removed, named), (2, vec![&ids[0]]));
}
