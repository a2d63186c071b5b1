//! Closing every active session of an agent, in bounded commits.

use std::sync::Arc;

use bytes::Bytes;
use windlass_core::{AgentId, Coded, ErrorKind, Millis};
use windlass_store::{Commit, Scan, Version};

use crate::caller::Caller;
use crate::engine::{Engine, Loaded, too_few};
use crate::error::SessionError;
use crate::heard::tell_of_agent;
use crate::keys::{AgentKeys, SessionKeys, index_row};
use crate::limits::COMMIT_CLOSES_MAX;
use crate::plan::{Plan, Request, ending};
use crate::record::{AgentHead, decode};
use crate::rules::Change;
use crate::sessions::Sessions;
use crate::writers::WriterId;

/// Closing an agent's sessions left some of them open.
#[derive(Clone, Debug, thiserror::Error)]
#[error("only {closed} of the agent's sessions were closed; call again for the rest")]
pub struct CloseAgentError {
    /// How many are closed and stored. Where the cause is `Indeterminate`, up
    /// to 32 more may be.
    pub closed: u64,
    /// Why others could not be. One that is damaged hinders no other.
    #[source]
    pub cause: SessionError,
}

/// Told of each session that is written past its cell: what the cell
/// remembers of it is out of date.
pub(crate) type Forget<'a> = &'a (dyn Fn(&SessionKeys) + Sync);

impl Coded for CloseAgentError {
    /// The code of what stopped it.
    fn code(&self) -> &'static str {
        self.cause.code()
    }

    fn kind(&self) -> ErrorKind {
        self.cause.kind()
    }
}

impl Sessions {
    /// Closes the agent's active sessions, as far as the caller can reach
    /// them, up to 32 in a commit, and says how many. Can be repeated.
    ///
    /// # Errors
    ///
    /// [`CloseAgentError`] with the number that is closed and stored. A
    /// session that cannot be read is the error, once all others are closed.
    pub async fn close_agent(
        &self,
        caller: &Caller,
        agent: &AgentId,
    ) -> Result<u64, CloseAgentError> {
        let forget = |keys: &SessionKeys| self.drop_cell(keys);
        let closed = self.engine().close_agent(caller, agent, &forget).await;
        tell_of_agent(&self.ear, caller, agent, &closed);
        closed
    }
}

impl Engine {
    pub(crate) async fn close_agent(
        self: &Arc<Self>,
        caller: &Caller,
        agent: &AgentId,
        forget: Forget<'_>,
    ) -> Result<u64, CloseAgentError> {
        let agent = AgentKeys::new(&caller.tenant, agent);
        let mut closed = 0;
        let mut lost = 0;
        let mut walk = Walk::default();
        loop {
            let failed = match self.close_some(caller, &agent, &mut walk, forget).await {
                Ok(Step::Closed(count)) => {
                    closed += count;
                    lost = 0;
                    continue;
                }
                Ok(Step::Lost) => {
                    lost += 1;
                    self.back_off(lost).await.err()
                }
                Ok(Step::Nothing) => match walk.unreadable.take() {
                    Some(cause) => Some(cause),
                    None => return Ok(closed),
                },
                Err(cause) => Some(cause),
            };
            if let Some(cause) = failed {
                return Err(CloseAgentError { closed, cause });
            }
        }
    }

