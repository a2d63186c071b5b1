//! The reader threads: each takes everything that waits into one read
//! transaction, begun after it was taken, so a read sees every commit that
//! was acknowledged before it was asked for.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rusqlite::Connection;
use tokio::sync::oneshot;
use windlass_store::{Page, Scan, StoreError};

use crate::connection;
use crate::error::Failure;
use crate::gate::Stay;
use crate::limits::{READ_GROUP_BYTES, READ_GROUP_MAX};
use crate::queue::Woken;
use crate::scan::{ReadError, Scanner, size};
use crate::shared::Shared;

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

/// Reads until the store is closed.
pub(crate) fn run(shared: &Arc<Shared>, first: Connection) {
    let mut reader = Reader {
        shared,
        group: VecDeque::with_capacity(READ_GROUP_MAX),
    };
    let mut connection = Some(first);
    while reader.take() {
        let opened = connection.take().map_or_else(|| open(shared), Ok);
        match opened {
            Ok(connection) => reader.serve(&connection),
            Err(failure) => reader.refuse(&failure),
        }
    }
}

struct Reader<'a> {
    shared: &'a Shared,
    /// What was taken and is not yet answered.
    group: VecDeque<Request>,
}

impl Reader<'_> {
    /// Reads through one connection until it fails or the store is closed.
    fn serve(&mut self, connection: &Connection) {
        let mut scanner = match Scanner::prepare(connection, self.shared.incarnation) {
            Ok(scanner) => scanner,
            Err(cause) => return self.refuse(&cause.into()),
        };
        while self.take() {
            if !self.shared.settled.load(Ordering::Acquire) {
                self.refuse(&unsettled());
                continue;
            }
            let _visit = self.shared.gate.enter(Stay::Short);
            if self.answer(&mut scanner).is_err() {
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
        if self.shared.reads.wait(None) == Woken::Closed {
            return false;
        }
        let mut taken = 0;
        self.shared.reads.take_while(&mut self.group, |_| {
            taken += 1;
            taken <= READ_GROUP_MAX
        });
        self.shared.read_places.add_permits(self.group.len());
        self.group.retain(|request| !request.answer.is_closed());
        true
    }

    /// Answers the group, or as much of it as one transaction should. An error
    /// means that the connection must not be used any further; whoever it hit
    /// has been told, and the rest of the group is left for another.
    fn answer(&mut self, scanner: &mut Scanner<'_>) -> Result<(), ()> {
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
            // Nobody may be waiting any more.
            let _ = request
                .answer
                .send(read.map_err(|error| error.failure().error("read")));
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
        for request in self.group.drain(..) {
            // Nobody may be waiting any more.
            let _ = request.answer.send(Err(failure.error("read")));
        }
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
