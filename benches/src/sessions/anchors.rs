//! What the bars were made for: a machine on which one row of 200 bytes is
//! updated so often in a second, durably, by 256 callers. A machine far below
//! makes every figure void.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Duration;

use rusqlite::{CachedStatement, Connection, params};
use tokio::runtime::Runtime;
use tokio::sync::{Mutex, oneshot};

use crate::error::BenchError;
use crate::harness::contest::{Durability, Effort, Side, contest};
use crate::harness::row::{Bar, Comparison, Row, Verdict};
use crate::harness::throughput::{Caller, Throughput, drive};

use super::{Bench, Measured, dropped_note, rows, throughput_figures};

/// Callers, each with a row of its own.
const CALLERS: u32 = 256;
/// Bytes of a row's value.
const VALUE_BYTES: usize = 200;
/// Half of what a quiet machine reaches with a transaction a call.
const NAIVE_MIN: f64 = 2_500.0;
/// Half of what a quiet machine reaches with a transaction a group.
const CEILING_MIN: f64 = 50_000.0;

/// Measures both anchors.
///
/// # Errors
///
/// Whatever makes the figures worthless.
pub fn anchors(bench: &Bench<'_>) -> Result<Measured, BenchError> {
    let path = |name: &str| bench.directory.join(format!("anchor-{name}.db"));
    let mut sides: Vec<Box<dyn Side<Sample = Throughput>>> = vec![
        Box::new(Anchor::naive(bench.runtime, &path("naive"))?),
        Box::new(Anchor::grouped(bench.runtime, &path("grouped"))?),
    ];
    let effort = Effort {
        rounds: 5,
        ..bench.effort
    };
    let rounds = contest(&mut sides, effort, bench.directory)?;
    let row = |place, versus, bar| {
        let comparison = Comparison {
            what: "anchor: one row of 200 B, 256 callers".to_owned(),
            versus,
            unit: "1/s",
            number: &Throughput::per_second,
            figures: &|samples| throughput_figures(samples, Durability::PowerLoss),
            ours: place,
            against: None,
            bar: Bar::OursAtLeast(bar),
        };
        comparison.row(&rounds)
    };
    Ok(Measured {
        rows: vec![
            row(0, "a transaction a call", NAIVE_MIN),
            row(1, "a transaction a group", CEILING_MIN),
        ],
        notes: dropped_note("anchors", &rounds.dropped)
            .into_iter()
            .collect(),
    })
}

/// Whether no anchor is missed.
#[must_use]
pub fn are_met(anchors: &Measured) -> bool {
    let missed = |row: &Row| row.verdict == Verdict::Missed;
    !anchors.rows.iter().any(missed)
}

/// One of the two ways.
#[derive(Debug)]
struct Anchor<'r> {
    runtime: &'r Runtime,
    name: &'static str,
    callers: Vec<User>,
}

impl<'r> Anchor<'r> {
    fn naive(runtime: &'r Runtime, path: &Path) -> Result<Self, BenchError> {
        let connection = Arc::new(Mutex::new(prepare(path)?));
        let way = Way::Alone(connection);
        Ok(Self::new(runtime, "naive", &way))
    }

    fn grouped(runtime: &'r Runtime, path: &Path) -> Result<Self, BenchError> {
        let connection = prepare(path)?;
        let (orders, taken) = mpsc::channel();
        thread::Builder::new()
            .name("anchor".into())
            .spawn(move || serve(&connection, &taken))
            .map_err(BenchError::io("start a thread"))?;
        Ok(Self::new(runtime, "grouped", &Way::Grouped(orders)))
    }

    fn new(runtime: &'r Runtime, name: &'static str, way: &Way) -> Self {
        let user = |row| User {
            row,
            count: 0,
            way: way.clone(),
        };
        Self {
            runtime,
            name,
            callers: (0..CALLERS).map(user).collect(),
        }
    }
}

impl Side for Anchor<'_> {
    type Sample = Throughput;

    fn name(&self) -> &'static str {
        self.name
    }

    fn run(&mut self, span: Duration) -> Result<Throughput, BenchError> {
        let callers = std::mem::take(&mut self.callers);
        let (throughput, callers) = drive(self.runtime, callers, span)?;
        self.callers = callers;
        Ok(throughput)
    }
}

#[derive(Clone, Debug)]
enum Way {
    Alone(Arc<Mutex<Connection>>),
    Grouped(Sender<Update>),
}

/// A row to be updated, and who waits for it.
#[derive(Debug)]
struct Update {
    row: u32,
    value: Vec<u8>,
    answer: oneshot::Sender<()>,
}

#[derive(Debug)]
struct User {
    row: u32,
    count: u8,
    way: Way,
}

impl Caller for User {
    async fn call(&mut self) -> Result<(), BenchError> {
        self.count = self.count.wrapping_add(1);
        let (row, value) = (self.row, vec![self.count; VALUE_BYTES]);
        match &self.way {
            Way::Alone(connection) => {
                let connection = Arc::clone(connection).lock_owned().await;
                let update = move || update_alone(&connection, row, &value);
                let updated = tokio::task::spawn_blocking(update).await;
                updated.map_err(|cause| BenchError::Process(cause.to_string()))?
            }
            Way::Grouped(orders) => {
                let gone = || BenchError::Process("the anchor's thread has ended".into());
                let (answer, answered) = oneshot::channel();
                let update = Update { row, value, answer };
                orders.send(update).map_err(|_| gone())?;
                answered.await.map_err(|_| gone())
            }
        }
    }
}

fn prepare(path: &Path) -> Result<Connection, BenchError> {
    let connection = rows::open(path, None)?;
    connection.execute(
        "CREATE TABLE anchor (id INTEGER PRIMARY KEY, value BLOB NOT NULL)",
        [],
    )?;
    let transaction = connection.unchecked_transaction()?;
    for row in 0..CALLERS {
        let value = [0_u8; VALUE_BYTES];
        transaction.execute("INSERT INTO anchor VALUES (?1, ?2)", params![row, value])?;
    }
    transaction.commit()?;
    Ok(connection)
}

fn statement(connection: &Connection) -> rusqlite::Result<CachedStatement<'_>> {
    connection.prepare_cached("UPDATE anchor SET value = ?2 WHERE id = ?1")
}

fn update_alone(connection: &Connection, row: u32, value: &[u8]) -> Result<(), BenchError> {
    let transaction = connection.unchecked_transaction()?;
    statement(&transaction)?.execute(params![row, value])?;
    transaction.commit()?;
    Ok(())
}

/// Commits whatever waits until nobody can order any more, or SQLite fails,
/// which every caller notices.
fn serve(connection: &Connection, orders: &Receiver<Update>) -> Result<(), BenchError> {
    let mut update = statement(connection)?;
    let mut group = Vec::new();
    while let Ok(first) = orders.recv() {
        group.push(first);
        group.extend(orders.try_iter());
        let transaction = connection.unchecked_transaction()?;
        for order in &group {
            update.execute(params![order.row, order.value])?;
        }
        transaction.commit()?;
        for order in group.drain(..) {
            // Nobody may be waiting any more.
            let _ = order.answer.send(());
        }
    }
    Ok(())
}
