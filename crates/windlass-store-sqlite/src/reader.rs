//! The reader threads: each takes everything that waits into one read
//! transaction, begun after it was taken, so a read sees every commit that
//! was acknowledged before it was asked for.
//!
//! The first is the thread that opened the store, with the connection it has.
//! A further one is started when a read finds all of them at work. Where
//! callers read by themselves ([`crate::here`]) the threads answer those who
//! find no connection.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::oneshot;
use windlass_store::{Page, Scan, StoreError};

use crate::connection;
use crate::error::Failure;
use crate::gate::Stay;
use crate::limits::{IDLE_MS, READ_GROUP_BYTES, READ_GROUP_MAX};
use crate::queue::Woken;
use crate::scan::{ReadError, Scanner, size};
use crate::shared::Shared;
use crate::writer;

/// A read that waits, and who waits for it.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) scans: Vec<Scan>,
    pub(crate) answer: oneshot::Sender<Result<Vec<Page>, StoreError>>,
}

/// Opens a connection that only reads.
pub(crate) fn open(shared: &Shared) -> Result<Connection, Failure> {
    let connection = connection::open_again(&shared.files, &shared.options, shared.incarnation)?;
    connection::forbid_writes(&connection)?;
    Ok(connection)
}

/// How many threads read, and how many of them are at it.
#[derive(Debug)]
pub(crate) struct Readers {
    max: usize,
    started: AtomicUsize,
    busy: AtomicUsize,
}

impl Readers {
    /// One, and at most `max`.
    pub(crate) const fn new(max: usize) -> Self {
        Self {
            max,
            started: AtomicUsize::new(1),
            busy: AtomicUsize::new(0),
        }
    }

    /// Whether a read that is asked for now is taken at once, as far as more
    /// threads would help.
    pub(crate) fn has_idle(&self) -> bool {
        let started = self.started.load(Ordering::Relaxed);
        started >= self.max || self.busy.load(Ordering::Relaxed) < started
    }
}

#[cfg(test)]
impl Readers {
    /// Threads that were started.
    pub(crate) fn started(&self) -> usize {
        self.started.load(Ordering::Relaxed)
    }
}

/// Starts one more thread that reads, unless there are as many as there may
/// be. Without it reads take longer, so nobody is told if it fails.
pub(crate) fn reinforce(shared: &Arc<Shared>) {
    let started = &shared.readers.started;
    let more = |count| (count < shared.readers.max).then_some(count + 1);
    if started
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)
        .is_err()
    {
        return;
    }
    if shared.spawn("read", run).is_err() {
        started.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Reads until the store is closed, at first through the connection that the
/// store was opened with. That one stays open whatever happens to it.
pub(crate) fn run_first(shared: &Arc<Shared>, first: &Mutex<Connection>) {
    let mut reader = Reader::new(shared);
    reader.is_first = true;
    if !reader.take() {
        return;
    }
    let connection = first.lock().unwrap_or_else(PoisonError::into_inner);
    reader.serve(&connection);
    retire(&connection);
    drop(connection);
    reader.run();
}

/// Leaves nothing behind in a connection that is not used any more: a read
/// transaction would keep the log from being emptied.
fn retire(connection: &Connection) {
    if !connection.is_autocommit() {
        // Nothing was written, so nothing but memory is lost if this fails.
        let _ = connection.execute("ROLLBACK", []);
    }
    connection.flush_prepared_statement_cache();
    let _ = connection.release_memory();
}

/// Reads until the store is closed.
fn run(shared: &Arc<Shared>) {
    Reader::new(shared).run();
}

struct Reader<'a> {
    shared: &'a Arc<Shared>,
    /// What was taken and is not yet answered.
    group: VecDeque<Request>,
    /// Whether it sees to it that a store in which nothing is committed looks
    /// for space to give back, too.
    is_first: bool,
    /// Whether it counts as busy: from when it takes something until right
    /// before the last answer. So whoever reads again and again, one at a
    /// time, never finds it busy.
    is_busy: bool,
}

impl<'a> Reader<'a> {
    fn new(shared: &'a Arc<Shared>) -> Self {
        Self {
            shared,
            group: VecDeque::with_capacity(READ_GROUP_MAX),
            is_first: false,
            is_busy: false,
        }
    }

