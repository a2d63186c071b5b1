//! The sessions that were forked from one.

use serde::Serialize;
use windlass_core::SessionId;
use windlass_store::Scan;

use crate::checkpoints::Checkpoints;
use crate::error::CheckpointError;
use crate::keys::{StateKeys, last_text};
use crate::limits::PAGE_MAX;
use crate::model::Caller;
use crate::record;

/// Heads that are read at once.
const HEADS_AT_ONCE_MAX: usize = 64;

/// A session that begins where another one was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ForkView {
    /// The session.
    pub session: SessionId,
    /// The revision of the other one at which it begins.
    pub revision: u64,
}

/// Some forks of a session, in the order of their names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ForkPage {
    /// The forks.
    pub forks: Vec<ForkView>,
    /// The last session looked at, if there may be more behind it.
    pub after: Option<SessionId>,
}

impl Checkpoints {
    /// The sessions that read commits of this one because they were forked
    /// from it: those after `after`, `limit` (1 to 1,000) of them looked at.
    /// Removed ones are left out. Whoever forks at a revision from before the
    /// session was itself forked is a fork of the session that made it.
    ///
    /// Costs a scan, and a point read for each.
    ///
    /// # Errors
    ///
    /// `Corrupt` naming a row that cannot be read, and the store's failures.
    pub async fn forks(
        &self,
        caller: &Caller,
        session: &SessionId,
        after: Option<&SessionId>,
        limit: usize,
    ) -> Result<ForkPage, CheckpointError> {
        let keys = StateKeys::new(&caller.tenant, session);
        let engine = self.engine();
        let limit = limit.clamp(1, PAGE_MAX);
        let mut scan = Scan::new(keys.forks()).keys().limit(limit);
        if let Some(after) = after {
            scan = scan.after(&keys.fork(after));
        }
        let pages = engine.store.read(&[scan]).await?;
        let page = pages.into_iter().next().unwrap_or_default();
        let mut names: Vec<SessionId> = Vec::with_capacity(page.entries.len());
        for entry in &page.entries {
            let name = last_text(&entry.key).and_then(|name| name.parse().ok());
            let nameless = || CheckpointError::corrupt("fork", "its key has no name");
            names.push(name.ok_or_else(nameless)?);
        }
        let after = names.last().cloned().filter(|_| page.more);
        let mut forks = Vec::with_capacity(names.len());
        for some in names.chunks(HEADS_AT_ONCE_MAX) {
            self.add_living(&keys, some, &mut forks).await?;
        }
        Ok(ForkPage { forks, after })
    }

    async fn add_living(
        &self,
        keys: &StateKeys,
        names: &[SessionId],
        forks: &mut Vec<ForkView>,
    ) -> Result<(), CheckpointError> {
        let heads = names.iter().map(|name| keys.other(name).head());
        let scans: Vec<Scan> = heads.map(Scan::point).collect();
        let pages = self.engine().store.read(&scans).await?;
        for (name, page) in names.iter().zip(pages) {
            let Some(entry) = page.entries.first() else {
                continue;
            };
            let head = record::head(&entry.value)?;
            let base = head.base.filter(|base| base.session == keys.session);
            if let (Some(base), None) = (base, head.removed) {
                forks.push(ForkView {
                    session: name.clone(),
                    revision: base.rev,
                });
            }
        }
        Ok(())
    }
}
