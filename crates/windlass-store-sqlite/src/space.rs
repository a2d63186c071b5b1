//! Gives free pages back to the file system.
//!
//! Rows that go leave pages behind, which SQLite fills again. Where they are
//! many the writer cuts them off the end of the file, and only while nobody
//! waits: a bite is a commit like any other, in this writer's turn, of so many
//! pages at most. So a commit that arrives meanwhile waits for one bite.
//!
//! Before that, rows that lie scattered are moved together (`holes.rs`), in bites
//! of the same kind.
//!
//! What changes is where rows are, never what is in them: whether a bite has
//! happened is nothing that anybody was told, and after one that failed the
//! store goes on as after a commit that failed. The file itself gets shorter
//! when the log is copied.

use std::sync::atomic::Ordering;
use std::time::Duration;

use rusqlite::Connection;

use crate::connection;
use crate::error::Failure;
use crate::group::{self, GroupError};
use crate::holes::Holes;
use crate::limits::{
    CLOSING_BITES_MAX, DELETED_ROWS_PER_PAGE, FREE_SHARE_MIN, IDLE_MS, KEPT_SHARE, VACUUM_PAGES_MAX,
};
use crate::options::Options;
use crate::shared::Shared;
use crate::turns::Turns;

/// What one connection knows of free pages.
#[derive(Debug)]
pub(crate) struct Space {
    /// Whether the file was born with what it takes, and nobody forbids it.
    can_shrink: bool,
    page_bytes: u64,
    /// Free pages that stay for what is written next.
    kept: u64,
    stage: Stage,
    bites: u64,
    holes: Holes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Nothing has become free since it was looked for.
    Rest,
    /// Something may have; it is looked for once nothing has come for a while.
    Settle,
    /// There are rows to move or pages to give back.
    Give,
}

/// Pages that are free, of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Free {
    pages: u64,
    of: u64,
}

impl Space {
    pub(crate) fn watch(connection: &Connection, options: &Options) -> Result<Self, Failure> {
        let page_bytes = connection::page_bytes(connection)?;
        let kept = options.free_bytes_kept / page_bytes;
        Ok(Self {
            can_shrink: connection::can_shrink(connection)? && options.free_bytes_kept < u64::MAX,
            page_bytes,
            kept,
            stage: Stage::Settle,
            bites: 0,
            holes: Holes::watch(kept.saturating_mul(DELETED_ROWS_PER_PAGE)),
        })
    }

    /// Takes note of a commit.
    pub(crate) const fn stir(&mut self) {
        self.stage = Stage::Settle;
    }

    /// Takes note of rows that were deleted.
    pub(crate) fn count_deleted(&mut self, rows: u64) {
        self.holes.count(rows);
    }

    /// Leaves what is free until the next commit.
    pub(crate) const fn rest(&mut self) {
        self.stage = Stage::Rest;
    }

    /// How long to wait for something better to do; `None` for as long as it
    /// takes.
    pub(crate) const fn patience(&self) -> Option<Duration> {
        match self.stage {
            Stage::Rest => None,
            Stage::Settle => Some(Duration::from_millis(IDLE_MS)),
            Stage::Give => Some(Duration::ZERO),
        }
    }

    /// Looks whether there is something to do, or does some of it: the pages
    /// that were changed, or `None` once there is nothing more to do for now.
    pub(crate) fn step(
        &mut self,
        connection: &Connection,
        turns: &Turns,
        shared: &Shared,
    ) -> Result<Option<u64>, GroupError> {
        // Whoever cannot have the turn, or finds no room, tries another time.
        self.stage = Stage::Rest;
        let free = self.look(connection, shared).map_err(GroupError::Begin)?;
        if self.is_large(free) && self.holes.are_many(connection, false) {
            return self.fill(connection, turns, shared);
        }
        self.give(free, connection, turns, shared)
    }

