//! Stores with very many sessions, made quickly: the rows of ten sessions of
//! one agent are taken as a pattern and written again and again under other
//! names of the same length.

use std::path::Path;
use std::sync::Arc;

use futures_util::StreamExt;
use tokio::runtime::Runtime;
use windlass::store::{Batch, Commit, KeyRange, Store};
use windlass::{Options, SystemEnv, Windlass};
use windlass_store_memory::MemoryStore;
use windlass_store_sqlite::{Options as SqliteOptions, SqliteStore};

use crate::error::BenchError;

use super::fixture::{CALLS, agent_id, caller, request, session_id};

/// Sessions in the pattern: those of one agent.
const PATTERN_SESSIONS: usize = 10;
/// Patterns that one commit writes.
const PATTERNS_A_COMMIT: usize = 14;
/// Commits on their way at a time.
const COMMITS_AT_A_TIME: usize = 8;

/// Makes a store of `sessions` sessions at `path`.
///
/// # Errors
///
/// The store's failures.
pub fn create(runtime: &Runtime, path: &Path, sessions: usize) -> Result<(), BenchError> {
    runtime.block_on(async {
        let pattern = Pattern::make().await?;
        let store = SqliteStore::open(path, SqliteOptions::default()).await?;
        let copies: Vec<usize> = (0..sessions / PATTERN_SESSIONS).collect();
        let batches = copies
            .chunks(PATTERNS_A_COMMIT)
            .map(|copies| pattern.batch(copies));
        let commits = batches.map(|batch| store.commit(batch));
        let mut committed = futures_util::stream::iter(commits).buffer_unordered(COMMITS_AT_A_TIME);
        while let Some(commit) = committed.next().await {
            if let Commit::Conflict { .. } = commit? {
                return Err(BenchError::Unfair(
                    "a batch without checks conflicted".into(),
                ));
            }
        }
        drop(committed);
        store.close().await?;
        Ok(())
    })
}

/// The rows of ten sessions.
#[derive(Debug)]
struct Pattern {
    rows: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Pattern {
    async fn make() -> Result<Self, BenchError> {
        let store = Arc::new(MemoryStore::new()?);
        let unfit = |cause: &dyn std::fmt::Display| BenchError::Unfair(cause.to_string());
        let env = Arc::new(SystemEnv::new());
        let shared: Arc<dyn Store> = Arc::<MemoryStore>::clone(&store);
        let windlass =
            Windlass::over(shared, &Options::default(), env).map_err(|cause| unfit(&cause))?;
        for number in 0..PATTERN_SESSIONS {
            windlass
                .sessions()
                .create(&caller(), request(number, CALLS))
                .await?;
        }
        let mut export = store.export(KeyRange::all()).await?;
        let mut rows = Vec::new();
        while let Some(entries) = export.next().await? {
            rows.extend(
                entries
                    .into_iter()
                    .map(|it| (it.key.to_vec(), it.value.to_vec())),
            );
        }
        Ok(Self { rows })
    }

    fn batch(&self, copies: &[usize]) -> Batch {
        let mut batch = Batch::new();
        for copy in copies {
            for (key, value) in &self.rows {
                batch = batch.put(renamed(key, *copy), renamed(value, *copy));
            }
        }
        batch
    }
}

/// The bytes with the pattern's names replaced by those of its `copy`-th
/// repetition.
fn renamed(bytes: &[u8], copy: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    replace(
        &mut bytes,
        agent_id(0).as_str(),
        agent_id(copy * PATTERN_SESSIONS).as_str(),
    );
    for number in 0..PATTERN_SESSIONS {
        let to = session_id(copy * PATTERN_SESSIONS + number);
        replace(&mut bytes, session_id(number).as_str(), to.as_str());
    }
    bytes
}

/// Overwrites every `from` by `to`, which is as long.
fn replace(bytes: &mut [u8], from: &str, to: &str) {
    let length = from.len();
    let mut place = 0;
    while place + length <= bytes.len() {
        if bytes[place..].starts_with(from.as_bytes()) {
            bytes[place..place + length].copy_from_slice(to.as_bytes());
            place += length;
        } else {
            place += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sessions::fixture;

    #[test]
    fn sessions_made_from_the_pattern_are_whole_and_listed() {
        let runtime = Runtime::new().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("many.db");
        create(&runtime, &path, 200).unwrap();
        runtime.block_on(async {
            let windlass = fixture::open(&path, None).await.unwrap();
            let sessions = windlass.sessions();
            for number in [0, 57, 199] {
                let found = sessions.get(&caller(), &session_id(number)).await.unwrap();
                let found = found.map(|session| (session.id, session.agent));
                assert_eq!(found, Some((session_id(number), agent_id(number))));
            }
            let count = sessions
                .count_active(&caller(), &agent_id(199))
                .await
                .unwrap();
            assert_eq!(count, 10);
            windlass.close().await.unwrap();
        });
    }
}
