//! What others do between two steps of one call: each test holds a call in
//! the window that matters.

use std::sync::Arc;

use windlass_core::Sharing;
use windlass_stash::durable::limits::LOOSE_MS;
use windlass_stash::durable::{Options, Stashes};
use windlass_stash::{Key, Put, StashError, Value};
use windlass_store::StoreErrorKind;
use windlass_store_memory::MemoryStore;
use windlass_store_testing::{Fault, Faulty, Moment, Pause, Paused, Pausing, Verb};

use super::world::{World, execution};
use crate::support::{code, key, sized};

type Held = Pausing<MemoryStore>;

fn pausing(world: &World) -> (Arc<Held>, Stashes) {
    let pausing = Arc::new(Pausing::new(Arc::clone(&world.ground)));
    let stashes = world.over(pausing.clone());
    (pausing, stashes)
}

/// A pause before each of the next commits.
fn pauses<const N: usize>(store: &Held) -> [Pause; N] {
    [(); N].map(|()| store.pause(Verb::Commit, Moment::Before))
}

/// Lets all of them go but the last.
async fn last<const N: usize>(pauses: [Pause; N]) -> Paused {
    let mut held = None;
    for pause in pauses {
        // What was held before goes on.
        drop(held.take());
        held = Some(pause.reached().await);
    }
    held.expect("there is one")
}

async fn found(stashes: &Stashes, name: &Key) -> Option<Value> {
    let found = execution(stashes, None).get(name).await;
    found.expect("readable")
}

/// A value that is written ahead of its change: a note and two pieces.
const LONG: usize = 2_000_000;
/// The number of the commit that makes the entry of such a value.
const CHANGE: usize = 4;

#[tokio::test]
async fn a_put_whose_pieces_were_taken_back_meanwhile_makes_no_entry() {
    let world = World::new(|_| {});
    let (store, stashes) = pausing(&world);
    let execution = execution(&stashes, None);
    let name = key("k");
    execution.put(&key("other"), &1, None).await.expect("room");
    let commits = pauses::<CHANGE>(&store);
    let put = execution.store(Put::new(name.clone(), sized(LONG)));
    let (stored, ()) = tokio::join!(put, async {
        let held = last(commits).await;
        world.env.advance_ms(LOOSE_MS);
        let report = world.stashes.reap_due(100).await.expect("a store");
        assert_eq!(report.pieces_removed, 2, "{report:?}");
        held.release();
    });
    assert!(matches!(stored, Err(StashError::Busy)), "{stored:?}");
    assert_eq!(found(&world.reopen(), &name).await, None);
    world.recount().await;
    assert_eq!(world.keys("/piece/").await, Vec::<String>::new());
}

#[tokio::test]
async fn pieces_that_an_entry_takes_meanwhile_are_not_taken_back() {
    let world = World::new(|_| {});
    let (store, stashes) = pausing(&world);
    let (upkeep_store, upkeep) = pausing(&world);
    let execution = execution(&stashes, None);
    let name = key("k");
    let commits = pauses::<CHANGE>(&store);
    let put = execution.store(Put::new(name.clone(), sized(LONG)).ttl_ms(2 * LOOSE_MS));
    let (stored, report) = tokio::join!(put, async {
        let held = last(commits).await;
        world.env.advance_ms(LOOSE_MS);
        let deletions = pauses::<1>(&upkeep_store);
        let reaping = upkeep.reap_due(100);
        let (report, ()) = tokio::join!(reaping, async {
            // Upkeep has found the pieces, and deletes them next.
            let reaper = last(deletions).await;
            let change = store.pause(Verb::Commit, Moment::After);
            held.release();
            change.reached().await.release();
            reaper.release();
        });
        report.expect("a store")
    });
    stored.expect("room");
    assert_eq!(report.pieces_removed, 0, "{report:?}");
    assert_eq!(found(&world.reopen(), &name).await, Some(sized(LONG)));
    world.recount().await;
}

#[tokio::test]
async fn what_was_read_before_a_put_is_not_remembered_after_it() {
    let world = World::with_options(Options {
        sharing: Sharing::Exclusive,
        ..Options::default()
    });
    let (name, n) = (key("k"), key("n"));
    world.outside().put(&name, &1, None).await.expect("room");
    let (store, stashes) = pausing(&world);
    let execution = execution(&stashes, None);
    let reading = store.pause(Verb::Read, Moment::After);
    let (_, ()) = tokio::join!(found(&stashes, &name), async {
        let held = reading.reached().await;
        execution.put(&name, &2, None).await.expect("room");
        execution.put(&n, &1, None).await.expect("room");
        held.release();
    });
    let value = found(&stashes, &name).await.expect("there");
    assert_eq!(value.as_json(), "2");
    assert_eq!(
        execution
            .increment(&n, 1, None)
            .await
            .expect("a number")
            .value,
        2
    );
}

#[tokio::test]
async fn what_a_failed_put_would_have_stored_is_never_seen() {
    let world = World::new(|_| {});
    let name = key("k");
    // Values that are not read together with the index.
    let [old, lost, new] = [2_000, 3_000, 4_000].map(sized);
    let put = |value: &Value| Put::new(name.clone(), value.clone());
    world.outside().store(put(&old)).await.expect("room");
    let store = Arc::new(Faulty::new(Arc::clone(&world.ground)));
    let stashes = world.over(store.clone());
    assert_eq!(found(&stashes, &name).await.as_ref(), Some(&old));
    store.plan(Fault {
        verb: Some(Verb::Commit),
        number: 1,
        moment: Moment::Before,
        kind: StoreErrorKind::Unavailable,
    });
    let failed = execution(&stashes, None).store(put(&lost)).await;
    assert_eq!(code(failed), "store_unavailable");
    assert_eq!(found(&stashes, &name).await.as_ref(), Some(&old));
    // Takes the version that the failed one would have had.
    world.outside().store(put(&new)).await.expect("room");
    assert_eq!(found(&stashes, &name).await.as_ref(), Some(&new));
}
