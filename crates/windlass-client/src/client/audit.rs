//! The calls about the audit.

use super::call::Call;
use super::export::Export;
use super::{Client, ClientError};
use crate::audit::{AuditHead, AuditPage, AuditQuery, AuditVerified, ChainQuery, VerifyQuery};

impl Client {
    /// A page of events.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn audit(&self, query: &AuditQuery) -> Result<AuditPage, ClientError> {
        self.ask(Call::get(&["v1", "audit"]).query(query)).await
    }

    /// Where a chain stands; before its first event if nothing was ever told of
    /// it.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn audit_head(&self, query: &ChainQuery) -> Result<AuditHead, ClientError> {
        let call = Call::get(&["v1", "audit", "head"]).query(query);
        self.ask(call).await
    }

    /// Lets the server verify a chain, which takes as long as there are events.
    /// A break is an answer.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn verify_audit(&self, query: &VerifyQuery) -> Result<AuditVerified, ClientError> {
        let call = Call::get(&["v1", "audit", "verify"]).query(query);
        self.ask(call.patiently()).await
    }

    /// The events of a chain as the lines that are stored and hashed. It is not
    /// tried again by itself; who goes on behind the last whole line misses
    /// nothing.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn export_audit(&self, query: &ChainQuery) -> Result<Export, ClientError> {
        let call = Call::get(&["v1", "audit", "export"]).query(query);
        let opened = self.inner.open(&call, "application/x-ndjson", None).await;
        let response = opened.map_err(|(error, _)| error)?;
        Ok(Export::new(response, self.inner.settings.quiet))
    }
}
