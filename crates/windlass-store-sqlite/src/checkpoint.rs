//! Keeps the write-ahead log short.
//!
//! Between two groups the writer copies what is in the log into the database
//! (PASSIVE: waits for nobody). SQLite starts the log over once all of it was
//! copied and no reader looks into it. Two things can keep that moment from
//! coming:
//!
//! - **Other writers** add to the log while it is copied. So what they added
//!   is copied once more, in this writer's turn to write: that is little.
//! - **Readers** that always overlap. So past a second threshold new reads of
//!   this process are held at a gate for as long as it takes to empty the log
//!   (TRUNCATE, 50 ms at most).
//!
//! Where it is asked for, the most of the copying is done beside commits
//! (`copier`).
//!
//! Of several writers the one that fills the log copies it, so that one which
//! writes little has to wait for little.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::hooks::Wal;
use rusqlite::wal::CheckpointMode;

use crate::connection;
use crate::copier::Beside;
use crate::error::Failure;
use crate::gate::Gate;
use crate::group::Request;
use crate::limits::{GATE_MS_MAX, TRUNCATE_MS_MAX, TRUNCATE_RETRY_BYTES};
use crate::options::Options;
use crate::turns::Turns;

/// What one connection knows of its log, and when to do something about it.
#[derive(Debug)]
pub(crate) struct Checkpoints {
    /// Frames in the log, as SQLite said at the last commit.
    frames: Arc<AtomicU64>,
    /// Frames at the last look; fewer mean that the log was started over.
    seen: u64,
    /// Frames the file has room for: it keeps its length until it is emptied.
    longest: u64,
    copy_frames: u64,
    empty_frames: u64,
    retry_frames: u64,
    /// Frames at which the log is copied next.
    copy_at: u64,
    /// About as many frames of the log as are this writer's, since it was
    /// copied last.
    own: u64,
    page_bytes: u64,
    /// Frames at which it is emptied next, if its file is too long.
    empty_at: u64,
}

impl Checkpoints {
    /// Watches the log of `connection`, whose file has `wal_bytes`.
    pub(crate) fn watch(
        connection: &mut Connection,
        wal_bytes: u64,
        options: &Options,
    ) -> Result<Self, Failure> {
        let page_bytes = connection::page_bytes(connection)?;
        let frames = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&frames);
        connection.wal_hook(Some(move |_: &mut Wal, pages| {
            counter.store(u64::try_from(pages).unwrap_or(0), Ordering::Relaxed);
            Ok(())
        }))?;
        let copy_frames = (options.wal_copy_bytes / page_bytes).max(1);
        let empty_frames = (options.wal_empty_bytes / page_bytes).max(1);
        let retry_frames = (TRUNCATE_RETRY_BYTES / page_bytes).max(1);
        Ok(Self {
            frames,
            seen: 0,
            longest: wal_bytes / page_bytes,
            copy_frames,
            empty_frames,
            retry_frames,
            copy_at: copy_frames,
            own: 0,
            page_bytes,
            empty_at: 0,
        })
    }

    /// Takes note of `group`, which was committed. Each write changes about one
    /// page, or as many as it has bytes for.
    pub(crate) fn count(&mut self, group: &[Request]) {
        for request in group {
            let rows = u64::try_from(request.batch.writes.len()).unwrap_or(u64::MAX);
            let bytes = u64::from(request.weight_kib) * 1_024;
            self.own = self.own.saturating_add(rows + bytes / self.page_bytes);
        }
    }

    /// Takes note of a commit that changed so many pages.
    pub(crate) const fn count_pages(&mut self, pages: u64) {
        self.own = self.own.saturating_add(pages);
    }

    /// Whether the log may grow by what nobody waits for.
    pub(crate) const fn has_room(&self) -> bool {
        self.longest < self.empty_frames
    }

    /// Copies or empties the log if it is time to. An error means that the
    /// connection must not be used any further.
    pub(crate) fn keep_up(
        &mut self,
        connection: &Connection,
        gate: &Gate,
        turns: &Turns,
        mut beside: Option<&mut Beside<'_>>,
    ) -> Result<(), Failure> {
        let frames = self.frames.load(Ordering::Relaxed);
        if frames < self.seen {
            self.start_over();
            if let Some(beside) = &mut beside {
                beside.start_over();
            }
        }
        self.seen = frames;
        self.longest = self.longest.max(frames);
        let is_left = |beside: &mut Beside<'_>| beside.is_left(frames, self.copy_frames);
        if self.is_to_copy(frames) && beside.as_deref_mut().is_none_or(is_left) {
            self.copy_at = frames + self.copy_frames;
            self.own = 0;
            copy(connection)?;
            copy_rest(connection, turns)?;
        }
        if self.longest >= self.empty_frames && frames >= self.empty_at {
            self.empty_at = frames + self.retry_frames;
            if let Some(beside) = beside {
                // Two cannot copy at a time, and one is to be the last.
                beside.settle();
            }
            self.try_empty(connection, gate, turns)?;
        }
        Ok(())
    }

    /// Whether the log is long enough, and this writer filled at least half of
    /// it; others may not be there any more when it has twice the length.
    const fn is_to_copy(&self, frames: u64) -> bool {
        let mine = self.own >= self.copy_frames / 2;
        frames >= self.copy_at && (mine || frames >= self.copy_at + self.copy_frames)
    }

    fn try_empty(
        &mut self,
        connection: &Connection,
        gate: &Gate,
        turns: &Turns,
    ) -> Result<(), Failure> {
        // Nobody is kept waiting for what can be copied before.
        copy(connection)?;
        let Some(_held) = gate.hold(Duration::from_millis(GATE_MS_MAX)) else {
            return Ok(());
        };
        let Ok(_turn) = turns.take() else {
            return Ok(());
        };
        if tolerate(empty(connection))? {
            self.start_over();
            self.seen = 0;
            self.longest = 0;
        }
        Ok(())
    }

    const fn start_over(&mut self) {
        self.copy_at = self.copy_frames;
        self.empty_at = 0;
        self.own = 0;
    }
}

