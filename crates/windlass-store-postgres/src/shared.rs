//! What the handle of a store and its tasks have in common.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, watch};
use windlass_store::{Batch, ChangeHub, StoreError};

use crate::connect::Pool;
use crate::error::Failure;
use crate::health::Health;
use crate::limits::{EXPORTS_MAX, WAITING_READS_MAX, WAITING_WRITES_KIB_MAX};
use crate::numbers::Numbers;
use crate::options::Options;
use crate::queue::Queue;
use crate::schema::{Header, quote};
use crate::{committer, plan, reader};

/// A store that is open.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) incarnation: i64,
    pub(crate) health: Health,
    pub(crate) commits: Pool,
    pub(crate) reads: Pool,
    pub(crate) exports: Pool,
    /// Batches that wait to be committed.
    pub(crate) queue: Queue<committer::Request>,
    /// Reads of single keys that wait.
    pub(crate) points: Queue<reader::Request>,
    /// KiB of batches that may still be accepted.
    pub(crate) room: Arc<Semaphore>,
    /// Reads of single keys that may still be accepted.
    pub(crate) reading_room: Arc<Semaphore>,
    pub(crate) numbers: Numbers,
    pub(crate) hub: ChangeHub,
    /// Something was committed that other processes may want to hear of.
    pub(crate) news: Notify,
    pub(crate) commit_call: String,
    closed: AtomicBool,
    /// Tasks that still commit.
    committing: watch::Sender<usize>,
    /// Tasks that still read.
    reading: AtomicUsize,
}

impl Shared {
    pub(crate) fn new(
        options: Options,
        commits: Pool,
        (header, health): (Header, Health),
    ) -> Result<Self, Failure> {
        Ok(Self {
            health,
            incarnation: header.incarnation(),
            reads: Pool::new(&options, options.readers)?,
            exports: Pool::new(&options, EXPORTS_MAX)?,
            commits,
            queue: Queue::new(),
            points: Queue::new(),
            room: Arc::new(Semaphore::new(WAITING_WRITES_KIB_MAX)),
            reading_room: Arc::new(Semaphore::new(WAITING_READS_MAX)),
            numbers: Numbers::new(&options, header.incarnation()),
            hub: ChangeHub::new(),
            news: Notify::new(),
            commit_call: plan::call(&quote(&options.schema)),
            closed: AtomicBool::new(false),
            committing: watch::Sender::new(0),
            reading: AtomicUsize::new(0),
            options,
        })
    }

    /// Tells subscribers here, and what tells those elsewhere.
    pub(crate) fn changed(&self, batch: &Batch) {
        self.hub.publish(&batch.writes);
        if self.options.hints_between_processes {
            self.news.notify_one();
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    /// Takes nothing further; what was accepted is still committed.
    pub(crate) fn shut(&self) {
        self.closed.store(true, Ordering::Release);
        self.room.close();
        self.reading_room.close();
        self.queue.close();
        self.points.close();
        self.hub.close();
        self.news.notify_one();
        self.reads.close();
        self.exports.close();
    }

    /// Refuses `operation` on a closed store.
    pub(crate) fn ensure_open(&self, operation: &'static str) -> Result<(), StoreError> {
        match self.is_closed() {
            true => Err(StoreError::closed(operation)),
            false => Ok(()),
        }
    }

    /// Counts a task that commits, until what is given is dropped.
    pub(crate) fn committing(self: &Arc<Self>) -> Committing {
        self.committing.send_modify(|count| *count += 1);
        Committing {
            shared: Arc::clone(self),
        }
    }

    /// Counts a task that reads, until what is given is dropped.
    pub(crate) fn reading(self: &Arc<Self>) -> Reading {
        self.reading.fetch_add(1, Ordering::AcqRel);
        Reading {
            shared: Arc::clone(self),
        }
    }

    /// Waits until nothing commits any more.
    pub(crate) async fn ended(&self) {
        let mut committing = self.committing.subscribe();
        // The sender is in `self`, so it cannot have gone.
        let _ = committing.wait_for(|count| *count == 0).await;
        self.commits.close();
    }
}

/// A task that commits.
#[derive(Debug)]
pub(crate) struct Committing {
    pub(crate) shared: Arc<Shared>,
}

impl Drop for Committing {
    /// The last one leaves nobody waiting: its runtime may have ended.
    fn drop(&mut self) {
        let mut left = 0;
        self.shared.committing.send_modify(|count| {
            *count -= 1;
            left = *count;
        });
        if left == 0 {
            self.shared.queue.abandon();
        }
    }
}

/// A task that reads.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) shared: Arc<Shared>,
}

impl Drop for Reading {
    /// As for those that commit.
    fn drop(&mut self) {
        if self.shared.reading.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.shared.points.abandon();
        }
    }
}

/// The answer of the server to a read, unless it takes too long.
pub(crate) async fn within<T>(
    limit: Duration,
    answer: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    match tokio::time::timeout(limit, answer).await {
        Ok(answer) => answer,
        Err(_) => Err(Failure::unavailable("the server did not answer in time")),
    }
}
