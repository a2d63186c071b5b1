//! What the store's handle and its threads share.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use rusqlite::Connection;
use tokio::sync::{Semaphore, watch};
use windlass_store::{ChangeHub, Incarnation, StoreError, StoreErrorKind};

use crate::copier::Copier;
use crate::error::Failure;
use crate::export::Exports;
use crate::files::{Files, Identity};
use crate::gate::Gate;
use crate::group;
use crate::here::Here;
use crate::limits::{WAITING_READS_MAX, WAITING_WRITES_KIB_MAX};
use crate::options::Options;
use crate::queue::Queue;
use crate::reader::{self, Readers};
use crate::turns::{Tenure, Turns};
use crate::writer::Post;

/// Everything that lives until the last thread has ended.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) files: Files,
    /// The file that was opened.
    identity: Option<Identity>,
    pub(crate) options: Options,
    pub(crate) incarnation: Incarnation,
    pub(crate) writes: Queue<group::Request>,
    pub(crate) write_places: Semaphore,
    pub(crate) reads: Queue<reader::Request>,
    pub(crate) read_places: Semaphore,
    pub(crate) readers: Readers,
    pub(crate) here: Here,
    pub(crate) post: Post,
    pub(crate) gate: Gate,
    pub(crate) copier: Copier,
    pub(crate) hub: ChangeHub,
    pub(crate) exports: Exports,
    /// Whether it is known what the last commit did. While it is not, reads
    /// are refused: what they showed could change with a crash.
    pub(crate) settled: AtomicBool,
    /// Bytes of free pages when they were last looked for.
    pub(crate) free_bytes: AtomicU64,
    closed: AtomicBool,
    /// Whether a thread has panicked.
    failed: AtomicBool,
    threads: Mutex<Threads>,
    ended: watch::Sender<bool>,
}

#[derive(Debug)]
struct Threads {
    running: usize,
    keep: Option<Keep>,
}

/// What is let go of last.
#[derive(Debug)]
pub(crate) struct Keep {
    /// The first connection, which never writes. As long as it is open,
    /// another one that is thrown away never makes SQLite rebuild its index of
    /// the log, in which a commit that failed could turn up again.
    pub(crate) _anchor: Arc<Mutex<Connection>>,
    pub(crate) _claim: Tenure,
}

impl Shared {
    pub(crate) fn new(
        files: Files,
        options: Options,
        incarnation: Incarnation,
        turns: Turns,
        keep: Keep,
    ) -> Self {
        let write_places =
            usize::try_from(WAITING_WRITES_KIB_MAX).unwrap_or(Semaphore::MAX_PERMITS);
        Self {
            identity: files.identity(),
            files,
            incarnation,
            writes: Queue::new(),
            write_places: Semaphore::new(write_places),
            reads: Queue::new(),
            read_places: Semaphore::new(WAITING_READS_MAX),
            readers: Readers::new(options.reader_threads),
            here: Here::new(&options),
            post: Post::new(turns),
            gate: Gate::default(),
            copier: Copier::new(),
            hub: ChangeHub::new(),
            exports: Exports::default(),
            settled: AtomicBool::new(true),
            free_bytes: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            failed: AtomicBool::new(false),
            threads: Mutex::new(Threads {
                running: 0,
                keep: Some(keep),
            }),
            ended: watch::Sender::new(false),
            options,
        }
    }

    /// Refuses to go on where the file was removed or another put in its
    /// place: what is written to it then is lost. Costs one call to the
    /// operating system.
    pub(crate) fn assert_in_place(&self) -> Result<(), Failure> {
        if self.files.identity() == self.identity {
            return Ok(());
        }
        let path = self.files.display();
        Err(Failure::environment(format!(
            "`{path}` was moved or removed while it was open"
        )))
    }

    /// Whether the store was closed.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Whether nothing is to be read any more: it was closed, or a thread has
    /// panicked.
    pub(crate) fn is_over(&self) -> bool {
        self.is_closed() || self.failed.load(Ordering::Acquire)
    }

    /// Lets as many KiB of further batches wait.
    pub(crate) fn release_write_places(&self, kib: u32) {
        self.write_places
            .add_permits(usize::try_from(kib).unwrap_or(0));
    }

    /// Lets nothing more in. What was accepted is still done.
    pub(crate) fn shut(&self) {
        self.closed.store(true, Ordering::Release);
        self.write_places.close();
        self.read_places.close();
        self.writes.close();
        self.reads.close();
        self.copier.close();
        self.exports.stop_all();
        self.hub.close();
        self.here.empty();
    }

    /// Refuses everything from now on, waiting or new: a thread has panicked,
    /// and what it leaves behind cannot be trusted.
    fn fail(&self) {
        self.failed.store(true, Ordering::Release);
        self.here.empty();
        self.copier.close();
        self.write_places.close();
        self.read_places.close();
        self.writes.abandon();
        self.reads.abandon();
    }

    /// The error for a call that was not let in or not answered.
    pub(crate) fn refusal(&self, operation: &'static str) -> StoreError {
        if self.is_closed() {
            return StoreError::closed(operation);
        }
        Failure::unavailable("a thread of the store has failed; open it again").error(operation)
    }

    /// Completes once every thread has ended and every file is closed.
    pub(crate) async fn ended(&self) {
        // The sender lives in `self`, so it cannot be gone.
        let _ = self.ended.subscribe().wait_for(|ended| *ended).await;
    }

    /// Counts a thread as one that [`Shared::ended`] waits for.
    pub(crate) fn attend(self: &Arc<Self>) -> Result<Presence, Failure> {
        let mut threads = self.threads();
        if threads.keep.is_none() {
            return Err(Failure::new(StoreErrorKind::Closed, "the store is closed"));
        }
        threads.running += 1;
        drop(threads);
        let shared = Arc::clone(self);
        Ok(Presence { shared })
    }

    /// Runs `body` on a thread of its own that [`Shared::ended`] waits for.
    pub(crate) fn spawn(
        self: &Arc<Self>,
        name: &str,
        body: impl FnOnce(&Arc<Self>) + Send + 'static,
    ) -> Result<(), Failure> {
        let presence = self.attend()?;
        let spawned = thread::Builder::new()
            .name(format!("sqlite-{name}"))
            .spawn(move || {
                let presence = presence;
                body(presence.shared());
            });
        spawned
            .map(drop)
            .map_err(|cause| Failure::system("no thread can be started", cause))
    }

    fn threads(&self) -> MutexGuard<'_, Threads> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A thread that counts as running until this is dropped, even by a panic.
pub(crate) struct Presence {
    shared: Arc<Shared>,
}

impl Presence {
    pub(crate) const fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        if thread::panicking() {
            self.shared.fail();
        }
        let mut threads = self.shared.threads();
        threads.running -= 1;
        if threads.running == 0 {
            threads.keep = None;
            drop(threads);
            self.shared.ended.send_replace(true);
        }
    }
}
