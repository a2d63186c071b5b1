//! What the store's handle and its threads share.

use std::sync::RwLock;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use tokio::sync::{Semaphore, watch};
use windlass_store::{ChangeHub, Incarnation, StoreError, StoreErrorKind};

use crate::files::Files;
use crate::group;
use crate::limits::{WAITING_READS_MAX, WAITING_WRITES_KIB_MAX};
use crate::options::Options;
use crate::queue::Queue;
use crate::reader;
use crate::space::Space;

/// Everything that lives until the last handle and thread are gone.
pub(crate) struct Shared {
    pub(crate) files: Files,
    pub(crate) options: Options,
    pub(crate) incarnation: Incarnation,
    pub(crate) writes: Queue<group::Request>,
    pub(crate) write_places: Semaphore,
    pub(crate) reads: Queue<reader::Job>,
    pub(crate) read_places: Semaphore,
    /// `None` once the files were let go of.
    pub(crate) space: RwLock<Option<Space>>,
    pub(crate) hub: ChangeHub,
    /// Entries after the last commit, for those who want to know.
    pub(crate) entries: AtomicU64,
    condition: AtomicU8,
    ended: watch::Sender<bool>,
}

const OPEN: u8 = 0;
const CLOSED: u8 = 1;
const FAILED: u8 = 2;

impl Shared {
    pub(crate) fn new(
        files: Files,
        options: Options,
        incarnation: Incarnation,
        entries: u64,
        space: Space,
    ) -> Self {
        let write_places =
            usize::try_from(WAITING_WRITES_KIB_MAX).unwrap_or(Semaphore::MAX_PERMITS);
        Self {
            files,
            options,
            incarnation,
            writes: Queue::new(),
            write_places: Semaphore::new(write_places),
            reads: Queue::new(),
            read_places: Semaphore::new(WAITING_READS_MAX),
            space: RwLock::new(Some(space)),
            hub: ChangeHub::new(),
            entries: AtomicU64::new(entries),
            condition: AtomicU8::new(OPEN),
            ended: watch::Sender::new(false),
        }
    }

    /// Lets nothing more in. What was accepted is still done.
    pub(crate) fn shut(&self) {
        // A store that has failed stays so.
        let _ = self
            .condition
            .compare_exchange(OPEN, CLOSED, Ordering::AcqRel, Ordering::Acquire);
        self.write_places.close();
        self.read_places.close();
        self.writes.close();
        self.reads.close();
        self.hub.close();
    }

    /// Refuses everything from now on, waiting or new.
    pub(crate) fn fail(&self) {
        self.condition.store(FAILED, Ordering::Release);
        self.write_places.close();
        self.read_places.close();
        self.refuse(self.writes.abandon());
        drop(self.reads.abandon());
        self.hub.close();
    }

    /// Answers those whose batches were not looked at.
    pub(crate) fn refuse(&self, requests: impl IntoIterator<Item = group::Request>) {
        for request in requests {
            // Nobody may be waiting any more.
            let _ = request.answer.send(Err(self.refusal("commit")));
        }
    }

    /// Whether the store closed itself.
    pub(crate) fn has_failed(&self) -> bool {
        self.condition.load(Ordering::Acquire) == FAILED
    }

    /// The error for a call that was not let in or not answered.
    pub(crate) fn refusal(&self, operation: &'static str) -> StoreError {
        if !self.has_failed() {
            return StoreError::closed(operation);
        }
        let context = "the store closed itself after a failure; open it again";
        StoreError::new(StoreErrorKind::Closed, operation, context)
    }

    /// Lets as many KiB of further batches wait.
    pub(crate) fn release_write_places(&self, kib: u32) {
        self.write_places
            .add_permits(usize::try_from(kib).unwrap_or(0));
    }

    /// Says that every thread has ended and every file is closed.
    pub(crate) fn end(&self) {
        self.ended.send_replace(true);
    }

    /// Completes once that was said.
    pub(crate) async fn ended(&self) {
        // The sender lives in `self`, so it cannot be gone.
        let _ = self.ended.subscribe().wait_for(|ended| *ended).await;
    }
}
