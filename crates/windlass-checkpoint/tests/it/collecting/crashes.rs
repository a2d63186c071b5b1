//! Processes that end between any two steps: the next one finds everything
//! that is needed, and takes the rest away.

use std::sync::Arc;

use windlass_checkpoint::{
    BlobId, Changes, CheckpointError, Checkpoints, Expected, Form, Label, PartChange,
};
use windlass_store::StoreErrorKind;
use windlass_store_testing::{Fault, Faulty, Moment};

use super::contents::{COUNT, content, name, put};
use super::ledger::Parts;
use super::steps::{GARBAGE, NOW, World};
use crate::ending::Ending;
use crate::support::{caller, id};

/// Lets a process end at each of its calls in turn; `act` says whether it
/// came to an end of its own.
async fn at_every_call(act: impl AsyncFn(&mut World, &Checkpoints) -> bool) {
    for does_the_last in [false, true] {
        for calls in 1.. {
            let mut world = World::new().await;
            world.position = usize::try_from(calls).expect("small");
            let store = Ending::new(Arc::clone(&world.ground) as _, calls, does_the_last);
            let mortal = world.over(Arc::new(store));
            let whole = act(&mut world, &mortal).await;
            world.settle().await;
            if whole {
                assert!(calls > 3, "{calls}");
                break;
            }
        }
    }
}

fn assert_ended<T: std::fmt::Debug>(done: &Result<T, CheckpointError>) {
    assert!(matches!(done, Err(CheckpointError::Store(_))), "{done:?}");
}

#[tokio::test]
async fn a_collection_that_ends_anywhere_is_made_good_by_the_next() {
    at_every_call(async |world, mortal| {
        let tenant = caller().tenant;
        let done = mortal.collect(&tenant, &world.lineage, NOW).await;
        if done.is_err() {
            assert_ended(&done);
        }
        done.is_ok()
    })
    .await;
}

#[tokio::test]
async fn what_an_ended_collection_condemned_can_still_be_referred_to() {
    at_every_call(async |world, mortal| {
        let tenant = caller().tenant;
        let done = mortal.collect(&tenant, &world.lineage, NOW).await;
        world.refer("a", GARBAGE).await;
        done.is_ok()
    })
    .await;
}

/// Commits in a process that may end, and notes what became of it.
async fn commit(world: &mut World, mortal: &Checkpoints, changes: Changes, number: usize) -> bool {
    let (before, _) = world.ledger.head("a");
    let done = mortal.commit(&caller(), &id("a"), changes).await;
    let head = world.states.head(&caller(), &id("a")).await;
    let revision = head.expect("a head").expect("a state").revision;
    match &done {
        Ok(done) => assert_eq!((done.revision, revision), (before + 1, before + 1)),
        Err(_) => assert_ended(&done),
    }
    if revision > before {
        world.note("a", revision, number);
    }
    done.is_ok()
}

#[tokio::test]
async fn a_commit_that_ends_anywhere_is_made_or_leaves_nothing() {
    at_every_call(async |world, mortal| commit(world, mortal, put("part", GARBAGE), GARBAGE).await)
        .await;
}

#[tokio::test]
async fn a_commit_whose_blobs_go_ahead_and_that_ends_anywhere_leaves_nothing() {
    at_every_call(async |world, mortal| {
        commit(world, mortal, put("part", COUNT - 1), COUNT - 1).await
    })
    .await;
}

#[tokio::test]
async fn a_reference_that_ends_anywhere_is_made_or_leaves_nothing() {
    at_every_call(async |world, mortal| {
        let blob = BlobId::of(&content(GARBAGE));
        let mut changes = Changes::default();
        let refer = PartChange::Refer(blob, Form::Json, Label::default());
        changes.parts.insert(name("part"), refer);
        commit(world, mortal, changes, GARBAGE).await
    })
    .await;
}

#[tokio::test]
async fn a_first_commit_that_ends_anywhere_is_found_and_collected() {
    at_every_call(async |world, mortal| {
        let first = put("part", COUNT - 1);
        let done = mortal.commit(&caller(), &id("new"), first).await;
        let head = world.states.head(&caller(), &id("new")).await;
        let tenant = caller().tenant;
        if head.expect("a head").is_some() {
            // It is of a lineage of its own.
            let removed = world.states.remove(&tenant, &id("new")).await;
            removed.expect("a removal");
        }
        let lineages = world.states.lineages(&tenant, None, 10).await;
        for lineage in lineages.expect("lineages") {
            let report = world.states.collect(&tenant, &lineage, NOW).await;
            assert_eq!(report.expect("a collection").reasons, []);
        }
        let lineages = world.states.lineages(&tenant, None, 10).await;
        assert_eq!(
            lineages.expect("lineages"),
            std::slice::from_ref(&world.lineage)
        );
        done.is_ok()
    })
    .await;
}

#[tokio::test]
async fn retention_and_taking_back_may_end_anywhere() {
    at_every_call(async |world, mortal| {
        world.put("a", GARBAGE + 1).await;
        let (before, _) = world.ledger.head("a");
        let (who, session) = (caller(), id("a"));
        let done = mortal
            .rollback(&who, &session, before - 1, Expected::Any, None)
            .await;
        let head = world.states.head(&who, &session).await;
        let revision = head.expect("a head").expect("a state").revision;
        if revision > before {
            let parts: Parts = world.ledger.sessions["a"][&(before - 1)].clone();
            world.ledger.note("a", revision, parts);
        }
        let swept = mortal.sweep(windlass_checkpoint::Sweep::All, 1_000).await;
        done.is_ok() && swept.is_ok()
    })
    .await;
}

#[tokio::test]
async fn a_collection_that_is_gone_on_with_after_a_failure_deletes_nothing_needed() {
    for number in 1.. {
        let mut world = World::new().await;
        world.put("a", GARBAGE + 1).await;
        world.put("a", 55).await;
        world.position = usize::try_from(number).expect("small");
        let faulty = Arc::new(Faulty::new(Arc::clone(&world.ground)));
        faulty.plan(Fault {
            verb: None,
            number,
            moment: Moment::Before,
            kind: StoreErrorKind::Unavailable,
        });
        let states = world.over(Arc::clone(&faulty) as _);
        let mut collection = states.collection(&caller().tenant, &world.lineage, NOW);
        let mut failures = 0;
        while !collection.is_done() {
            let failed = collection.step(1).await.is_err();
            failures += u64::from(failed);
        }
        let report = collection.step(1).await.expect("it has ended");
        assert_eq!(
            (failures, report.truncated),
            (faulty.hits(), failures > 0),
            "{number}"
        );
        world.settle().await;
        if failures == 0 {
            assert!(number > 10, "{number}");
            return;
        }
    }
}
