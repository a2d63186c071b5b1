//! The client: sends the wire types to a server and reads its answers.

mod access;
mod answer;
mod attachment;
mod audit;
mod cache;
mod call;
mod console;
mod error;
mod events;
mod export;
mod limits;
mod maintenance;
mod operation;
mod proof;
mod queue;
mod retry;
mod rows;
mod send;
mod sessions;
mod settings;
mod sse;
mod stash;
mod state;
mod store;
mod streams;
mod token;

use std::sync::Arc;

use serde::de::DeserializeOwned;

pub use error::{BrokenAnswer, ClientError, SettingsError};
pub use events::Events;
pub use export::Export;
pub use limits::{
    ANSWER_BYTES_MAX_DEFAULT, ATTEMPT_DEFAULT, BACKOFF_FIRST_DEFAULT, BACKOFF_MAX_DEFAULT,
    CONNECT_DEFAULT, DEADLINE_DEFAULT, QUIET_DEFAULT, RETRIES_DEFAULT, RETRY_AFTER_MAX_DEFAULT,
};
pub use queue::QueueClient;
pub use rows::{Proven, Row, Rows, RowsEnd};
pub use settings::Settings;
pub use stash::StashClient;
pub use state::{PartContent, StateClient};
pub use streams::{SourceClient, StreamClient};
pub use token::Token;

use call::Call;

/// A client of one server under one credential. Cloning shares its
/// connections.
///
/// Each change is sent under an `Idempotency-Key`, one of the caller's (see
/// [`Client::under`]) or one drawn for it, so the client can repeat it after a
/// cut connection without it happening twice. What it repeats, how often and
/// for how long is in [`Settings`]. A future that is dropped stops asking; the
/// request it had sent may still take effect.
///
/// ```no_run
/// use windlass_client::session::{Allow, CreateSession, UseTools};
/// use windlass_client::{Client, Token};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let client = Client::new("http://127.0.0.1:7411", Token::new("wl_…")?)?;
/// let mut request = CreateSession::new("researcher", "compare three suppliers");
/// request.tools = Some(Allow::Only(vec!["search".into()]));
/// let session = client.create_session(&request).await?;
///
/// let search = UseTools::one("researcher", "search");
/// match client.use_tools(&session.id, &search).await {
///     Ok(receipt) => println!("call {}, {} left", receipt.first_call, receipt.left.calls),
///     Err(error) if error.code() == "budget_exceeded" => println!("enough for today"),
///     Err(error) => return Err(error.into()),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Client {
    inner: Arc<send::Inner>,
    /// Under which all changes are made; one is drawn for each if `None`.
    operation: Option<Arc<str>>,
}

impl Client {
    /// A client of the server at `url` with the usual settings.
    ///
    /// # Errors
    ///
    /// [`SettingsError`] for a URL that is none of `http` and `https`, or has
    /// more than a host and a path; for plain `http` to another machine; and
    /// if TLS cannot be set up.
    pub fn new(url: &str, token: Token) -> Result<Self, SettingsError> {
        Settings::default().connect(url, Some(token))
    }

    /// The same client, whose changes are made under `operation` as their
    /// `Idempotency-Key`: 1 to 128 characters of `A-Z a-z 0-9 . _ ~ : -`.
    ///
    /// It is for one change, now and whenever that is tried again, also by
    /// another process. Another change under it is refused with
    /// `operation_conflict`.
    #[must_use]
    pub fn under(&self, operation: &str) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
            operation: Some(operation.into()),
        }
    }

    /// The address it was made with.
    #[must_use]
    pub fn url(&self) -> &str {
        self.inner.base()
    }

    /// Sends a call and reads what it answers.
    async fn ask<T: DeserializeOwned>(&self, call: Call) -> Result<T, ClientError> {
        let answer = self.inner.send(call, self.operation.as_deref()).await?;
        answer.read()
    }

    /// The same for one that may answer that nothing has changed.
    async fn ask_if_changed<T: DeserializeOwned>(
        &self,
        call: Call,
    ) -> Result<Option<T>, ClientError> {
        let answer = self.inner.send(call, None).await?;
        answer.read_if_changed()
    }

    /// The same for one that answers a content: whether it is JSON, and what
    /// it is.
    async fn ask_content(&self, call: Call) -> Result<(bool, bytes::Bytes), ClientError> {
        let answer = self.inner.send(call, None).await?;
        Ok(answer.into_content())
    }
}
