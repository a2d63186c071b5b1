//! How much a tenant's stashes hold.

use serde::Serialize;
use windlass_core::{SessionId, TenantId};
use windlass_store::Scan;

use super::keys::{StashKeys, session_of, stashes};
use super::record::{Head, corrupt, decode};
use super::stashes::Stashes;
use crate::error::StashError;

/// What the stashes of a tenant add up to, expired entries included until
/// upkeep takes them back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TenantUsage {
    /// Stashes that have a record.
    pub stashes: u64,
    /// Bytes of the values in them.
    pub value_bytes: u64,
}

impl Stashes {
    /// Adds up the heads of a tenant's stashes, stepping from one to the
    /// next: one read a stash, whatever it holds. Each is as of the time it
    /// is read.
    ///
    /// # Errors
    ///
    /// `Corrupt` if a head cannot be read, and the store's failures.
    pub async fn tenant_usage(&self, tenant: &TenantId) -> Result<TenantUsage, StashError> {
        let all = stashes(tenant);
        let mut rest = all.clone();
        let mut session: Option<SessionId> = None;
        let mut usage = TenantUsage::default();
        loop {
            let mut scans = vec![Scan::new(rest.clone()).keys().limit(1)];
            if let Some(session) = &session {
                let keys = StashKeys::new(tenant, session);
                scans.push(Scan::point(keys.head()));
                scans.push(Scan::new(keys.entries()).keys().limit(1));
            }
            let pages = self.inner.engine.store.read(&scans).await?;
            let mut found = pages.into_iter().map(|mut page| page.entries.pop());
            let next = found.next().flatten();
            match (found.next().flatten(), found.next().flatten()) {
                (Some(head), _) => {
                    let head: Head = decode("stash head", &head.value)?;
                    usage.stashes = usage.stashes.saturating_add(1);
                    usage.value_bytes = usage.value_bytes.saturating_add(head.value_bytes);
                }
                // Pieces of a first value lie there before the head does.
                (None, None) => {}
                (None, Some(_)) => return Err(corrupt("stash head", "it is missing")),
            }
            let Some(named) = next.and_then(|row| session_of(&all, &row.key)) else {
                return Ok(usage);
            };
            let behind = StashKeys::new(tenant, &named).all().end;
            rest.start = behind.expect("a prefix of text has an end");
            session = Some(named);
        }
    }
}
