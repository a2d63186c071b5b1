//! Who calls, and which sessions are there for whom.

use windlass_core::{PrincipalId, TenantId};
use windlass_store::limits::READ_SCANS_MAX;
use windlass_store::{Entry, Scan, StoreErrorKind, StoreExt};

use crate::engine::{Engine, Loaded};
use crate::error::SessionError;
use crate::keys::{SessionKeys, named};
use crate::record::{Spec, decode};

/// Who calls: the tenant whose data it is, and the principal within it.
///
/// A caller sees sessions of its tenant and no others: all of them, or those
/// its principal created. Operation ids are the principal's own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Caller {
    /// Whose data.
    pub tenant: TenantId,
    /// Who asks.
    pub principal: PrincipalId,
    /// Which of the tenant's sessions are there for it.
    pub reach: Reach,
}

/// Which sessions of its tenant a caller can reach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Reach {
    /// All of them.
    #[default]
    Tenant,
    /// Those that its principal created, delegated ones included. Any other
    /// is as absent as one that never was: the same answer, for the same
    /// reads. A session belongs to who created it, whoever created those
    /// above and below it.
    ///
    /// Two things cannot be hidden: an id that is in use cannot be used again
    /// (`AlreadyExists`), and an agent's cap counts the agent's sessions of
    /// all principals. A session whose records are damaged so that they do not
    /// say whose it is is `Corrupt` to whoever names it, and in no listing.
    Own,
}

impl Caller {
    /// A caller that can reach all sessions of its tenant.
    #[must_use]
    pub const fn new(tenant: TenantId, principal: PrincipalId) -> Self {
        let reach = Reach::Tenant;
        Self {
            tenant,
            principal,
            reach,
        }
    }

    /// A caller that can reach what its principal created.
    #[must_use]
    pub const fn own(tenant: TenantId, principal: PrincipalId) -> Self {
        let reach = Reach::Own;
        Self {
            tenant,
            principal,
            reach,
        }
    }

    /// The only principal whose sessions are there; `None` if all are.
    pub(crate) const fn only_of(&self) -> Option<&PrincipalId> {
        match self.reach {
            Reach::Tenant => None,
            Reach::Own => Some(&self.principal),
        }
    }
}

impl Spec {
    /// Whether the session is there for a caller that can reach `only_of`.
    pub(crate) fn is_open_to(&self, only_of: Option<&PrincipalId>) -> bool {
        only_of.is_none_or(|principal| *principal == self.principal)
    }
}

impl Engine {
    /// A session as it is for one caller, unless it is being removed: what is
    /// out of its reach is not there, and costs the one read that what is not
    /// there costs.
    pub(crate) async fn load_for(
        &self,
        caller: &Caller,
        keys: &SessionKeys,
    ) -> Result<Option<Loaded>, SessionError> {
        let found = self.load_alone(keys).await?;
        let within = found.filter(|loaded| loaded.spec.is_open_to(caller.only_of()));
        let loaded = self.with_above(keys, within).await?;
        Ok(loaded.filter(|loaded| !loaded.is_removing()))
    }

    /// Whether a caller may learn of a session whose records cannot be read:
    /// if it can reach all, or the spec at least says that it is its own.
    pub(crate) async fn may_know(
        &self,
        caller: &Caller,
        keys: &SessionKeys,
    ) -> Result<bool, SessionError> {
        let Some(principal) = caller.only_of() else {
            return Ok(true);
        };
        Ok(self.owner(keys).await?.as_ref() == Some(principal))
    }

    /// Whether a session whose records cannot be read is known to be out of a
    /// caller's reach.
    pub(crate) async fn is_foreign(
        &self,
        caller: &Caller,
        keys: &SessionKeys,
    ) -> Result<bool, SessionError> {
        let Some(principal) = caller.only_of() else {
            return Ok(false);
        };
        let owner = self.owner(keys).await?;
        Ok(owner.is_some_and(|owner| owner != *principal))
    }

    /// Those of some rows of an index whose sessions `principal` created. One
    /// read for each 16; a session that is gone meanwhile is left out.
    pub(crate) async fn rows_of(
        &self,
        principal: &PrincipalId,
        tenant: &TenantId,
        rows: Vec<Entry>,
    ) -> Result<Vec<Entry>, SessionError> {
        let mut own = Vec::new();
        for chunk in rows.chunks(READ_SCANS_MAX) {
            let named = chunk
                .iter()
                .filter_map(|row| Some((row, named(&row.key)?)))
                .collect::<Vec<_>>();
            let specs = named
                .iter()
                .map(|(_, id)| Scan::point(SessionKeys::new(tenant, id).spec()));
            let pages = self.store.read(&specs.collect::<Vec<_>>()).await?;
            for ((row, _), page) in named.into_iter().zip(pages) {
                if let Some(entry) = page.entries.first()
                    && decode::<Spec>("session spec", &entry.value)?.principal == *principal
                {
                    own.push(row.clone());
                }
            }
        }
        Ok(own)
    }

    /// Who created a session, whatever else of it cannot be read; `None` if
    /// even that cannot. One read.
    pub(crate) async fn owner(
        &self,
        keys: &SessionKeys,
    ) -> Result<Option<PrincipalId>, SessionError> {
        let entry = match self.store.get(keys.spec()).await {
            Ok(entry) => entry,
            Err(error) if error.kind() == StoreErrorKind::Corrupt => None,
            Err(error) => return Err(error.into()),
        };
        let spec = entry.and_then(|entry| decode::<Spec>("session spec", &entry.value).ok());
        Ok(spec.map(|spec| spec.principal))
    }
}