/// Copies what is in the log into the database, as far as no reader is in the
/// way. Waits for nobody.
pub(crate) fn copy(connection: &Connection) -> Result<(), Failure> {
    let copied = connection.wal_checkpoint_v2(Some("main"), CheckpointMode::PASSIVE);
    tolerate(copied.map(drop)).map(drop)
}

/// Copies what other writers have added to the log since it was copied, while
/// they wait. Where this writer is alone that is nothing.
fn copy_rest(connection: &Connection, turns: &Turns) -> Result<(), Failure> {
    if !turns.are_shared() {
        return Ok(());
    }
    match turns.take() {
        Ok(_turn) => copy(connection),
        // It is copied another time.
        Err(_) => Ok(()),
    }
}

/// Copies all of the log into the database and empties it, unless a reader
/// stays in the way.
pub(crate) fn empty(connection: &Connection) -> rusqlite::Result<()> {
    let patience = connection::patience(connection)?;
    connection.busy_timeout(Duration::from_millis(TRUNCATE_MS_MAX))?;
    let emptied = connection.wal_checkpoint_v2(Some("main"), CheckpointMode::TRUNCATE);
    connection.busy_timeout(patience)?;
    emptied.map(drop)
}

/// Empties a log that was there before this store was. After a sync that
/// failed, a system can show what is not on the disk and never will be; if the
/// process died of it, the log may hold such a commit. What is committed after
/// it would be lost with it in a power cut, so its pages are written again,
/// into the database, and the log starts anew. Others who live keep it from
/// being emptied: then it is theirs, and they know what is in it.
pub(crate) fn take_over(connection: &Connection) -> Result<(), Failure> {
    tolerate(empty(connection)).map(drop)
}

/// Whether a checkpoint did all it could. Readers in the way and a full disk
/// only put it off; anything else is an error.
fn tolerate(checkpoint: rusqlite::Result<()>) -> Result<bool, Failure> {
    use rusqlite::ErrorCode::{DatabaseBusy, DatabaseLocked, DiskFull};
    match checkpoint {
        Ok(()) => Ok(true),
        Err(cause)
            if matches!(
                cause.sqlite_error_code(),
                Some(DatabaseBusy | DatabaseLocked | DiskFull)
            ) =>
        {
            Ok(false)
        }
        Err(cause) => Err(cause.into()),
    }
}
