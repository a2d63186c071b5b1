//! Copying the log into the database on a thread of its own, while commits go
//! on.
//!
//! Copying syncs the log, moves every page that changed and syncs the
//! database: for that time nobody could commit. So the first two are done
//! beside them. What they added meanwhile is copied in the same way as long as
//! it gets less; the last of it is left to the writer, between two commits,
//! since the log can only be started over once nothing in it is not copied.
//! With it goes the sync of the database, which SQLite makes once all is copied
//! and not before. A writer that fills the log faster than it can be copied
//! waits: the log has a bound.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;

use crate::checkpoint;
use crate::connection;
use crate::limits::{COPIES_BESIDE_MAX, COPY_LEFT_SHARE};
use crate::shared::Shared;

/// Where a copy has got to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Nobody wants one.
    Idle,
    /// It is wanted, or under way.
    Wanted,
    /// It was made, as far as it could be.
    Made,
    /// There will be none any more.
    Closed,
}

/// What the writer and the thread that copies have in common.
#[derive(Debug)]
pub(crate) struct Copier {
    stage: Mutex<Stage>,
    changed: Condvar,
}

impl Copier {
    pub(crate) const fn new() -> Self {
        Self {
            stage: Mutex::new(Stage::Idle),
            changed: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes no copy any more, once the one under way is made.
    pub(crate) fn close(&self) {
        *self.lock() = Stage::Closed;
        self.changed.notify_all();
    }

    fn want(&self) {
        let mut stage = self.lock();
        if *stage != Stage::Closed {
            *stage = Stage::Wanted;
        }
        self.changed.notify_all();
    }

    /// Whether none is wanted or under way, once that is so where `wait`.
    fn is_done(&self, wait: bool) -> bool {
        let mut stage = self.lock();
        while wait && *stage == Stage::Wanted {
            let woken = self.changed.wait(stage);
            stage = woken.unwrap_or_else(PoisonError::into_inner);
        }
        *stage != Stage::Wanted
    }

    /// Waits for the one under way.
    pub(crate) fn wait(&self) {
        let _ = self.is_done(true);
    }

    /// Waits until one is wanted; false if there will be none.
    fn is_wanted(&self) -> bool {
        let mut stage = self.lock();
        loop {
            match *stage {
                Stage::Wanted => return true,
                Stage::Closed => return false,
                Stage::Idle | Stage::Made => {
                    let woken = self.changed.wait(stage);
                    stage = woken.unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }
}

/// Says that a copy was made when it goes, even by a panic: the writer must
/// not wait for nothing.
struct Making<'a>(&'a Copier);

impl Drop for Making<'_> {
    fn drop(&mut self) {
        let mut stage = self.0.lock();
        if *stage == Stage::Wanted {
            *stage = Stage::Made;
        }
        self.0.changed.notify_all();
    }
}

/// Copies whenever that is wanted, until the store is closed. What cannot be
/// copied is left to the writer, who is told what is wrong.
fn run(shared: &Arc<Shared>) {
    let mut line: Option<Connection> = None;
    while shared.copier.is_wanted() {
        let _making = Making(&shared.copier);
        if line.is_none() {
            let (files, options) = (&shared.files, &shared.options);
            line = connection::open_again(files, options, shared.incarnation).ok();
        }
        let copied = line.as_ref().map(checkpoint::copy);
        if !matches!(copied, Some(Ok(()))) {
            line = None;
        }
    }
}

/// What a writer knows of the copies that are made beside it.
#[derive(Debug)]
pub(crate) struct Beside<'a> {
    shared: &'a Arc<Shared>,
    has_thread: bool,
    /// Frames in the log when each copy of this one was begun: the last, and
    /// how many there were.
    begun: Option<(u64, u32)>,
    /// Frames that the last one had to copy.
    last: u64,
}

impl<'a> Beside<'a> {
    pub(crate) const fn new(shared: &'a Arc<Shared>) -> Self {
        Self {
            shared,
            has_thread: false,
            begun: None,
            last: 0,
        }
    }

    /// Whether the rest of a log of so many frames is now to be copied by the
    /// writer. `copy_frames` is what is copied at a time.
    pub(crate) fn is_left(&mut self, frames: u64, copy_frames: u64) -> bool {
        let Some((at, copies)) = self.begun else {
            return !self.begin(frames, frames, 0);
        };
        let left = frames.saturating_sub(at);
        if !self.shared.copier.is_done(left > 2 * copy_frames) {
            return false;
        }
        let is_little = left <= copy_frames / COPY_LEFT_SHARE;
        if is_little || left >= self.last || copies >= COPIES_BESIDE_MAX {
            self.begun = None;
            return true;
        }
        !self.begin(frames, left, copies)
    }

    /// Lets the thread copy; false if there is none to be had.
    fn begin(&mut self, frames: u64, left: u64, copies: u32) -> bool {
        if !self.has_thread {
            self.has_thread = self.shared.spawn("copy", run).is_ok();
        }
        if self.has_thread {
            self.shared.copier.want();
            self.begun = Some((frames, copies + 1));
            self.last = left;
        }
        self.has_thread
    }

    /// Waits for the copy under way; the next one is the first of its log.
    pub(crate) fn settle(&mut self) {
        self.shared.copier.wait();
        self.begun = None;
    }

    /// The log was started over.
    pub(crate) const fn start_over(&mut self) {
        self.begun = None;
    }
}
