//! Erasing a tenant while others serve the same store.

use std::time::Duration;

use windlass_access::{AccessError, Certificate, Progress};
use windlass_core::TenantId;

use crate::Windlass;

/// How long a process may go on with what it knew of a tenant: a credential
/// and a standing are each taken for good for a second at most.
const GRACE: Duration = Duration::from_millis(2_100);

/// How often is erased again what came in meanwhile.
const ROUNDS_MAX: u64 = 8;

impl Windlass {
    /// Erases a tenant whole, waits for about two seconds, and looks again
    /// whether a process that still knew it in use has written something;
    /// that is erased as well. The certificate is of the last erasure, after
    /// which nothing came.
    ///
    /// # Errors
    ///
    /// Those of [`Tenants::erase`](windlass_access::Tenants::erase), and
    /// `TenantInUse` if something came in eight times in a row.
    pub async fn erase_tenant(
        &self,
        tenant: &TenantId,
        observe: &mut (dyn FnMut(&Progress) + Send),
    ) -> Result<Certificate, AccessError> {
        for _ in 0..ROUNDS_MAX {
            let certificate = self.tenants().erase(tenant, observe).await?;
            let env = self.env();
            env.sleep_until(env.monotonic().saturating_add(GRACE)).await;
            if self.tenants().verify_erased(tenant).await?.remaining() == 0 {
                return Ok(certificate);
            }
        }
        Err(AccessError::TenantInUse { passes: ROUNDS_MAX })
    }
}
