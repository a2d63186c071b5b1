//! What a collection says, and how far it goes.

use std::sync::Arc;

use futures_util::future::join_all;
use windlass_checkpoint::limits::NODE_INLINE_BYTES_MAX;
use windlass_checkpoint::{
    BlobId, Changes, CheckpointError, Collect, Form, Label, PartChange, Payload, Reason, Removal,
};
use windlass_store::{KeyRange, StoreExt};
use windlass_store_testing::Slow;

use super::contents::{COUNT, content, name};
use super::steps::{GARBAGE, NOW, THERE, World};
use crate::reachable::rows;
use crate::support::{caller, id};

/// A collection in one go; its report without the time it took.
async fn collect(world: &World, options: Collect) -> windlass_checkpoint::CollectReport {
    let tenant = caller().tenant;
    let report = world.states.collect(&tenant, &world.lineage, options).await;
    report.expect("a collection")
}

#[tokio::test]
async fn a_report_says_what_was_there_and_what_went() {
    let world = World::new().await;
    let before = rows(world.ground.as_ref()).await;
    let report = collect(&world, NOW).await;
    let after = rows(world.ground.as_ref()).await;
    assert_eq!(report.roots, 1);
    assert_eq!(report.kept, after.len() as u64);
    assert_eq!(report.deleted, (before.len() - after.len()) as u64);
    assert!(report.deleted > 5, "{report:?}");
    let bytes = |rows: &std::collections::BTreeMap<_, bytes::Bytes>| {
        rows.values().map(|row| row.len() as u64).sum::<u64>()
    };
    assert_eq!(report.bytes, bytes(&before) - bytes(&after));
    assert!(report.scanned >= before.len() as u64, "{report:?}");
    assert_eq!((report.truncated, report.reasons), (false, vec![]));
}

#[tokio::test]
async fn a_dry_run_says_what_a_run_would_do_and_writes_nothing() {
    let world = World::new().await;
    let everything = || async {
        world
            .ground
            .scan_all(KeyRange::all())
            .await
            .expect("readable")
    };
    let before = everything().await;
    let dry = Collect {
        dry_run: true,
        ..NOW
    };
    let said = collect(&world, dry).await;
    assert!(everything().await == before);
    let done = collect(&world, NOW).await;
    assert_eq!(
        (
            said.roots,
            said.kept,
            said.deleted,
            said.bytes,
            said.truncated
        ),
        (
            done.roots,
            done.kept,
            done.deleted,
            done.bytes,
            done.truncated
        )
    );
}

#[tokio::test]
async fn a_collection_in_small_steps_does_what_one_in_one_step_does() {
    let whole = collect(&World::new().await, NOW).await;
    for limit in [1, 2, 7, 50] {
        let world = World::new().await;
        let mut collection = world.collection();
        let nothing = collection.step(0).await.expect("a collection");
        assert_eq!((nothing.scanned, nothing.truncated), (0, true));
        assert_eq!(nothing.reasons, [Reason::Limit]);
        let report = loop {
            let report = collection.step(limit).await.expect("a collection");
            assert_eq!(report.truncated, !collection.is_done());
            if collection.is_done() {
                break report;
            }
        };
        assert_eq!(
            (
                report.roots,
                report.kept,
                report.deleted,
                report.bytes,
                report.reasons
            ),
            (whole.roots, whole.kept, whole.deleted, whole.bytes, vec![]),
            "steps of {limit}"
        );
    }
}

#[tokio::test]
async fn what_is_younger_than_the_grace_period_stays_until_it_is_over() {
    let world = World::new().await;
    collect(&world, NOW).await;
    world.put_ahead_and_end().await;
    let written_at = world.env_now();
    let patient = Collect {
        grace_ms: Some(1_000),
        dry_run: false,
    };
    world.env.advance_ms(999);
    assert_eq!(collect(&world, patient).await.deleted, 0);
    assert_eq!(world.env_now() - written_at, 999);
    world.env.advance_ms(1);
    let report = collect(&world, patient).await;
    assert!(report.deleted > 10, "{report:?}");
}

#[tokio::test]
async fn the_configured_grace_period_holds_where_none_is_given() {
    let world = World::new().await;
    assert_eq!(collect(&world, Collect::default()).await.deleted, 0);
    world.env.advance_ms(60 * 60 * 1_000);
    assert!(collect(&world, Collect::default()).await.deleted > 5);
}

#[tokio::test]
async fn contents_of_nodes_stay_as_long_as_their_session() {
    let mut world = World::new().await;
    let large = Payload::Bytes([content(55), content(56)].concat().into());
    assert!(large.bytes().len() > NODE_INLINE_BYTES_MAX, "it is no blob");
    let changes = Changes::default().append("result", large.clone());
    let done = world.states.commit(&caller(), &id("a"), changes).await;
    world.note("a", done.expect("a commit").revision, THERE);
    world.put("a", GARBAGE).await;
    world.drop_old().await;
    collect(&world, NOW).await;
    let node = world.states.node(&caller(), &id("a"), 1).await;
    let node = node.expect("a readable node").expect("a node");
    assert!(node.payload == Some(large));
}

