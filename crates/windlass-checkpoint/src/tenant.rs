//! Collecting everything a tenant has, due or not.

use windlass_core::TenantId;

use crate::checkpoints::Checkpoints;
use crate::collect::Collect;
use crate::error::CheckpointError;
use crate::garbage::GarbageReport;

/// Lineages that are looked up at once.
const LINEAGES_AT_ONCE: usize = 64;

impl Checkpoints {
    /// Collects every lineage of a tenant, in steps of about `limit` rows for
    /// each; what is beyond is left, and said in the report. 0 does nothing.
    ///
    /// # Errors
    ///
    /// The store's failures; what was deleted by then stays deleted. What
    /// cannot be read is in the report and hinders no other lineage.
    pub async fn collect_tenant(
        &self,
        tenant: &TenantId,
        options: Collect,
        limit: u64,
    ) -> Result<GarbageReport, CheckpointError> {
        let mut report = GarbageReport::default();
        if limit == 0 {
            return Ok(report);
        }
        let mut after: Option<String> = None;
        loop {
            let lineages = self.lineages(tenant, after.as_deref(), LINEAGES_AT_ONCE);
            let lineages = lineages.await?;
            for lineage in &lineages {
                let mut collection = self.collection(tenant, lineage, options);
                report.collected.add(collection.step(limit).await?);
                report.lineages += 1;
            }
            after = lineages.into_iter().next_back();
            if after.is_none() {
                return Ok(report);
            }
        }
    }
}
