//! What a tenant has at a glance: counted as far as it was asked to be, and no
//! further.

use windlass_core::{Millis, SessionId, TenantId};
use windlass_store::limits::READ_ENTRIES_MAX;
use windlass_store::{Entry, Page, Scan};

use crate::above::Alive;
use crate::engine::{Engine, too_few};
use crate::error::SessionError;
use crate::keys::{AgentKeys, agent_of, agents, index_row};
use crate::model::check_range;
use crate::record::{AgentHead, decode};
use crate::sessions::Sessions;

/// Active sessions that are named at most.
const NAMED_MAX: usize = 100;

/// Rows that one tally may look at, most of all.
const ROWS_MAX: usize = 100_000;

/// What a tenant has, as far as it was counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Sessions that are active; at least so many if `more`.
    pub active: u64,
    /// Sessions that are stored, ended ones included until their retention is
    /// over; at least so many if `more`.
    pub stored: u64,
    /// Some of the active ones, those of an agent by when they expire; at most
    /// 100.
    pub some: Vec<SessionId>,
    /// Whether there are agents or active sessions that were not looked at.
    pub more: bool,
    /// Records that cannot be read, and are left out.
    pub unreadable: u64,
    /// What was looked at: agents, active sessions, and those above these.
    pub rows: usize,
}

/// A tally while it is counted.
struct Counting<'a> {
    tenant: &'a TenantId,
    tally: Tally,
    now: Millis,
    alive: Alive,
    /// Rows that may be looked at.
    rows: usize,
}

impl Sessions {
    /// How many sessions a tenant has, and some of those that are active,
    /// looking at no more than `rows` (1 to 100,000) agents, active sessions
    /// and those above these. Two reads an agent, one for each thousand active
    /// sessions, and one for each that others were delegated by. What cannot
    /// be read is left out and counted.
    ///
    /// # Errors
    ///
    /// `Invalid` for `rows` out of range, and the store's failures.
    pub async fn tally(&self, tenant: &TenantId, rows: usize) -> Result<Tally, SessionError> {
        let asked = u64::try_from(rows).unwrap_or(u64::MAX);
        let most = u64::try_from(ROWS_MAX).unwrap_or(u64::MAX);
        check_range("rows", asked, 1, most)?;
        self.engine().tally(tenant, rows).await
    }
}

impl Counting<'_> {
    const fn left(&self) -> usize {
        self.rows.saturating_sub(self.tally.rows)
    }
}

impl Engine {
    async fn tally(&self, tenant: &TenantId, rows: usize) -> Result<Tally, SessionError> {
        let mut counting = Counting {
            tenant,
            tally: Tally::default(),
            now: self.env.now(),
            alive: Alive::default(),
            rows,
        };
        let all = agents(tenant);
        let mut rest = Scan::new(all.clone());
        loop {
            let scan = [rest.clone().keys().limit(1)];
            let found = self.store.read(&scan).await?;
            let Some(row) = found.into_iter().flat_map(|page| page.entries).next() else {
                return Ok(counting.tally);
            };
            if counting.left() == 0 {
                counting.tally.more = true;
                return Ok(counting.tally);
            }
            counting.tally.rows += 1;
            let Some(agent) = agent_of(&all, &row.key) else {
                counting.tally.unreadable += 1;
                rest = rest.after(&row.key);
                continue;
            };
            let keys = AgentKeys::new(tenant, &agent);
            self.tally_agent(&keys, &mut counting).await?;
            rest.range.start = keys.all().end.expect("a prefix of text has an end");
        }
    }

    async fn tally_agent(
        &self,
        keys: &AgentKeys,
        counting: &mut Counting<'_>,
    ) -> Result<(), SessionError> {
        let mut scan = keys.active_at(counting.now);
        let mut head = Some(Scan::point(keys.head()));
        loop {
            let limit = counting.left().min(READ_ENTRIES_MAX / 2);
            // One more than may be counted tells whether there is more.
            let page = scan.clone().limit(limit + 1);
            let scans: Vec<Scan> = [page].into_iter().chain(head.take()).collect();
            let mut pages = self.store.read(&scans).await?.into_iter();
            let active = pages.next().unwrap_or_default();
            if let Some(head) = pages.next() {
                self.tally_head(keys, head, counting).await?;
            }
            let Page { entries, more } = active;
            let rows = &entries[..entries.len().min(limit)];
            let mut looked = 0;
            while let Some(row) = rows.get(looked).filter(|_| counting.left() > 0) {
                self.tally_row(row, counting).await?;
                looked += 1;
            }
            let is_more = more || entries.len() > looked;
            match rows.last() {
                _ if !is_more => return Ok(()),
                Some(last) if counting.left() > 0 => scan = scan.after(&last.key),
                _ => {
                    counting.tally.more = true;
                    return Ok(());
                }
            }
        }
    }

    async fn tally_head(
        &self,
        keys: &AgentKeys,
        found: Page,
        counting: &mut Counting<'_>,
    ) -> Result<(), SessionError> {
        let stored = match found.entries.first() {
            Some(row) => decode::<AgentHead>("agent head", &row.value).map(Some),
            None => self.head_again(keys).await,
        };
        match stored {
            Ok(head) => {
                let sessions = head.map_or(0, |head| head.sessions);
                counting.tally.stored = counting.tally.stored.saturating_add(sessions);
            }
            Err(SessionError::Corrupt { .. }) => counting.tally.unreadable += 1,
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// The head of an agent that was not there; `None` if no row of it is left.
    async fn head_again(&self, keys: &AgentKeys) -> Result<Option<AgentHead>, SessionError> {
        let any = Scan::new(keys.all()).keys().limit(1);
        let pages = self.store.read(&[Scan::point(keys.head()), any]).await?;
        let mut found = pages.into_iter().map(|mut page| page.entries.pop());
        match (found.next().flatten(), found.next().flatten()) {
            (Some(head), _) => Ok(Some(decode("agent head", &head.value)?)),
            (None, None) => Ok(None),
            (None, Some(_)) => Err(too_few()),
        }
    }

    async fn tally_row(
        &self,
        row: &Entry,
        counting: &mut Counting<'_>,
    ) -> Result<(), SessionError> {
        let (tenant, before) = (counting.tenant, counting.alive.reads());
        let is_active = self.is_active(tenant, row, &mut counting.alive).await;
        counting.tally.rows += 1 + (counting.alive.reads() - before);
        let named = match (is_active, index_row(&row.key)) {
            (Ok(false), _) => return Ok(()),
            (Ok(true), Some((_, id))) => id,
            (Ok(true), None) | (Err(SessionError::Corrupt { .. }), _) => {
                counting.tally.unreadable += 1;
                return Ok(());
            }
            (Err(error), _) => return Err(error),
        };
        counting.tally.active += 1;
        if counting.tally.some.len() < NAMED_MAX {
            counting.tally.some.push(named);
        }
        Ok(())
    }
}
