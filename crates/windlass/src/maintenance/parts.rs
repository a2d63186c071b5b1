//! The upkeep of each part: one call of what the part itself offers.

use windlass_checkpoint::{AttachmentReport, CheckpointError, Collect, GarbageReport, Sweep};
use windlass_core::BoxFuture;
use windlass_session::{SessionError, SweepReport};
use windlass_stash::durable::ReapReport;

use crate::audit::AuditReport;
use crate::{MaintainError, Windlass};

/// Rows that one step of a collection may look at.
const COLLECTED_ROWS: usize = 16;

/// What one round of upkeep did, part by part.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Maintained {
    /// Sessions that expired or whose retention ended.
    pub sessions: SweepReport,
    /// Stash entries that expired, and what interrupted puts left behind.
    pub stashes: ReapReport,
    /// States that were packed, and commits that are no longer kept.
    pub checkpoints: windlass_checkpoint::SweepReport,
    /// Attachments that no commit has taken.
    pub attachments: AttachmentReport,
    /// Contents that no state needs any more.
    pub garbage: GarbageReport,
    /// What the queue remembered long enough.
    pub queue: windlass_queue::SweepReport,
    /// Streams and cursors that expired.
    pub streams: windlass_stream::SweepReport,
    /// API keys that ended long ago.
    pub access: windlass_access::SweepReport,
    /// Events of the audit that were kept long enough.
    pub audit: AuditReport,
}

impl Windlass {
    /// Does a bounded amount of every part's upkeep at once, without a lease,
    /// a rest or a bound in time: marks sessions that expired, removes those
    /// whose retention has ended with their states, queues and streams, packs
    /// commits and drops those that are no longer kept, collects contents that
    /// no state needs, takes back the space of expired stash entries, and
    /// forgets streams and cursors that have expired; in no more than `limit`
    /// steps for each part. Safe to run at any time, in any number of
    /// processes. [`Windlass::maintenance`] is what runs beside other work.
    ///
    /// # Errors
    ///
    /// [`MaintainError`] naming the first part that failed. The others have
    /// had their turn; what was done stays done, and the next call goes on
    /// from there.
    pub async fn maintain(&self, limit: usize) -> Result<Maintained, MaintainError> {
        let sessions = self.sweep_sessions(limit).await;
        let stashes = self.stashes().reap_due(limit).await;
        let checkpoints = self.checkpoints().sweep(Sweep::Due, limit).await;
        let attachments = self.checkpoints();
        let attachments = attachments.sweep_attachments(Sweep::Due, limit).await;
        let rows = limit.saturating_mul(COLLECTED_ROWS);
        let garbage = self.collect_due(rows).await;
        let queue = self.queue().sweep(limit).await;
        let streams = self.streams().sweep(limit).await;
        let access = self.keys().sweep(limit).await;
        let audit = self.audit().sweep(limit).await;
        Ok(Maintained {
            sessions: sessions.map_err(MaintainError::Sessions)?,
            stashes: stashes.map_err(MaintainError::Stashes)?,
            checkpoints: checkpoints.map_err(MaintainError::Checkpoints)?,
            attachments: attachments.map_err(MaintainError::Checkpoints)?,
            garbage: garbage.map_err(MaintainError::Checkpoints)?,
            queue: queue.map_err(MaintainError::Queue)?,
            streams: streams.map_err(MaintainError::Streams)?,
            access: access.map_err(MaintainError::Access)?,
            audit: audit.map_err(MaintainError::Audit)?,
        })
    }

    /// Sweeps sessions; one whose last rows go takes along its state, its
    /// queue and its streams.
    pub(super) async fn sweep_sessions(&self, limit: usize) -> Result<SweepReport, SessionError> {
        let leave = |tenant, session| -> BoxFuture<'static, bool> {
            let (checkpoints, queue) = (self.checkpoints().clone(), self.queue().clone());
            let streams = self.streams().clone();
            Box::pin(async move {
                let state = checkpoints.remove(&tenant, &session).await;
                state.is_ok()
                    && queue.remove(&tenant, &session).await.is_ok()
                    && streams.remove_session(&tenant, &session).await.is_ok()
            })
        };
        self.sessions().sweep_with(limit, &leave).await
    }

    /// Collects contents, looking at about so many rows.
    pub(super) async fn collect_due(&self, rows: usize) -> Result<GarbageReport, CheckpointError> {
        let rows = u64::try_from(rows).unwrap_or(u64::MAX);
        let collected = self.checkpoints();
        let collected = collected.collect_due(Sweep::Due, Collect::default(), rows);
        collected.await
    }
}
