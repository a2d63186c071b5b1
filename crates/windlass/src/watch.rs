//! Hints that something changed, for whoever follows it.

use windlass_core::{SessionId, TenantId};
use windlass_store::Changes;
use windlass_store::key::Key;

use crate::Windlass;

impl Windlass {
    /// Hints that a session may have changed; any of them may be late, merged
    /// or lost, so whoever follows a session looks from time to time as well.
    /// Of what other processes change there may be no hint at all.
    #[must_use]
    pub fn session_changes(&self, tenant: &TenantId, session: &SessionId) -> Changes {
        let key = Key::new(tenant.as_str()).text("session");
        self.store().subscribe(&key.text(session.as_str()).below())
    }

    /// Hints that anything of a tenant may have changed, as those of
    /// [`Windlass::session_changes`].
    #[must_use]
    pub fn tenant_changes(&self, tenant: &TenantId) -> Changes {
        self.store().subscribe(&Key::new(tenant.as_str()).below())
    }
}
