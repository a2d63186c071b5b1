//! The erasure of a tenant: whole, and of nobody else.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::join_all;
use windlass_access::{AccessError, NewKey, Progress, Quota, Status};
use windlass_core::{Coded, ErrorKind};
use windlass_store::{Batch, Commit, Entry, Store};
use windlass_store_testing::{Random, Slow, StrictOptions};

use crate::support::{DAY, World, grant_of, operators, strict, tenant, text};

/// Names that are prefixes of each other, and of which some sort before `/`.
pub(crate) const NAMES: [&str; 5] = ["a", "a-b", "a.b", "ab", "b"];

/// Rows of several tenants such as parts write them, and keys of each.
pub(crate) async fn fill(world: &World, seed: u64) {
    let mut random = Random::new(seed);
    for name in NAMES {
        let mut batch = Batch::new();
        for row in 0..20 + random.below(250) {
            let length = if random.one_in(40) {
                60_000
            } else {
                random.below(200)
            };
            let value = vec![u8::try_from(row % 251).expect("small"); length];
            batch = batch.put(format!("{name}/part/{row:04}"), value);
            if random.one_in(4) {
                let time = random.next();
                batch = batch.put(format!("due/{time:020}/part/{name}/{row}"), "");
            }
        }
        world.commit(batch).await;
        for number in 0..random.below(5) {
            let mut request = NewKey::new("a label", grant_of(name, &["*"]));
            request.ttl_ms = random.one_in(2).then_some(DAY);
            request.operation = Some(format!("op-{number}").parse().expect("an identifier"));
            let (key, _) = world.keys.create(request).await.expect("a key");
            if random.one_in(3) {
                world.keys.revoke(&key.id).await.expect("a key");
            }
        }
    }
    world.make(operators(&["*"])).await;
}

/// The rows that are about `name`, as the documents of the layout say.
pub(crate) async fn rows_of(world: &World, name: &str) -> Vec<Entry> {
    let rows = world.rows().await;
    let ids: Vec<String> = rows
        .iter()
        .filter_map(|row| {
            Some(
                text(&row.key)
                    .strip_prefix(&format!("system/tenant/{name}/key/"))?
                    .to_owned(),
            )
        })
        .collect();
    let mut found = rows;
    found.retain(|row| {
        let key = text(&row.key);
        let segments: Vec<&str> = key.split('/').collect();
        match segments.as_slice() {
            ["due", _, _, owner, ..] => *owner == name,
            ["system", "key", id] => ids.iter().any(|known| known == id),
            ["system", "tenant", owner, "key" | "op", _] => *owner == name,
            [first, ..] => *first == name,
            [] => false,
        }
    });
    found
}

/// Everything that is not about `name`, its own record and that of its
/// erasure apart.
pub(crate) async fn rows_beside(world: &World, name: &str) -> Vec<Entry> {
    let of_it = rows_of(world, name).await;
    let own = format!("system/tenant/{name}/");
    let mut rows = world.rows().await;
    rows.retain(|row| !of_it.contains(row) && !text(&row.key).starts_with(&own));
    rows
}

#[tokio::test]
async fn everything_of_the_tenant_goes_and_nothing_of_another_changes() {
    for (seed, name) in NAMES.into_iter().enumerate() {
        let world = World::new();
        fill(&world, u64::try_from(seed).expect("small")).await;
        let (mine, others) = (rows_of(&world, name).await, rows_beside(&world, name).await);
        let keys = world.keys_of(name).await;
        assert!(
            mine.len() > 20 && others.len() > 80,
            "{} {}",
            mine.len(),
            others.len()
        );
        let certificate = world.erase(name).await.expect("a tenant");
        assert_eq!(rows_of(&world, name).await, []);
        assert_eq!(rows_beside(&world, name).await, others, "{name}");
        let size = |row: &Entry| u64::try_from(row.key.len() + row.value.len()).expect("small");
        let expected = (
            u64::try_from(mine.len()).expect("small"),
            mine.iter().map(size).sum(),
            keys,
            2,
            0,
        );
        let counted = (
            certificate.rows,
            certificate.bytes,
            certificate.keys_revoked,
            certificate.passes,
            certificate.remaining,
        );
        assert_eq!(counted, expected, "{name}");
    }
}