    fn run(&mut self) {
        while self.take() {
            match open(self.shared) {
                Ok(connection) => self.serve(&connection),
                Err(failure) => self.refuse(&failure),
            }
        }
    }

    /// Reads through one connection until it fails or the store is closed.
    fn serve(&mut self, connection: &Connection) {
        let scanner = Scanner::new(connection, self.shared.incarnation);
        while self.take() {
            if !self.shared.settled.load(Ordering::Acquire) {
                self.refuse(&unsettled());
                continue;
            }
            let _visit = self.shared.gate.enter(Stay::Short);
            if self.answer(&scanner).is_err() {
                return;
            }
        }
    }

    /// Waits for reads and takes as many as one transaction answers, unless
    /// some are left; `false` once the store is closed.
    fn take(&mut self) -> bool {
        if !self.group.is_empty() {
            return true;
        }
        if self.wait() == Woken::Closed {
            return false;
        }
        let mut taken = 0;
        self.shared.reads.take_while(&mut self.group, |_| {
            taken += 1;
            taken <= READ_GROUP_MAX
        });
        self.shared.read_places.add_permits(self.group.len());
        self.group.retain(|request| !request.answer.is_closed());
        self.set_busy(!self.group.is_empty());
        true
    }

    /// Waits until there is something to read or the store is closed. If
    /// nothing happens for a while, the thread that commits is started, which
    /// looks for space to give back.
    fn wait(&mut self) -> Woken {
        if self.is_first && !self.shared.post.is_filled() {
            let patience = Duration::from_millis(IDLE_MS);
            let woken = self.shared.reads.wait(Some(patience));
            if woken != Woken::Idle {
                return woken;
            }
            self.is_first = false;
            // If no thread can be started, whoever commits hears of it.
            let _ = writer::ensure(self.shared);
        }
        self.shared.reads.wait(None)
    }

    fn set_busy(&mut self, is_busy: bool) {
        let busy = &self.shared.readers.busy;
        if is_busy && !self.is_busy {
            busy.fetch_add(1, Ordering::Relaxed);
        } else if self.is_busy && !is_busy {
            busy.fetch_sub(1, Ordering::Relaxed);
        }
        self.is_busy = is_busy;
    }

    /// Answers the group, or as much of it as one transaction should. An error
    /// means that the connection must not be used any further; whoever it hit
    /// has been told, and the rest of the group is left for another.
    fn answer(&mut self, scanner: &Scanner<'_>) -> Result<(), ()> {
        // One statement is a transaction by itself.
        let several =
            self.group.len() > 1 || self.group.iter().any(|request| request.scans.len() > 1);
        if several && let Err(cause) = scanner.begin() {
            self.refuse(&cause.into());
            return Err(());
        }
        let mut bytes = 0;
        while bytes < READ_GROUP_BYTES
            && let Some(request) = self.group.pop_front()
        {
            let read = scanner.read(&request.scans);
            let broken = matches!(read, Err(ReadError::Sqlite(_)));
            bytes += read.as_deref().map_or(0, weight);
            self.tell(request, read.map_err(|error| error.failure().error("read")));
            if broken {
                return Err(());
            }
        }
        if several {
            scanner.end().map_err(drop)
        } else {
            Ok(())
        }
    }

    fn refuse(&mut self, failure: &Failure) {
        while let Some(request) = self.group.pop_front() {
            self.tell(request, Err(failure.error("read")));
        }
    }

    /// Answers a request that was taken out of the group.
    fn tell(&mut self, request: Request, answer: Result<Vec<Page>, StoreError>) {
        self.set_busy(!self.group.is_empty());
        // Nobody may be waiting any more.
        let _ = request.answer.send(answer);
    }
}

/// Bytes of keys and values in an answer.
fn weight(pages: &[Page]) -> usize {
    pages.iter().flat_map(|page| &page.entries).map(size).sum()
}

/// Why nothing can be read at the moment.
pub(crate) fn unsettled() -> Failure {
    Failure::unavailable("a commit failed half-way and the file could not be verified yet")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_that_is_not_used_any_more_keeps_no_transaction() {
        let connection = Connection::open_in_memory().expect("SQLite opens");
        connection.execute("BEGIN", []).expect("it begins");
        retire(&connection);
        assert!(connection.is_autocommit(), "the transaction is still there");
        retire(&connection);
    }
}
