//! The tasks: what each is called, what of the index of due work is its, and
//! what one call of it does.
//!
//! Upkeep of something new is one more line of [`TASKS`], and a function that
//! says what a call did.

use windlass_cache::SweepLimit;
use windlass_checkpoint::Sweep;
use windlass_core::BoxFuture;

use super::error::MaintenanceError;
use super::report::Done;
use crate::{MaintainError, Windlass};

type Stepped<'a> = BoxFuture<'a, Result<Done, MaintainError>>;

/// A kind of upkeep.
#[derive(Clone, Copy)]
pub struct Task {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    /// The kinds of rows that it has in the index of due work; none if what it
    /// sees to is not found through that, and it is asked in every round.
    pub(super) kinds: &'static [&'static str],
    /// Whether it is about what this process has for itself: it is done whoever
    /// has the lease, and only where there is a cache.
    pub(super) own: bool,
    /// Looks at no more than so many entries.
    pub(super) step: fn(&Windlass, usize) -> Stepped<'_>,
}

impl std::fmt::Debug for Task {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Task").field(&self.name).finish()
    }
}

/// Every task, in the order of their turns.
pub(super) static TASKS: [Task; 11] = [
    Task {
        name: "sessions",
        about: "marks expired sessions, and removes those whose retention has ended",
        kinds: &["session"],
        own: false,
        step: |windlass, limit| Box::pin(sessions(windlass, limit)),
    },
    Task {
        name: "stash",
        about: "takes back the space of expired stash entries",
        kinds: &["stash"],
        own: false,
        step: |windlass, limit| Box::pin(stash(windlass, limit)),
    },
    Task {
        name: "queue",
        about: "forgets finished work, and leases that nobody has held for a day",
        kinds: &["queue", "lease"],
        own: false,
        step: |windlass, limit| Box::pin(queue(windlass, limit)),
    },
    Task {
        name: "streams",
        about: "removes expired streams and cursors, and rows that were never appended",
        kinds: &["stream", "cursor", "scan", "stream-op", "upload"],
        own: false,
        step: |windlass, limit| Box::pin(streams(windlass, limit)),
    },
    Task {
        name: "checkpoints",
        about: "packs commits, and drops those that are no longer kept",
        kinds: &["checkpoint"],
        own: false,
        step: |windlass, limit| Box::pin(checkpoints(windlass, limit)),
    },
    Task {
        name: "attachments",
        about: "takes away attachments that no commit has taken",
        kinds: &["attachment"],
        own: false,
        step: |windlass, limit| Box::pin(attachments(windlass, limit)),
    },
    Task {
        name: "blobs",
        about: "collects contents that no state needs any more",
        kinds: &["lineage"],
        own: false,
        step: |windlass, limit| Box::pin(blobs(windlass, limit)),
    },
    Task {
        name: "keys",
        about: "drops API keys that ended long ago",
        kinds: &["access"],
        own: false,
        step: |windlass, limit| Box::pin(keys(windlass, limit)),
    },
    Task {
        name: "audit",
        about: "forgets events of the audit that were kept long enough",
        kinds: &["audit"],
        own: false,
        step: |windlass, limit| Box::pin(audit(windlass, limit)),
    },
    Task {
        name: "cache",
        about: "takes back cached entries whose time is over, and what flushes left",
        kinds: &[],
        own: true,
        step: |windlass, limit| Box::pin(cache(windlass, limit)),
    },
    Task {
        name: "cache_orphans",
        about: "takes back cached blobs whose puts were never finished",
        kinds: &[],
        own: true,
        step: |windlass, limit| Box::pin(cache_orphans(windlass, limit)),
    },
];

