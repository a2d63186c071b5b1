//! How much of a tenant is stored.

use windlass_core::{AgentId, TenantId};
use windlass_store::Scan;

use crate::engine::{Engine, too_few};
use crate::error::SessionError;
use crate::keys::{AgentKeys, agent_of, agents};
use crate::record::{AgentHead, decode};

impl Engine {
    /// Adds up the heads of a tenant's agents, stepping from one to the next:
    /// one read an agent, however many sessions it has.
    pub(crate) async fn stored(&self, tenant: &TenantId) -> Result<u64, SessionError> {
        let all = agents(tenant);
        let mut rest = all.clone();
        let mut agent: Option<AgentId> = None;
        let mut stored = 0_u64;
        loop {
            let mut scans = vec![Scan::new(rest.clone()).keys().limit(1)];
            if let Some(agent) = &agent {
                let keys = AgentKeys::new(tenant, agent);
                scans.push(Scan::point(keys.head()));
                scans.push(Scan::new(keys.all()).keys().limit(1));
            }
            let pages = self.store.read(&scans).await?;
            let mut found = pages.into_iter().map(|mut page| page.entries.pop());
            let next = found.next().flatten();
            match (found.next().flatten(), found.next().flatten()) {
                (Some(head), _) => {
                    let head: AgentHead = decode("agent head", &head.value)?;
                    stored = stored.saturating_add(head.sessions);
                }
                // It has gone since it was stepped to.
                (None, None) => {}
                (None, Some(_)) => return Err(too_few()),
            }
            let Some(next) = next else {
                return Ok(stored);
            };
            let named = agent_of(&all, &next.key).ok_or_else(too_few)?;
            let behind = AgentKeys::new(tenant, &named).all().end;
            rest.start = behind.expect("a prefix of text has an end");
            agent = Some(named);
        }
    }
}
