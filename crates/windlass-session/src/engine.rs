//! What all drivers of the session part share: the store, the environment,
//! the settings, and how records are loaded.

use std::sync::Arc;

use windlass_core::{AgentId, Env, Millis, PrincipalId, SessionId, back_off};
use windlass_store::{Bookmark, Entry, Scan, Store, StoreExt, Version};

use crate::above::Alive;
use crate::config::Config;
use crate::error::SessionError;
use crate::keys::{AgentKeys, SessionKeys};
use crate::limits::ROUNDS_MAX;
use crate::memory::Memory;
use crate::record::{AgentHead, Ended, Figures, Head, Spec, decode, decode_pair};
use crate::rules::Terms;
use crate::view::{Session, Status};

/// The surroundings of every driver.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) env: Arc<dyn Env>,
    pub(crate) config: Config,
    pub(crate) bookmark: Bookmark,
    /// The store once more, where what is known of it needs no read.
    pub(crate) memory: Option<Arc<Memory>>,
}

/// A session's records as they were at one point in time.
#[derive(Clone, Debug)]
pub(crate) struct Loaded {
    pub(crate) spec: Arc<Spec>,
    pub(crate) head: Head,
    pub(crate) version: Version,
    pub(crate) clamped: Vec<&'static str>,
    /// Those who pay for it, its parent first; of a session that is no part
    /// of a tree, or that was read alone, none.
    pub(crate) payers: Vec<Payer>,
    /// The session above that ended it.
    pub(crate) cut: Option<Cut>,
}

/// A session above, as far as it pays for the one that was loaded.
#[derive(Clone, Debug)]
pub(crate) struct Payer {
    pub(crate) keys: SessionKeys,
    pub(crate) head: Head,
    pub(crate) version: Version,
}

/// The end of a session through one above it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    pub(crate) through: SessionId,
    pub(crate) ended: Ended,
}

impl Loaded {
    /// Whether it is gone for everybody but upkeep.
    pub(crate) const fn is_removing(&self) -> bool {
        self.head.is_removing()
    }
}

impl Engine {
    pub(crate) const fn terms(&self) -> Terms {
        Terms {
            retention_ms: self.config.retention_ms,
            reservation_ms: self.config.reservation_ms,
        }
    }

    /// Head and spec in one read, and what is above in another; `None` if
    /// there is no such session. One that is being removed is still there.
    ///
    /// Two points and not one scan: a store may cut a page short, and head
    /// and spec must be of one point in time.
    pub(crate) async fn load_any(
        &self,
        keys: &SessionKeys,
    ) -> Result<Option<Loaded>, SessionError> {
        let loaded = self.load_alone(keys).await?;
        self.with_above(keys, loaded).await
    }

    /// What was loaded alone, with what is above it.
    pub(crate) async fn with_above(
        &self,
        keys: &SessionKeys,
        alone: Option<Loaded>,
    ) -> Result<Option<Loaded>, SessionError> {
        match alone {
            Some(loaded) if !loaded.spec.above.is_empty() => {
                self.load_above(keys, loaded).await.map(Some)
            }
            other => Ok(other),
        }
    }

    /// Head and spec, and nothing of the tree it is part of.
    pub(crate) async fn load_alone(
        &self,
        keys: &SessionKeys,
    ) -> Result<Option<Loaded>, SessionError> {
        let head = keys.head();
        let memory = self.memory.as_ref();
        let before = memory.map(|memory| (memory, memory.moment(head.clone())));
        let scans = [Scan::point(head), Scan::point(keys.spec())];
        let pages = self.store.read(&scans).await?;
        let entries: Vec<Entry> = pages.into_iter().flat_map(|page| page.entries).collect();
        let loaded = decode_entries(keys, &entries)?;
        if let (Some((memory, moment)), Some(loaded)) = (before, &loaded) {
            memory.offer(moment, loaded);
        }
        Ok(loaded)
    }

    /// A session as it is stored now, if that is known without a read.
    pub(crate) fn known(&self, keys: &SessionKeys) -> Option<Arc<Loaded>> {
        self.memory.as_ref()?.loaded(&keys.head())
    }

    /// Whether a session's head is known to have this version now.
    pub(crate) fn is_current(&self, keys: &SessionKeys, version: Version) -> bool {
        let memory = self.memory.as_ref();
        memory.is_some_and(|memory| memory.is_current(&keys.head(), version))
    }

    pub(crate) async fn agent_head(
        &self,
        keys: &AgentKeys,
    ) -> Result<Option<(AgentHead, Version)>, SessionError> {
        let Some(entry) = self.store.get(keys.head()).await? else {
            return Ok(None);
        };
        Ok(Some((decode("agent head", &entry.value)?, entry.version)))
    }

