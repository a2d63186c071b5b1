//! The writer thread: group commit, and the life of the files.
//!
//! Everything that waits when the thread looks becomes one transaction and
//! one sync. Invariants:
//!
//! - Nothing is answered, or shown to readers, before it is on the disk.
//! - After a write or a sync that failed the store takes nothing more: what
//!   sled has in memory and what is on the disk may differ. The group is
//!   answered `Indeterminate`, and opening again finds out.
//! - Between two syncs sled writes far less than two segments of its log. It
//!   uses a segment again once what was live in it lies in a later one; so
//!   what it overwrites was moved before the last sync.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;

use windlass_store::{Commit, StoreError};

use crate::claim::Claim;
use crate::engine::Disk;
use crate::error::Failure;
use crate::group::{Plan, Request};
use crate::ledger::Ledger;
use crate::limits::{
    GROUP_BATCHES_MAX, GROUP_KIB_MAX, GROUP_REPLACED_BYTES_MAX, STAGE_BYTES, SWEEP_BACKLOG_PIECES,
    SWEEP_PIECES,
};
use crate::mark::{Mark, State};
use crate::row::{self, Pieces};
use crate::shared::Shared;
use crate::space::Space;

/// What the thread has to itself.
pub(crate) struct Writer {
    pub(crate) disk: Disk,
    pub(crate) mark: Mark,
    pub(crate) ledger: Ledger,
    /// Pieces that no entry needs any more.
    pub(crate) orphans: VecDeque<[u8; 13]>,
    /// Let go of last.
    pub(crate) claim: Claim,
}

/// Commits until the store is closed and nothing waits, then closes the files.
pub(crate) fn run(shared: &Arc<Shared>, mut writer: Writer, readers: Vec<JoinHandle<()>>) {
    let ending = Ending { shared, readers };
    let mut waiting = VecDeque::new();
    while fill(shared, &mut waiting) {
        let group = Group::decide(&writer, &mut waiting);
        if let Err(failure) = writer.commit(shared, &group.plan) {
            shared.fail();
            group.answer(shared, |_| Err(failure.indeterminate()));
            break;
        }
        let garbage = group.plan.replaced().filter_map(|head| head.pieces());
        writer.orphans.extend(garbage.flat_map(Pieces::keys));
        group.acknowledge(shared);
        if writer.sweep(shared).is_err() {
            shared.fail();
            break;
        }
    }
    shared.refuse(waiting);
    drop(ending);
    writer.close(shared);
    shared.end();
}

/// Waits for requests and takes as many as make a group; `false` once there
/// will be none.
fn fill(shared: &Shared, waiting: &mut VecDeque<Request>) -> bool {
    if waiting.is_empty() {
        match shared.writes.take() {
            Some(first) => waiting.push_back(first),
            None => return false,
        }
    }
    let mut kib: u32 = waiting.iter().map(|request| request.weight_kib).sum();
    let mut batches = waiting.len();
    shared.writes.take_while(waiting, |request| {
        let full = batches >= GROUP_BATCHES_MAX || kib >= GROUP_KIB_MAX;
        batches += 1;
        kib = kib.saturating_add(request.weight_kib);
        !full
    });
    true
}

/// A group and what is going to be answered to it.
struct Group {
    plan: Plan,
    decided: Vec<(Request, Result<Commit, Failure>)>,
}

impl Group {
    /// Decides as much of what waits as one transaction should hold.
    fn decide(writer: &Writer, waiting: &mut VecDeque<Request>) -> Self {
        let engine = writer.disk.engine();
        let mut plan = Plan::new(writer.ledger);
        let mut decided = Vec::with_capacity(waiting.len());
        while plan.replaced_bytes() < GROUP_REPLACED_BYTES_MAX
            && let Some(request) = waiting.pop_front()
        {
            let answer = plan.add(engine, &request.batch);
            decided.push((request, answer));
        }
        Self { plan, decided }
    }

    fn acknowledge(self, shared: &Shared) {
        for (request, answer) in &self.decided {
            if let Ok(Commit::Applied(_)) = answer {
                shared.hub.publish(&request.batch.writes);
            }
        }
        self.answer(shared, |answer| {
            answer.map_err(|failure| failure.error("commit"))
        });
    }