    /// Closes up to 32 sessions in one commit.
    async fn close_some(
        &self,
        caller: &Caller,
        agent: &AgentKeys,
        walk: &mut Walk,
        forget: Forget<'_>,
    ) -> Result<Step, SessionError> {
        let now = self.env.now();
        let scan = agent.active_at(now).keys().limit(COMMIT_CLOSES_MAX);
        let scan = match &walk.after {
            Some(key) => scan.after(key),
            None => scan,
        };
        // Head and index of one point in time: whatever changes the index
        // after it changes the head too, and the commit conflicts.
        let pages = self.store.read(&[Scan::point(agent.head()), scan]).await?;
        let mut pages = pages.into_iter().map(|page| page.entries);
        let head = pages.next().and_then(|entries| entries.into_iter().next());
        let rows = pages.next().unwrap_or_default();
        let Some(last) = rows.last() else {
            return Ok(Step::Nothing);
        };
        let head = head.ok_or_else(too_few)?;
        let head = (decode("agent head", &head.value)?, head.version);
        let mut sessions: Vec<(SessionKeys, Loaded)> = Vec::with_capacity(rows.len());
        let mut unreadable = None;
        for row in &rows {
            match self.active_session(caller, agent, &row.key).await {
                Ok(session) => sessions.extend(session),
                Err(error) if error.kind() == ErrorKind::Corrupt => unreadable = Some(error),
                Err(error) => return Err(error),
            }
        }
        if unreadable.is_some() && self.agent_version(agent).await? != Some(head.1) {
            // Not damage, but a session that ended while it was looked at.
            return Ok(Step::Lost);
        }
        let step = self
            .close_these(agent, head, &sessions, now, forget)
            .await?;
        let left = sessions.len() < rows.len();
        if let (true, Step::Closed(_)) = (left, &step) {
            walk.unreadable = walk.unreadable.take().or(unreadable);
            walk.after = Some(last.key.clone());
        }
        Ok(step)
    }

    /// The session that a row of the index of active ones names; `None` if it
    /// is out of the caller's reach.
    async fn active_session(
        &self,
        caller: &Caller,
        agent: &AgentKeys,
        row: &[u8],
    ) -> Result<Option<(SessionKeys, Loaded)>, SessionError> {
        let wrong = |why: &str| SessionError::corrupt("index of active sessions", why);
        let (_, id) = index_row(row).ok_or_else(|| wrong("a key names no session"))?;
        let keys = SessionKeys::new(&agent.tenant, &id);
        let alone = match self.load_alone(&keys).await {
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                let foreign = self.is_foreign(caller, &keys).await?;
                return if foreign { Ok(None) } else { Err(error) };
            }
            found => found?,
        };
        if let Some(found) = &alone
            && !found.spec.is_open_to(caller.only_of())
        {
            return Ok(None);
        }
        let found = self.with_above(&keys, alone).await?;
        let found = found.filter(|loaded| !loaded.is_removing());
        let loaded = found.ok_or_else(|| wrong("it names a session that is not there"))?;
        if loaded.head.ended.is_some() {
            return Err(wrong("it names a session that ended"));
        }
        Ok(Some((keys, loaded)))
    }

    async fn agent_version(&self, agent: &AgentKeys) -> Result<Option<Version>, SessionError> {
        Ok(self.agent_head(agent).await?.map(|(_, version)| version))
    }

    async fn close_these(
        &self,
        agent: &AgentKeys,
        head: (AgentHead, Version),
        sessions: &[(SessionKeys, Loaded)],
        now: Millis,
        forget: Forget<'_>,
    ) -> Result<Step, SessionError> {
        if sessions.is_empty() {
            return Ok(Step::Closed(0));
        }
        let writer = WriterId::draw(self.env.as_ref())?;
        let ended: Vec<(&SessionKeys, &Loaded)> = sessions
            .iter()
            .map(|(keys, loaded)| (keys, loaded))
            .collect();
        let mut batch = ending(&ended, agent, head, &writer)?;
        let requests = [Request::unbound(Change::Cut(now))];
        for (keys, loaded) in sessions {
            let mut plan = Plan::decide(loaded, self.terms(), now, requests.iter().enumerate());
            plan.stamp(loaded, &writer, self.terms());
            batch.append(plan.batch(loaded, keys, &requests));
        }
        let committed = self.store.commit(batch).await;
        for (keys, _) in sessions {
            forget(keys);
        }
        match committed? {
            Commit::Applied(_) => Ok(Step::Closed(
                u64::try_from(sessions.len()).unwrap_or(u64::MAX),
            )),
            Commit::Conflict { .. } => Ok(Step::Lost),
        }
    }
}

/// How far closing an agent's sessions has come.
#[derive(Debug, Default)]
struct Walk {
    /// Everything up to here is closed, cannot be read, or is out of reach.
    after: Option<Bytes>,
    /// The first session that cannot be read; the others are closed all the
    /// same.
    unreadable: Option<SessionError>,
}

#[derive(Debug)]
enum Step {
    Nothing,
    Closed(u64),
    Lost,
}
