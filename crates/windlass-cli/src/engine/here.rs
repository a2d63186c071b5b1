//! A store that this process has open.

use async_trait::async_trait;
use serde_json::value::RawValue;
use windlass::Windlass;
use windlass::core::{AgentId, Millis, OperationId, SessionId};
use windlass::session::{
    Caller, Create, Delegate, ListQuery, SessionError, Settle, TopUp, TreeQuery, Use,
};
use windlass::stash::durable::{Execution, Once, Stash};
use windlass::stash::{self, Increment, Key, KeyQuery, Put};
use windlass_client::page::{Order, PageQuery};
use windlass_client::session::{
    EventsQuery, HistoryPage, Left, ListSessions, Receipt, Session, SessionPage, TreeNode, TreePage,
};
use windlass_client::stash::{
    Entry, KeyInfo, KeyPage, KeysQuery, Metadata, Number, Removed, Usage,
};
use windlass_client::store::{Due, ReapReport, SweepReport};

use super::{Cap, Engine, StashOf, alike, count, number};
use crate::failure::{CommandError, Failure};
use crate::session::arguments::id;

/// An open store, and who calls.
#[derive(Debug)]
pub(crate) struct Here {
    windlass: Windlass,
    caller: Caller,
}

impl Here {
    pub(crate) const fn new(windlass: Windlass, caller: Caller) -> Self {
        Self { windlass, caller }
    }

    pub(super) const fn windlass(&self) -> &Windlass {
        &self.windlass
    }

    pub(super) const fn caller(&self) -> &Caller {
        &self.caller
    }

    fn stash(&self, of: &StashOf) -> Stash {
        let stashes = self.windlass.stashes();
        stashes.stash(&self.caller.tenant, &of.session)
    }

    fn execution(&self, of: &StashOf) -> Execution {
        let execution = self.stash(of).execution(of.group.clone());
        let principal = &self.caller.principal;
        match &of.operation {
            Some(operation) => execution.once(Once::new(principal.clone(), operation.clone())),
            None => execution,
        }
    }
}

fn listing(query: &ListSessions) -> Result<ListQuery, Failure> {
    Ok(ListQuery {
        agent: query.agent.as_deref().map(id).transpose()?,
        status: query.status.map(|status| alike(&status)),
        created_from: Millis::new(query.created_from.unwrap_or(0)),
        created_until: Millis::new(query.created_until.unwrap_or(u64::MAX)),
        newest_first: query.order == Some(Order::Newest),
        limit: count(query.limit),
        after: query.cursor.as_deref().map(str::parse).transpose()?,
    })
}

fn removed(removed: stash::Removed) -> Removed {
    Removed {
        removed: removed.removed,
        bytes: removed.bytes,
        truncated: removed.truncated,
    }
}

#[async_trait]
impl Engine for Here {
    async fn create(&self, request: Create, cap: Cap) -> Result<Session, Failure> {
        let sessions = self.windlass.sessions();
        let created = match cap {
            Cap::AtMost(cap) => sessions.create_under_cap(&self.caller, request, cap).await,
            Cap::None => sessions.create(&self.caller, request).await,
        };
        Ok(alike(&created?))
    }

    async fn delegate(
        &self,
        parent: &SessionId,
        request: Delegate,
        cap: Cap,
    ) -> Result<Session, Failure> {
        let (sessions, caller) = (self.windlass.sessions(), &self.caller);
        let created = match cap {
            Cap::AtMost(cap) => {
                let delegated = sessions.delegate_under_cap(caller, parent, request, cap);
                delegated.await
            }
            Cap::None => sessions.delegate(caller, parent, request).await,
        };
        Ok(alike(&created?))
    }

    async fn use_tools(&self, id: &SessionId, request: Use) -> Result<Receipt, Failure> {
        let used = self
            .windlass
            .sessions()
            .use_tools(&self.caller, id, request);
        Ok(alike(&used.await?))
    }

    async fn settle(&self, id: &SessionId, request: Settle) -> Result<Left, Failure> {
        let settled = self.windlass.sessions().settle(&self.caller, id, request);
        Ok(alike(&settled.await?))
    }

    async fn top_up(&self, id: &SessionId, request: TopUp) -> Result<Session, Failure> {
        let raised = self.windlass.sessions().top_up(&self.caller, id, request);
        Ok(alike(&raised.await?))
    }

    async fn close(
        &self,
        id: &SessionId,
        operation: Option<OperationId>,
    ) -> Result<Session, Failure> {
        let closed = self.windlass.sessions().close(&self.caller, id, operation);
        Ok(alike(&closed.await?))
    }

    async fn close_agent(&self, agent: &AgentId) -> Result<u64, Failure> {
        let closed = self.windlass.sessions().close_agent(&self.caller, agent);
        Ok(closed.await.map_err(CommandError::CloseAgent)?)
    }

    async fn count_active(&self, agent: &AgentId) -> Result<u64, Failure> {
        let sessions = self.windlass.sessions();
        Ok(sessions.count_active(&self.caller, agent).await?)
    }

