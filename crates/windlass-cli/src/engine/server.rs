//! A server that has the store open.

use async_trait::async_trait;
use serde_json::value::RawValue;
use windlass::core::{AgentId, OperationId, SessionId};
use windlass::session::{Agent, Create, Delegate, Outcome, Settle, TopUp, Use, UseItem};
use windlass::stash::{self, Increment, Key, Put};
use windlass_client::page::PageQuery;
use windlass_client::session::{
    self as wire, CreateSession, EventsQuery, HistoryPage, Left, ListSessions, Receipt, Session,
    SessionPage, TreePage, UseTools,
};
use windlass_client::stash::{
    Condition, Entry, KeyPage, KeysQuery, Metadata, Number, PutEntry, Reap, Removed, Touch, Usage,
};
use windlass_client::store::{Due, DueQuery, Maintain, Maintained, ReapReport, SweepReport};
use windlass_client::{Client, StashClient};

use super::error::ask;
use super::{Cap, Engine, StashOf, alike, number};
use crate::failure::{CommandError, Failure};

/// A server, asked under one credential.
#[derive(Debug)]
pub(crate) struct Remote {
    client: Client,
}

impl Remote {
    pub(crate) const fn new(client: Client) -> Self {
        Self { client }
    }

    pub(super) const fn client(&self) -> &Client {
        &self.client
    }

    /// The client that makes one change.
    pub(super) fn under(&self, operation: Option<&OperationId>) -> Client {
        match operation {
            Some(operation) => self.client.under(operation.as_str()),
            None => self.client.clone(),
        }
    }

    fn stash(&self, of: &StashOf) -> StashClient {
        let stash = self.under(of.operation.as_ref()).stash(of.session.as_str());
        match &of.group {
            Some(group) => stash.group(group.as_str()),
            None => stash,
        }
    }

    /// The agent that a server is told. Whoever does not check it says the
    /// session's own.
    async fn agent(&self, id: &SessionId, agent: &Agent) -> Result<String, Failure> {
        match agent {
            Agent::Is(agent) => Ok(agent.to_string()),
            Agent::Unchecked => Ok(ask(self.client.session(id.as_str())).await?.agent),
        }
    }

    async fn maintain(&self, limit: usize) -> Result<Maintained, Failure> {
        let limit = Some(number(limit));
        ask(self.client.maintain(&Maintain { limit })).await
    }
}

fn creation(create: &Create, cap: Cap) -> Result<CreateSession, Failure> {
    let Cap::AtMost(cap) = cap else {
        let what = "`--uncapped`";
        return Err(CommandError::NeedsStore { what }.into());
    };
    Ok(CreateSession {
        id: create.id.as_ref().map(SessionId::to_string),
        agent: create.agent.to_string(),
        intent: create.intent.clone(),
        tools: Some(alike(&create.tools)),
        credentials: Some(alike(&create.credentials)),
        ceiling: Some(alike(&create.ceiling)),
        time_limit_ms: Some(create.time_limit_ms),
        budget: Some(alike(&create.budget)),
        rate: create.rate.as_ref().map(alike),
        chain: create.chain.iter().map(AgentId::to_string).collect(),
        cap,
    })
}

fn item(item: &UseItem) -> wire::UseItem {
    wire::UseItem {
        tool: item.tool.to_string(),
        credentials: alike(&item.credentials),
        sensitivity: item.sensitivity.as_ref().map(alike),
        charge: Some(alike(&item.charge)),
        reserve: item.reserve,
    }
}

#[async_trait]
impl Engine for Remote {
    async fn create(&self, request: Create, cap: Cap) -> Result<Session, Failure> {
        let client = self.under(request.operation.as_ref());
        ask(client.create_session(&creation(&request, cap)?)).await
    }

    async fn delegate(
        &self,
        parent: &SessionId,
        request: Delegate,
        cap: Cap,
    ) -> Result<Session, Failure> {
        let asked = wire::Delegate {
            by: self.agent(parent, &request.by).await?,
            child: creation(&request.child, cap)?,
            funding: Some(alike(&request.funding)),
            ends_with_parent: request.ends_with_parent,
        };
        let client = self.under(request.child.operation.as_ref());
        ask(client.delegate(parent.as_str(), &asked)).await
    }

    async fn use_tools(&self, id: &SessionId, request: Use) -> Result<Receipt, Failure> {
        let asked = UseTools {
            agent: self.agent(id, &request.agent).await?,
            items: request.items.iter().map(item).collect(),
        };
        let client = self.under(request.operation.as_ref());
        ask(client.use_tools(id.as_str(), &asked)).await
    }

