//! The calls about upkeep, for operators.

use super::call::Call;
use super::{Client, ClientError};
use crate::maintenance::{MaintenanceStatus, RunTask, TaskReport};

impl Client {
    /// How upkeep stands.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn maintenance(&self) -> Result<MaintenanceStatus, ClientError> {
        self.ask(Call::get(&["v1", "maintenance"])).await
    }

    /// Has one task of upkeep done now.
    ///
    /// # Errors
    ///
    /// [`ClientError`]; what was done by then stays done.
    pub async fn run_task(&self, task: &str, request: &RunTask) -> Result<TaskReport, ClientError> {
        let call = Call::post(&["v1", "maintenance", task], request);
        self.ask(call.unkeyed().patiently()).await
    }
}
