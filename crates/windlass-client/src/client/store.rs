//! The calls about the store, for operators.

use super::call::Call;
use super::export::Export;
use super::{Client, ClientError};
use crate::state::{Collect, GarbageReport};
use crate::store::{BackupStatus, Due, DueQuery, Health, Maintain, Maintained};

impl Client {
    /// How the store is.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn health(&self) -> Result<Health, ClientError> {
        self.ask(Call::get(&["v1", "store"])).await
    }

    /// How much upkeep has come due.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn due(&self, query: &DueQuery) -> Result<Due, ClientError> {
        self.ask(Call::get(&["v1", "store", "due"]).query(query))
            .await
    }

    /// What the store remembers of its last backup.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn backup_status(&self) -> Result<BackupStatus, ClientError> {
        self.ask(Call::get(&["v1", "store", "backup"])).await
    }

    /// Does a bounded amount of upkeep.
    ///
    /// # Errors
    ///
    /// [`ClientError`]; what was done by then stays done.
    pub async fn maintain(&self, request: &Maintain) -> Result<Maintained, ClientError> {
        self.ask(Call::post(&["v1", "store", "maintain"], request).unkeyed())
            .await
    }

    /// Collects contents that no state needs any more. It takes as long as
    /// there is something to do.
    ///
    /// # Errors
    ///
    /// [`ClientError`]; what was deleted by then stays deleted.
    pub async fn collect(&self, request: &Collect) -> Result<GarbageReport, ClientError> {
        let call = Call::post(&["v1", "store", "collect"], request);
        self.ask(call.unkeyed().patiently()).await
    }

    /// Everything stored, as the file that `windlass import` reads. It is not
    /// tried again by itself: it would begin anew.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn export(&self) -> Result<Export, ClientError> {
        let call = Call::get(&["v1", "store", "export"]);
        let opened = self
            .inner
            .open(&call, "application/octet-stream", None)
            .await;
        let response = opened.map_err(|(error, _)| error)?;
        Ok(Export::new(response, self.inner.settings.quiet))
    }
}
