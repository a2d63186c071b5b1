//! The store's handle.

use std::collections::VecDeque;
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

use crate::claim::Claim;
use crate::engine::{Disk, Engine};
use crate::error::Failure;
use crate::files::{self, Files};
use crate::group;
use crate::health::Health;
use crate::ledger::Ledger;
use crate::limits::SWEEP_PIECES;
use crate::mark::{Mark, State, unwritten};
use crate::options::{Durability, Options};
use crate::reader::Job;
use crate::shared::Shared;
use crate::space::Space;
use crate::verify;
use crate::writer::{self, Writer};
use crate::{birth, export, reader, row};

/// A durable store in a directory of sled's files, for one process.
///
/// An acknowledged commit survives power loss. A write or a sync that fails
/// is final: the commits it carried are answered `Indeterminate`, and the
/// store closes itself and has to be opened again.
///
/// Dropping the store ends its threads soon after, once they have done what
/// was accepted; [`close`](Store::close) waits for that.
pub struct SledStore {
    shared: Arc<Shared>,
}

impl SledStore {
    /// Opens the store in the directory at `path`, or makes a new one if
    /// there is no such directory. The directory above it must exist.
    ///
    /// Blocks nothing: the work is done on a thread of its own. Reads
    /// everything once, since sled says nothing of rows it has lost: about a
    /// second for each GiB.
    ///
    /// # Errors
    ///
    /// `Environment` where the path cannot hold a store (no directory above
    /// it, a file, a directory of somebody else, an unknown format) or another
    /// store has it open; `Corrupt` for a directory that was emptied, for
    /// files that were cut or damaged, and for entries that are missing;
    /// `Invalid` for options out of range.
    pub async fn open(path: impl AsRef<Path>, options: Options) -> Result<Self, StoreError> {
        let path = path.as_ref().to_owned();
        let (answer, answered) = oneshot::channel();
        let opening = move || {
            // The caller may have gone; then the store is dropped.
            let _ = answer.send(open_blocking(&path, options));
        };
        spawn("open", opening).map_err(|failure| failure.error("open"))?;
        let panicked = |_| Err(Failure::corrupt("sled gave up on its files").error("open"));
        answered.await.unwrap_or_else(panicked)
    }

    /// The directory, by its absolute name.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.shared.files.directory().to_owned()
    }

    /// The state of the store. Costs one call to the operating system.
    #[must_use]
    pub fn health(&self) -> Health {
        Health {
            entries: self.shared.entries.load(Ordering::Relaxed),
            log_bytes: self.shared.files.log_bytes(),
            survives_power_loss: self.shared.options.durability == Durability::Synced,
            failed: self.shared.has_failed(),
        }
    }
}

fn open_blocking(path: &Path, options: Options) -> Result<SledStore, StoreError> {
    options.validate()?;
    start(path, options).map_err(|failure| failure.error("open"))
}

fn start(path: &Path, options: Options) -> Result<SledStore, Failure> {
    let files = Files::locate(path)?;
    birth::ensure(&files, &options)?;
    let claim = Claim::take(&files, options.open_time_max)?;
    let mut mark = Mark::open(&files.mark())?;
    files.survey_log(mark.note())?;
    files.remove_unfinished_snapshots()?;
    mark.forget_length()?;
    let engine = Engine::open(&files, &options)?;
    let disk = Disk::open(&engine, &files, options.durability)?;
    let mut opened = Opened {
        engine,
        disk,
        mark,
        claim,
    };
    match opened.take_over(&files) {
        Ok(ledger) => opened.begin(files, options, ledger),
        Err(failure) => {
            drop(opened.engine);
            // Whether sled lets go in time matters only to the next attempt.
            let _ = opened.disk.close();
            Err(failure)
        }
    }
}

/// Everything that a store has open.
struct Opened {
    engine: Engine,
    disk: Disk,
    mark: Mark,
    claim: Claim,
}

impl Opened {
    /// Verifies what was found and makes it durable: a process that died may
    /// have left it to the operating system.
    fn take_over(&mut self, files: &Files) -> Result<Ledger, Failure> {
        if !self.engine.was_recovered() {
            return Err(Failure::corrupt("sled found nothing in its files"));
        }
        let found = verify::verify(&self.engine, self.mark.note())?;
        for orphans in found.orphans.chunks(SWEEP_PIECES) {
            self.engine.apply(row::removal(orphans))?;
            self.disk.sync()?;
        }
        files.restrict_all()?;
        self.disk.sync()?;
        files::sync(files.directory())?;
        let noted = self.mark.advance(found.ledger.sequence);
        let noted = noted.and_then(|()| self.mark.set_state(State::Open));
        noted.map_err(unwritten)?;
        Ok(found.ledger)
    }

    fn begin(self, files: Files, options: Options, ledger: Ledger) -> Result<SledStore, Failure> {
        let space = Space::new(self.engine, ledger.sequence, options.export_kept_bytes_max);
        let incarnation = ledger.incarnation;
        let shared = Arc::new(Shared::new(
            files,
            options,
            incarnation,
            ledger.entries,
            space,
        ));
        // From here on, dropping the store ends whatever threads it has.
        let store = SledStore {
            shared: Arc::clone(&shared),
        };
        let writer = Writer {
            disk: self.disk,
            mark: self.mark,
            ledger,
            orphans: VecDeque::new(),
            claim: self.claim,
        };
        let mut readers = Vec::new();
        for _ in 0..shared.options.reader_threads {
            let shared = Arc::clone(&shared);
            readers.push(spawn("read", move || reader::run(&shared))?);
        }
        spawn("write", move || writer::run(&shared, writer, readers))?;
        Ok(store)
    }
}

