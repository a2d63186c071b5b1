//! Whole recordings, replayed with a commit per message.

use std::path::Path;

use windlass::checkpoint::Profile;
use windlass::session::Caller;
use windlass_replay::{Commits, ReadOptions, Recording, Replay, ReplayOptions, Run};

use super::layers::Layers;
use super::{a_day_later, finish, open};
use crate::error::BenchError;
use crate::sessions::Bench;

/// What came of one recording.
#[derive(Debug)]
pub struct Replayed {
    /// Its store.
    pub layers: Layers,
    /// The same, a day and a round of maintenance later.
    pub later: Layers,
    /// Bytes of its distinct messages.
    pub distinct_bytes: u64,
    /// Bytes of the whole conversation, written out after each message.
    pub snapshot_bytes: u64,
}

/// Replays the recording below `path` into a store of its own.
///
/// # Errors
///
/// Whatever makes the figures worthless.
pub fn replayed(bench: &Bench<'_>, path: &Path, name: &str) -> Result<Replayed, BenchError> {
    let failed = |error: &dyn std::error::Error| BenchError::Process(error.to_string());
    let recording = Recording::read(path, &ReadOptions::default());
    let recording = recording.map_err(|error| failed(&error))?;
    let (windlass, file) = open(bench, name)?;
    let caller = Caller::new(
        "acme".parse().expect("a plain name"),
        "replay".parse().expect("a plain name"),
    );
    let options = ReplayOptions {
        commits: Commits::Message,
        compression: Profile::Compact.into(),
        ..ReplayOptions::default()
    };
    let replay = Replay {
        windlass: &windlass,
        caller: &caller,
        recording: &recording,
        options: &options,
    };
    let report = bench.runtime.block_on(replay.run(&()));
    report.map_err(|error| failed(&error))?;
    let ends = recording
        .runs
        .iter()
        .map(|run| run.times.at(run.steps.len() + 1));
    let last = ends.max().unwrap_or_default();
    Ok(Replayed {
        layers: finish(bench, &windlass, &file)?,
        later: a_day_later(bench, &file, last)?,
        distinct_bytes: recording.distinct_message_bytes(),
        snapshot_bytes: recording.runs.iter().map(snapshots).sum(),
    })
}

/// The arrays of a run's conversations up to each of its messages.
fn snapshots(run: &Run) -> u64 {
    let mut arrays: Vec<u64> = Vec::with_capacity(run.messages.len());
    for message in &run.messages {
        let before = message.after.map_or(1, |place| arrays[place]);
        let length = u64::try_from(message.text.len()).unwrap_or(u64::MAX);
        arrays.push(before + length + 1);
    }
    arrays.iter().sum()
}
