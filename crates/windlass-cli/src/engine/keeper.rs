//! Keys and tenants, of a store or of a server. Here the engine's own types
//! are what is answered: a server spells them alike.

use async_trait::async_trait;
use windlass::access::{
    AccessError, ApiKey, Certificate, Groups, KeyId, KeyQuery, KeysOf, NewKey, Progress, Quota,
    Rotate, Scope, Tenant, TenantQuery, Verification,
};
use windlass::checkpoint::{self, Sweep};
use windlass::core::{GroupId, TenantId};
use windlass_client::access::{
    self as wire, ApiKeysQuery, CreateKey, SetQuota, TenantUsage, UnreadableKey, UnreadableTenant,
};
use windlass_client::page::PageQuery;
use windlass_client::state::{Collect, GarbageReport};
use windlass_client::store::BackupStatus;

use super::error::ask;
use super::{Here, Remote, alike, count};
use crate::failure::{CommandError, Failure};
use crate::session::arguments::id;

/// Part of a list: its rows, where to go on, and what cannot be read.
pub(crate) struct Listed<T, U> {
    pub(crate) rows: Vec<T>,
    pub(crate) next: Option<String>,
    pub(crate) unreadable: Vec<U>,
}

/// A key, and the text that proves it.
pub(crate) type Made = (ApiKey, String);

/// A tenant, and what it uses.
pub(crate) type Used = (Tenant, TenantUsage);

/// The operations that commands about keys and tenants need.
#[async_trait]
pub(crate) trait Keeper: Send + Sync {
    /// Makes a key.
    async fn create_key(&self, request: NewKey) -> Result<Made, Failure>;
    /// Gives a key a new secret.
    async fn rotate_key(&self, id: &KeyId, request: Rotate) -> Result<Made, Failure>;
    /// Ends a key.
    async fn revoke_key(&self, id: &KeyId) -> Result<ApiKey, Failure>;
    /// One key.
    async fn key(&self, id: &KeyId) -> Result<ApiKey, Failure>;
    /// A page of keys.
    async fn keys(
        &self,
        of: KeysOf,
        page: &PageQuery,
    ) -> Result<Listed<ApiKey, UnreadableKey>, Failure>;
    /// A page of tenants.
    async fn tenants(&self, page: &PageQuery) -> Result<Listed<Tenant, UnreadableTenant>, Failure>;
    /// One tenant.
    async fn tenant(&self, id: &TenantId) -> Result<Used, Failure>;
    /// What a tenant may have; no limits for one that nothing was said of.
    async fn quota(&self, id: &TenantId) -> Result<Quota, Failure>;
    /// Says what a tenant may have.
    async fn set_quota(&self, id: &TenantId, quota: Quota) -> Result<Tenant, Failure>;
    /// Erases a tenant.
    async fn erase(
        &self,
        id: &TenantId,
        observe: &mut (dyn for<'a> FnMut(&'a Progress) + Send),
    ) -> Result<Certificate, Failure>;
    /// Counts what is there of a tenant.
    async fn verify(&self, id: &TenantId) -> Result<Verification, Failure>;
    /// Collects contents that no state needs any more.
    async fn collect(&self, request: &Collect) -> Result<GarbageReport, Failure>;
    /// What the store remembers of its last backup.
    async fn backup_status(&self) -> Result<BackupStatus, Failure>;
}

#[async_trait]
impl Keeper for Here {
    async fn create_key(&self, request: NewKey) -> Result<Made, Failure> {
        let (key, secret) = self.windlass().keys().create(request).await?;
        Ok((key, secret.reveal().to_owned()))
    }

    async fn rotate_key(&self, id: &KeyId, request: Rotate) -> Result<Made, Failure> {
        let (key, secret) = self.windlass().keys().rotate(id, request).await?;
        Ok((key, secret.reveal().to_owned()))
    }

    async fn revoke_key(&self, id: &KeyId) -> Result<ApiKey, Failure> {
        Ok(self.windlass().keys().revoke(id).await?)
    }

