//! The calls for whoever looks at what is going on.

use super::call::Call;
use super::{Client, ClientError};
use crate::console::{HistoryQuery, MetricsHistory, Service, TenantOverview};

impl Client {
    /// What is going on in the tenant of the credential, which has to reach
    /// all of it.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn overview(&self) -> Result<TenantOverview, ClientError> {
        self.ask(Call::get(&["v1", "console", "overview"])).await
    }

    /// How the process is that answers, for operators.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn service(&self) -> Result<Service, ClientError> {
        self.ask(Call::get(&["v1", "console", "service"])).await
    }

    /// Figures of the process that answers over time, for operators.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn metrics_history(
        &self,
        query: &HistoryQuery,
    ) -> Result<MetricsHistory, ClientError> {
        self.ask(Call::get(&["v1", "metrics", "history"]).query(query))
            .await
    }
}
