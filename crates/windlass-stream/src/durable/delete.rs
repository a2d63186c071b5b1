//! Removing the stream of a path.

use crate::caller::Caller;
use crate::durable::about::Path;
use crate::durable::{DurableStreams, hidden};
use crate::error::StreamError;
use crate::record::Head;

impl DurableStreams {
    /// Removes the stream of a path. The path is free at once, unless there are
    /// forks: then it stays taken, and the rows stay, until the last of them is
    /// gone.
    ///
    /// # Errors
    ///
    /// `NotFound`; `Deleted` if it was removed before, and forks of it are left.
    pub async fn remove(&self, caller: &Caller, path: &Path) -> Result<(), StreamError> {
        let found = self.find(caller, path).await?;
        let loaded = self.engine.head(caller, &found.keys).await;
        loaded.map_err(hidden)?;
        let own = |head: &Head, _| head.principal == caller.principal;
        let removed = self.engine.remove(&found.keys, own).await?;
        removed.map(drop).ok_or(StreamError::NotFound)
    }
}