    fn answer(
        self,
        shared: &Shared,
        mut answer: impl FnMut(Result<Commit, Failure>) -> Result<Commit, StoreError>,
    ) {
        let weights = self.decided.iter().map(|(request, _)| request.weight_kib);
        shared.release_write_places(weights.sum());
        for (request, decided) in self.decided {
            // Nobody may be waiting any more.
            let _ = request.answer.send(answer(decided));
        }
    }
}

impl Writer {
    /// Writes what a plan says and shows it. An error means that the store
    /// must take nothing more.
    fn commit(&mut self, shared: &Shared, plan: &Plan) -> Result<(), Failure> {
        if plan.is_empty() {
            return Ok(());
        }
        self.stage(shared, plan)?;
        with_space(shared, |space| {
            space.change(plan.replaced(), plan.transaction())
        })?;
        self.disk.sync()?;
        self.ledger = plan.ledger();
        let noted = self.mark.advance(self.ledger.sequence);
        noted.map_err(|cause| Failure::system("the mark of the store cannot be written", cause))?;
        shared.entries.store(self.ledger.entries, Ordering::Relaxed);
        with_space(shared, |space| {
            space.settle(self.ledger.sequence);
            Ok(())
        })
    }

    /// Writes the parts of large values, which nobody reads yet.
    fn stage(&self, shared: &Shared, plan: &Plan) -> Result<(), Failure> {
        let mut pieces = plan.pieces().peekable();
        while pieces.peek().is_some() {
            let mut batch = sled::Batch::default();
            let mut bytes = 0;
            while bytes < STAGE_BYTES
                && let Some((key, piece)) = pieces.next()
            {
                bytes += piece.len();
                batch.insert(&key, &piece[..]);
            }
            with_space(shared, |space| space.engine().apply(batch))?;
            self.disk.sync()?;
        }
        Ok(())
    }

    /// Removes some of the pieces that nobody needs any more. The removal
    /// becomes durable with the next group; one that is lost is done again
    /// after opening.
    fn sweep(&mut self, shared: &Shared) -> Result<(), Failure> {
        loop {
            let orphans = &mut self.orphans;
            let removed = with_space(shared, |space| {
                if space.exports() > 0 || orphans.is_empty() {
                    return Ok(false);
                }
                let count = orphans.len().min(SWEEP_PIECES);
                let pieces: Vec<_> = orphans.drain(..count).collect();
                space.engine().apply(row::removal(&pieces)).map(|()| true)
            })?;
            if !removed || self.orphans.len() < SWEEP_BACKLOG_PIECES {
                return Ok(());
            }
            self.disk.sync()?;
        }
    }

    /// Closes sled and says in the mark that this was done, unless it is not
    /// known what the files hold.
    fn close(self, shared: &Shared) {
        let Self {
            disk,
            mut mark,
            claim,
            ..
        } = self;
        let closed = disk.close();
        if closed && !shared.has_failed() {
            let file_bytes = shared.files.log_bytes();
            // A mark that still says open is no harm.
            let _ = mark.set_state(State::Closed { file_bytes });
        }
        drop(claim);
    }
}

/// Changes the space while nobody reads it.
fn with_space<T>(
    shared: &Shared,
    change: impl FnOnce(&mut Space) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let mut guard = shared.space.write().unwrap_or_else(PoisonError::into_inner);
    let space = guard.as_mut().expect("only this thread takes it away");
    change(space)
}

/// Ends the readers and lets go of the space, also if the writer panics.
struct Ending<'a> {
    shared: &'a Shared,
    readers: Vec<JoinHandle<()>>,
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        let panicking = std::thread::panicking();
        if panicking {
            self.shared.fail();
        }
        for reader in self.readers.drain(..) {
            // A reader that has panicked has said so.
            let _ = reader.join();
        }
        let mut space = self.shared.space.write();
        let space = space
            .as_mut()
            .map_or_else(|poisoned| poisoned.get_mut().take(), |space| space.take());
        drop(space);
        if panicking {
            self.shared.end();
        }
    }
}
