//! Lists of keys.

use windlass_access::{KeyId, KeyQuery, KeysOf};
use windlass_core::Coded;

use crate::support::{World, grant_of, operators, tenant};

async fn all_pages(world: &World, of: KeysOf, limit: usize) -> Vec<KeyId> {
    let mut query = KeyQuery {
        of,
        limit,
        after: None,
    };
    let mut ids = Vec::new();
    loop {
        let page = world.keys.list(&query).await.expect("a page");
        assert!(page.keys.len() <= limit, "{}", page.keys.len());
        assert!(
            page.next.is_none() || page.keys.len() == limit,
            "a short page ends the list"
        );
        ids.extend(page.keys.into_iter().map(|key| key.id));
        if page.next.is_none() {
            return ids;
        }
        query.after = page.next;
    }
}

#[tokio::test]
async fn pages_give_every_key_of_whom_it_is_asked_for_once() {
    let world = World::new();
    let mut made: Vec<(KeysOf, KeyId)> = Vec::new();
    for number in 0..24 {
        let name = ["a", "a.b", "ab", "-", "operator"][number % 5];
        let (key, _) = world.make(grant_of(name, &["*"])).await;
        made.push((KeysOf::Tenant(tenant(name)), key.id));
    }
    for _ in 0..3 {
        let (key, _) = world.make(operators(&["*"])).await;
        made.push((KeysOf::Operators, key.id));
    }
    world.keys.revoke(&made[0].1).await.expect("a key");
    let mut whose: Vec<KeysOf> = made.iter().map(|(of, _)| of.clone()).collect();
    whose.truncate(5);
    whose.extend([KeysOf::Operators, KeysOf::All]);
    for of in whose {
        let is_of = |other: &KeysOf| of == KeysOf::All || of == *other;
        let expected = made.iter().filter(|(other, _)| is_of(other));
        let mut expected: Vec<KeyId> = expected.map(|(_, id)| id.clone()).collect();
        expected.sort();
        for limit in [1, 3, expected.len(), 1_000] {
            assert_eq!(
                all_pages(&world, of.clone(), limit).await,
                expected,
                "{of:?} {limit}"
            );
        }
    }
}

#[tokio::test]
async fn a_damaged_key_is_named_and_hides_no_other() {
    let world = World::new();
    let (one, _) = world.key().await;
    let (two, _) = world.key().await;
    world
        .put(&format!("system/key/{}", one.id), r#"{"v":2}"#)
        .await;
    let page = world.keys.list(&KeyQuery::default()).await.expect("a page");
    assert_eq!(page.keys, [two]);
    let named: Vec<_> = page
        .unreadable
        .iter()
        .map(|key| (&key.id, key.why.as_str()))
        .collect();
    let why = "the stored key cannot be read: format 2; this version reads 1";
    assert_eq!(named.len(), 1);
    assert_eq!(named[0].0, &one.id);
    assert!(named[0].1.starts_with(why), "{}", named[0].1);
}

#[tokio::test]
async fn a_limit_out_of_range_is_refused() {
    let world = World::new();
    for limit in [0, 1_001] {
        let query = KeyQuery {
            limit,
            ..KeyQuery::default()
        };
        let refused = world.keys.list(&query).await.unwrap_err();
        assert_eq!(refused.code(), "invalid_request");
        assert_eq!(
            refused.to_string(),
            format!("`limit` is {limit}; 1 to 1000 are allowed")
        );
    }
}
