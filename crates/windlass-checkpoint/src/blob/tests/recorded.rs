//! Recorded states of agents, which change in the middle from one to the
//! next.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use serde_json::value::RawValue;

use super::*;

/// A series of whole states; says so where it is not at hand.
fn recorded() -> Option<PathBuf> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let logs = "reflexion-snapshots/alfworld_runs/root/reflexion_run_logs";
    let path = workspace.join("../shared/data/trajectories").join(logs);
    if path.exists() {
        return Some(path);
    }
    tell(&format!("skipped: {} is not there", path.display()));
    None
}

#[expect(clippy::print_stderr, reason = "a figure, or that a test was skipped")]
fn tell(text: &str) {
    eprintln!("{text}");
}

fn states(path: &Path) -> Vec<Bytes> {
    let state = |trial: usize| {
        let file = path.join(format!("env_results_trial_{trial}.json.zst"));
        let packed = std::fs::read(file).unwrap();
        zstd::stream::decode_all(packed.as_slice()).unwrap().into()
    };
    (0..15).map(state).collect()
}

/// Bytes of the elements that no earlier state had, each counted once.
fn distinct_bytes(states: &[Bytes]) -> usize {
    let mut distinct: HashSet<&str> = HashSet::new();
    for state in states {
        let elements: Vec<&RawValue> = serde_json::from_slice(state).unwrap();
        distinct.extend(elements.iter().map(|it| it.get()));
    }
    distinct.iter().map(|it| it.len()).sum()
}

/// About what a database of rows keeps for one: its key in two trees.
fn file_bytes(rows: &[(Bytes, Bytes)]) -> usize {
    let row = |(key, value): &(Bytes, Bytes)| 2 * key.len() + value.len() + 20;
    rows.iter().map(row).sum()
}

#[tokio::test]
async fn recorded_states_cost_less_than_what_is_new_in_them() {
    let Some(path) = recorded() else {
        return;
    };
    let states = states(&path);
    let distinct = distinct_bytes(&states);
    for (profile, percent) in [(Profile::LowLatency, 120), (Profile::Compact, 60)] {
        let world = World::new();
        let mut before = None;
        for state in &states {
            world.put(built_in(state, profile), before).await;
            before = Some(BlobId::of(state));
        }
        for state in &states {
            assert!(world.read(BlobId::of(state)).await.unwrap().as_ref() == Some(state));
        }
        let rows = world.rows().await;
        let stored = file_bytes(&rows);
        let share = stored * 100 / distinct;
        tell(&format!(
            "{profile:?}: {} rows, {stored} bytes, {share} % of the distinct elements",
            rows.len()
        ));
        assert!(share <= percent, "{profile:?}: {share} %");
    }
}
