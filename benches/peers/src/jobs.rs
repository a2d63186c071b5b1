//! Jobs a second of other queues on SQLite, for the table of the queue.
//!
//! apalis-sqlite works on a fresh database as its `setup` configures it
//! (write-ahead log, `synchronous` OFF: what was acknowledged does not survive
//! the loss of power) over a pool of one connection. Jobs are pushed before the
//! workers start, and only fetching, running (a job does nothing) and
//! acknowledging them is timed: pushing beside that takes turns with the
//! workers at the one connection and makes it several times slower.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use apalis::prelude::*;
use apalis_sqlite::SqliteStorage;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions};

use crate::Failed;

/// What a job carries: as much as in our own row.
const PAYLOAD: &str =
    "{\"step\":12,\"tool\":\"search_documents\",\"query\":\"bearings, three suppliers\"}";
/// Jobs that lie ready: more than are done in the time.
const READY: usize = 30_000;

/// Jobs that `workers` did in about `span`, and the seconds it was.
pub async fn apalis(path: &str, workers: usize, span: Duration) -> Result<(u64, f64), Failed> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true);
    let pool: SqlitePool = SqlitePoolOptions::new()
        .max_connections(1)
        .connect_with(options)
        .await?;
    SqliteStorage::setup(&pool).await?;
    let mut producer = SqliteStorage::<String>::new(&pool);
    for _ in 0..READY {
        producer
            .push(PAYLOAD.to_owned())
            .await
            .map_err(|error| error.to_string())?;
    }
    let done = Arc::new(AtomicU64::new(0));
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..workers {
        let (backend, done) = (SqliteStorage::<String>::new(&pool), Arc::clone(&done));
        tasks.spawn(async move {
            let worker = WorkerBuilder::new(format!("worker-{number}"))
                .backend(backend)
                .data(done)
                .build(work);
            let _ = worker.run().await;
        });
    }
    // The first second is for starting.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (start, before) = (Instant::now(), done.load(Ordering::Relaxed));
    tokio::time::sleep(span).await;
    let jobs = done.load(Ordering::Relaxed) - before;
    let seconds = start.elapsed().as_secs_f64();
    tasks.shutdown().await;
    Ok((jobs, seconds))
}

async fn work(_: String, done: Data<Arc<AtomicU64>>) -> Result<(), BoxDynError> {
    done.fetch_add(1, Ordering::Relaxed);
    Ok(())
}