/// The chain of the documents, over rows in the order of their keys.
fn chain(rows: &[Entry]) -> String {
    use sha2::{Digest, Sha256};
    let mut digest = [0_u8; 32];
    for row in rows {
        let mut hasher = Sha256::new();
        hasher.update(digest);
        hasher.update(u64::try_from(row.key.len()).expect("small").to_be_bytes());
        hasher.update(&row.key);
        hasher.update(Sha256::digest(&row.value));
        digest = hasher.finalize().into();
    }
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test]
async fn the_digest_is_over_what_was_there() {
    let world = World::new();
    for row in 0..250 {
        world
            .put(&format!("acme/part/{row:03}"), vec![b'v'; row])
            .await;
        world
            .put(&format!("due/{row:020}/part/acme/{row}"), "")
            .await;
    }
    let mine = rows_of(&world, "acme").await;
    let (mut expected, due): (Vec<Entry>, Vec<Entry>) = mine
        .into_iter()
        .partition(|row| row.key.starts_with(b"acme/"));
    expected.extend(due);
    let certificate = world.erase("acme").await.expect("a tenant");
    assert_eq!(
        (certificate.rows, certificate.digest),
        (500, chain(&expected))
    );
}

#[tokio::test]
async fn an_erased_tenant_is_refused_and_its_keys_are_nobodys() {
    let world = World::new();
    let (key, secret) = world.make(grant_of("acme", &["*"])).await;
    world
        .tenants
        .set_quota(
            &tenant("acme"),
            Quota {
                sessions: Some(1),
                stash_bytes: None,
            },
        )
        .await
        .expect("set");
    let certificate = world.erase("acme").await.expect("a tenant");
    assert_eq!(world.prove(secret.reveal()).await, None);
    assert_eq!(world.keys.get(&key.id).await.expect("a read"), None);
    let made = world
        .keys
        .create(NewKey::new("late", grant_of("acme", &["*"])))
        .await;
    let set = world
        .tenants
        .set_quota(&tenant("acme"), Quota::default())
        .await;
    for error in [made.map(|_| ()).unwrap_err(), set.map(|_| ()).unwrap_err()] {
        assert_eq!(
            (error.code(), error.kind()),
            ("tenant_not_active", ErrorKind::Refused)
        );
        assert_eq!(error.to_string(), "the tenant is erased");
    }
    let standing = world
        .tenants
        .standing(&tenant("acme"))
        .await
        .expect("a read");
    assert_eq!(standing, (Status::Erased, Quota::default()));
    let verified = world
        .tenants
        .verify_erased(&tenant("acme"))
        .await
        .expect("a read");
    assert_eq!((verified.remaining(), verified.status), (0, Status::Erased));
    assert_eq!(verified.certificate, Some(certificate));
}

#[tokio::test]
async fn a_name_that_there_is_nothing_of_is_not_erased() {
    let world = World::new();
    world.put("acme/part/1", "").await;
    let refused = world.erase("acm").await.unwrap_err();
    assert!(
        matches!(refused, AccessError::NotFound { what: "tenant" }),
        "{refused:?}"
    );
    assert_eq!(world.names().await, ["acme/part/1"]);
}

#[tokio::test]
async fn erasing_again_answers_the_first_certificate_unless_something_came_since() {
    let world = World::new();
    fill(&world, 9).await;
    let first = world.erase("a").await.expect("a tenant");
    world.env.advance_ms(DAY);
    assert_eq!(world.erase("a").await.expect("a tenant"), first);
    world.put("a/late/row", "late").await;
    world.put("due/00000000000000000007/part/a/x", "").await;
    let found = world
        .tenants
        .verify_erased(&tenant("a"))
        .await
        .expect("a read");
    assert_eq!((found.rows, found.due_rows, found.key_rows), (1, 1, 0));
    let second = world.erase("a").await.expect("a tenant");
    assert_eq!(
        (second.rows, second.started_at),
        (first.rows + 2, first.started_at)
    );
    assert!(second.finished_at > first.finished_at && second.digest != first.digest);
    assert_eq!(rows_of(&world, "a").await, []);
}

