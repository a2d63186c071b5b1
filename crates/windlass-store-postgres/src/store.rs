//! The store's handle.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::oneshot;
use windlass_store::{
    Batch, Changes, Commit, Export, KeyRange, Page, Scan, Store, StoreError, StoreErrorKind,
};

use crate::connect::Pool;
use crate::error::Failure;
use crate::health::Health;
use crate::options::Options;
use crate::prepared::Prepared;
use crate::shared::{Committing, Reading, Shared};
use crate::{committer, export, hints, reader, schema};

/// A store in one schema of a PostgreSQL database.
///
/// An acknowledged commit is as durable as the server makes it: it survives
/// the loss of power on one machine, and of that machine where the server has
/// a synchronous standby. Any number of stores in any number of processes may
/// have the same schema open.
///
/// Needs a tokio runtime, whose tasks do the work. Dropping the store ends
/// them once they have done what was accepted; [`close`](Store::close) waits
/// for that.
pub struct PostgresStore {
    shared: Arc<Shared>,
}

impl PostgresStore {
    /// Connects to the server and opens the store; makes or migrates the
    /// schema if the options say so. A few round trips.
    ///
    /// # Errors
    ///
    /// `Unavailable` if the server cannot be reached for as long as the
    /// options allow; `Environment` where it refuses the user, lacks the
    /// database, may lose what it acknowledges, or the schema is somebody
    /// else's or of an unknown format; `Corrupt` if the schema's header is
    /// gone; `Invalid` for options out of range.
    pub async fn connect(options: Options) -> Result<Self, StoreError> {
        options.validate()?;
        let opened = open(options)
            .await
            .map_err(|failure| failure.error("open"))?;
        let shared = Arc::new(opened);
        for _ in 0..shared.options.committers {
            let committing = shared.committing();
            tokio::spawn(commit_until_closed(committing));
        }
        for _ in 0..shared.options.readers {
            let reading = shared.reading();
            tokio::spawn(read_until_closed(reading));
        }
        if shared.options.hints_between_processes {
            tokio::spawn(hints::run(Arc::clone(&shared)));
        }
        Ok(Self { shared })
    }

    /// The schema it is in.
    #[must_use]
    pub fn schema(&self) -> &str {
        &self.shared.options.schema
    }

    /// The server's state when the store was opened. Costs nothing.
    #[must_use]
    pub fn health(&self) -> Health {
        self.shared.health.clone()
    }
}

async fn open(options: Options) -> Result<Shared, Failure> {
    let commits = Pool::new(&options, options.committers)?;
    let mut connection = commits.connection().await?;
    let found = schema::open(&mut connection, &options).await?;
    drop(connection);
    Shared::new(options, commits, found)
}

async fn commit_until_closed(committing: Committing) {
    committer::run(Arc::clone(&committing.shared)).await;
}

async fn read_until_closed(reading: Reading) {
    reader::run(Arc::clone(&reading.shared)).await;
}

#[async_trait]
impl Store for PostgresStore {
    async fn read(&self, scans: &[Scan]) -> Result<Vec<Page>, StoreError> {
        Scan::validate(scans)?;
        self.shared.ensure_open("read")?;
        let pages = if reader::can_share(scans) {
            reader::share(&self.shared, scans).await
        } else {
            reader::alone(&self.shared, scans).await
        };
        pages.map_err(|failure| failure.error("read"))
    }

    async fn commit(&self, batch: Batch) -> Result<Commit, StoreError> {
        batch.validate()?;
        let shared = &self.shared;
        shared.ensure_open("commit")?;
        let kib = u32::try_from(batch.size() / 1_024)
            .unwrap_or(u32::MAX)
            .saturating_add(1);
        let closed = || StoreError::closed("commit");
        let room = Arc::clone(&shared.room).acquire_many_owned(kib);
        let room = room.await.map_err(|_| closed())?;
        let number = shared.numbers.next(&shared.commits).await;
        let number = number.map_err(|failure| failure.error("commit"))?;
        let (answer, answered) = oneshot::channel();
        let request = committer::Request {
            prepared: Prepared::new(&batch, number, shared.incarnation),
            batch,
            answer,
            room,
        };
        if !shared.queue.push(request) {
            return Err(closed());
        }
        answered.await.unwrap_or_else(|_| {
            let context = "the runtime ended while the commit was on its way";
            Err(StoreError::new(
                StoreErrorKind::Indeterminate,
                "commit",
                context,
            ))
        })
    }

    async fn export(&self, range: KeyRange) -> Result<Export, StoreError> {
        range.validate("export")?;
        self.shared.ensure_open("export")?;
        let started = export::start(&self.shared, range).await;
        Ok(Export::new(
            started.map_err(|failure| failure.error("export"))?,
        ))
    }

    fn subscribe(&self, prefix: &[u8]) -> Changes {
        self.shared.hub.subscribe(prefix)
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.shared.shut();
        self.shared.ended().await;
        Ok(())
    }
}

impl Drop for PostgresStore {
    fn drop(&mut self) {
        self.shared.shut();
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore")
            .field("options", &self.shared.options)
            .finish_non_exhaustive()
    }
}
