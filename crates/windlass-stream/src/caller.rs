//! Who calls.

use windlass_core::{PrincipalId, TenantId};

/// Who calls: the tenant whose stream it is, and the principal within it.
///
/// A caller reaches the streams of its own principal and no others: one of
/// another principal is answered like one that does not exist.
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
