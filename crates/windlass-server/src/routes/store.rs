//! The store below everything, for operators.

use std::io::{self, Write};
use std::sync::mpsc::{SyncSender, sync_channel};

use axum::body::Body;
use bytes::Bytes;
use serde_json::json;
use windlass::Windlass;
use windlass::access::Verb;
use windlass::checkpoint::Sweep;
use windlass::core::TenantId;
use windlass_client::queue::QueueReport;
use windlass_client::session::Unreadable;
use windlass_client::state::{Collect, GarbageReport};
use windlass_client::store as wire;

use crate::call::{Call, Reply, parse_id};
use crate::problem::{Problem, Refused};
use crate::route::{Access, Route};

const TAG: &str = "store";

/// Pieces of an export that wait to be sent.
const PIECES_MAX: usize = 4;

/// Bytes of such a piece.
const PIECE_BYTES: usize = 64 * 1024;

/// Steps of upkeep, and entries counted, that may be asked for at a time.
const STEPS_MAX: u64 = 100_000;

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/v1/store", "get_store", |call| Box::pin(health(call)))
            .about(TAG, "Shows how the store is")
            .access(Access::Operator(Verb::StoreRead))
            .serves(&["Windlass::health"])
            .answers::<wire::Health>(200, "Its state")
            .fails(&["not_found"]),
        Route::get("/v1/store/due", "get_due", |call| Box::pin(due(call)))
            .about(TAG, "Counts the upkeep that has come due")
            .access(Access::Operator(Verb::StoreRead))
            .serves(&["Windlass::due"])
            .query::<wire::DueQuery>()
            .answers::<wire::Due>(200, "How much there is")
            .fails(&["invalid_request"]),
        Route::get("/v1/store/backup", "get_backup_status", |call| Box::pin(backup(call)))
            .about(TAG, "Shows what the store remembers of its last backup")
            .access(Access::Operator(Verb::StoreRead))
            .serves(&["Windlass::backup_status"])
            .answers::<wire::BackupStatus>(200, "When the last was made, and the failure after it, if there was one")
            .fails(&["corrupt_record"]),
        Route::post("/v1/store/maintain", "maintain", |call| Box::pin(maintain(call)))
            .about(TAG, "Does a bounded amount of upkeep; can be repeated")
            .access(Access::Operator(Verb::StoreManage))
            .serves(&["Windlass::maintain", "Sessions::sweep", "Sessions::sweep_with", "Stashes::reap_due", "Checkpoints::sweep", "Checkpoints::pack", "Queue::sweep", "Streams::sweep", "Streams::remove_session", "Checkpoints::sweep_attachments", "Keys::sweep", "AuditLog::sweep"])
            .takes::<wire::Maintain>()
            .optionally()
            .answers::<wire::Maintained>(200, "What was done")
            .without_operation(),
        Route::post("/v1/store/collect", "collect", |call| Box::pin(collect(call)))
            .about(TAG, "Collects contents that no state needs any more; can be repeated")
            .access(Access::Operator(Verb::StoreManage))
            .serves(&["Checkpoints::collect_due", "Checkpoints::collect_tenant", "Checkpoints::collect", "Checkpoints::lineages"])
            .takes::<Collect>()
            .optionally()
            .answers::<GarbageReport>(200, "What was done, or would be")
            .without_operation()
            .endless(),
        Route::get("/v1/store/export", "export", |call| Box::pin(export(call)))
            .about(TAG, "Sends everything stored as one file, as it was at one point in time")
            .access(Access::Operator(Verb::StoreManage))
            .serves(&["Windlass::export_to", "Windlass::export"])
            .sends(200, Some("application/octet-stream"), "The file of `windlass export`; cut short if the export failed, which its reader notices")
            .endless(),
    ]
}

fn failed<E: windlass::core::Coded + 'static>(error: &E) -> Refused {
    Box::new(Problem::of(error, serde_json::Map::new()))
}

/// A number of steps in range.
fn steps(asked: Option<u64>) -> Result<usize, Refused> {
    let steps = asked.unwrap_or(1_000);
    if !(1..=STEPS_MAX).contains(&steps) {
        let detail = format!("`limit` is {steps}; 1 to {STEPS_MAX} are allowed");
        let problem = Problem::new(400, "invalid_request", &detail);
        return Err(Box::new(problem.with("field", "limit")));
    }
    Ok(usize::try_from(steps).unwrap_or(usize::MAX))
}

async fn health(call: Call) -> Result<Reply, Refused> {
    let health = call.app.engine.health();
    let health = health.ok_or_else(|| Box::new(Problem::not_found()))?;
    Ok(Reply::json(&crate::console::health(health)))
}

