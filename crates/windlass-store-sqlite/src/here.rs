//! Reads on the thread that asks, for stores that were opened for it.
//!
//! Nobody waits here: a read that finds no connection free, the gate held or
//! the store unsettled goes the way of all others, to the reader threads.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use rusqlite::Connection;
use windlass_store::{Page, Scan, StoreError};

use crate::connection;
use crate::error::Failure;
use crate::gate::Stay;
use crate::limits::PAGE_CACHE_KIB;
use crate::options::{Options, Reads};
use crate::reader;
use crate::scan::{ReadError, Scanner};
use crate::shared::Shared;

/// A connection, once there is one.
type Place = Mutex<Option<Connection>>;

/// Connections that callers read through.
#[derive(Debug)]
pub(crate) struct Here {
    places: Vec<Place>,
    page_cache_kib: u32,
}

impl Here {
    /// None, unless the options ask for it.
    pub(crate) fn new(options: &Options) -> Self {
        let (count, page_cache_kib) = match options.reads {
            Reads::OnThreads => (0, 0),
            Reads::OnCaller { page_cache_kib } => (options.reader_threads, page_cache_kib),
        };
        Self {
            places: (0..count).map(|_| Place::default()).collect(),
            page_cache_kib,
        }
    }

    /// Gives a connection that writes as much memory for pages as those of
    /// callers have, if that is more than it has.
    pub(crate) fn enlarge_cache(&self, connection: &Connection) -> Result<(), Failure> {
        let kib = i64::from(self.page_cache_kib);
        if kib > PAGE_CACHE_KIB {
            connection::set(connection, &format!("cache_size = -{kib}"))?;
        }
        Ok(())
    }

    pub(crate) fn free(&self) -> Option<MutexGuard<'_, Option<Connection>>> {
        self.places.iter().find_map(|place| match place.try_lock() {
            Ok(place) => Some(place),
            Err(TryLockError::WouldBlock) => None,
            Err(TryLockError::Poisoned(poisoned)) => {
                // Whoever panicked left it in the middle of something.
                let mut place = poisoned.into_inner();
                *place = None;
                Some(place)
            }
        })
    }

    /// Closes all connections. None is opened once the store is closed or has
    /// failed.
    pub(crate) fn empty(&self) {
        for place in &self.places {
            let mut place = place.lock().unwrap_or_else(PoisonError::into_inner);
            *place = None;
        }
    }
}

/// The answer to a read, if it can be given at once.
pub(crate) fn read(shared: &Arc<Shared>, scans: &[Scan]) -> Option<Result<Vec<Page>, StoreError>> {
    let mut place = shared.here.free()?;
    // Closing sets this before it closes the connections, and so does failing.
    if shared.is_over() || !shared.settled.load(Ordering::Acquire) {
        return None;
    }
    let _visit = shared.gate.try_enter(Stay::Short)?;
    let connection = match place.take() {
        Some(connection) => connection,
        // Without one the threads do it, and say what is wrong.
        None => open(shared).ok()?,
    };
    let answer = pages(shared, &connection, scans);
    if !matches!(answer, Err(ReadError::Sqlite(_))) {
        *place = Some(connection);
    }
    Some(answer.map_err(|error| error.failure().error("read")))
}

fn open(shared: &Shared) -> Result<Connection, Failure> {
    let connection = reader::open(shared)?;
    let size = format!("cache_size = -{}", shared.here.page_cache_kib);
    connection::set(&connection, &size)?;
    Ok(connection)
}

fn pages(shared: &Shared, connection: &Connection, scans: &[Scan]) -> Result<Vec<Page>, ReadError> {
    let scanner = Scanner::new(connection, shared.incarnation);
    // One statement is a transaction by itself.
    if scans.len() == 1 {
        return scanner.read(scans);
    }
    scanner.begin()?;
    let read = scanner.read(scans);
    if !matches!(read, Err(ReadError::Sqlite(_))) {
        scanner.end()?;
    }
    read
}
