//! Judges two stores by the contract: one that keeps it, and one with a fault
//! that no test of its own would look for.
//!
//! `cargo run -p windlass-store-testing --example judge_a_store`

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use windlass_store::{
    Batch, ChangeHub, Changes, Commit, Entry, Expect, Export, ExportSource, Incarnation, KeyRange,
    Page, Scan, Store, StoreError, Version,
};
use windlass_store_testing::{Model, Outcome, PROMISES, Volatile};

/// A store over the suite's own model, with or without a fault.
#[derive(Debug)]
struct Judged {
    incarnation: Incarnation,
    hub: ChangeHub,
    /// Takes every version for the present one.
    forgets_versions: bool,
    /// The model and how often it was committed to; `None` once closed.
    state: Mutex<Option<(Model, u64)>>,
}

impl Judged {
    fn new(forgets_versions: bool) -> Result<Self, StoreError> {
        Ok(Self {
            incarnation: Incarnation::draw()?,
            hub: ChangeHub::new(),
            forgets_versions,
            state: Mutex::new(Some((Model::new(), 0))),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Option<(Model, u64)>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Store for Judged {
    async fn read(&self, scans: &[Scan]) -> Result<Vec<Page>, StoreError> {
        Scan::validate(scans)?;
        let state = self.lock();
        let (model, _) = state.as_ref().ok_or_else(|| StoreError::closed("read"))?;
        Ok(model.read(scans))
    }

    async fn commit(&self, mut batch: Batch) -> Result<Commit, StoreError> {
        batch.validate()?;
        if self.forgets_versions {
            let versions = batch.checks.iter_mut();
            for check in versions.filter(|check| matches!(check.expect, Expect::Version(_))) {
                check.expect = Expect::Present;
            }
        }
        let mut state = self.lock();
        let (model, commits) = state.as_mut().ok_or_else(|| StoreError::closed("commit"))?;
        *commits += 1;
        let commit = model.commit(&batch, Version::new(self.incarnation, *commits));
        self.hub.publish(&batch.writes);
        Ok(commit)
    }

    async fn export(&self, range: KeyRange) -> Result<Export, StoreError> {
        range.validate("export")?;
        let state = self.lock();
        let (model, _) = state.as_ref().ok_or_else(|| StoreError::closed("export"))?;
        Ok(Export::new(Copied(Some(model.range(&range)))))
    }

    fn subscribe(&self, prefix: &[u8]) -> Changes {
        self.hub.subscribe(prefix)
    }

    async fn close(&self) -> Result<(), StoreError> {
        *self.lock() = None;
        self.hub.close();
        Ok(())
    }
}

/// An export of rows that were copied when it began.
struct Copied(Option<Vec<Entry>>);

#[async_trait]
impl ExportSource for Copied {
    async fn next(&mut self) -> Result<Option<Vec<Entry>>, StoreError> {
        Ok(self.0.take())
    }
}

/// Tries every promise and answers the numbers of those that were broken.
async fn judge(forgets_versions: bool) -> Vec<u8> {
    let mut broken = Vec::new();
    for promise in PROMISES {
        let mut fixture = Volatile::new(move || Judged::new(forgets_versions));
        match promise.check(&mut fixture).await {
            Ok(Outcome::Passed) => {}
            Ok(Outcome::NotApplicable { reason }) => {
                println!("  P{} does not apply: {reason}", promise.number);
            }
            Err(found) => {
                println!("  {found}");
                broken.push(found.promise);
            }
        }
    }
    broken
}

#[tokio::main]
async fn main() {
    println!("a store that keeps the contract:");
    assert_eq!(judge(false).await, [0; 0]);
    println!("a store that takes every version for the present one:");
    let broken = judge(true).await;
    assert!(broken.contains(&4), "P4 is about exactly this: {broken:?}");
}
