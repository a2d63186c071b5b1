//! The stored rows, byte for byte, as docs/storage-layout.md has them.

use windlass_access::{Groups, NewKey, Quota, Rotate};

use crate::support::{DAY, World, grant_of, operators, tenant, text};

#[tokio::test]
async fn rows_are_stored_as_documented() {
    let world = World::new();
    let mut request = NewKey::new(
        "the runtime's",
        grant_of("acme", &["session.*", "stash.read"]),
    );
    let group = "search".parse().expect("an identifier");
    request.grant.groups = Groups::Only([group].into());
    request.ttl_ms = Some(DAY);
    request.operation = Some("k1".parse().expect("an identifier"));
    let (key, _) = world.keys.create(request).await.expect("a key");
    let rotate = Rotate {
        overlap_ms: 1_000,
        operation: Some("k2".parse().expect("an identifier")),
    };
    world.keys.rotate(&key.id, rotate).await.expect("a key");
    let quota = Quota {
        sessions: Some(100),
        stash_bytes: Some(1_048_576),
    };
    world
        .tenants
        .set_quota(&tenant("acme"), quota)
        .await
        .expect("set");
    world.make(operators(&["*"])).await;
    world.put("beta/part/1", "one").await;
    world.erase("beta").await.expect("a tenant");
    // The store's own number is drawn anew in each run.
    let found = world
        .tenants
        .verify_erased(&tenant("beta"))
        .await
        .expect("a read");
    let incarnation = found.certificate.expect("an erased tenant").incarnation;
    let mut lines = Vec::new();
    for row in world.rows().await {
        let line = format!("{} {}", text(&row.key), text(&row.value));
        lines.push(line.replace(&incarnation, "369841c22bf570a8"));
    }
    assert_eq!(
        lines.join("\n"),
        include_str!("../fixtures/rows.txt").trim_end()
    );
}
