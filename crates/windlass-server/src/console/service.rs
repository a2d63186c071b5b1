//! How this process is, and the store below it, for operators.

use windlass_client::console as wire;
use windlass_client::store::{BackupStatus, Health};

use super::judge;
use crate::app::App;

/// Things shown that are stuck.
const STUCK_MAX: usize = 50;

/// What is read from the store, which is done less often than the rest.
#[derive(Debug, Default)]
pub(super) struct Slow {
    backup: Option<BackupStatus>,
    /// Tasks that failed the last time, and how often in a row.
    failing: Vec<(&'static str, u32)>,
}

/// Reads what the store says of backups and upkeep; of what cannot be read
/// nothing is said.
pub(super) async fn slow(app: &App) -> Slow {
    let backup = app.engine.backup_status().await.ok();
    let backup = backup.and_then(|status| serde_json::to_value(status).ok());
    let status = app.engine.maintenance().status().await.ok();
    let tasks = status.into_iter().flat_map(|status| status.tasks);
    let failing = tasks.filter(|task| task.failures > 0);
    Slow {
        backup: backup.and_then(|status| serde_json::from_value(status).ok()),
        failing: failing.map(|task| (task.task, task.failures)).collect(),
    }
}

/// How the process is now.
pub(super) fn look(app: &App, slow: &Slow) -> wire::Service {
    let counted = app.engine.activity().counted();
    let mut service = wire::Service {
        at: app.env.now().get(),
        started_at: app.console.started_at.get(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        draining: app.is_draining(),
        store: app.engine.health().map(health),
        backup: slow.backup.clone(),
        maintenance: judge::upkeep(&app.engine.maintenance().counts()),
        cache: cache(app),
        http: http(app),
        reads: reads(app),
        counted: wire::ProcessCounts {
            uses: counted.uses,
            refused: counted.refused,
        },
        memory_bytes: memory_bytes(),
        stuck: Vec::new(),
    };
    service.stuck = judge::stuck_service(&service, &slow.failing);
    service.stuck.truncate(STUCK_MAX);
    service
}

/// The health of a store as it is shown.
pub(crate) fn health(health: windlass::Health) -> Health {
    let oldest = health.oldest_reader.map(|age| age.as_millis());
    Health {
        database: health.database,
        survives_power_loss: health.survives_power_loss,
        settled: health.settled,
        wal_bytes: health.wal_bytes,
        oldest_reader_ms: oldest.map(|ms| u64::try_from(ms).unwrap_or(u64::MAX)),
    }
}

fn cache(app: &App) -> Option<windlass_client::cache::CacheView> {
    let cache = app.engine.cache()?;
    let stats = cache.stats();
    let shown = serde_json::json!({
        "first": stats.first,
        "second": stats.second,
        "namespaces": cache.namespaces(),
    });
    serde_json::from_value(shown).ok()
}

fn http(app: &App) -> wire::HttpFigures {
    let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    wire::HttpFigures {
        requests: app.metrics.requests(),
        connections: number(app.places.taken()),
        streams: app.streams.taken(),
        streams_max: number(app.config.streams_max),
        bodies_bytes: app.bodies.taken(),
    }
}

fn reads(app: &App) -> wire::ReadCounts {
    let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let streams = app.engine.streams();
    wire::ReadCounts {
        reading: number(streams.occupancy().all),
        reading_max: number(streams.settings().streams_max),
    }
}

/// Where Linux says how much memory a process has.
const MEMORY: &str = "/proc/self/status";

/// Memory of this process; `None` where the system does not say.
pub(super) fn memory_bytes() -> Option<u64> {
    let text = std::fs::read_to_string(MEMORY).ok()?;
    let mut lines = text.lines();
    let line = lines.find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1_024)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_some_memory_and_not_all_there_is() {
        let bytes = memory_bytes().expect("the system says");
        assert!((1 << 20..1 << 40).contains(&bytes), "{bytes}");
    }
}