    async fn session(&self, id: &SessionId) -> Result<Session, Failure> {
        let found = self.windlass.sessions().get(&self.caller, id).await?;
        Ok(alike(&found.ok_or(SessionError::NotFound)?))
    }

    async fn sessions(&self, query: &ListSessions) -> Result<SessionPage, Failure> {
        let query = listing(query)?;
        let page = self.windlass.sessions().list(&self.caller, &query).await?;
        Ok(SessionPage {
            sessions: alike(&page.sessions),
            next_cursor: page.next.map(|next| next.to_string()),
            unreadable: alike(&page.unreadable),
        })
    }

    async fn tree(&self, root: &SessionId, query: &PageQuery) -> Result<TreePage, Failure> {
        let query = TreeQuery {
            limit: count(query.limit),
            after: query.cursor.as_deref().map(str::parse).transpose()?,
        };
        let sessions = self.windlass.sessions();
        let page = sessions.tree(&self.caller, root, &query).await?;
        let page = page.ok_or(SessionError::NotFound)?;
        let nodes: Vec<TreeNode> = alike(&page.nodes);
        Ok(TreePage {
            nodes,
            next_cursor: page.next.map(|next| next.to_string()),
            unreadable: alike(&page.unreadable),
        })
    }

    async fn history(&self, id: &SessionId, query: &EventsQuery) -> Result<HistoryPage, Failure> {
        let (after, limit) = (query.after.unwrap_or(0), count(query.limit));
        let sessions = self.windlass.sessions();
        let page = sessions.history(&self.caller, id, after, limit).await?;
        let page = page.ok_or(SessionError::NotFound)?;
        Ok(HistoryPage {
            events: alike(&page.events),
            more: page.more,
        })
    }

    async fn due(&self, limit: usize) -> Result<Due, Failure> {
        let due = self.windlass.due(limit).await?;
        Ok(Due {
            entries: number(due.entries),
            more: due.more,
        })
    }

    async fn sweep(&self, limit: usize) -> Result<SweepReport, Failure> {
        Ok(alike(&self.windlass.sessions().sweep(limit).await?))
    }

    async fn entry(&self, of: &StashOf, key: &Key) -> Result<Entry, Failure> {
        let found = self.execution(of).entry(key).await?;
        let entry = found.ok_or(CommandError::NoEntry)?;
        let value = RawValue::from_string(entry.value.as_json().to_owned());
        Ok(Entry {
            key: key.to_string(),
            value: value.expect("a value is JSON"),
            ttl_left_ms: entry.ttl_left_ms,
            metadata: alike(&entry.metadata),
        })
    }

    async fn put(&self, of: &StashOf, put: Put) -> Result<Metadata, Failure> {
        Ok(alike(&self.execution(of).store(put).await?))
    }

    async fn keys(&self, of: &StashOf, query: &KeysQuery) -> Result<KeyPage, Failure> {
        let query = KeyQuery {
            prefix: query.prefix.clone().unwrap_or_default(),
            after: query.cursor.as_deref().map(str::parse).transpose()?,
            limit: count(query.limit),
        };
        let page = self.execution(of).keys(&query).await?;
        let last = page.keys.last().filter(|_| page.more);
        let next_cursor = last.map(|(key, _)| key.to_string());
        let keys = page.keys.iter().map(|(key, metadata)| KeyInfo {
            key: key.to_string(),
            metadata: alike(metadata),
        });
        Ok(KeyPage {
            keys: keys.collect(),
            next_cursor,
        })
    }

    async fn delete(&self, of: &StashOf, key: &Key) -> Result<bool, Failure> {
        Ok(self.execution(of).delete(key).await?)
    }

    async fn touch(
        &self,
        of: &StashOf,
        key: &Key,
        ttl_ms: Option<u64>,
    ) -> Result<Metadata, Failure> {
        let touched = self.execution(of).touch(key, ttl_ms).await?;
        Ok(alike(&touched.ok_or(CommandError::NoEntry)?))
    }

    async fn increment(&self, of: &StashOf, request: Increment) -> Result<Number, Failure> {
        let Increment { key, by, ttl_ms } = request;
        let number = self.execution(of).increment(&key, by, ttl_ms).await?;
        Ok(Number {
            value: number.value,
            metadata: alike(&number.metadata),
        })
    }

    async fn usage(&self, of: &StashOf) -> Result<Usage, Failure> {
        Ok(alike(&self.stash(of).usage().await?))
    }

    async fn clear(&self, of: &StashOf) -> Result<Removed, Failure> {
        Ok(removed(self.execution(of).clear().await?))
    }

    async fn reap(&self, of: &StashOf, limit: usize) -> Result<Removed, Failure> {
        let reaped = self.stash(of).reap_expired(Some(number(limit))).await?;
        Ok(removed(reaped))
    }

    async fn reap_due(&self, limit: usize) -> Result<ReapReport, Failure> {
        Ok(alike(&self.windlass.stashes().reap_due(limit).await?))
    }
}
