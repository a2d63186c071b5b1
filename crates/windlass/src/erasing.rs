//! Erasing a tenant while others serve the same store.

use std::time::Duration;

use windlass_access::{AccessError, Certificate, Progress};
use windlass_core::audit::Subject;
use windlass_core::{Act, TenantId};

use crate::Windlass;
use crate::audit::{Chain, ChainHead};

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
    /// The tenant's audit is erased with it; the system's says when, by whom,
    /// and where the chain stood, so that a copy that was exported before can
    /// still be held to it.
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
        // What waits is appended now, while there is a chain for it.
        self.audit().flush().await;
        let chain = Chain::Tenant(tenant.clone());
        // One that cannot be read is erased as well; nothing is said of it.
        let head = self.audit().head(&chain).await.ok();
        let erased = self.erase_untold(tenant, observe).await;
        self.tell_of_erasure(tenant, head, &erased);
        if erased.is_ok() {
            self.activity().forget(tenant);
        }
        erased
    }

    fn tell_of_erasure(
        &self,
        tenant: &TenantId,
        head: Option<ChainHead>,
        erased: &Result<Certificate, AccessError>,
    ) {
        let (last, hash) = head.map_or((0, String::new()), |head| {
            (head.last, head.hash.to_string())
        });
        let on: [Subject<'_>; 2] = [("tenant", tenant), ("chain_hash", &hash)];
        let figures = [("chain_last", last)];
        let act = Act::new("tenant.erased", None, None, &on);
        let figures = &figures;
        self.ear().tell(erased, &Act { figures, ..act });
    }

    async fn erase_untold(
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
