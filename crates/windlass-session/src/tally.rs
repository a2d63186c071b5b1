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
}

/// A tally while it is counted.
struct Counting<'a> {
    tenant: &'a TenantId,
    tally: Tally,
    now: Millis,
    alive: Alive,
    /// Rows that may still be looked at.
    left: usize,
}

impl Sessions {
    /// How many sessions a tenant has, and some of those that are active,
    /// looking at no more than `rows` (1 to 100,000) agents and active
    /// sessions. One read an agent, one for each thousand active sessions,
    /// and one for each that others were delegated by.
    ///
    /// # Errors
    ///
    /// `Invalid` for `rows` out of range, `Corrupt` if an agent's record
    /// cannot be read, and the store's failures.
    pub async fn tally(&self, tenant: &TenantId, rows: usize) -> Result<Tally, SessionError> {
        let asked = u64::try_from(rows).unwrap_or(u64::MAX);
        let most = u64::try_from(ROWS_MAX).unwrap_or(u64::MAX);
        check_range("rows", asked, 1, most)?;
        self.engine().tally(tenant, rows).await
    }
}

impl Engine {
    async fn tally(&self, tenant: &TenantId, rows: usize) -> Result<Tally, SessionError> {
        let mut counting = Counting {
            tenant,
            tally: Tally::default(),
            now: self.env.now(),
            alive: Alive::default(),
            left: rows,
        };
        let all = agents(tenant);
        let mut rest = all.clone();
        loop {
            let scan = [Scan::new(rest.clone()).keys().limit(1)];
            let found = self.store.read(&scan).await?;
            let Some(row) = found.into_iter().flat_map(|page| page.entries).next() else {
                return Ok(counting.tally);
            };
            if counting.left == 0 {
                counting.tally.more = true;
                return Ok(counting.tally);
            }
            counting.left -= 1;
            let agent = agent_of(&all, &row.key).ok_or_else(too_few)?;
            let keys = AgentKeys::new(tenant, &agent);
            self.tally_agent(&keys, &mut counting).await?;
            rest.start = keys.all().end.expect("a prefix of text has an end");
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
            let limit = counting.left.min(READ_ENTRIES_MAX / 2);
            // One more than may be counted tells whether there is more.
            let page = scan.clone().limit(limit + 1);
            let scans: Vec<Scan> = [page].into_iter().chain(head.take()).collect();
            let mut pages = self.store.read(&scans).await?.into_iter();
            let active = pages.next().unwrap_or_default();
            if let Some(head) = pages
                .next()
                .and_then(|page| page.entries.into_iter().next())
            {
                let head: AgentHead = decode("agent head", &head.value)?;
                counting.tally.stored = counting.tally.stored.saturating_add(head.sessions);
            }
            let Page { entries, more } = active;
            let rows = &entries[..entries.len().min(limit)];
            for row in rows {
                self.tally_row(row, counting).await?;
            }
            counting.left -= rows.len();
            let is_more = more || entries.len() > limit;
            match rows.last() {
                _ if !is_more => return Ok(()),
                Some(last) if counting.left > 0 => scan = scan.after(&last.key),
                _ => {
                    counting.tally.more = true;
                    return Ok(());
                }
            }
        }
    }

    async fn tally_row(
        &self,
        row: &Entry,
        counting: &mut Counting<'_>,
    ) -> Result<(), SessionError> {
        let tenant = counting.tenant;
        if !self.is_active(tenant, row, &mut counting.alive).await? {
            return Ok(());
        }
        counting.tally.active += 1;
        if counting.tally.some.len() < NAMED_MAX {
            let named = index_row(&row.key).map(|(_, id)| id);
            counting.tally.some.extend(named);
        }
        Ok(())
    }
}
