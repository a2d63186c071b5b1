//! A wrapper that fails chosen calls.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use windlass_store::{
    Batch, Changes, Commit, Export, KeyRange, Page, Scan, Store, StoreError, StoreErrorKind,
};

use crate::{Moment, Verb};

/// One call that is to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Which calls are counted; `None` for all of them together.
    pub verb: Option<Verb>,
    /// Which of them fails: 1 is the first since the store was wrapped.
    pub number: u64,
    /// Whether the store below gets the call before it fails.
    ///
    /// A commit that fails [`Moment::After`] was applied, so the only honest
    /// kind for it is `Indeterminate`; the wrapper does what it is told.
    pub moment: Moment,
    /// The kind of error the caller gets.
    pub kind: StoreErrorKind,
}

/// A store of which exactly the chosen calls fail.
///
/// To see what an operation does when any one of its calls fails, run it with
/// a fault at call 1, at call 2, and so on until none is hit
/// ([`Faulty::hits`]).
#[derive(Debug)]
pub struct Faulty<S: ?Sized> {
    plan: Mutex<Plan>,
    inner: Arc<S>,
}

#[derive(Debug, Default)]
struct Plan {
    faults: Vec<Fault>,
    calls: HashMap<Verb, u64>,
    hits: u64,
}

impl Plan {
    /// Counts a call and says what fails of it.
    fn count(&mut self, verb: Verb) -> Option<Fault> {
        let number = self.calls.entry(verb).or_default();
        *number += 1;
        let (number, all) = (*number, self.calls.values().sum::<u64>());
        let hit = |fault: &Fault| match fault.verb {
            Some(counted) => counted == verb && fault.number == number,
            None => fault.number == all,
        };
        let found = self.faults.iter().position(hit)?;
        self.hits += 1;
        Some(self.faults.remove(found))
    }
}

impl<S: Store + ?Sized> Faulty<S> {
    /// Wraps a store; nothing fails until [`Faulty::plan`].
    pub fn new(inner: Arc<S>) -> Self {
        Self {
            plan: Mutex::default(),
            inner,
        }
    }

    /// Adds a call that is to fail.
    pub fn plan(&self, fault: Fault) {
        self.lock().faults.push(fault);
    }

    /// How many calls of `verb` there were; `None` for all of them together.
    #[must_use]
    pub fn calls(&self, verb: Option<Verb>) -> u64 {
        let plan = self.lock();
        match verb {
            Some(verb) => plan.calls.get(&verb).copied().unwrap_or(0),
            None => plan.calls.values().sum(),
        }
    }

    /// How many calls failed as planned.
    #[must_use]
    pub fn hits(&self) -> u64 {
        self.lock().hits
    }

    fn lock(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call, makes it below unless it is to fail before, and gives
    /// its answer unless it is to fail after.
    async fn call<T>(
        &self,
        verb: Verb,
        below: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let fault = self.lock().count(verb);
        match fault {
            None => below.await,
            Some(fault) => {
                if fault.moment == Moment::After {
                    below.await?;
                }
                Err(StoreError::new(fault.kind, verb.name(), "a planned fault"))
            }
        }
    }
}

#[async_trait]
impl<S: Store + ?Sized> Store for Faulty<S> {
    async fn read(&self, scans: &[Scan]) -> Result<Vec<Page>, StoreError> {
        self.call(Verb::Read, self.inner.read(scans)).await
    }

    async fn commit(&self, batch: Batch) -> Result<Commit, StoreError> {
        self.call(Verb::Commit, self.inner.commit(batch)).await
    }

    async fn export(&self, range: KeyRange) -> Result<Export, StoreError> {
        self.call(Verb::Export, self.inner.export(range)).await
    }

    fn subscribe(&self, prefix: &[u8]) -> Changes {
        self.inner.subscribe(prefix)
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.call(Verb::Close, self.inner.close()).await
    }
}
