//! An export's end at the caller.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::oneshot;
use windlass_store::{Entry, ExportSource, KeyRange, Scan, StoreError};

use crate::reader::Job;
use crate::shared::Shared;
use crate::space::ExportId;

/// Feeds an export, a bounded step at a time; dropping it lets go of what was
/// kept for it.
pub(crate) struct Source {
    shared: Arc<Shared>,
    id: ExportId,
    /// What has not been given yet.
    rest: KeyRange,
}

impl Source {
    /// For whoever waits for the beginning of an export. If they have gone,
    /// it is dropped on its way.
    pub(crate) fn new(shared: &Arc<Shared>, id: ExportId, range: KeyRange) -> Self {
        Self {
            shared: Arc::clone(shared),
            id,
            rest: range,
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// Begins an export of `range`; its point in time is fixed when this returns.
pub(crate) async fn begin(shared: &Arc<Shared>, range: KeyRange) -> Result<Source, StoreError> {
    let (answer, answered) = oneshot::channel();
    let job = Job::Begin { range, answer };
    ask(shared, job, answered).await
}

async fn ask<T>(
    shared: &Shared,
    job: Job,
    answered: oneshot::Receiver<Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let pushed = shared.reads.push(job);
    pushed.map_err(|_| shared.refusal("export"))?;
    answered
        .await
        .unwrap_or_else(|_| Err(shared.refusal("export")))
}

#[async_trait]
impl ExportSource for Source {
    async fn next(&mut self) -> Result<Option<Vec<Entry>>, StoreError> {
        let (answer, answered) = oneshot::channel();
        let job = Job::Step {
            id: self.id,
            rest: self.rest.clone(),
            answer,
        };
        let entries = ask(&self.shared, job, answered).await?;
        let Some(last) = entries.last() else {
            return Ok(None);
        };
        self.rest = Scan::new(self.rest.clone()).after(&last.key).range;
        Ok(Some(entries))
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        // A store that is closed has nothing to let go of.
        let _ = self.shared.reads.push(Job::End { id: self.id });
    }
}
