//! A store whose commits are answered before they are decided, as over a
//! connection that breaks.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use windlass_core::ManualEnv;
use windlass_store::{
    Batch, Changes, Commit, Export, KeyRange, Page, Scan, Store, StoreError, StoreErrorKind,
};
use windlass_store_memory::MemoryStore;

/// Holds back the next commit, answers that its outcome is unknown and lets
/// time pass; the test says when the commit arrives.
#[derive(Debug)]
pub(crate) struct Late {
    inner: Arc<MemoryStore>,
    env: Arc<ManualEnv>,
    plan: Mutex<Plan>,
}

#[derive(Debug, Default)]
struct Plan {
    /// Milliseconds that pass with the next commit, if one is held back.
    hold: Option<u64>,
    /// Commits until the one held back arrives by itself.
    arrives_before: Option<u64>,
    held: Option<Batch>,
}

impl Late {
    pub(crate) fn new(inner: &Arc<MemoryStore>, env: &Arc<ManualEnv>) -> Arc<Self> {
        Arc::new(Self {
            inner: Arc::clone(inner),
            env: Arc::clone(env),
            plan: Mutex::default(),
        })
    }

    /// Holds the next commit back while `ms` pass.
    pub(crate) fn hold(&self, ms: u64) {
        self.lock().hold = Some(ms);
    }

    /// As [`Late::hold`], but the commit arrives right before the next one.
    pub(crate) fn hold_until_the_next(&self) {
        let mut plan = self.lock();
        plan.hold = Some(0);
        plan.arrives_before = Some(1);
    }

    /// What is held back arrives at the store.
    pub(crate) async fn arrive(&self) -> Commit {
        let held = self.lock().held.take().expect("a commit is held back");
        self.inner.commit(held).await.expect("a store that works")
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_due(&self) -> bool {
        let mut plan = self.lock();
        plan.held.is_some() && plan.arrives_before.take().is_some()
    }

    fn take(&self, batch: Batch) -> Result<Batch, StoreError> {
        let mut plan = self.lock();
        let Some(ms) = plan.hold.take() else {
            return Ok(batch);
        };
        plan.held = Some(batch);
        drop(plan);
        self.env.advance_ms(ms);
        let context = "the connection broke";
        Err(StoreError::new(
            StoreErrorKind::Indeterminate,
            "commit",
            context,
        ))
    }
}

#[async_trait]
impl Store for Late {
    async fn read(&self, scans: &[Scan]) -> Result<Vec<Page>, StoreError> {
        self.inner.read(scans).await
    }

    async fn commit(&self, batch: Batch) -> Result<Commit, StoreError> {
        if self.is_due() {
            let _ = self.arrive().await;
        }
        self.inner.commit(self.take(batch)?).await
    }

    async fn export(&self, range: KeyRange) -> Result<Export, StoreError> {
        self.inner.export(range).await
    }

    fn subscribe(&self, prefix: &[u8]) -> Changes {
        self.inner.subscribe(prefix)
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.inner.close().await
    }
}