    async fn key(&self, id: &KeyId) -> Result<ApiKey, Failure> {
        let found = self.windlass().keys().get(id).await?;
        Ok(found.ok_or(AccessError::NotFound { what: "key" })?)
    }

    async fn keys(
        &self,
        of: KeysOf,
        page: &PageQuery,
    ) -> Result<Listed<ApiKey, UnreadableKey>, Failure> {
        let query = KeyQuery {
            of,
            limit: count(page.limit),
            after: page.cursor.as_deref().map(str::parse).transpose()?,
        };
        let page = self.windlass().keys().list(&query).await?;
        Ok(Listed {
            rows: page.keys,
            next: page.next.map(|next| next.to_string()),
            unreadable: alike(&page.unreadable),
        })
    }

    async fn tenants(&self, page: &PageQuery) -> Result<Listed<Tenant, UnreadableTenant>, Failure> {
        let query = TenantQuery {
            limit: count(page.limit),
            after: page.cursor.as_deref().map(id).transpose()?,
        };
        let page = self.windlass().tenants().list(&query).await?;
        Ok(Listed {
            rows: page.tenants,
            next: page.next.map(|next| next.to_string()),
            unreadable: alike(&page.unreadable),
        })
    }

    async fn tenant(&self, id: &TenantId) -> Result<Used, Failure> {
        let found = self.windlass().tenants().get(id).await?;
        let tenant = found.ok_or(AccessError::NotFound { what: "tenant" })?;
        let usage = self.windlass().usage(id).await?;
        let usage = TenantUsage {
            sessions: usage.sessions,
            stash_bytes: usage.stash_bytes,
        };
        Ok((tenant, usage))
    }

    async fn quota(&self, id: &TenantId) -> Result<Quota, Failure> {
        let (_, quota) = self.windlass().tenants().standing(id).await?;
        Ok(quota)
    }

    async fn set_quota(&self, id: &TenantId, quota: Quota) -> Result<Tenant, Failure> {
        Ok(self.windlass().tenants().set_quota(id, quota).await?)
    }

    async fn erase(
        &self,
        id: &TenantId,
        observe: &mut (dyn for<'a> FnMut(&'a Progress) + Send),
    ) -> Result<Certificate, Failure> {
        Ok(self.windlass().erase_tenant(id, observe).await?)
    }

    async fn verify(&self, id: &TenantId) -> Result<Verification, Failure> {
        Ok(self.windlass().tenants().verify_erased(id).await?)
    }

    async fn collect(&self, request: &Collect) -> Result<GarbageReport, Failure> {
        let options = checkpoint::Collect {
            grace_ms: request.grace_ms,
            dry_run: request.dry_run,
        };
        let limit = request.limit.unwrap_or(u64::MAX);
        let checkpoints = self.windlass().checkpoints();
        let report = match &request.tenant {
            Some(tenant) => {
                let tenant = id(tenant)?;
                checkpoints.collect_tenant(&tenant, options, limit).await?
            }
            None => {
                let sweep = match request.grace_ms {
                    Some(_) => Sweep::All,
                    None => Sweep::Due,
                };
                checkpoints.collect_due(sweep, options, limit).await?
            }
        };
        Ok(alike(&report))
    }

    async fn backup_status(&self) -> Result<BackupStatus, Failure> {
        Ok(alike(&self.windlass().backup_status().await?))
    }
}

/// A key that is to be made, as it goes over the wire.
fn creation(request: &NewKey) -> CreateKey {
    let grant = &request.grant;
    let (tenant, principal) = match &grant.scope {
        Scope::Operator => (None, None),
        Scope::Tenant { tenant, principal } => {
            (Some(tenant.to_string()), Some(principal.to_string()))
        }
    };
    let groups = match &grant.groups {
        Groups::None => wire::Groups::None,
        Groups::All => wire::Groups::All,
        Groups::Only(groups) => wire::Groups::Only(groups.iter().map(GroupId::to_string).collect()),
    };
    CreateKey {
        label: request.label.clone(),
        tenant,
        principal,
        reach: Some(alike(&grant.reach)),
        groups: Some(groups),
        verbs: alike(&grant.verbs),
        expires_in_ms: request.ttl_ms,
    }
}