#[tokio::test]
async fn a_fork_keeps_what_its_base_has_removed() {
    let mut world = World::new().await;
    world.put("a", GARBAGE).await;
    let forked = world
        .states
        .fork(&caller(), &id("a"), None, &id("b"), None)
        .await;
    let revision = forked.expect("a fork").revision;
    world.note("b", revision, GARBAGE);
    world.put("b", THERE + 1).await;
    let tenant = caller().tenant;
    let removed = world.states.remove(&tenant, &id("a")).await;
    assert_eq!(removed.expect("a removal"), Removal::KeptForForks);
    collect(&world, NOW).await;
    for number in [GARBAGE, THERE + 1] {
        let blob = BlobId::of(&content(number));
        let found = world.states.blob(&caller(), &id("b"), blob).await;
        assert_eq!(found.expect("a readable blob"), Some(content(number)));
    }
}

#[tokio::test]
async fn a_lineage_without_members_is_gone_after_a_collection() {
    let world = World::new().await;
    let tenant = caller().tenant;
    let lineages = world.states.lineages(&tenant, None, 10).await;
    assert_eq!(
        lineages.expect("lineages"),
        std::slice::from_ref(&world.lineage)
    );
    let removed = world.states.remove(&tenant, &id("a")).await;
    assert_eq!(removed.expect("a removal"), Removal::Removed);
    collect(&world, NOW).await;
    let lineages = world.states.lineages(&tenant, None, 10).await;
    assert_eq!(lineages.expect("lineages"), Vec::<String>::new());
}

#[tokio::test]
async fn lineages_are_listed_in_order_and_page_by_page() {
    let world = World::new().await;
    for session in ["b", "c", "d"] {
        let first = super::contents::put("part", 1);
        let first = world.states.commit(&caller(), &id(session), first).await;
        first.expect("a first commit");
    }
    let tenant = caller().tenant;
    let all = world
        .states
        .lineages(&tenant, None, 10)
        .await
        .expect("lineages");
    assert_eq!(all.len(), 4);
    assert!(all.is_sorted(), "{all:?}");
    let mut paged = Vec::new();
    while let Some(next) = {
        let after = paged.last().map(String::as_str);
        world
            .states
            .lineages(&tenant, after, 1)
            .await
            .expect("lineages")
            .pop()
    } {
        paged.push(next);
    }
    assert_eq!(paged, all);
    let foreign = world
        .states
        .lineages(&"other".parse().expect("a tenant"), None, 10)
        .await;
    assert_eq!(foreign.expect("lineages"), Vec::<String>::new());
}

#[tokio::test]
async fn of_two_collections_the_earlier_one_gives_up() {
    let world = World::new().await;
    let mut first = world.collection();
    first.step(3).await.expect("a collection");
    let mut second = world.collection();
    second.step(1).await.expect("a collection");
    let report = first.step(u64::MAX).await.expect("a collection");
    assert_eq!((report.deleted, report.truncated), (0, true));
    assert_eq!(report.reasons, [Reason::AnotherRun]);
    assert!(first.is_done());
    let report = second.step(u64::MAX).await.expect("a collection");
    assert!(
        report.deleted > 5 && report.reasons.is_empty(),
        "{report:?}"
    );
}

#[tokio::test]
async fn a_large_blob_put_ahead_of_a_commit_that_never_came_goes() {
    let world = World::new().await;
    let before = rows(world.ground.as_ref()).await.len();
    world.put_ahead_and_end().await;
    assert!(rows(world.ground.as_ref()).await.len() > before + 100);
    collect(&world, NOW).await;
    assert!(rows(world.ground.as_ref()).await.len() < before);
    assert_eq!(content(COUNT - 1).len(), 280_000);
}

#[tokio::test]
async fn commits_that_refer_to_the_same_blob_at_once_are_all_made() {
    let world = World::new().await;
    let mut collection = world.collection();
    while !rows(world.ground.as_ref())
        .await
        .keys()
        .any(|it| it.starts_with("condemned/"))
    {
        collection.step(1).await.expect("a collection");
    }
    let referring = || {
        let blob = BlobId::of(&content(GARBAGE));
        let refer = PartChange::Refer(blob, Form::Json, Label::default());
        let mut changes = Changes::default();
        changes.parts.insert(name("part"), refer);
        changes
    };
    // Those that come while the first one is under way share a commit.
    let store = Slow::new(Arc::clone(&world.ground), 1);
    let states = world.over(Arc::new(store));
    let (who, session) = (caller(), id("a"));
    let commits = (0..6).map(|_| states.commit(&who, &session, referring()));
    let done = join_all(commits).await.into_iter();
    let revisions: Vec<u64> = done.map(|it| it.expect("a commit").revision).collect();
    assert_eq!(revisions, [3, 4, 5, 6, 7, 8]);
    while !collection.is_done() {
        collection.step(1).await.expect("a collection");
    }
    let found = world
        .states
        .blob(&who, &session, BlobId::of(&content(GARBAGE)))
        .await;
    assert_eq!(found.expect("a readable blob"), Some(content(GARBAGE)));
}

#[tokio::test]
async fn a_commit_refers_to_as_many_blobs_as_a_batch_can_check() {
    let mut world = World::new().await;
    world.put("a", GARBAGE).await;
    let referring = |count: usize| {
        let mut changes = Changes::default();
        for number in 0..count {
            let blob = BlobId::of(&content(GARBAGE));
            let refer = PartChange::Refer(blob, Form::Json, Label::default());
            changes.parts.insert(name(&format!("part-{number}")), refer);
        }
        changes
    };
    let (who, session) = (caller(), id("a"));
    let refused = world.states.commit(&who, &session, referring(33)).await;
    let refused = refused.expect_err("too many");
    assert!(
        matches!(refused, CheckpointError::Invalid { .. }),
        "{refused:?}"
    );
    let done = world.states.commit(&who, &session, referring(32)).await;
    assert_eq!(done.expect("a commit").revision, 4);
}
