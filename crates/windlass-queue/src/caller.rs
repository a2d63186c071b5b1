//! Who calls.

use windlass_core::{PrincipalId, TenantId};

/// Who calls: the tenant whose work it is, and the principal within it.
///
/// A caller reaches the work of all sessions of its tenant and no others.
/// Operation ids are the principal's own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Caller {
    /// Whose data.
    pub tenant: TenantId,
    /// Who asks.
    pub principal: PrincipalId,
}

impl Caller {
    /// A caller of one tenant.
    #[must_use]
    pub const fn new(tenant: TenantId, principal: PrincipalId) -> Self {
        Self { tenant, principal }
    }
}
