//! The store's handle.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;

use async_trait::async_trait;
use tokio::sync::oneshot;
use windlass_store::{
    Batch, Changes, Commit, Export, KeyRange, Page, Scan, Store, StoreError, StoreErrorKind,
};

use crate::apply::Fused;
use crate::error::Failure;
use crate::group;
use crate::health::Health;
use crate::options::{Options, Sharing};
use crate::shared::{Keep, Shared};
use crate::turns::{self, Turns};
use crate::writer::{self, Line};
use crate::{birth, checkpoint, connection, export, files::Files, reader};

/// A durable store in one SQLite file.
///
/// An acknowledged commit survives power loss. Any number of stores, in any
/// number of processes of one machine, may have the same file open, unless
/// one of them wants it for itself ([`Sharing::Exclusive`]). The file must not
/// be on a network file system.
///
/// Dropping the store ends its threads soon after, once they have done what
/// was accepted; [`close`](Store::close) waits for that.
pub struct SqliteStore {
    shared: Arc<Shared>,
}

impl SqliteStore {
    /// Opens the store in the file at `path`, or makes a new one if there is
    /// no file. The directory must exist.
    ///
    /// Blocks nothing: the work is done on a thread of its own. Takes a few
    /// milliseconds whatever the file holds, and longer where a crash left a
    /// log behind.
    ///
    /// # Errors
    ///
    /// `Environment` where the path cannot hold a store (no directory, a
    /// directory, a read-only file, a database of somebody else, an unknown
    /// format); `Corrupt` for a file that was emptied, truncated or is no
    /// database, and for a log without its database; `Unavailable` where
    /// sharing does not allow it or another process keeps the file locked;
    /// `Invalid` for options out of range.
    pub async fn open(path: impl AsRef<Path>, options: Options) -> Result<Self, StoreError> {
        let path = path.as_ref().to_owned();
        let (answer, answered) = oneshot::channel();
        let opening = move || {
            // The caller may have gone; then the store is dropped.
            let _ = answer.send(open_blocking(&path, options));
        };
        let spawned = thread::Builder::new()
            .name("sqlite-open".into())
            .spawn(opening);
        spawned
            .map_err(|cause| Failure::system("no thread can be started", cause).error("open"))?;
        let panicked =
            |_| Err(Failure::unavailable("the thread that opens has failed").error("open"));
        answered.await.unwrap_or_else(panicked)
    }

    /// Who else may have the file open.
    #[must_use]
    pub fn sharing(&self) -> Sharing {
        self.shared.options.sharing
    }

    /// The file, by its absolute name.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.shared.files.database().to_owned()
    }

    /// The state of the store. Costs one call to the operating system.
    #[must_use]
    pub fn health(&self) -> Health {
        Health {
            sharing: self.shared.options.sharing,
            wal_bytes: self.shared.files.wal_bytes(),
            free_bytes: self.shared.free_bytes.load(Ordering::Relaxed),
            oldest_reader: self.shared.gate.oldest(),
            settled: self.shared.settled.load(Ordering::Acquire),
            sqlite_version: rusqlite::version(),
            synchronous: self.shared.options.synchronous,
        }
    }
}

fn open_blocking(path: &Path, options: Options) -> Result<SqliteStore, StoreError> {
    options.validate()?;
    start(path, options).map_err(|failure| failure.error("open"))
}

fn start(path: &Path, options: Options) -> Result<SqliteStore, Failure> {
    connection::assert_version()?;
    let files = Files::locate(path)?;
    birth::ensure(&files, &options)?;
    let (anchor, header) = connection::open_store(&files, &options)?;
    let claim = turns::claim(&files, options.sharing)?;
    if files.wal_bytes() > 0 {
        checkpoint::take_over(&anchor)?;
    }
    let turns = Turns::open(&files, options.sharing, options.busy_time_max)?;
    let keep = Keep {
        _anchor: anchor,
        _claim: claim,
    };
    let shared = Arc::new(Shared::new(files, options, header.incarnation(), keep));
    // From here on, dropping the store ends whatever threads it has.
    let store = SqliteStore { shared };
    let line = Line::open(&store.shared)?;
    for _ in 0..store.shared.options.reader_threads {
        let connection = reader::open(&store.shared)?;
        store
            .shared
            .spawn("read", move |shared| reader::run(shared, connection))?;
    }
    store
        .shared
        .spawn("write", move |shared| writer::run(shared, turns, line))?;
    Ok(store)
}

