//! The store's handle.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::thread;

use async_trait::async_trait;
use rusqlite::Connection;
use tokio::sync::oneshot;
use windlass_store::{
    Batch, Changes, Commit, Export, KeyRange, Page, Scan, Store, StoreError, StoreErrorKind,
};

use crate::apply::Fused;
use crate::error::Failure;
use crate::group;
use crate::health::Health;
use crate::options::{Options, Sharing};
use crate::shared::{Keep, Presence, Shared};
use crate::turns::{self, Turns};
use crate::{birth, checkpoint, connection, export, files::Files, here, reader, writer};

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
    /// Blocks nothing: the work is done on a thread of its own. Takes a
    /// fraction of a millisecond whatever the file holds, a few for a new one,
    /// and longer where a crash left a log behind. The thread goes on as the
    /// first that reads; what else the store needs it gets when it is needed.
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
        let opening = move || match open_blocking(&path, options) {
            Ok((store, presence, first)) => {
                // The caller may have gone; then the store is dropped.
                let _ = answer.send(Ok(store));
                reader::run_first(presence.shared(), &first);
            }
            Err(error) => drop(answer.send(Err(error))),
        };
        let spawned = thread::Builder::new()
            .name("sqlite-read".into())
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
            durability: self.shared.options.durability,
        }
    }
}

/// A store, the presence of the thread that opened it, and the connection
/// that it was opened with.
type Opened = (SqliteStore, Presence, Arc<Mutex<Connection>>);

fn open_blocking(path: &Path, options: Options) -> Result<Opened, StoreError> {
    options.validate()?;
    start(path, options).map_err(|failure| failure.error("open"))
}

fn start(path: &Path, options: Options) -> Result<Opened, Failure> {
    connection::assert_version()?;
    let files = Files::locate(path)?;
    birth::ensure(&files, &options)?;
    let (anchor, header) = connection::open_store(&files, &options)?;
    let claim = turns::claim(&files, options.sharing)?;
    if files.wal_bytes() > 0 {
        checkpoint::take_over(&anchor)?;
    }
    let turns = Turns::open(&files, options.sharing, options.busy_time_max)?;
    connection::forbid_writes(&anchor)?;
    let anchor = Arc::new(Mutex::new(anchor));
    let keep = Keep {
        _anchor: Arc::clone(&anchor),
        _claim: claim,
    };
    let shared = Shared::new(files, options, header.incarnation(), turns, keep);
    let shared = Arc::new(shared);
    let presence = shared.attend()?;
    Ok((SqliteStore { shared }, presence, anchor))
}

#[async_trait]
impl Store for SqliteStore {
    async fn read(&self, scans: &[Scan]) -> Result<Vec<Page>, StoreError> {
        Scan::validate(scans)?;
        if let Some(answer) = here::read(&self.shared, scans) {
            return answer;
        }
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
        let has_help = self.shared.readers.has_idle();
        self.shared.reads.push(request).map_err(|_| refusal())?;
        if !has_help {
            reader::reinforce(&self.shared);
        }
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
        writer::ensure(&self.shared).map_err(|failure| failure.error("commit"))?;
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

    /// A store of its own directory, with one entry.
    async fn with_an_entry() -> (tempfile::TempDir, SqliteStore) {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let path = directory.path().join("store.db");
        let store = SqliteStore::open(&path, Options::default())
            .await
            .expect("the store opens");
        let _first = store
            .commit(Batch::new().put("acme/a", "1"))
            .await
            .expect("it commits");
        (directory, store)
    }

    async fn read(store: &SqliteStore) {
        let entry = store.get("acme/a".into()).await.expect("it can be read");
        assert_eq!(entry.expect("it is there").value.as_ref(), b"1");
    }

    #[tokio::test]
    async fn reads_one_after_the_other_need_one_thread() {
        let (_directory, store) = with_an_entry().await;
        for _ in 0..1_000 {
            read(&store).await;
        }
        assert_eq!(store.shared.readers.started(), 1);
        store.close().await.expect("the store closes");
    }

    #[tokio::test]
    async fn a_read_that_finds_all_threads_at_work_gets_another_as_far_as_allowed() {
        let (_directory, store) = with_an_entry().await;
        let held = store.shared.gate.hold(std::time::Duration::MAX);
        let held = held.expect("nobody is inside");
        let mut reads: Vec<_> = (0..4).map(|_| Box::pin(read(&store))).collect();
        for (asked, busy) in reads.iter_mut().zip([1, 2, 2, 2]) {
            // The first poll asks; nothing is answered while the gate is held.
            let ended = std::future::poll_fn(|context| {
                std::task::Poll::Ready(asked.as_mut().poll(context).is_ready())
            });
            assert!(!ended.await, "a read passed a held gate");
            while store.shared.readers.has_idle() && busy < 2 {
                tokio::task::yield_now().await;
            }
            assert_eq!(store.shared.readers.started(), busy);
        }
        drop(held);
        for asked in reads {
            asked.await;
        }
        store.close().await.expect("the store closes");
    }

    /// A read that can be answered where it is asked for ends with its first
    /// poll, and shows what was acknowledged; one that cannot goes to the
    /// threads.
    #[tokio::test]
    async fn callers_read_by_themselves_unless_something_is_in_the_way() {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let path = directory.path().join("store.db");
        let options = Options {
            reads: crate::Reads::OnCaller {
                page_cache_kib: 1_024,
            },
            reader_threads: 1,
            ..Options::default()
        };
        let store = SqliteStore::open(&path, options).await.expect("it opens");
        let _first = store
            .commit(Batch::new().put("acme/a", "1"))
            .await
            .expect("it commits");
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        for _ in 0..3 {
            let mut asked = Box::pin(read(&store));
            assert!(asked.as_mut().poll(&mut context).is_ready());
        }
        let held = store.shared.gate.hold(std::time::Duration::MAX);
        let mut asked = Box::pin(read(&store));
        assert!(asked.as_mut().poll(&mut context).is_pending(), "it passed");
        drop(held);
        asked.await;
        let place = store.shared.here.free();
        assert!(place.is_some(), "nobody reads");
        assert!(store.shared.here.free().is_none(), "there is one place");
        drop(place);
        store.close().await.expect("it closes");
        let late = store.get("acme/a".into()).await.expect_err("it is closed");
        assert_eq!(late.kind(), StoreErrorKind::Closed);
        assert!(!path.with_extension("db-wal").exists(), "a log is left");
    }

    /// Those that read by themselves are refused like all others, and what
    /// they read through is closed.
    #[tokio::test]
    async fn callers_read_nothing_by_themselves_after_a_panic() {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let options = Options {
            reads: crate::Reads::OnCaller {
                page_cache_kib: 1_024,
            },
            ..Options::default()
        };
        let path = directory.path().join("store.db");
        let store = SqliteStore::open(&path, options).await.expect("it opens");
        let _first = store
            .commit(Batch::new().put("acme/a", "1"))
            .await
            .expect("it commits");
        read(&store).await;
        store
            .shared
            .spawn("faulty", |_| panic!("planted"))
            .expect("a thread starts");
        while !store.shared.write_places.is_closed() {
            tokio::task::yield_now().await;
        }
        let refused = store.get("acme/a".into()).await.expect_err("it has failed");
        assert_eq!(refused.kind(), StoreErrorKind::Unavailable, "{refused:?}");
        let is_open = store.shared.here.free().expect("nobody reads").is_some();
        assert!(!is_open, "a connection is open");
        store.close().await.expect("it closes");
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
