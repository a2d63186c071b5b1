//! Lineages in which something cannot be read are kept whole.

use bytes::Bytes;
use windlass_checkpoint::{BlobId, Reason};
use windlass_store::{Batch, Commit, KeyRange, Store, StoreExt};

use super::contents::{content, put};
use super::steps::{NOW, World};
use crate::reachable::rows;
use crate::support::{caller, id};

/// The keys that begin with `prefix`.
async fn keys(world: &World, prefix: &str) -> Vec<Bytes> {
    let all = world.ground.scan_all(KeyRange::prefix(prefix.to_owned()));
    let keys = all
        .await
        .expect("a readable store")
        .into_iter()
        .map(|it| it.key);
    keys.collect()
}

async fn write(world: &World, batch: Batch) {
    let done = world.ground.commit(batch).await.expect("a commit");
    assert!(matches!(done, Commit::Applied(_)), "{done:?}");
}

/// Collects, and asserts that nothing went because of `what`.
async fn assert_kept_because_of(world: &World, what: &str) {
    let before = rows(world.ground.as_ref()).await;
    let tenant = caller().tenant;
    let report = world.states.collect(&tenant, &world.lineage, NOW).await;
    let report = report.expect("a collection");
    assert_eq!((report.deleted, report.truncated), (0, true));
    let [Reason::Unreadable { what: named, .. }] = report.reasons.as_slice() else {
        panic!("{report:?}");
    };
    assert_eq!(named, what);
    assert!(rows(world.ground.as_ref()).await == before);
}

async fn manifest_of(world: &World) -> BlobId {
    let head = world.states.head(&caller(), &id("a")).await;
    head.expect("a head").expect("a state").manifest
}

#[tokio::test]
async fn a_manifest_that_cannot_be_read_keeps_its_lineage_whole() {
    let world = World::new().await;
    let manifest = manifest_of(&world).await;
    let key = format!("acme/lineage/{}/blob/{manifest}", world.lineage);
    write(&world, Batch::new().put(key.clone(), "rubbish")).await;
    assert_kept_because_of(&world, &format!("blob `{manifest}`")).await;
    write(&world, Batch::new().delete(key)).await;
    assert_kept_because_of(&world, &format!("manifest {manifest}")).await;
}

#[tokio::test]
async fn a_part_of_which_the_list_is_missing_keeps_its_lineage_whole() {
    let mut world = World::new().await;
    world.put("a", 55).await;
    let top = format!(
        "acme/lineage/{}/blob/{}",
        world.lineage,
        BlobId::of(&content(55))
    );
    let row = world
        .ground
        .get(top.clone().into())
        .await
        .expect("readable")
        .expect("a row");
    write(&world, Batch::new().delete(top.clone())).await;
    let named = format!("blob `{}`", BlobId::of(&content(55)));
    assert_kept_because_of(&world, &named).await;
    write(&world, Batch::new().put(top, row.value)).await;
    let lists = keys(&world, &format!("acme/lineage/{}/list/", world.lineage)).await;
    let list = lists
        .first()
        .expect("content 55 has lists below its top")
        .clone();
    write(&world, Batch::new().put(list.clone(), "rubbish")).await;
    let text = String::from_utf8(list.to_vec()).expect("keys are text");
    let digest = text.rsplit('/').next().expect("an id");
    assert_kept_because_of(&world, &format!("list `{digest}`")).await;
}

#[tokio::test]
async fn a_commit_that_cannot_be_read_keeps_its_lineage_whole() {
    let mut world = World::new().await;
    world.put("a", 3).await;
    let log = keys(&world, "acme/checkpoint/a/log/")
        .await
        .pop()
        .expect("a row");
    write(&world, Batch::new().put(log, "{\"v\":1}")).await;
    assert_kept_because_of(&world, "commit").await;
    let head = keys(&world, "acme/checkpoint/a/head")
        .await
        .pop()
        .expect("a row");
    write(&world, Batch::new().put(head, "{}")).await;
    assert_kept_because_of(&world, "head of a state").await;
}

#[tokio::test]
async fn damage_in_one_lineage_keeps_no_other() {
    let world = World::new().await;
    let first = world
        .states
        .commit(&caller(), &id("b"), put("part", 1))
        .await;
    first.expect("a first commit");
    let head = world.states.head(&caller(), &id("b")).await;
    let other = head.expect("a head").expect("a state");
    let key = format!("acme/lineage/{}/blob/{}", other.lineage, other.manifest);
    write(&world, Batch::new().put(key, "rubbish")).await;
    let tenant = caller().tenant;
    let report = world.states.collect(&tenant, &world.lineage, NOW).await;
    let report = report.expect("a collection");
    assert!(
        report.deleted > 5 && report.reasons.is_empty(),
        "{report:?}"
    );
}
