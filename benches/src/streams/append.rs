//! Durable rows as long as tokens, of 64 streams at once: chunks that share
//! commits, beside a transaction a row.

use std::path::Path;
use std::time::Duration;

use tokio::task::JoinSet;
use windlass::Windlass;
use windlass::stream::StreamWriter;

use crate::clock;
use crate::error::BenchError;
use crate::harness::contest::{Durability, Side, contest};
use crate::harness::row::Bar;
use crate::harness::throughput::decimal;
use crate::sessions::rows;
use crate::sessions::{Bench, Measured, dropped_note};

use super::Plain;
use super::fixture::{caller, new, open, row};

/// Streams that are written at once.
const STREAMS: usize = 64;
/// Bytes of a row's line.
const LINE_BYTES: usize = 64;

/// Appending rows of 64 streams.
///
/// # Errors
///
/// Whatever makes the figures worthless.
pub fn append(bench: &Bench<'_>) -> Result<Measured, BenchError> {
    let path = bench.directory.join("append.db");
    let windlass = bench.runtime.block_on(open(&path))?;
    let mut writers = Vec::new();
    for number in 0..STREAMS {
        let caller = caller();
        let new = new(number);
        let made = windlass.streams().create(&caller, &new);
        writers.push(bench.runtime.block_on(made)?);
    }
    let naive = bench.directory.join("append-naive.db");
    let mut sides: Vec<Box<dyn Side<Sample = f64>>> = vec![
        Box::new(Ours {
            bench,
            _windlass: windlass,
            writers,
        }),
        Box::new(Naive::open(&naive)?),
    ];
    let rounds = contest(&mut sides, bench.effort, bench.directory)?;
    let row = Plain {
        what: format!("durable rows of {LINE_BYTES} B, {STREAMS} streams, SQLite"),
        versus: "a transaction a row",
        unit: "rows/s",
        against: Some(1),
        bar: Bar::RatioAtLeast(15.0),
        durability: Durability::PowerLoss,
    };
    Ok(Measured {
        rows: vec![row.row(&rounds)],
        notes: dropped_note("append", &rounds.dropped)
            .into_iter()
            .collect(),
    })
}

struct Ours<'b> {
    bench: &'b Bench<'b>,
    /// Its streams are written as long as it is open.
    _windlass: Windlass,
    writers: Vec<StreamWriter>,
}

impl Side for Ours<'_> {
    /// Rows in a second.
    type Sample = f64;

    fn name(&self) -> &'static str {
        "ours"
    }

    fn run(&mut self, span: Duration) -> Result<f64, BenchError> {
        let start = clock::now();
        let writers = std::mem::take(&mut self.writers);
        let (rows, writers) = self.bench.runtime.block_on(async {
            let mut tasks = JoinSet::new();
            for writer in writers {
                tasks.spawn(write_for(writer, span));
            }
            let (mut rows, mut writers) = (0, Vec::new());
            while let Some(done) = tasks.join_next().await {
                let done = done.map_err(|cause| BenchError::Process(cause.to_string()))?;
                let (written, writer) = done?;
                rows += written;
                writers.push(writer);
            }
            Ok::<_, BenchError>((rows, writers))
        })?;
        self.writers = writers;
        Ok(decimal(rows) / start.elapsed().as_secs_f64())
    }
}

/// Appends until `span` is over, and waits until all of it is stored.
async fn write_for(
    mut writer: StreamWriter,
    span: Duration,
) -> Result<(u64, StreamWriter), BenchError> {
    let end = clock::now() + span;
    let before = writer.flushed().rows;
    let token = row(1, LINE_BYTES);
    while clock::now() < end {
        let written = writer.append(&token).await;
        written.map_err(|refused| refused.error)?;
        // Others get their turn while this one has nothing to wait for.
        tokio::task::consume_budget().await;
    }
    writer.flush().await?;
    Ok((writer.flushed().rows - before, writer))
}

/// One connection, a transaction a row, synced.
#[derive(Debug)]
struct Naive {
    connection: rusqlite::Connection,
}

impl Naive {
    fn open(path: &Path) -> Result<Self, BenchError> {
        let mut connection = rows::open(path, None)?;
        let transaction = connection.transaction()?;
        transaction.execute(
            "CREATE TABLE line (stream INTEGER, number INTEGER, text BLOB NOT NULL, PRIMARY KEY (stream, number)) WITHOUT ROWID",
            [],
        )?;
        transaction.commit()?;
        Ok(Self { connection })
    }
}

impl Side for Naive {
    type Sample = f64;

    fn name(&self) -> &'static str {
        "a transaction a row"
    }

    fn run(&mut self, span: Duration) -> Result<f64, BenchError> {
        let start = clock::now();
        let last = "SELECT coalesce(max(number), 0) FROM line WHERE stream = 0";
        let mut number: i64 = self.connection.query_row(last, [], |row| row.get(0))?;
        let token = row(1, LINE_BYTES);
        let mut rows = 0;
        while start.elapsed() < span {
            number += 1;
            for stream in 0..STREAMS {
                let stream = i64::try_from(stream).unwrap_or(0);
                let transaction = self.connection.transaction()?;
                let mut insert = transaction.prepare_cached(
                    "INSERT INTO line (stream, number, text) VALUES (?1, ?2, ?3)",
                )?;
                insert.execute((stream, number, token.content().as_ref()))?;
                drop(insert);
                transaction.commit()?;
                rows += 1;
            }
        }
        Ok(decimal(rows) / start.elapsed().as_secs_f64())
    }
}