#[async_trait]
impl Keeper for Remote {
    async fn create_key(&self, request: NewKey) -> Result<Made, Failure> {
        let client = self.under(request.operation.as_ref());
        let made = ask(client.create_key(&creation(&request))).await?;
        Ok((alike(&made.key), made.secret))
    }

    async fn rotate_key(&self, id: &KeyId, request: Rotate) -> Result<Made, Failure> {
        let client = self.under(request.operation.as_ref());
        let asked = wire::Rotate {
            overlap_ms: Some(request.overlap_ms),
        };
        let made = ask(client.rotate_key(id.as_str(), &asked)).await?;
        Ok((alike(&made.key), made.secret))
    }

    async fn revoke_key(&self, id: &KeyId) -> Result<ApiKey, Failure> {
        Ok(alike(&ask(self.client().revoke_key(id.as_str())).await?))
    }

    async fn key(&self, id: &KeyId) -> Result<ApiKey, Failure> {
        Ok(alike(&ask(self.client().key(id.as_str())).await?))
    }

    async fn keys(
        &self,
        of: KeysOf,
        page: &PageQuery,
    ) -> Result<Listed<ApiKey, UnreadableKey>, Failure> {
        let tenant = match of {
            KeysOf::All => None,
            KeysOf::Tenant(tenant) => Some(tenant.to_string()),
            KeysOf::Operators => {
                let what = "`key list --operator`";
                return Err(CommandError::NeedsStore { what }.into());
            }
        };
        let query = ApiKeysQuery {
            tenant,
            limit: page.limit,
            cursor: page.cursor.clone(),
        };
        let page = ask(self.client().keys(&query)).await?;
        Ok(Listed {
            rows: alike(&page.api_keys),
            next: page.next_cursor,
            unreadable: page.unreadable,
        })
    }

    async fn tenants(&self, page: &PageQuery) -> Result<Listed<Tenant, UnreadableTenant>, Failure> {
        let page = ask(self.client().tenants(page)).await?;
        Ok(Listed {
            rows: alike(&page.tenants),
            next: page.next_cursor,
            unreadable: page.unreadable,
        })
    }

    async fn tenant(&self, id: &TenantId) -> Result<Used, Failure> {
        let shown = ask(self.client().tenant(id.as_str())).await?;
        Ok((alike(&shown), shown.usage.unwrap_or_default()))
    }

    async fn quota(&self, id: &TenantId) -> Result<Quota, Failure> {
        match self.client().tenant(id.as_str()).await {
            Err(error) if error.code() == "not_found" => Ok(Quota::default()),
            found => Ok(alike(&ask(async { found }).await?.quota)),
        }
    }

    async fn set_quota(&self, id: &TenantId, quota: Quota) -> Result<Tenant, Failure> {
        let asked = SetQuota {
            sessions: quota.sessions,
            stash_bytes: quota.stash_bytes,
        };
        let set = ask(self.client().set_quota(id.as_str(), &asked)).await?;
        Ok(alike(&set))
    }

    /// A server says nothing until it is done.
    async fn erase(
        &self,
        id: &TenantId,
        _: &mut (dyn for<'a> FnMut(&'a Progress) + Send),
    ) -> Result<Certificate, Failure> {
        Ok(alike(&ask(self.client().erase_tenant(id.as_str())).await?))
    }

    async fn verify(&self, id: &TenantId) -> Result<Verification, Failure> {
        Ok(alike(&ask(self.client().erasure(id.as_str())).await?))
    }

    async fn collect(&self, request: &Collect) -> Result<GarbageReport, Failure> {
        ask(self.client().collect(request)).await
    }

    async fn backup_status(&self) -> Result<BackupStatus, Failure> {
        ask(self.client().backup_status()).await
    }
}
