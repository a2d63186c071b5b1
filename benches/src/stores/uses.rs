//! Uses of 256 sessions by 256 callers, on every store.

use std::sync::Arc;

use windlass::store::{KeyRange, Store};
use windlass::{Options, SystemEnv, Windlass};
use windlass_store_memory::MemoryStore;
use windlass_store_postgres::{Options as PostgresOptions, PostgresStore};
use windlass_store_sled::{Options as SledOptions, SledStore};
use windlass_store_testing::postgres::Server;

use crate::error::BenchError;
use crate::harness::contest::{Durability, Rounds, Side, contest};
use crate::harness::row::{Bar, Comparison, Row, figure};
use crate::harness::throughput::Throughput;
use crate::sessions::fixture::{CALLS, fill, open};
use crate::sessions::ours::{Hope, Ours, Spreading, Work};
use crate::sessions::rows::{Head, head_key};
use crate::sessions::{Bench, Measured, dropped_note, throughput_figures};

use super::plain::{Plain, Remembered, Way};

/// Sessions, each with a caller.
const CALLERS: usize = 256;

const WORK: Work = Work {
    callers: CALLERS,
    spreading: Spreading::OwnSession,
    operations: false,
    hope: Hope::Grants,
};

/// Memory for the server's pages: what a small server of its own would have.
const SETTINGS: &[(&str, &str)] = &[("shared_buffers", "512MB"), ("max_wal_size", "4GB")];

/// Measures the row.
///
/// # Errors
///
/// Whatever makes the figures worthless.
pub fn uses(bench: &Bench<'_>) -> Result<Measured, BenchError> {
    let server = Server::start(SETTINGS);
    let server = server.map_err(|cause| BenchError::Process(cause.to_string()))?;
    let (postgres, heads) = bench.runtime.block_on(postgres(&server))?;
    let plain = |way| Plain::new(bench.runtime, &server.url(), way, &heads);
    let mut sides: Vec<Box<dyn Side<Sample = Throughput>>> = vec![
        Box::new(Ours::over(bench.runtime, postgres, WORK)),
        Box::new(plain(Way::Naive)?),
        Box::new(plain(Way::Pooled)?),
        Box::new(plain(Way::Batched)?),
    ];
    let rounds = contest(&mut sides, bench.effort, bench.directory)?;
    drop(sides);
    let mut measured = Measured {
        rows: vec![
            row(&rounds, "a transaction a call", 1, 15.0),
            row(&rounds, "pool of 8, a statement a call", 2, 1.5),
            row(&rounds, "UPDATE FROM unnest", 3, 0.35),
        ],
        notes: dropped_note("uses", &rounds.dropped).into_iter().collect(),
    };
    measured.notes.push(beside(bench)?);
    Ok(measured)
}

/// An engine on a store in `server`, and its sessions as the other sides
/// begin with them.
async fn postgres(server: &Server) -> Result<(Windlass, Vec<Remembered>), BenchError> {
    let options = PostgresOptions::from_url(&server.url())?;
    let store = Arc::new(PostgresStore::connect(options).await?);
    let windlass = over(store)?;
    fill(&windlass, CALLERS, CALLS).await?;
    let export = windlass.store().export(KeyRange::all()).await?;
    let entries = export.collect().await?;
    let remember = |number| {
        let key = head_key(number);
        let found = entries.iter().find(|entry| entry.key == key);
        let entry = found.ok_or_else(|| BenchError::Unfair("a session is missing".into()))?;
        let head: Head = serde_json::from_slice(&entry.value)
            .map_err(|cause| BenchError::Unfair(cause.to_string()))?;
        Ok(Remembered::new(number, head))
    };
    let heads: Result<_, BenchError> = (0..CALLERS).map(remember).collect();
    Ok((windlass, heads?))
}

fn over(store: Arc<dyn Store>) -> Result<Windlass, BenchError> {
    Windlass::over(store, &Options::default(), Arc::new(SystemEnv::new()))
        .map_err(|cause| BenchError::Unfair(cause.to_string()))
}

fn row(rounds: &Rounds<Throughput>, versus: &'static str, place: usize, bar: f64) -> Row {
    let comparison = Comparison {
        what: format!("use, {CALLERS} sessions, {CALLERS} callers, PostgreSQL"),
        versus,
        unit: "1/s",
        number: &Throughput::per_second,
        figures: &|samples| throughput_figures(samples, Durability::PowerLoss),
        ours: 0,
        against: Some(place),
        bar: Bar::RatioAtLeast(bar),
    };
    comparison.row(rounds)
}

/// The same uses on the other stores, in turns of their own.
fn beside(bench: &Bench<'_>) -> Result<String, BenchError> {
    let engines = bench.runtime.block_on(async {
        let path = bench.directory.join("uses.sled");
        let sled = SledStore::open(&path, SledOptions::default()).await?;
        let engines = [
            open(&bench.directory.join("uses.db"), None).await?,
            over(Arc::new(sled))?,
            over(Arc::new(MemoryStore::new()?))?,
        ];
        for engine in &engines {
            fill(engine, CALLERS, CALLS).await?;
        }
        Ok::<_, BenchError>(engines)
    })?;
    let side = |engine| -> Box<dyn Side<Sample = Throughput>> {
        Box::new(Ours::over(bench.runtime, engine, WORK))
    };
    let mut sides: Vec<_> = engines.into_iter().map(side).collect();
    let rounds = contest(&mut sides, bench.effort, bench.directory)?;
    let figures = |place: usize| {
        let samples: Vec<_> = rounds.samples.iter().map(|round| &round[place]).collect();
        throughput_figures(&samples, Durability::PowerLoss)
    };
    let shown = ["SQLite", "sled", "memory"].iter().enumerate();
    let shown = shown.map(|(place, store)| {
        let figures = figures(place);
        let wait = |us: Option<f64>| figure(us.unwrap_or(f64::NAN));
        let (p50, p99) = (wait(figures.p50_us), wait(figures.p99_us));
        format!("{store} {}/s ({p50}/{p99} us)", figure(figures.median))
    });
    let shown = shown.collect::<Vec<_>>().join(", ");
    Ok(format!("the same on other stores (p50/p99): {shown}"))
}
