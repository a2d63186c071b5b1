//! The calls about sessions.

use super::call::{Call, tag};
use super::events::Events;
use super::{Client, ClientError};
use crate::page::PageQuery;
use crate::session::{
    ActiveCount, Closed, CreateSession, Delegate, EventsQuery, HistoryPage, Left, ListSessions,
    Receipt, Session, SessionPage, Settle, TopUp, TreePage, UseTools,
};

impl Client {
    /// Creates a session, if its agent has fewer active ones than it may.
    ///
    /// # Errors
    ///
    /// [`ClientError`]; the server's codes are `invalid_request`,
    /// `already_exists`, `too_many_sessions`, `operation_conflict`.
    pub async fn create_session(&self, request: &CreateSession) -> Result<Session, ClientError> {
        self.ask(Call::post(&["v1", "sessions"], request)).await
    }

    /// Lists the sessions that the credential sees.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn sessions(&self, query: &ListSessions) -> Result<SessionPage, ClientError> {
        self.ask(Call::get(&["v1", "sessions"]).query(query)).await
    }

    /// A session as it is now.
    ///
    /// # Errors
    ///
    /// [`ClientError`] with code `not_found` if there is none that the
    /// credential sees.
    pub async fn session(&self, id: &str) -> Result<Session, ClientError> {
        self.ask(Call::get(&["v1", "sessions", id])).await
    }

    /// A session as it is now, or `None` if it cannot have changed since it was
    /// `known`; then next to nothing is sent. One that can still expire may be
    /// answered although its revision is the same.
    ///
    /// # Errors
    ///
    /// As [`Client::session`].
    pub async fn session_if_changed(
        &self,
        known: &Session,
    ) -> Result<Option<Session>, ClientError> {
        let call = Call::get(&["v1", "sessions", &known.id]);
        let tag = tag(format_args!("{}-{}", known.revision, known.created_at));
        self.ask_if_changed(call.on("if-none-match", tag)).await
    }

    /// A session and all that hangs below it, a page at a time.
    ///
    /// # Errors
    ///
    /// As [`Client::session`].
    pub async fn tree(&self, id: &str, query: &PageQuery) -> Result<TreePage, ClientError> {
        self.ask(Call::get(&["v1", "sessions", id, "tree"]).query(query))
            .await
    }

    /// What happened in a session, a page at a time.
    ///
    /// # Errors
    ///
    /// As [`Client::session`].
    pub async fn history(&self, id: &str, query: &EventsQuery) -> Result<HistoryPage, ClientError> {
        self.ask(Call::get(&["v1", "sessions", id, "events"]).query(query))
            .await
    }

    /// What happens in a session from after event number `after` on, as it
    /// happens. Connects when it is first asked for an event.
    #[must_use]
    pub fn events(&self, id: &str, after: u64) -> Events {
        Events::new(self.clone(), id, after)
    }

    /// Authorises and charges tool calls, all of them or none. When this
    /// returns a receipt it is durable.
    ///
    /// # Errors
    ///
    /// [`ClientError`]; the server's codes are those of a refusal, such as
    /// `budget_exceeded` or `tool_not_allowed`.
    pub async fn use_tools(&self, id: &str, request: &UseTools) -> Result<Receipt, ClientError> {
        self.ask(Call::post(&["v1", "sessions", id, "uses"], request))
            .await
    }

    /// Replaces the estimate of a reserved call, or gives the call back.
    ///
    /// # Errors
    ///
    /// [`ClientError`]; the server's codes include `reservation_not_found`.
    pub async fn settle(&self, id: &str, call: u64, request: &Settle) -> Result<Left, ClientError> {
        let call = call.to_string();
        let path = ["v1", "sessions", id, "calls", &call, "settle"];
        self.ask(Call::post(&path, request)).await
    }

    /// Raises the budget of an active session.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn top_up(&self, id: &str, request: &TopUp) -> Result<Session, ClientError> {
        self.ask(Call::post(&["v1", "sessions", id, "top-up"], request))
            .await
    }

    /// Closes a session and all below it.
    ///
    /// # Errors
    ///
    /// [`ClientError`]; the server's codes include `already_closed`.
    pub async fn close(&self, id: &str) -> Result<Session, ClientError> {
        self.ask(Call::post_bare(&["v1", "sessions", id, "close"]))
            .await
    }

    /// Creates a session within another.
    ///
    /// # Errors
    ///
    /// [`ClientError`]; the server's codes include `delegation_refused`.
    pub async fn delegate(&self, parent: &str, request: &Delegate) -> Result<Session, ClientError> {
        self.ask(Call::post(&["v1", "sessions", parent, "children"], request))
            .await
    }

    /// How many active sessions an agent has.
    ///
    /// # Errors
    ///
    /// [`ClientError`].
    pub async fn count_active(&self, agent: &str) -> Result<ActiveCount, ClientError> {
        self.ask(Call::get(&["v1", "agents", agent])).await
    }

    /// Closes every active session of an agent, and says how many that were.
    /// Asked again, also by the client itself, it closes what is active then.
    ///
    /// # Errors
    ///
    /// [`ClientError`]; some may be closed by then.
    pub async fn close_agent(&self, agent: &str) -> Result<Closed, ClientError> {
        self.ask(Call::post_bare(&["v1", "agents", agent, "close"]).unkeyed())
            .await
    }
}