#[async_trait]
impl Store for SqliteStore {
    async fn read(&self, scans: &[Scan]) -> Result<Vec<Page>, StoreError> {
        Scan::validate(scans)?;
        let refusal = || self.shared.refusal("read");
        self.shared
            .read_places
            .acquire()
            .await
            .map_err(|_| refusal())?
            .forget();
        let (answer, answered) = oneshot::channel();
        let request = reader::Request {
            scans: scans.to_vec(),
            answer,
        };
        self.shared.reads.push(request).map_err(|_| refusal())?;
        answered.await.unwrap_or_else(|_| Err(refusal()))
    }

    async fn commit(&self, batch: Batch) -> Result<Commit, StoreError> {
        batch.validate()?;
        let refusal = || self.shared.refusal("commit");
        let weight_kib = u32::try_from(batch.size() / 1_024)
            .unwrap_or(u32::MAX)
            .saturating_add(1);
        let places = self
            .shared
            .write_places
            .acquire_many(weight_kib)
            .await
            .map_err(|_| refusal())?;
        places.forget();
        let (answer, answered) = oneshot::channel();
        let fused = Fused::find(&batch);
        let request = group::Request {
            batch,
            fused,
            weight_kib,
            answer,
        };
        self.shared.writes.push(request).map_err(|_| refusal())?;
        answered.await.unwrap_or_else(|_| {
            let context = "the thread that commits has failed and may have committed";
            Err(StoreError::new(
                StoreErrorKind::Indeterminate,
                "commit",
                context,
            ))
        })
    }

    async fn export(&self, range: KeyRange) -> Result<Export, StoreError> {
        range.validate("export")?;
        if self.shared.is_closed() {
            return Err(StoreError::closed("export"));
        }
        Ok(Export::new(export::start(&self.shared, range).await?))
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

impl Drop for SqliteStore {
    fn drop(&mut self) {
        self.shared.shut();
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore")
            .field("path", &self.shared.files.database())
            .field("sharing", &self.shared.options.sharing)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use windlass_store::StoreExt;

    use super::*;

    /// Callers that wait when a thread panics, and those that come later, get
    /// an error; the store can still be closed and opened again.
    #[tokio::test]
    async fn a_panic_in_a_thread_strands_nobody() {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let path = directory.path().join("store.db");
        let store = SqliteStore::open(&path, Options::default())
            .await
            .expect("the store opens");
        let _first = store
            .commit(Batch::new().put("acme/a", "1"))
            .await
            .expect("it commits");
        store
            .shared
            .spawn("faulty", |_| panic!("planted"))
            .expect("a thread starts");
        let read = loop {
            match store.get("acme/a".into()).await {
                Ok(_) => tokio::task::yield_now().await,
                Err(error) => break error,
            }
        };
        assert_eq!(
            read.to_string(),
            "`read` failed: a thread of the store has failed; open it again"
        );
        let commit = store
            .commit(Batch::new().put("acme/a", "2"))
            .await
            .expect_err("it is refused");
        assert_eq!(
            (read.kind(), commit.kind()),
            (StoreErrorKind::Unavailable, StoreErrorKind::Unavailable)
        );
        store.close().await.expect("the store closes");
        let store = SqliteStore::open(&path, Options::default())
            .await
            .expect("the store opens");
        let entry = store
            .get("acme/a".into())
            .await
            .expect("it can be read")
            .expect("it is there");
        assert_eq!(entry.value.as_ref(), b"1");
        store.close().await.expect("the store closes");
    }

    /// A commit that was accepted by a writer that then panics may have been
    /// applied.
    #[tokio::test]
    async fn a_commit_that_a_panic_leaves_unanswered_is_indeterminate() {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let path = directory.path().join("store.db");
        let store = SqliteStore::open(&path, Options::default())
            .await
            .expect("the store opens");
        let patience = store.shared.options.busy_time_max;
        let turns = Turns::open(&store.shared.files, Sharing::Shared, patience)
            .expect("the lock files open");
        let turn = turns.take().expect("the turn is free");
        let shared = Arc::clone(&store.shared);
        let commit = store.commit(Batch::new().put("acme/a", "1"));
        let panicking = async move {
            shared
                .spawn("faulty", |_| panic!("planted"))
                .expect("a thread starts");
            while !shared.write_places.is_closed() {
                tokio::task::yield_now().await;
            }
            drop(turn);
        };
        let (answer, ()) = tokio::join!(commit, panicking);
        match answer {
            // The writer took it before the queue was given up.
            Ok(Commit::Applied(_)) => {}
            Err(error) => assert_eq!(error.kind(), StoreErrorKind::Indeterminate, "{error:?}"),
            other => panic!("nobody else writes: {other:?}"),
        }
        store.close().await.expect("the store closes");
    }
}
