//! What keys and tenants tell of changes to whoever keeps the audit.
//!
//! Neither knows who asks: whoever let the caller in does, and says so around
//! the call.

use windlass_core::audit::Subject;
use windlass_core::{Act, Ear, TenantId};

use crate::error::AccessError;
use crate::grant::Scope;
use crate::key::{ApiKey, KeyId};
use crate::keys::Keys;
use crate::tenants::Tenants;

impl Keys {
    /// The same keys, of whose changes `ear` hears.
    #[must_use]
    pub fn heard_by(mut self, ear: Ear) -> Self {
        self.ear = ear;
        self
    }

    /// Tells of a change of a key, which is `changed` says whose.
    pub(crate) fn tell(
        &self,
        action: &'static str,
        id: &KeyId,
        changed: &Result<ApiKey, AccessError>,
    ) {
        let scope = changed.as_ref().ok().map(|key| &key.grant.scope);
        let (tenant, principal) = match scope {
            Some(Scope::Tenant { tenant, principal }) => (Some(tenant), Some(principal)),
            Some(Scope::Operator) | None => (None, None),
        };
        let of_key: [Subject<'_>; 1] = [("key", id)];
        let with_holder: Vec<Subject<'_>> = match principal {
            Some(principal) => vec![("key", id), ("holder", principal)],
            None => of_key.to_vec(),
        };
        self.ear
            .tell(changed, &Act::new(action, tenant, None, &with_holder));
    }
}

impl Tenants {
    /// The same tenants, of whose changes `ear` hears.
    #[must_use]
    pub fn heard_by(mut self, ear: Ear) -> Self {
        self.ear = ear;
        self
    }

    /// Tells of a change of what a tenant may use.
    pub(crate) fn tell_of_quota<T>(&self, tenant: &TenantId, changed: &Result<T, AccessError>) {
        let on: [Subject<'_>; 1] = [("tenant", tenant)];
        self.ear.tell(
            changed,
            &Act::new("tenant.quota_set", Some(tenant), None, &on),
        );
    }
}