impl Task {
    /// Every task, in the order of their turns.
    #[must_use]
    pub const fn all() -> &'static [Self] {
        &TASKS
    }

    /// The task of a name.
    ///
    /// # Errors
    ///
    /// [`MaintenanceError::UnknownTask`], which names those there are.
    pub fn named(name: &str) -> Result<&'static Self, MaintenanceError> {
        let found = TASKS.iter().find(|task| task.name == name);
        found.ok_or_else(|| MaintenanceError::UnknownTask {
            name: super::report::cut(name),
            known: TASKS.map(|task| task.name).join(", "),
        })
    }

    /// What it is called.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// What it does, in a few words.
    #[must_use]
    pub const fn about(&self) -> &'static str {
        self.about
    }
}

fn count(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

async fn sessions(windlass: &Windlass, limit: usize) -> Result<Done, MaintainError> {
    let done = windlass.sweep_sessions(limit).await;
    let done = done.map_err(MaintainError::Sessions)?;
    let unreadable = done.unreadable.into_iter();
    Ok(Done {
        scanned: count(done.scanned),
        counts: vec![
            ("expired", done.expired),
            ("closed", done.closed),
            ("removed", done.removed),
            ("operations_removed", done.operations_removed),
        ],
        bytes: None,
        truncated: done.truncated,
        goes_on: false,
        unreadable: unreadable.map(|it| (it.id.to_string(), it.why)).collect(),
    })
}

async fn stash(windlass: &Windlass, limit: usize) -> Result<Done, MaintainError> {
    let done = windlass.stashes().reap_due(limit).await;
    let done = done.map_err(MaintainError::Stashes)?;
    let unreadable = done.unreadable.into_iter();
    let unreadable = unreadable.map(|it| (format!("{}/{}", it.tenant, it.session), it.why));
    Ok(Done {
        scanned: count(done.scanned),
        counts: vec![
            ("removed", done.removed),
            ("pieces_removed", done.pieces_removed),
            ("operations_removed", done.operations_removed),
        ],
        bytes: Some(done.bytes),
        truncated: done.truncated,
        goes_on: false,
        unreadable: unreadable.collect(),
    })
}

async fn queue(windlass: &Windlass, limit: usize) -> Result<Done, MaintainError> {
    let done = windlass.queue().sweep(limit).await;
    let done = done.map_err(MaintainError::Queue)?;
    let unreadable = done.unreadable.into_iter();
    Ok(Done {
        scanned: count(done.scanned),
        counts: vec![
            ("operations_removed", done.operations_removed),
            ("sources_removed", done.sources_removed),
            ("queues_removed", done.queues_removed),
            ("leases_removed", done.leases_removed),
        ],
        bytes: None,
        truncated: done.truncated,
        goes_on: false,
        unreadable: unreadable.map(|(id, why)| (id.to_string(), why)).collect(),
    })
}

async fn streams(windlass: &Windlass, limit: usize) -> Result<Done, MaintainError> {
    let done = windlass.streams().sweep(limit).await;
    let done = done.map_err(MaintainError::Streams)?;
    Ok(Done {
        scanned: count(done.scanned),
        counts: vec![
            ("cursors_removed", done.cursors_removed),
            ("operations_removed", done.operations_removed),
            ("pieces_removed", done.pieces_removed),
            ("streams_removed", done.streams_removed),
        ],
        bytes: None,
        truncated: done.truncated,
        goes_on: false,
        unreadable: done.unreadable,
    })
}

async fn checkpoints(windlass: &Windlass, limit: usize) -> Result<Done, MaintainError> {
    let done = windlass.checkpoints().sweep(Sweep::Due, limit).await;
    let done = done.map_err(MaintainError::Checkpoints)?;
    let unreadable = done.unreadable.into_iter();
    let unreadable = unreadable.map(|it| (it.session.to_string(), it.why));
    Ok(Done {
        scanned: count(done.scanned),
        counts: vec![
            ("packed", done.packed),
            ("dropped", done.dropped),
            ("turns_removed", done.turns_removed),
        ],
        bytes: None,
        truncated: done.truncated,
        goes_on: false,
        unreadable: unreadable.collect(),
    })
}

async fn attachments(windlass: &Windlass, limit: usize) -> Result<Done, MaintainError> {
    let done = windlass.checkpoints();
    let done = done.sweep_attachments(Sweep::Due, limit).await;
    let done = done.map_err(MaintainError::Checkpoints)?;
    Ok(Done {
        scanned: count(done.scanned),
        counts: vec![("removed", done.removed)],
        bytes: Some(done.bytes),
        truncated: done.truncated,
        goes_on: false,
        unreadable: done.unreadable,
    })
}

async fn blobs(windlass: &Windlass, limit: usize) -> Result<Done, MaintainError> {
    let done = windlass.collect_due(limit).await;
    let done = done.map_err(MaintainError::Checkpoints)?.collected;
    // Of a lineage that is marked, or is to be, nothing is deleted yet.
    let goes_on = done.scanned > 0 || done.reasons.contains(&windlass_checkpoint::Reason::Limit);
    let unreadable = done.reasons.into_iter().filter_map(|reason| match reason {
        windlass_checkpoint::Reason::Unreadable { what, why } => Some((what, why)),
        _ => None,
    });
    Ok(Done {
        scanned: done.scanned,
        counts: vec![("deleted", done.deleted)],
        bytes: Some(done.bytes),
        truncated: done.truncated,
        goes_on,
        unreadable: unreadable.collect(),
    })
}

async fn keys(windlass: &Windlass, limit: usize) -> Result<Done, MaintainError> {
    let done = windlass.keys().sweep(limit).await;
    let done = done.map_err(MaintainError::Access)?;
    let unreadable = done.unreadable.into_iter();
    Ok(Done {
        scanned: count(done.scanned),
        counts: vec![("removed", done.removed)],
        bytes: None,
        truncated: done.truncated,
        goes_on: false,
        unreadable: unreadable.map(|it| (it.id.to_string(), it.why)).collect(),
    })
}

/// Events that one step of the audit's own takes with it.
const AUDIT_STEP: usize = 500;

async fn audit(windlass: &Windlass, limit: usize) -> Result<Done, MaintainError> {
    let done = windlass.audit().sweep((limit / AUDIT_STEP).max(1)).await;
    let done = done.map_err(MaintainError::Audit)?;
    Ok(Done {
        // It does not say which rows it looked at; what it took it saw.
        scanned: done.trimmed,
        counts: vec![("trimmed", done.trimmed)],
        bytes: None,
        truncated: done.truncated,
        goes_on: false,
        unreadable: done.unreadable,
    })
}

async fn cache(windlass: &Windlass, limit: usize) -> Result<Done, MaintainError> {
    let Some(caching) = windlass.caching() else {
        return Ok(Done::default());
    };
    let done = caching.sweep(SweepLimit::Entries(count(limit))).await;
    let done = done.map_err(MaintainError::Cache)?;
    let scanned = done.first.scanned + done.second.scanned;
    Ok(Done {
        scanned,
        counts: vec![
            ("memory_evicted", done.first.evicted),
            ("store_evicted", done.second.evicted),
        ],
        bytes: Some(done.first.bytes + done.second.bytes),
        truncated: done.is_truncated(),
        goes_on: scanned > 0,
        unreadable: Vec::new(),
    })
}

async fn cache_orphans(windlass: &Windlass, limit: usize) -> Result<Done, MaintainError> {
    let Some(caching) = windlass.caching() else {
        return Ok(Done::default());
    };
    let done = caching.reclaim(SweepLimit::Entries(count(limit))).await;
    let done = done.map_err(MaintainError::Cache)?;
    let scanned = done.scanned;
    Ok(Done {
        scanned,
        counts: vec![("blobs", done.chains), ("pieces", done.pieces)],
        bytes: None,
        truncated: done.is_truncated(),
        goes_on: scanned > 0,
        unreadable: Vec::new(),
    })
}