    async fn settle(&self, id: &SessionId, request: Settle) -> Result<Left, Failure> {
        let asked = wire::Settle {
            agent: self.agent(id, &request.agent).await?,
            outcome: match request.outcome {
                Outcome::Cost(cost) => wire::Outcome::Cost(alike(&cost)),
                Outcome::Refund => wire::Outcome::Refund,
            },
        };
        let client = self.under(request.operation.as_ref());
        ask(client.settle(id.as_str(), request.call, &asked)).await
    }

    async fn top_up(&self, id: &SessionId, request: TopUp) -> Result<Session, Failure> {
        let TopUp {
            calls,
            tokens,
            cost_micros,
            operation,
        } = request;
        let asked = wire::TopUp {
            calls,
            tokens,
            cost_micros,
        };
        let client = self.under(operation.as_ref());
        ask(client.top_up(id.as_str(), &asked)).await
    }

    async fn close(
        &self,
        id: &SessionId,
        operation: Option<OperationId>,
    ) -> Result<Session, Failure> {
        let client = self.under(operation.as_ref());
        ask(client.close(id.as_str())).await
    }

    async fn close_agent(&self, agent: &AgentId) -> Result<u64, Failure> {
        Ok(ask(self.client.close_agent(agent.as_str())).await?.closed)
    }

    async fn count_active(&self, agent: &AgentId) -> Result<u64, Failure> {
        Ok(ask(self.client.count_active(agent.as_str())).await?.active)
    }

    async fn session(&self, id: &SessionId) -> Result<Session, Failure> {
        ask(self.client.session(id.as_str())).await
    }

    async fn sessions(&self, query: &ListSessions) -> Result<SessionPage, Failure> {
        ask(self.client.sessions(query)).await
    }

    async fn tree(&self, root: &SessionId, query: &PageQuery) -> Result<TreePage, Failure> {
        ask(self.client.tree(root.as_str(), query)).await
    }

    async fn history(&self, id: &SessionId, query: &EventsQuery) -> Result<HistoryPage, Failure> {
        ask(self.client.history(id.as_str(), query)).await
    }

    async fn due(&self, limit: usize) -> Result<Due, Failure> {
        let limit = Some(number(limit));
        ask(self.client.due(&DueQuery { limit })).await
    }

    async fn sweep(&self, limit: usize) -> Result<SweepReport, Failure> {
        Ok(self.maintain(limit).await?.sessions)
    }

    async fn entry(&self, of: &StashOf, key: &Key) -> Result<Entry, Failure> {
        ask(self.stash(of).get(key.as_str())).await
    }

    async fn put(&self, of: &StashOf, put: Put) -> Result<Metadata, Failure> {
        let value = RawValue::from_string(put.value.as_json().to_owned());
        let asked = PutEntry {
            value: value.expect("a value is JSON"),
            ttl_ms: put.ttl_ms,
        };
        let condition = match put.condition {
            stash::Condition::Any => Condition::Any,
            stash::Condition::Absent => Condition::Absent,
            stash::Condition::Version(version) => Condition::Version(version),
        };
        let stash = self.stash(of);
        ask(stash.put(put.key.as_str(), &asked, condition)).await
    }

    async fn keys(&self, of: &StashOf, query: &KeysQuery) -> Result<KeyPage, Failure> {
        ask(self.stash(of).keys(query)).await
    }

    async fn delete(&self, of: &StashOf, key: &Key) -> Result<bool, Failure> {
        Ok(ask(self.stash(of).delete(key.as_str())).await?.deleted)
    }

    async fn touch(
        &self,
        of: &StashOf,
        key: &Key,
        ttl_ms: Option<u64>,
    ) -> Result<Metadata, Failure> {
        let stash = self.stash(of);
        ask(stash.touch(key.as_str(), &Touch { ttl_ms })).await
    }

    async fn increment(&self, of: &StashOf, request: Increment) -> Result<Number, Failure> {
        let Increment { key, by, ttl_ms } = request;
        let asked = windlass_client::stash::Increment { by, ttl_ms };
        ask(self.stash(of).increment(key.as_str(), &asked)).await
    }

    async fn usage(&self, of: &StashOf) -> Result<Usage, Failure> {
        ask(self.stash(of).usage()).await
    }

    async fn clear(&self, of: &StashOf) -> Result<Removed, Failure> {
        ask(self.stash(of).clear()).await
    }

    async fn reap(&self, of: &StashOf, limit: usize) -> Result<Removed, Failure> {
        let limit = Some(number(limit));
        ask(self.stash(of).reap(&Reap { limit })).await
    }

    async fn reap_due(&self, limit: usize) -> Result<ReapReport, Failure> {
        Ok(self.maintain(limit).await?.stashes)
    }
}
