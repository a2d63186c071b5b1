//! Closing every active session of an agent, in bounded commits.

use std::sync::Arc;

use windlass_store::Commit;

use crate::engine::{Engine, Loaded};
use crate::error::SessionError;
use crate::keys::{AgentKeys, SessionKeys, last_id};
use crate::limits::COMMIT_CLOSES_MAX;
use crate::plan::{Plan, Request, ending};
use crate::rules::Change;
use crate::writers::WriterId;

/// Closing an agent's sessions stopped before the last one.
#[derive(Clone, Debug, thiserror::Error)]
#[error("only {closed} of the agent's sessions were closed; call again for the rest")]
pub struct CloseAgentError {
    /// How many are closed and stored.
    pub closed: u64,
    /// Why the next ones could not be.
    #[source]
    pub cause: SessionError,
}

impl Engine {
    pub(crate) async fn close_agent(
        self: &Arc<Self>,
        agent: &AgentKeys,
    ) -> Result<u64, CloseAgentError> {
        let mut closed = 0;
        let mut lost = 0;
        loop {
            match self.close_some(agent).await {
                Ok(Step::Nothing) => return Ok(closed),
                Ok(Step::Closed(count)) => {
                    closed += count;
                    lost = 0;
                }
                Ok(Step::Lost) => {
                    lost += 1;
                    self.back_off(lost)
                        .await
                        .map_err(|cause| CloseAgentError { closed, cause })?;
                }
                Err(cause) => return Err(CloseAgentError { closed, cause }),
            }
        }
    }

    /// Closes up to 32 sessions in one commit.
    async fn close_some(&self, agent: &AgentKeys) -> Result<Step, SessionError> {
        let writer = WriterId::draw(self.env.as_ref())?;
        let now = self.env.now();
        // The head is read first: whatever changes the index after this
        // changes the head too, and the commit conflicts.
        let Some(head) = self.agent_head(agent).await? else {
            return Ok(Step::Nothing);
        };
        let scan = agent.active_at(now).limit(COMMIT_CLOSES_MAX);
        let pages = self.store.read(std::slice::from_ref(&scan)).await?;
        let rows = pages.into_iter().next().unwrap_or_default().entries;
        if rows.is_empty() {
            return Ok(Step::Nothing);
        }
        let mut sessions: Vec<(SessionKeys, Loaded)> = Vec::with_capacity(rows.len());
        for id in rows.iter().filter_map(|row| last_id(&row.key)) {
            let keys = SessionKeys::new(&agent.tenant, &id);
            let Some(loaded) = self.load(&keys).await? else {
                return Ok(Step::Lost);
            };
            if loaded.head.ended.is_some() {
                return Ok(Step::Lost);
            }
            sessions.push((keys, loaded));
        }
        let ended: Vec<(&SessionKeys, &Loaded)> = sessions
            .iter()
            .map(|(keys, loaded)| (keys, loaded))
            .collect();
        let mut batch = ending(&ended, agent, head, &writer)?;
        let requests = [Request {
            change: Change::Close,
            operation: None,
        }];
        for (keys, loaded) in &sessions {
            let mut plan = Plan::decide(loaded, self.terms(), now, requests.iter().enumerate());
            plan.stamp(loaded, &writer, self.terms());
            batch.append(plan.batch(loaded, keys, &requests));
        }
        match self.store.commit(batch).await? {
            Commit::Applied(_) => Ok(Step::Closed(
                u64::try_from(sessions.len()).unwrap_or(u64::MAX),
            )),
            Commit::Conflict { .. } => Ok(Step::Lost),
        }
    }
}

enum Step {
    Nothing,
    Closed(u64),
    Lost,
}