#[tokio::test]
async fn rows_that_come_during_an_erasure_go_with_it() {
    let world = World::new();
    fill(&world, 3).await;
    let others = rows_beside(&world, "ab").await;
    let ground = Arc::clone(&world.ground);
    let mut told: Vec<Progress> = Vec::new();
    let mut late = |progress: &Progress| {
        told.push(*progress);
        if told.len() <= 4 {
            let row = format!("ab/a-late-row/{}", told.len());
            let commit = ground.commit(Batch::new().put(row, "late"));
            let done = commit.now_or_never().expect("memory does not wait");
            let _: Commit = done.expect("a store that works");
        }
    };
    let certificate = world
        .tenants
        .erase(&tenant("ab"), &mut late)
        .await
        .expect("a tenant");
    assert!(certificate.passes > 2, "{certificate:?}");
    assert!(told.is_sorted_by_key(|progress| progress.rows), "{told:?}");
    assert_eq!(
        told.last().map(|progress| progress.rows),
        Some(certificate.rows)
    );
    assert_eq!(rows_of(&world, "ab").await, []);
    assert_eq!(rows_beside(&world, "ab").await, others);
}

#[tokio::test]
async fn a_tenant_that_is_written_to_for_ever_is_not_said_to_be_erased() {
    let world = World::new();
    fill(&world, 4).await;
    let ground = Arc::clone(&world.ground);
    // Each row is behind where the pass is: it takes another pass to find it.
    let mut number = 1_000_000;
    let mut writer = |_: &Progress| {
        number -= 1;
        let commit = ground.commit(Batch::new().put(format!("a/a-row/{number}"), ""));
        let done = commit.now_or_never().expect("memory does not wait");
        let _: Commit = done.expect("a store that works");
    };
    let refused = world
        .tenants
        .erase(&tenant("a"), &mut writer)
        .await
        .unwrap_err();
    assert_eq!(
        (refused.code(), refused.kind()),
        ("tenant_in_use", ErrorKind::Conflict)
    );
    assert_eq!(
        world.tenants.status(&tenant("a")).await.expect("a read"),
        Status::Erasing
    );
    world.erase("a").await.expect("once it is quiet");
}

#[tokio::test]
async fn several_at_once_erase_it_once() {
    let world = World::new();
    fill(&world, 5).await;
    let (mine, others) = (
        rows_of(&world, "a.b").await,
        rows_beside(&world, "a.b").await,
    );
    let done = join_all((0..4).map(|seed| {
        let options = StrictOptions {
            indeterminate_every: 5,
            ..StrictOptions::WITHOUT_ERRORS
        };
        let store = Slow::new(strict(&world.ground, options), seed);
        let tenants = world.tenants_over(Arc::new(store));
        async move {
            tenants
                .erase(&tenant("a.b"), &mut |_| {})
                .await
                .expect("a tenant")
        }
    }));
    let done = done.await;
    for certificate in &done {
        assert_eq!(certificate, &done[0]);
    }
    assert_eq!(done[0].rows, u64::try_from(mine.len()).expect("small"));
    assert_eq!(rows_of(&world, "a.b").await, []);
    assert_eq!(rows_beside(&world, "a.b").await, others);
}

#[tokio::test]
async fn a_lost_record_of_an_erased_tenant_does_not_open_it_again() {
    for row in ["system/tenant/a/head", "system/tenant/a/erasure"] {
        let world = World::new();
        fill(&world, 6).await;
        world.erase("a").await.expect("a tenant");
        world.commit(Batch::new().delete(row)).await;
        let failed = world.tenants.status(&tenant("a")).await.unwrap_err();
        assert_eq!(failed.kind(), ErrorKind::Corrupt, "{row}: {failed:?}");
    }
}

#[tokio::test]
async fn a_damaged_key_goes_with_the_others() {
    let world = World::new();
    fill(&world, 8).await;
    let (key, _) = world.make(grant_of("a-b", &["*"])).await;
    let row = format!("system/key/{}", key.id);
    world.put(&row, "nonsense").await;
    world.erase("a-b").await.expect("a tenant");
    assert_eq!(rows_of(&world, "a-b").await, []);
    assert!(!world.names().await.contains(&row));
}
