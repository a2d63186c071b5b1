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
use crate::limits::READ_GROUP_MAX;
use crate::queue::Woken;
use crate::scan::{ReadError, Scanner};
use crate::shared::Shared;

/// A read that waits, and who waits for it.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) scans: Vec<Scan>,
    pub(crate) answer: oneshot::Sender<Result<Vec<Page>, StoreError>>,
}

/// Why a connection is no longer used.
enum End {
    Closed,
    Failed,
}

/// Opens a connection that only reads.
pub(crate) fn open(shared: &Shared) -> Result<Connection, Failure> {
    let connection = connection::open_again(&shared.files, &shared.options, shared.incarnation)?;
    connection::forbid_writes(&connection)?;
    Ok(connection)
}

/// Reads until the store is closed.
pub(crate) fn run(shared: &Arc<Shared>, first: Connection) {
    let mut connection = Some(first);
    loop {
        let opened = connection.take().map_or_else(|| open(shared), Ok);
        let end = match opened {
            Ok(connection) => serve(shared, &connection),
            Err(failure) => refuse_next(shared, &failure),
        };
        if matches!(end, End::Closed) {
            return;
        }
    }
}

fn serve(shared: &Shared, connection: &Connection) -> End {
    let mut scanner = match Scanner::prepare(connection, shared.incarnation) {
        Ok(scanner) => scanner,
        Err(cause) => return refuse_next(shared, &cause.into()),
    };
    let mut group = VecDeque::with_capacity(READ_GROUP_MAX);
    while take(shared, &mut group) {
        if !shared.settled.load(Ordering::Acquire) {
            refuse(&mut group, &unsettled());
            continue;
        }
        let visit = shared.gate.enter(Stay::Short);
        let read = read_group(&mut scanner, &mut group);
        drop(visit);
        if let Err(failure) = read {
            refuse(&mut group, &failure);
            return End::Failed;
        }
    }
    End::Closed
}

/// Waits for reads and takes as many as one transaction answers; `false` once
/// the store is closed.
fn take(shared: &Shared, group: &mut VecDeque<Request>) -> bool {
    if shared.reads.wait(None) == Woken::Closed {
        return false;
    }
    let mut taken = 0;
    shared.reads.take_while(group, |_| {
        taken += 1;
        taken <= READ_GROUP_MAX
    });
    shared.read_places.add_permits(group.len());
    group.retain(|request| !request.answer.is_closed());
    true
}

/// Answers the group. An error means that those left in it have no answer and
/// that the connection must not be used any further.
fn read_group(scanner: &mut Scanner<'_>, group: &mut VecDeque<Request>) -> Result<(), Failure> {
    // One statement is a transaction by itself.
    let single = group.len() == 1
        && group
            .front()
            .is_some_and(|request| request.scans.len() == 1);
    if !single && !group.is_empty() {
        scanner.begin()?;
    }
    while let Some(request) = group.pop_front() {
        let read = scanner.read(&request.scans);
        let broken = match &read {
            Err(ReadError::Sqlite(failure)) => Some(failure.clone()),
            Ok(_) | Err(ReadError::Damaged(_)) => None,
        };
        // Nobody may be waiting any more.
        let _ = request
            .answer
            .send(read.map_err(|error| error.failure().error("read")));
        if let Some(failure) = broken {
            return Err(failure);
        }
    }
    if !single {
        scanner.end()?;
    }
    Ok(())
}

/// Answers what waits with `failure`, so that nobody waits for a connection
/// that cannot be had.
fn refuse_next(shared: &Shared, failure: &Failure) -> End {
    let mut group = VecDeque::new();
    if !take(shared, &mut group) {
        return End::Closed;
    }
    refuse(&mut group, failure);
    End::Failed
}

fn refuse(group: &mut VecDeque<Request>, failure: &Failure) {
    for request in group.drain(..) {
        // Nobody may be waiting any more.
        let _ = request.answer.send(Err(failure.error("read")));
    }
}

fn unsettled() -> Failure {
    Failure::unavailable("a commit failed half-way and the file could not be verified yet")
}
