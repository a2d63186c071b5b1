//! What most commands work on: a store that this
//! process opens, or a server that has one open.
//!
//! Both are asked with the engine's own requests, which are checked before
//! they go anywhere, and answer with the wire types, which are spelled as the
//! engine's answers are. So a command is written once and shows the same.

mod caching;
mod error;
mod here;
mod keeper;
mod lines;
mod outlets;
mod outputs;
mod server;
mod states;
mod trail;
mod upkeep;

use async_trait::async_trait;
use serde::Serialize;
use serde::de::DeserializeOwned;
use windlass::core::{AgentId, GroupId, OperationId, SessionId};
use windlass::session::{Create, Delegate, Settle, TopUp, Use};
use windlass::stash::{Increment, Key, Put};
use windlass_client::page::PageQuery;
use windlass_client::session::{
    EventsQuery, HistoryPage, Left, ListSessions, Receipt, Session, SessionPage, TreePage,
};
use windlass_client::stash::{Entry, KeyPage, KeysQuery, Metadata, Number, Removed, Usage};
use windlass_client::store::{Due, ReapReport, SweepReport};

use crate::failure::Failure;

pub(crate) use caching::Caching;
pub(crate) use error::ServerError;
pub(crate) use here::Here;
pub(crate) use keeper::{Keeper, Listed};
pub(crate) use lines::{Lines, WorkChange};
pub(crate) use outputs::{Begun, Ended, Outputs, Proven, Wanted};
pub(crate) use server::Remote;
pub(crate) use states::States;
pub(crate) use trail::{Held, Trail};
pub(crate) use upkeep::Upkeep;

/// How many active sessions an agent may have for one more to be created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cap {
    /// So many with this one; as many as configured if `None`.
    AtMost(Option<u64>),
    /// Any number.
    None,
}

/// The stash of a session, the group that asks, and under which operation id
/// it is changed.
#[derive(Clone, Debug)]
pub(crate) struct StashOf {
    pub(crate) session: SessionId,
    pub(crate) group: Option<GroupId>,
    pub(crate) operation: Option<OperationId>,
}

/// The operations that commands need.
#[async_trait]
pub(crate) trait Engine: Send + Sync {
    /// Creates a session.
    async fn create(&self, request: Create, cap: Cap) -> Result<Session, Failure>;
    /// Creates a session within another.
    async fn delegate(
        &self,
        parent: &SessionId,
        request: Delegate,
        cap: Cap,
    ) -> Result<Session, Failure>;
    /// Authorises tool calls.
    async fn use_tools(&self, id: &SessionId, request: Use) -> Result<Receipt, Failure>;
    /// Settles or refunds a reserved call.
    async fn settle(&self, id: &SessionId, request: Settle) -> Result<Left, Failure>;
    /// Raises a budget.
    async fn top_up(&self, id: &SessionId, request: TopUp) -> Result<Session, Failure>;
    /// Closes a session.
    async fn close(
        &self,
        id: &SessionId,
        operation: Option<OperationId>,
    ) -> Result<Session, Failure>;
    /// Closes an agent's sessions, and counts them.
    async fn close_agent(&self, agent: &AgentId) -> Result<u64, Failure>;
    /// Counts an agent's active sessions.
    async fn count_active(&self, agent: &AgentId) -> Result<u64, Failure>;
    /// A session as it is now.
    async fn session(&self, id: &SessionId) -> Result<Session, Failure>;
    /// A page of sessions.
    async fn sessions(&self, query: &ListSessions) -> Result<SessionPage, Failure>;
    /// A page of a tree.
    async fn tree(&self, root: &SessionId, query: &PageQuery) -> Result<TreePage, Failure>;
    /// A page of a history.
    async fn history(&self, id: &SessionId, query: &EventsQuery) -> Result<HistoryPage, Failure>;
    /// How much upkeep has come due, up to `limit`.
    async fn due(&self, limit: usize) -> Result<Due, Failure>;
    /// Does some of the upkeep of sessions.
    async fn sweep(&self, limit: usize) -> Result<SweepReport, Failure>;

    /// The entry of a key.
    async fn entry(&self, of: &StashOf, key: &Key) -> Result<Entry, Failure>;
    /// Gives a key a value.
    async fn put(&self, of: &StashOf, put: Put) -> Result<Metadata, Failure>;
    /// A page of keys.
    async fn keys(&self, of: &StashOf, query: &KeysQuery) -> Result<KeyPage, Failure>;
    /// Deletes the entry of a key, and says whether there was one.
    async fn delete(&self, of: &StashOf, key: &Key) -> Result<bool, Failure>;
    /// Gives an entry another time to live.
    async fn touch(
        &self,
        of: &StashOf,
        key: &Key,
        ttl_ms: Option<u64>,
    ) -> Result<Metadata, Failure>;
    /// Adds to a number.
    async fn increment(&self, of: &StashOf, request: Increment) -> Result<Number, Failure>;
    /// How much a stash holds.
    async fn usage(&self, of: &StashOf) -> Result<Usage, Failure>;
    /// Deletes the entries of the group.
    async fn clear(&self, of: &StashOf) -> Result<Removed, Failure>;
    /// Removes expired entries of one stash.
    async fn reap(&self, of: &StashOf, limit: usize) -> Result<Removed, Failure>;
    /// Does some of the upkeep of all stashes.
    async fn reap_due(&self, limit: usize) -> Result<ReapReport, Failure>;
}

/// A value of the engine in the type of the wire that is spelled alike, or the
/// other way round.
fn alike<T: DeserializeOwned>(value: &impl Serialize) -> T {
    let json = serde_json::to_value(value).expect("what the engine answers is JSON");
    serde_json::from_value(json).expect("the wire types are spelled as the engine's are")
}

/// A count as it goes over the wire.
pub(crate) fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

fn count(number: Option<u64>) -> usize {
    let number = number.unwrap_or(windlass_client::page::LIMIT_DEFAULT);
    usize::try_from(number).unwrap_or(usize::MAX)
}