fn spawn<T: Send + 'static>(
    name: &str,
    body: impl FnOnce() -> T + Send + 'static,
) -> Result<thread::JoinHandle<T>, Failure> {
    let builder = thread::Builder::new().name(format!("sled-{name}"));
    let spawned = builder.spawn(body);
    spawned.map_err(|cause| Failure::system("no thread can be started", cause))
}

#[async_trait]
impl Store for SledStore {
    async fn read(&self, scans: &[Scan]) -> Result<Vec<Page>, StoreError> {
        Scan::validate(scans)?;
        let refusal = || self.shared.refusal("read");
        let place = self.shared.read_places.acquire().await;
        place.map_err(|_| refusal())?.forget();
        let (answer, answered) = oneshot::channel();
        let job = Job::Read {
            scans: scans.to_vec(),
            answer,
        };
        self.shared.reads.push(job).map_err(|_| refusal())?;
        answered.await.unwrap_or_else(|_| Err(refusal()))
    }

    async fn commit(&self, batch: Batch) -> Result<Commit, StoreError> {
        batch.validate()?;
        let refusal = || self.shared.refusal("commit");
        let weight_kib = u32::try_from(batch.size() / 1_024).unwrap_or(u32::MAX);
        let weight_kib = weight_kib.saturating_add(1);
        let places = self.shared.write_places.acquire_many(weight_kib).await;
        places.map_err(|_| refusal())?.forget();
        let (answer, answered) = oneshot::channel();
        let request = group::Request {
            batch,
            weight_kib,
            answer,
        };
        self.shared.writes.push(request).map_err(|_| refusal())?;
        answered.await.unwrap_or_else(|_| {
            let context = "the thread that commits has failed and may have committed";
            let kind = StoreErrorKind::Indeterminate;
            Err(StoreError::new(kind, "commit", context))
        })
    }

    async fn export(&self, range: KeyRange) -> Result<Export, StoreError> {
        range.validate("export")?;
        Ok(Export::new(export::begin(&self.shared, range).await?))
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

impl Drop for SledStore {
    fn drop(&mut self) {
        self.shared.shut();
    }
}

impl fmt::Debug for SledStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SledStore")
            .field("path", &self.shared.files.directory())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use windlass_store::StoreExt;

    use super::*;

    /// Callers that wait when a thread panics, and those that come later, get
    /// an error; the directory can be opened again.
    #[tokio::test]
    async fn a_panic_in_a_thread_strands_nobody() {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let path = directory.path().join("store.sled");
        let open = || SledStore::open(&path, Options::default());
        let store = open().await.expect("the store opens");
        let first = store.commit(Batch::new().put("acme/a", "1")).await;
        assert!(matches!(first, Ok(Commit::Applied(_))), "{first:?}");
        let pushed = store.shared.reads.push(Job::Panic);
        assert!(pushed.is_ok(), "the store takes jobs");
        let read = loop {
            match store.get("acme/a".into()).await {
                Ok(_) => tokio::task::yield_now().await,
                Err(error) => break error,
            }
        };
        let commit = store.commit(Batch::new().put("acme/a", "2")).await;
        let commit = commit.expect_err("it is refused");
        let kinds = (read.kind(), commit.kind());
        assert_eq!(kinds, (StoreErrorKind::Closed, StoreErrorKind::Closed));
        let expected = "`read` failed: the store closed itself after a failure; open it again";
        assert_eq!(read.to_string(), expected);
        assert!(store.health().failed, "{:?}", store.health());
        // The failed store lets go of the directory by itself.
        let again = open().await.expect("the store opens");
        let entry = again.get("acme/a".into()).await.expect("it can be read");
        assert_eq!(entry.expect("it is there").value.as_ref(), b"1");
        store.close().await.expect("the store closes");
    }

    /// sled makes its file shorter when it opens it. If the power fails before
    /// the mark says that the store is open, that is no damage.
    #[tokio::test]
    async fn the_length_of_the_file_is_forgotten_before_sled_opens_it() {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let path = directory.path().join("store.sled");
        let open = |open_time_max| {
            let options = Options {
                open_time_max,
                ..Options::default()
            };
            SledStore::open(&path, options)
        };
        let patience = Options::default().open_time_max;
        let store = open(patience).await.expect("the store opens");
        store.close().await.expect("the store closes");
        let files = Files::locate(&path).expect("the directory is there");
        let noted = || {
            let mark = Mark::open(&files.mark()).expect("the mark can be read");
            mark.note().state
        };
        let file_bytes = files.log_bytes();
        assert_eq!(noted(), State::Closed { file_bytes });
        // Nobody gets further than to the locked file of sled.
        let log = std::fs::File::open(files.log()).expect("it is there");
        log.lock().expect("it is free");
        let refused = open(Duration::from_millis(1)).await;
        assert!(refused.is_err(), "{refused:?}");
        assert_eq!(noted(), State::Closed { file_bytes: 1 });
        drop(log);
        let store = open(patience).await.expect("the store opens");
        assert_eq!(noted(), State::Open);
        store.close().await.expect("the store closes");
    }
}
