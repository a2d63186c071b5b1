//! Published recordings, where they are at hand.

use windlass_replay::{Replay, ReplayOptions};
use windlass_store_testing::postgres::Server;

use crate::common::{
    SETS, Set, caller, contents, memory, play, postgres, published, read, sled, sqlite, timeless,
};

/// Plays a set on all stores and compares the outcomes.
async fn replay_everywhere(set: &Set) {
    let Some(path) = published(set.name) else {
        return;
    };
    let (recording, options, caller) = (read(&path), ReplayOptions::default(), caller());
    let (directory, server) = (tempfile::tempdir().unwrap(), Server::shared().unwrap());
    let volatile = memory().await;
    let in_memory = play(&volatile, &recording, &options).await;
    assert_eq!(
        (in_memory.runs, in_memory.steps, in_memory.uses_allowed),
        (set.runs, set.steps, set.steps),
        "{}",
        set.name
    );
    let wanted = contents(&volatile).await;
    let on_disk = [sqlite(directory.path()).await, sled(directory.path()).await];
    for durable in on_disk.into_iter().chain([postgres(&server).await]) {
        let report = play(&durable, &recording, &options).await;
        assert_eq!(timeless(&report), timeless(&in_memory), "{}", set.name);
        assert_eq!(contents(&durable).await, wanted, "{}", set.name);
        let replay = Replay {
            windlass: &durable,
            caller: &caller,
            recording: &recording,
            options: &options,
        };
        replay.verify().await.unwrap();
        durable.close().await.unwrap();
    }
}

#[tokio::test]
async fn all_tau_bench_runs_leave_equal_stores_everywhere() {
    replay_everywhere(&SETS[0]).await;
}

#[tokio::test]
async fn all_intercode_runs_leave_equal_stores_everywhere() {
    replay_everywhere(&SETS[2]).await;
}

#[tokio::test]
async fn the_runs_of_all_other_formats_leave_equal_stores_everywhere() {
    for place in [1, 3, 4, 5, 6, 7] {
        replay_everywhere(&SETS[place]).await;
    }
}

#[test]
fn the_volumes_of_every_set_are_those_counted_by_another_program() {
    for set in &SETS {
        let Some(path) = published(set.name) else {
            continue;
        };
        let recording = read(&path);
        let volumes = (
            recording.full_snapshot_bytes(),
            recording.distinct_message_bytes(),
        );
        let counted = (set.full_snapshot_bytes, set.distinct_message_bytes);
        assert_eq!(volumes, counted, "{}", set.name);
    }
}

#[test]
fn no_published_record_has_a_run_that_another_delegated_to() {
    for set in &SETS {
        let Some(path) = published(set.name) else {
            continue;
        };
        let recording = read(&path);
        let delegated = recording.runs.iter().filter(|run| run.parent.is_some());
        assert_eq!(delegated.count(), 0, "{}", set.name);
    }
}
