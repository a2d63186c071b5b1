//! Exports: each has a thread, a connection and one read transaction of its
//! own, hands over one bounded step at a time, and ends by itself when its
//! time is over, also while nobody asks for the next step.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use rusqlite::{Connection, Rows};
use tokio::sync::oneshot;
use windlass_store::limits::READ_ENTRIES_MAX;
use windlass_store::{Entry, ExportSource, KeyRange, Scan, StoreError, Take};

use crate::clock;
use crate::error::Failure;
use crate::gate::Stay;
use crate::limits::{EXPORT_STEP_BYTES, EXPORTS_MAX};
use crate::reader;
use crate::scan::{ReadError, Scanner, entry, query, range_sql, size};
use crate::shared::Shared;

type Step = Result<Option<Vec<Entry>>, StoreError>;

/// Tells the caller that the point in time is fixed, or why it is not.
type Ready = oneshot::Sender<Result<(), Failure>>;

/// What the thread of an export is told.
#[derive(Debug)]
enum Demand {
    Next(oneshot::Sender<Step>),
    Stop,
}

/// The exports that run. At most [`EXPORTS_MAX`].
#[derive(Debug, Default)]
pub(crate) struct Exports {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    running: HashMap<u64, Sender<Demand>>,
}

impl Exports {
    fn add(&self, demands: Sender<Demand>) -> Result<u64, Failure> {
        let mut state = self.lock();
        if state.running.len() >= EXPORTS_MAX {
            return Err(Failure::unavailable(format!(
                "{EXPORTS_MAX} exports are running already"
            )));
        }
        let number = state.next;
        state.next += 1;
        state.running.insert(number, demands);
        Ok(number)
    }

    fn remove(&self, number: u64) {
        self.lock().running.remove(&number);
    }

    /// Ends every export.
    pub(crate) fn stop_all(&self) {
        for demands in self.lock().running.values() {
            // An export that has ended by itself needs no telling.
            let _ = demands.send(Demand::Stop);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The caller's end of an export; dropping it ends the thread.
#[derive(Debug)]
pub(crate) struct Source {
    shared: Arc<Shared>,
    demands: Sender<Demand>,
}

#[async_trait]
impl ExportSource for Source {
    async fn next(&mut self) -> Result<Option<Vec<Entry>>, StoreError> {
        let (answer, answered) = oneshot::channel();
        if self.demands.send(Demand::Next(answer)).is_err() {
            return Err(self.ended());
        }
        answered.await.unwrap_or_else(|_| Err(self.ended()))
    }
}

impl Source {
    fn ended(&self) -> StoreError {
        if self.shared.is_closed() {
            return StoreError::closed("export");
        }
        let limit = self.shared.options.export_time_max;
        Failure::unavailable(format!("the export was not finished within {limit:?}"))
            .error("export")
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        // The thread may have ended by itself.
        let _ = self.demands.send(Demand::Stop);
    }
}

/// Starts an export of `range`; its point in time is fixed when this returns.
pub(crate) async fn start(shared: &Arc<Shared>, range: KeyRange) -> Result<Source, StoreError> {
    let (demands, orders) = mpsc::channel();
    let fail = |failure: Failure| failure.error("export");
    let number = shared.exports.add(demands.clone()).map_err(fail)?;
    let source = Source {
        shared: Arc::clone(shared),
        demands,
    };
    if shared.is_closed() {
        // Too late to be told to stop.
        shared.exports.remove(number);
        return Err(StoreError::closed("export"));
    }
    let (ready, begun) = oneshot::channel();
    let spawned = shared.spawn("export", move |shared| {
        let exporter = Exporter {
            shared,
            range,
            orders,
            deadline: clock::now() + shared.options.export_time_max,
        };
        exporter.run(ready);
        shared.exports.remove(number);
    });
    if let Err(failure) = spawned {
        shared.exports.remove(number);
        return Err(fail(failure));
    }
    match begun.await {
        Ok(Ok(())) => Ok(source),
        Ok(Err(failure)) => Err(fail(failure)),
        Err(_) => Err(shared.refusal("export")),
    }
}

struct Exporter<'a> {
    shared: &'a Shared,
    range: KeyRange,
    orders: Receiver<Demand>,
    deadline: Instant,
}

impl Exporter<'_> {
    fn run(&self, ready: Ready) {
        let _visit = self.shared.gate.enter(Stay::Long);
        let mut ready = Some(ready);
        if let Err(error) = self.stream(&mut ready) {
            self.report(error.failure(), ready);
        }
    }

    /// Tells whoever waits for the export to begin, or for its next step.
    fn report(&self, failure: &Failure, ready: Option<Ready>) {
        // The caller may have gone.
        if let Some(ready) = ready {
            let _ = ready.send(Err(failure.clone()));
        } else if let Some(Demand::Next(answer)) = self.demand() {
            let _ = answer.send(Err(failure.error("export")));
        }
    }

    fn stream(&self, ready: &mut Option<Ready>) -> Result<(), ReadError> {
        let connection = reader::open(self.shared).map_err(ReadError::Sqlite)?;
        let scanner = self.begin(&connection)?;
        let scan = Scan::new(self.range.clone());
        let mut statement = connection.prepare_cached(range_sql(&scan))?;
        let mut rows = query(&mut statement, &self.range)?;
        // The first step is read before the caller asks for it: it fixes the
        // point in time, and each later one is read while the caller is busy
        // with the one before.
        let mut step = self.step(&mut rows)?;
        if let Some(ready) = ready.take() {
            let _ = ready.send(Ok(()));
        }
        while let Some(Demand::Next(answer)) = self.demand() {
            let ended = step.is_none();
            let _ = answer.send(Ok(step));
            if ended {
                break;
            }
            step = self.step(&mut rows)?;
        }
        drop(rows);
        drop(statement);
        Ok(scanner.end()?)
    }

    fn begin<'c>(&self, connection: &'c Connection) -> Result<Scanner<'c>, ReadError> {
        if !self.shared.settled.load(Ordering::Acquire) {
            return Err(ReadError::Sqlite(reader::unsettled()));
        }
        let scanner = Scanner::new(connection, self.shared.incarnation);
        scanner.begin()?;
        Ok(scanner)
    }

    /// The next demand; `None` if there will be none or time is over.
    fn demand(&self) -> Option<Demand> {
        let left = self.deadline.saturating_duration_since(clock::now());
        if left == Duration::ZERO {
            return None;
        }
        self.orders.recv_timeout(left).ok()
    }

    fn step(&self, rows: &mut Rows<'_>) -> Result<Option<Vec<Entry>>, ReadError> {
        let mut entries = Vec::new();
        let mut bytes = 0;
        while entries.len() < READ_ENTRIES_MAX && bytes < EXPORT_STEP_BYTES {
            let Some(row) = rows.next()? else { break };
            let entry = entry(row, Take::Entries, self.shared.incarnation)?;
            bytes += size(&entry);
            entries.push(entry);
        }
        Ok(if entries.is_empty() {
            None
        } else {
            Some(entries)
        })
    }
}