    /// The head of a session's agent at a point in time at which the
    /// session's own head still had `version`; `None` if it has not any more.
    pub(crate) async fn agent_head_beside(
        &self,
        keys: &SessionKeys,
        version: Version,
        agent: &AgentKeys,
    ) -> Result<Option<(AgentHead, Version)>, SessionError> {
        let scans = [Scan::point(keys.head()).keys(), Scan::point(agent.head())];
        let mut entries = self.store.read(&scans).await?.into_iter();
        let mut first = || {
            entries
                .next()
                .and_then(|page| page.entries.into_iter().next())
        };
        let (session, head) = (first(), first());
        if session.map(|entry| entry.version) != Some(version) {
            return Ok(None);
        }
        let entry = head.ok_or_else(too_few)?;
        Ok(Some((decode("agent head", &entry.value)?, entry.version)))
    }

    /// How many of an agent's sessions are active at `now`, those of one
    /// principal only if it is given. Costs one read for each thousand, one
    /// for each session with delegated ones of this agent below it, and one
    /// for each 16 where the principal matters.
    pub(crate) async fn count_active(
        &self,
        keys: &AgentKeys,
        only_of: Option<&PrincipalId>,
        now: Millis,
    ) -> Result<u64, SessionError> {
        let mut scan = keys.active_at(now);
        let mut count = 0;
        let mut alive = Alive::default();
        loop {
            let pages = self.store.read(std::slice::from_ref(&scan)).await?;
            let mut page = pages.into_iter().next().unwrap_or_default();
            let last = page.entries.last().map(|row| row.key.clone());
            if let Some(principal) = only_of {
                page.entries = self.rows_of(principal, &keys.tenant, page.entries).await?;
            }
            for row in &page.entries {
                count += u64::from(self.is_active(&keys.tenant, row, &mut alive).await?);
            }
            match last {
                Some(last) if page.more => scan = scan.after(&last),
                _ => return Ok(count),
            }
        }
    }

    /// Waits a random while after lost races, longer after more of them, and
    /// gives up after too many.
    pub(crate) async fn back_off(&self, lost: u32) -> Result<(), SessionError> {
        if lost >= ROUNDS_MAX {
            return Err(SessionError::Busy);
        }
        Ok(back_off(self.env.as_ref(), lost).await?)
    }
}

pub(crate) fn too_few() -> SessionError {
    SessionError::corrupt("agent head", "it counts fewer sessions than there are")
}

/// The records of `keys` among `entries`, removed half way or not.
pub(crate) fn decode_entries(
    keys: &SessionKeys,
    entries: &[Entry],
) -> Result<Option<Loaded>, SessionError> {
    let (head_key, spec_key) = (keys.head(), keys.spec());
    let head = entries.iter().find(|entry| entry.key == head_key);
    let spec = entries.iter().find(|entry| entry.key == spec_key);
    let (head_entry, spec_entry) = match (head, spec) {
        (None, None) => return Ok(None),
        (Some(head), Some(spec)) => (head, spec),
        (Some(_), None) => return Err(SessionError::corrupt("session spec", "it is missing")),
        (None, Some(_)) => return Err(SessionError::corrupt("session head", "it is missing")),
    };
    let (head, spec, clamped) = decode_pair(&head_entry.value, &spec_entry.value)?;
    Ok(Some(Loaded {
        spec: Arc::new(spec),
        head,
        version: head_entry.version,
        clamped,
        payers: Vec::new(),
        cut: None,
    }))
}

/// A session as callers see it at `now`, but for what is above it.
pub(crate) fn view(
    keys: &SessionKeys,
    spec: &Spec,
    figures: &Figures,
    clamped: Vec<&'static str>,
    now: Millis,
) -> Session {
    let expires_at = spec.expires_at();
    let (status, ended_at) = match figures.ended {
        Some(Ended::Closed(at) | Ended::Removing(at)) => (Status::Closed, Some(at)),
        Some(Ended::Expired(at)) => (Status::Expired, Some(at)),
        None if expires_at.has_passed(now.max(figures.at)) => (Status::Expired, Some(expires_at)),
        None => (Status::Active, None),
    };
    Session {
        id: keys.id.clone(),
        revision: figures.rev,
        tenant: keys.tenant.clone(),
        principal: spec.principal.clone(),
        agent: spec.agent.clone(),
        parent: spec.parent.clone(),
        above: spec.above.clone(),
        shared: spec.shared,
        chain: spec.chain.clone(),
        intent: spec.intent.clone(),
        tools: spec.tools.clone(),
        credentials: spec.credentials.clone(),
        ceiling: spec.ceiling,
        rate: spec.rate,
        created_at: spec.created_at,
        expires_at,
        status,
        ended_at,
        ended_through: None,
        budget: figures.readings(),
        calls_made: figures.made,
        reservations_open: figures.open,
        changed_at: figures.at,
        clamped,
    }
}

/// The keys of the agent a spec names.
pub(crate) fn agent_keys(keys: &SessionKeys, agent: &AgentId) -> AgentKeys {
    AgentKeys::new(&keys.tenant, agent)
}
