//! A store that gives one entry a page and lets a test lose its races.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use windlass_store::{
    Batch, Changes, Commit, Entry, Expect, Export, Incarnation, KeyRange, Order, Page, Scan, Store,
    StoreError, Version, Write,
};

/// Far more reads than any test needs.
const READS_MAX: usize = 1_000;

/// A map, with just enough of the trait for its conveniences.
#[derive(Debug, Default)]
pub(crate) struct Plain {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    rows: BTreeMap<Bytes, (Bytes, u64)>,
    sequence: u64,
    reads: usize,
    commits: usize,
    rivals: usize,
    closed: bool,
}

impl Plain {
    /// A store that holds `keys`, each with itself as value.
    pub(crate) fn with(keys: &[&'static str]) -> Self {
        let store = Self::default();
        for key in keys {
            store.put(key, key);
        }
        store
    }

    /// Lets another writer be faster than each of the next `count` commits.
    pub(crate) fn lose(&self, count: usize) {
        self.state().rivals = count;
    }

    /// How many reads and commits there were.
    pub(crate) fn calls(&self) -> (usize, usize) {
        let state = self.state();
        (state.reads, state.commits)
    }

    fn put(&self, key: &'static str, value: &'static str) {
        self.state().put(key.into(), value.into());
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn put(&mut self, key: Bytes, value: Bytes) {
        self.sequence += 1;
        self.rows.insert(key, (value, self.sequence));
    }

    fn version(sequence: u64) -> Version {
        Version::new(Incarnation::from_number(1), sequence)
    }

    fn holds(&self, key: &Bytes, expect: Expect) -> bool {
        let version = self
            .rows
            .get(key)
            .map(|(_, sequence)| Self::version(*sequence));
        match expect {
            Expect::Absent => version.is_none(),
            Expect::Present => version.is_some(),
            Expect::Version(expected) => version == Some(expected),
        }
    }

    fn page(&self, scan: &Scan) -> Page {
        let inside = self.rows.iter().filter(|(key, _)| scan.range.contains(key));
        let mut entries: Vec<Entry> = inside
            .map(|(key, (value, sequence))| Entry {
                key: key.clone(),
                value: value.clone(),
                version: Self::version(*sequence),
            })
            .collect();
        if scan.order == Order::Descending {
            entries.reverse();
        }
        let more = entries.len() > 1;
        entries.truncate(1);
        Page { entries, more }
    }
}

#[async_trait]
impl Store for Plain {
    async fn read(&self, scans: &[Scan]) -> Result<Vec<Page>, StoreError> {
        let mut state = self.state();
        state.reads += 1;
        assert!(state.reads < READS_MAX, "somebody reads in circles");
        if state.closed {
            return Err(StoreError::closed("read"));
        }
        Ok(scans.iter().map(|scan| state.page(scan)).collect())
    }

    async fn commit(&self, batch: Batch) -> Result<Commit, StoreError> {
        let mut state = self.state();
        state.commits += 1;
        if state.rivals > 0 {
            state.rivals -= 1;
            let key = batch.checks[0].key.clone();
            state.put(key, "rival".into());
        }
        let failing = batch
            .checks
            .iter()
            .find(|check| !state.holds(&check.key, check.expect));
        if let Some(check) = failing {
            return Ok(Commit::Conflict {
                key: check.key.clone(),
            });
        }
        for write in batch.writes {
            if let Write::Put { key, value } = write {
                state.put(key, value);
            }
        }
        Ok(Commit::Applied(State::version(state.sequence)))
    }

    async fn export(&self, _: KeyRange) -> Result<Export, StoreError> {
        Err(StoreError::closed("export"))
    }

    fn subscribe(&self, _: &[u8]) -> Changes {
        Changes::silent()
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.state().closed = true;
        Ok(())
    }
}
