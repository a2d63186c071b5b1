//! Published recordings, where they are at hand.

use std::path::Path;

use windlass_replay::{Replay, ReplayOptions};

use crate::common::{caller, contents, memory, play, published, read, sqlite, timeless};

/// Plays on both stores and compares the outcomes.
async fn replay_everywhere(path: &Path, steps: u64) {
    let (recording, options, caller) = (read(path), ReplayOptions::default(), caller());
    let directory = tempfile::tempdir().unwrap();
    let (volatile, durable) = (memory().await, sqlite(directory.path()).await);
    let in_memory = play(&volatile, &recording, &options).await;
    let on_disk = play(&durable, &recording, &options).await;
    assert_eq!(
        (in_memory.runs, in_memory.steps, in_memory.uses_allowed),
        (200, steps, steps)
    );
    assert_eq!(timeless(&on_disk), timeless(&in_memory));
    assert_eq!(contents(&durable).await, contents(&volatile).await);
    Replay {
        windlass: &durable,
        caller: &caller,
        recording: &recording,
        options: &options,
    }
    .verify()
    .await
    .unwrap();
    durable.close().await.unwrap();
}

#[tokio::test]
async fn all_tau_bench_runs_leave_equal_stores_in_memory_and_on_disk() {
    let Some(path) = published("tau-bench") else {
        return;
    };
    replay_everywhere(&path, 1_164).await;
}

#[tokio::test]
async fn all_intercode_runs_leave_equal_stores_in_memory_and_on_disk() {
    let Some(path) = published("intercode/bash/gpt-4") else {
        return;
    };
    replay_everywhere(&path, 1_176).await;
}

#[test]
fn the_volumes_of_tau_bench_are_those_counted_by_another_program() {
    // Counted with Python's json module over the same file.
    let Some(path) = published("tau-bench") else {
        return;
    };
    let recording = read(&path);
    assert_eq!(recording.distinct_message_bytes(), 1_923_359);
    assert_eq!(recording.full_snapshot_bytes(), 16_921_710);
}