async fn due(call: Call) -> Result<Reply, Refused> {
    let asked: wire::DueQuery = call.query()?;
    let due = call.app.engine.due(steps(asked.limit)?).await;
    let due = due.map_err(|error| failed(&error))?;
    Ok(Reply::json(&wire::Due {
        entries: u64::try_from(due.entries).unwrap_or(u64::MAX),
        more: due.more,
    }))
}

async fn backup(call: Call) -> Result<Reply, Refused> {
    let status = call.app.engine.backup_status().await;
    Ok(Reply::json(&status.map_err(|error| failed(&error))?))
}

async fn maintain(call: Call) -> Result<Reply, Refused> {
    let asked: wire::Maintain = call.json_or_default()?;
    let done = call.app.engine.maintain(steps(asked.limit)?).await;
    let done = done.map_err(|error| failed(&error))?;
    Ok(Reply::json(&json!({
        "sessions": done.sessions,
        "stashes": done.stashes,
        "checkpoints": done.checkpoints,
        "attachments": done.attachments,
        "garbage": done.garbage,
        "queue": queue_report(done.queue),
        "streams": done.streams,
        "access": done.access,
        "audit": done.audit,
    })))
}

fn queue_report(done: windlass::queue::SweepReport) -> QueueReport {
    let unreadable = done.unreadable.into_iter();
    QueueReport {
        scanned: u64::try_from(done.scanned).unwrap_or(u64::MAX),
        operations_removed: done.operations_removed,
        sources_removed: done.sources_removed,
        queues_removed: done.queues_removed,
        leases_removed: done.leases_removed,
        truncated: done.truncated,
        unreadable: unreadable
            .map(|(session, why)| Unreadable {
                id: session.to_string(),
                why,
            })
            .collect(),
    }
}

/// Rows of a lineage that may be asked for at a time.
const ROWS_MAX: u64 = 1_000_000_000;

async fn collect(call: Call) -> Result<Reply, Refused> {
    let asked: Collect = call.json_or_default()?;
    let limit = asked.limit.unwrap_or(u64::MAX);
    if asked.limit.is_some() && !(1..=ROWS_MAX).contains(&limit) {
        let detail = format!("`limit` is {limit}; 1 to {ROWS_MAX} are allowed");
        let problem = Problem::new(400, "invalid_request", &detail);
        return Err(Box::new(problem.with("field", "limit")));
    }
    let options = windlass::checkpoint::Collect {
        grace_ms: asked.grace_ms,
        dry_run: asked.dry_run,
    };
    let checkpoints = call.app.engine.checkpoints();
    let done = match &asked.tenant {
        Some(tenant) => {
            let tenant: TenantId = parse_id("tenant", tenant)?;
            checkpoints.collect_tenant(&tenant, options, limit).await?
        }
        None => {
            let sweep = match asked.grace_ms {
                Some(_) => Sweep::All,
                None => Sweep::Due,
            };
            checkpoints.collect_due(sweep, options, limit).await?
        }
    };
    Ok(Reply::json(&done))
}

/// Passes on what is written, piece by piece, to whoever sends it.
struct Pieces {
    to: SyncSender<io::Result<Bytes>>,
    piece: Vec<u8>,
}

impl Pieces {
    fn pass_on(&mut self) -> io::Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE_BYTES));
        let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
        self.to.send(Ok(piece.into())).map_err(gone)
    }
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.piece.extend_from_slice(bytes);
        if self.piece.len() >= PIECE_BYTES {
            self.pass_on()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.pass_on()
    }
}

async fn export(call: Call) -> Result<Reply, Refused> {
    let (to, from) = sync_channel(PIECES_MAX);
    let engine = call.app.engine.clone();
    let runtime = tokio::runtime::Handle::current();
    tokio::task::spawn_blocking(move || runtime.block_on(write_all(&engine, to)));
    let pieces = futures_util::stream::unfold(from, |from| async move {
        let received = tokio::task::spawn_blocking(move || {
            let piece = from.recv().ok();
            piece.map(|piece| (piece, from))
        });
        received.await.ok().flatten()
    });
    Ok(Reply::of(
        "application/octet-stream",
        Body::from_stream(pieces),
    ))
}

async fn write_all(engine: &Windlass, to: SyncSender<io::Result<Bytes>>) {
    let mut pieces = Pieces {
        to: to.clone(),
        piece: Vec::new(),
    };
    let exported = engine.export_to(&mut pieces, &mut |_| ()).await;
    let done = match exported {
        Ok(_) => pieces.pass_on(),
        Err(error) => {
            tracing::warn!(%error, "an export ended early");
            Err(io::Error::other("the export failed"))
        }
    };
    if let Err(error) = done {
        // Whoever asked has gone, or learns it from the end of the body.
        let _ = to.send(Err(error));
    }
}
