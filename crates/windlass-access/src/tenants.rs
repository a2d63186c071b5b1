//! Finding tenants, and saying how much they may use.

use std::sync::Arc;

use bytes::Bytes;
use windlass_core::{Ear, Env, TenantId};
use windlass_store::{Batch, Bookmark, Changes, KeyRange, Scan, Store};

use crate::engine::{Attempt, Engine, Rounds, head_of};
use crate::error::AccessError;
use crate::keys::check_limit;
use crate::layout::{self, Owner};
use crate::record::{Head, decode, encode};
use crate::tenant::{
    Certificate, Progress, Quota, Status, Tenant, TenantPage, TenantQuery, UnreadableTenant,
    Verification,
};

/// The tenants of a store. Cloning shares it.
///
/// A tenant need not be made: it is there once it has data, a key or a quota.
/// Nothing is held in memory.
#[derive(Clone, Debug)]
pub struct Tenants {
    pub(crate) engine: Arc<Engine>,
    pub(crate) ear: Ear,
}

impl Tenants {
    /// The tenants in `store`. Reads nothing yet.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, env: Arc<dyn Env>) -> Self {
        let engine = Engine {
            store,
            env,
            bookmark: Bookmark::default(),
        };
        Self {
            engine: Arc::new(engine),
            ear: Ear::default(),
        }
    }

    /// One tenant; `None` if it has no data and nobody has said anything
    /// about it. One read.
    ///
    /// # Errors
    ///
    /// `Corrupt` if its record cannot be read, and the store's failures.
    pub async fn get(&self, tenant: &TenantId) -> Result<Option<Tenant>, AccessError> {
        let owner = Owner::Tenant(tenant.clone());
        let data = Scan::new(layout::data(tenant)).keys().limit(1);
        let scans = [Scan::point(owner.head()), data];
        let pages = self.engine.store.read(&scans).await?;
        if pages.iter().all(|page| page.entries.is_empty()) {
            return Ok(None);
        }
        let entry = pages.first().and_then(|page| page.entries.first());
        let (head, _) = head_of(entry)?;
        Ok(Some(head.view(tenant)))
    }

    /// Whether a tenant is there to be worked with: `Active` unless it was, or
    /// is being, erased. One read of two points.
    ///
    /// # Errors
    ///
    /// As [`Tenants::get`].
    pub async fn status(&self, tenant: &TenantId) -> Result<Status, AccessError> {
        self.standing(tenant).await.map(|(status, _)| status)
    }

    /// What a tenant may use, and whether it is there to be worked with, in
    /// one read of two points; of one that nobody has said anything about, no
    /// limit.
    ///
    /// # Errors
    ///
    /// As [`Tenants::get`].
    pub async fn standing(&self, tenant: &TenantId) -> Result<(Status, Quota), AccessError> {
        let seen = self.engine.seen(&Owner::Tenant(tenant.clone())).await?;
        Ok((seen.head.status, seen.head.quota))
    }

    /// Says how much a tenant may use, in place of what was said before. To
    /// say it again changes nothing.
    ///
    /// # Errors
    ///
    /// `TenantNotActive`, `Busy`, and the store's failures.
    pub async fn set_quota(&self, tenant: &TenantId, quota: Quota) -> Result<Tenant, AccessError> {
        let set = self.set_quota_untold(tenant, quota).await;
        self.tell_of_quota(tenant, &set);
        set
    }

    async fn set_quota_untold(
        &self,
        tenant: &TenantId,
        quota: Quota,
    ) -> Result<Tenant, AccessError> {
        let owner = Owner::Tenant(tenant.clone());
        let mut rounds = Rounds::default();
        loop {
            rounds.next(self.engine.env.as_ref()).await?;
            let found = self.engine.head(&owner).await;
            let (mut head, expect) = rounds.settle(found)?;
            head.ensure_active()?;
            if head.quota == quota {
                return Ok(head.view(tenant));
            }
            head.quota = quota;
            let batch = Batch::new()
                .check(owner.head(), expect)
                .put(owner.head(), encode(&head));
            let store = self.engine.store.as_ref();
            if let Attempt::Applied = rounds.commit(store, batch).await? {
                return Ok(head.view(tenant));
            }
        }
    }

    /// Tenants that have a record or data, in the order of their names with a
    /// `/` behind them, which is the order of their keys. Costs two reads a
    /// tenant, whatever it has.
    ///
    /// # Errors
    ///
    /// `Invalid` for a limit outside 1 to 1,000, and the store's failures.
    pub async fn list(&self, query: &TenantQuery) -> Result<TenantPage, AccessError> {
        check_limit(query.limit)?;
        let mut page = TenantPage::default();
        let mut after = query.after.clone();
        loop {
            let Some(tenant) = self.next_tenant(after.as_ref()).await? else {
                return Ok(page);
            };
            if page.tenants.len() + page.unreadable.len() == query.limit {
                page.next = after;
                return Ok(page);
            }
            let [entry] = self
                .engine
                .points([Owner::Tenant(tenant.clone()).head()])
                .await?;
            let head = entry.map_or(Ok(Head::new()), |entry| decode("head", &entry.value));
            match head {
                Ok(head) => page.tenants.push(head.view(&tenant)),
                Err(error) => page.unreadable.push(UnreadableTenant {
                    tenant: tenant.clone(),
                    why: error.to_string(),
                }),
            }
            after = Some(tenant);
        }
    }

    /// The first tenant after another, of those with a record and those with
    /// data.
    async fn next_tenant(&self, after: Option<&TenantId>) -> Result<Option<TenantId>, AccessError> {
        let recorded = self.next_recorded(after).await?;
        let stored = self.next_stored(after).await?;
        let place = |tenant: &TenantId| layout::data(tenant).start;
        Ok([recorded, stored].into_iter().flatten().min_by_key(place))
    }

    async fn next_recorded(
        &self,
        after: Option<&TenantId>,
    ) -> Result<Option<TenantId>, AccessError> {
        let all = KeyRange::prefix(layout::tenants());
        let start = after.and_then(|tenant| {
            let below = [all.start.as_ref(), layout::data(tenant).start.as_ref()].concat();
            KeyRange::prefix(below).end
        });
        let range = KeyRange {
            start: start.unwrap_or_else(|| all.start.clone()),
            end: all.end,
        };
        let row = self.first_of(range).await?;
        Ok(row.and_then(|row| layout::tenant_below(&row)))
    }

    /// Steps over what is no tenant's, and over rows that no part has written.
    async fn next_stored(&self, after: Option<&TenantId>) -> Result<Option<TenantId>, AccessError> {
        let mut start = after.and_then(|tenant| layout::data(tenant).end);
        loop {
            let range = KeyRange {
                start: start.take().unwrap_or_default(),
                end: None,
            };
            let Some(row) = self.first_of(range).await? else {
                return Ok(None);
            };
            let shared = layout::shared().into_iter();
            if let Some(skipped) = shared.into_iter().find(|range| range.contains(&row)) {
                start = skipped.end;
            } else if let Some(tenant) = layout::tenant_of(&row)
                && layout::data(&tenant).contains(&row)
            {
                return Ok(Some(tenant));
            } else {
                start = KeyRange::point(row).end;
            }
        }
    }

    /// The first key of a range.
    async fn first_of(&self, range: KeyRange) -> Result<Option<Bytes>, AccessError> {
        let scan = Scan::new(range).keys().limit(1);
        let mut pages = self.engine.store.read(&[scan]).await?;
        let entry = pages.pop().and_then(|mut page| page.entries.pop());
        Ok(entry.map(|entry| entry.key))
    }

    /// Erases a tenant: all its data, its keys and whatever upkeep was to do
    /// for it. From the first moment its status says so, it gets no new key,
    /// and whoever serves it refuses it.
    ///
    /// What has been erased is told to `observe` after each commit. Each is
    /// bounded, and whatever interrupts the erasure, another call goes on
    /// where it was; several at once help each other. A tenant that is erased
    /// is looked at again: if nothing is there, the answer is the first one,
    /// otherwise the erasure goes on.
    ///
    /// It takes as long as there are rows, and reads the whole index of due
    /// work, which all tenants share, at least twice. What it does not reach:
    /// exports and backups made before; and the bytes on disk, which a
    /// database gives back or overwrites in its own time (free pages of
    /// SQLite, dead rows of PostgreSQL until it is vacuumed, old segments of
    /// sled).
    ///
    /// # Errors
    ///
    /// `NotFound` for a tenant that there is nothing of; `TenantInUse` after
    /// 16 passes each of which found something (who writes faster than this
    /// erases keeps the first from ending); and the store's failures.
    pub async fn erase(
        &self,
        tenant: &TenantId,
        observe: &mut (dyn FnMut(&Progress) + Send),
    ) -> Result<Certificate, AccessError> {
        self.engine.erase(tenant, observe).await
    }

    /// Reads everything again in which a tenant could have a row, and counts.
    /// Changes nothing; reads the whole index of due work.
    ///
    /// # Errors
    ///
    /// `Corrupt` if its record cannot be read, and the store's failures.
    pub async fn verify_erased(&self, tenant: &TenantId) -> Result<Verification, AccessError> {
        self.engine.verify(tenant).await
    }

    /// Hints that some tenant's record may have changed; any of them may be
    /// late or lost.
    #[must_use]
    pub fn changes(&self) -> Changes {
        self.engine.store.subscribe(&layout::tenants())
    }
}