    /// Gives back some of what is free: the pages that were moved, or `None` if
    /// that is not to be done, or not now.
    fn give(
        &mut self,
        before: Free,
        connection: &Connection,
        turns: &Turns,
        shared: &Shared,
    ) -> Result<Option<u64>, GroupError> {
        if !self.is_much(before) {
            return Ok(None);
        }
        let kept = self.kept_of(before);
        let pages = before.pages.saturating_sub(kept).min(VACUUM_PAGES_MAX);
        let cut_off = || connection::cut_off(connection, pages);
        if bite(connection, turns, shared, cut_off)?.is_none() {
            return Ok(None);
        }
        self.bites += 1;
        let after = self.look(connection, shared).map_err(GroupError::Begin)?;
        if after.pages < before.pages {
            self.stage = Stage::Give;
        }
        Ok(Some(pages))
    }

    /// Moves the next run of rows, or goes past it: the pages that were changed,
    /// or `None` if that could not be done now.
    fn fill(
        &mut self,
        connection: &Connection,
        turns: &Turns,
        shared: &Shared,
    ) -> Result<Option<u64>, GroupError> {
        if !self.holes.find(connection) {
            self.stage = Stage::Give;
            return Ok(Some(0));
        }
        let fill = || self.holes.fill(connection);
        let Some(after) = bite(connection, turns, shared, fill)? else {
            return Ok(None);
        };
        self.holes.go_on(after);
        self.stage = Stage::Give;
        Ok(Some(VACUUM_PAGES_MAX))
    }

    /// Gives back what a store that is being closed has time for.
    pub(crate) fn last_steps(
        &mut self,
        connection: &Connection,
        turns: &Turns,
        shared: &Shared,
    ) -> Result<(), GroupError> {
        let free = self.look(connection, shared).map_err(GroupError::Begin)?;
        let is_large = self.is_large(free);
        for _ in 0..CLOSING_BITES_MAX {
            if !is_large
                || !self.holes.are_many(connection, true)
                || self.fill(connection, turns, shared)?.is_none()
            {
                break;
            }
        }
        for _ in 0..CLOSING_BITES_MAX {
            let free = self.look(connection, shared).map_err(GroupError::Begin)?;
            if self.give(free, connection, turns, shared)?.is_none() {
                break;
            }
        }
        Ok(())
    }

    /// Whether anything was given back since the last time this was asked.
    pub(crate) const fn has_given(&mut self) -> bool {
        let given = self.bites > 0;
        self.bites = 0;
        given
    }

    fn look(&self, connection: &Connection, shared: &Shared) -> Result<Free, Failure> {
        let (pages, of) = connection::free_pages(connection)?;
        let bytes = pages.saturating_mul(self.page_bytes);
        shared.free_bytes.store(bytes, Ordering::Relaxed);
        Ok(Free { pages, of })
    }

    /// Whether there are more pages in use than would be kept if they were
    /// free: the holes in fewer are not worth a look.
    const fn is_large(&self, free: Free) -> bool {
        free.of.saturating_sub(free.pages) > self.kept
    }

    fn is_much(&self, free: Free) -> bool {
        let share = free.pages.saturating_mul(FREE_SHARE_MIN) >= free.of;
        self.can_shrink && free.pages > self.kept_of(free) && share
    }

    /// Free pages that stay: in a small file no more than a small share, so
    /// that it is about as large as what is in it.
    fn kept_of(&self, free: Free) -> u64 {
        let used = free.of.saturating_sub(free.pages);
        self.kept.min(used / KEPT_SHARE)
    }
}

/// Does `work` as a commit of its own, in this writer's turn; `None` if it
/// cannot be done now and has not been.
fn bite<T>(
    connection: &Connection,
    turns: &Turns,
    shared: &Shared,
    work: impl FnOnce() -> rusqlite::Result<T>,
) -> Result<Option<T>, GroupError> {
    let Ok(_turn) = turns.take() else {
        return Ok(None);
    };
    if shared.assert_in_place().is_err() {
        return Ok(None);
    }
    match group::aside(connection, work) {
        Ok(done) => Ok(Some(done)),
        Err(GroupError::Begin(_) | GroupError::Full(_)) => Ok(None),
        Err(error) => Err(error),
    }
}
