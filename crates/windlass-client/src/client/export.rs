//! An export as it comes over the line, in pieces.

use std::time::Duration;

use bytes::Bytes;
use reqwest::Response;

use super::ClientError;
use super::answer::outcome_of;
use super::retry::Repeat;

/// A file on its way. Its last piece is a mark that the file is whole, which
/// `windlass import` looks for.
#[derive(Debug)]
pub struct Export {
    response: Response,
    quiet: Duration,
}

impl Export {
    pub(super) const fn new(response: Response, quiet: Duration) -> Self {
        Self { response, quiet }
    }

    /// The next piece; `None` at the end.
    ///
    /// # Errors
    ///
    /// [`ClientError::Transport`] if the connection broke, and
    /// [`ClientError::Timeout`] if nothing came for too long: what came before
    /// is no export.
    pub async fn piece(&mut self) -> Result<Option<Bytes>, ClientError> {
        let outcome = outcome_of(Repeat::Reads);
        let next = tokio::time::timeout(self.quiet, self.response.chunk()).await;
        let next = next.map_err(|_| ClientError::Timeout {
            outcome,
            after: self.quiet,
        })?;
        next.map_err(|source| {
            let source = source.without_url();
            ClientError::Transport {
                sent: true,
                outcome,
                source,
            }
        })
    }
}
