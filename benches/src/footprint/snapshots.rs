//! A state that changes in its middle and is written out whole every time.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use serde_json::value::RawValue;
use windlass::checkpoint::{Caller, Changes, Committed};
use windlass_replay::{ReadOptions, Recording};

use super::layers::Layers;
use super::{finish, open};
use crate::error::BenchError;
use crate::sessions::Bench;

/// Commits the snapshots below `path` one upon the other, in the order of
/// their trials. Answers what came of it, and the bytes of the distinct
/// elements.
///
/// # Errors
///
/// Whatever makes the figures worthless.
pub fn snapshots(bench: &Bench<'_>, path: &Path, name: &str) -> Result<(Layers, u64), BenchError> {
    let texts = texts(path)?;
    let (windlass, file) = open(bench, name)?;
    let caller = Caller::new(
        "acme".parse().expect("a plain name"),
        "bench".parse().expect("a plain name"),
    );
    let session = name.parse().expect("a plain name");
    let part: windlass::checkpoint::PartName = "state".parse().expect("a plain name");
    for (revision, text) in (0..).zip(&texts) {
        let changes = Changes::at(revision).json(part.clone(), text.clone());
        let made = windlass.checkpoints().commit(&caller, &session, changes);
        let _made: Committed = bench
            .runtime
            .block_on(made)
            .map_err(|error| BenchError::Process(error.to_string()))?;
    }
    let layers = finish(bench, &windlass, &file)?;
    Ok((layers, distinct(&texts)?))
}

/// The snapshots, oldest first.
fn texts(path: &Path) -> Result<Vec<String>, BenchError> {
    let recording = Recording::read(path, &ReadOptions::default());
    let recording = recording.map_err(|error| BenchError::Process(error.to_string()))?;
    let mut snapshots: Vec<(PathBuf, u64, String)> = Vec::new();
    for run in &recording.runs {
        let written = run.steps.iter().map(|step| step.arguments.clone());
        let file = PathBuf::from(&run.source.name);
        let directory = file.parent().unwrap_or(Path::new("")).to_owned();
        snapshots.extend(written.map(|text| (directory.clone(), trial(&file), text)));
    }
    snapshots.sort();
    Ok(snapshots.into_iter().map(|(_, _, text)| text).collect())
}

/// The number at the end of a file's name.
fn trial(file: &Path) -> u64 {
    let name = file.to_string_lossy();
    let name = name.trim_end_matches(".zst").trim_end_matches(".json");
    let digits = name.len() - name.trim_end_matches(|it: char| it.is_ascii_digit()).len();
    name[name.len() - digits..].parse().unwrap_or(0)
}

fn distinct(texts: &[String]) -> Result<u64, BenchError> {
    let mut elements: HashSet<&str> = HashSet::new();
    for text in texts {
        let array = serde_json::from_str::<Vec<&RawValue>>(text);
        let array = array.map_err(|error| BenchError::Process(error.to_string()))?;
        elements.extend(array.into_iter().map(RawValue::get));
    }
    let bytes: usize = elements.into_iter().map(str::len).sum();
    Ok(u64::try_from(bytes).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trials_are_ordered_by_their_number() {
        let trials = ["a/trial_2.json.zst", "a/trial_10.json", "a/none"];
        assert_eq!(trials.map(|name| trial(Path::new(name))), [2, 10, 0]);
    }

    #[test]
    fn an_element_counts_once_however_often_it_is_written() {
        let texts = ["[{\"a\":1},2]", "[2,{\"a\":1},3]"].map(str::to_owned);
        assert_eq!(distinct(&texts).expect("arrays"), 9);
    }
}
