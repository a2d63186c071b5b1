//! sled behind the four calls this crate makes of it.
//!
//! sled reports some damage by a panic, so opening catches them. Its
//! background thread is not used: commits are flushed by the writer, which
//! alone decides what is on the disk.

use std::fs::{File, OpenOptions};
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::time::Duration;

use bytes::Bytes;

use crate::claim;
use crate::error::Failure;
use crate::files::Files;
use crate::limits::{LET_GO_SECONDS_MAX, SEGMENT_BYTES};
use crate::options::{Durability, Options};

/// An open database of sled.
#[derive(Clone)]
pub(crate) struct Engine {
    db: sled::Db,
}

/// A row of sled.
pub(crate) type Row = (Bytes, Bytes);

impl Engine {
    /// Opens sled's files, or makes them if there are none.
    pub(crate) fn open(files: &Files, options: &Options) -> Result<Self, Failure> {
        await_log(files, options.open_time_max)?;
        let config = sled::Config::new()
            .path(files.directory())
            .cache_capacity(options.cache_bytes)
            .segment_size(SEGMENT_BYTES)
            .flush_every_ms(None);
        let opened = panic::catch_unwind(AssertUnwindSafe(|| config.open()));
        let opened = opened.map_err(|_| Failure::corrupt("sled gave up on its files"))?;
        Ok(Self { db: opened? })
    }

    /// Whether there were files.
    pub(crate) fn was_recovered(&self) -> bool {
        self.db.was_recovered()
    }

    /// The value of one row.
    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Failure> {
        Ok(self
            .db
            .get(key)?
            .map(|value| Bytes::copy_from_slice(&value)))
    }

    /// The rows from `start` up to but not including `end`.
    pub(crate) fn rows(
        &self,
        (start, end): (Vec<u8>, Vec<u8>),
    ) -> impl DoubleEndedIterator<Item = Result<Row, Failure>> + use<> {
        // sled panics on bounds that are out of order.
        let end = end.max(start.clone());
        self.db.range(start..end).map(|row| {
            let (key, value) = row?;
            Ok((Bytes::copy_from_slice(&key), Bytes::copy_from_slice(&value)))
        })
    }

    /// Changes rows, all or none also if the process dies.
    pub(crate) fn apply(&self, batch: sled::Batch) -> Result<(), Failure> {
        Ok(self.db.apply_batch(batch)?)
    }
}

/// Waits until no one has locked sled's log: sled itself gives up at once. A
/// database that was not closed by us may have threads that still use it.
fn await_log(files: &Files, patience: Duration) -> Result<(), Failure> {
    let path = files.log();
    let fail = |cause| Failure::system(format!("`{}` cannot be locked", path.display()), cause);
    let log = match OpenOptions::new().write(true).open(&path) {
        Ok(log) => log,
        // A new store has none.
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(cause) => return Err(fail(cause)),
    };
    if claim::free_within(&log, patience).map_err(fail)? {
        return Ok(());
    }
    let context = format!("`{}` is locked by another program", path.display());
    Err(Failure::environment(context))
}

/// The way from sled's buffers to the disk.
///
/// sled's own flush on Linux is `sync_file_range`, which neither makes the
/// disk empty its cache nor writes the length of the file. The handle is one
/// of our own, so an error that sled's was told is told to it as well.
pub(crate) struct Disk {
    engine: Engine,
    log: File,
    durability: Durability,
}

impl Disk {
    pub(crate) fn open(
        engine: &Engine,
        files: &Files,
        durability: Durability,
    ) -> Result<Self, Failure> {
        let path = files.log();
        let log = OpenOptions::new().write(true).open(&path);
        let log = log.map_err(|cause| {
            Failure::system(format!("`{}` cannot be opened", path.display()), cause)
        })?;
        Ok(Self {
            engine: engine.clone(),
            log,
            durability,
        })
    }

    /// The database.
    pub(crate) const fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Makes everything that was applied durable. After an error it must not
    /// be called again: what the system failed to write it may have dropped.
    pub(crate) fn sync(&self) -> Result<(), Failure> {
        self.engine.db.flush()?;
        if self.durability == Durability::UnsafeFlushed {
            return Ok(());
        }
        let synced = self.log.sync_all();
        synced.map_err(|cause| Failure::system("the log of sled cannot be synced", cause))
    }

    /// Closes sled, and waits until its threads have let go of the files.
    /// Whether they did so in time.
    pub(crate) fn close(self) -> bool {
        let Self { engine, log, .. } = self;
        let closed = panic::catch_unwind(AssertUnwindSafe(|| drop(engine)));
        let patience = Duration::from_secs(LET_GO_SECONDS_MAX);
        let free = closed.is_ok() && claim::free_within(&log, patience).unwrap_or(false);
        // The length that the mark is going to note must not come back shorter.
        free && log.sync_all().is_ok()
    }
}
