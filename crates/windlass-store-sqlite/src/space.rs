//! Gives free pages back to the file system.
//!
//! Rows that go leave pages behind, which SQLite fills again. Where they are
//! many the writer cuts them off the end of the file, and only while nobody
//! waits: a bite is a commit like any other, in this writer's turn, of so many
//! pages at most. So a commit that arrives meanwhile waits for one bite.
//!
//! What moves is pages, never rows: whether a bite has happened is nothing
//! that anybody was told, and after one that failed the store goes on as after
//! a commit that failed. The file itself gets shorter when the log is copied.

use std::sync::atomic::Ordering;
use std::time::Duration;

use rusqlite::Connection;

use crate::connection;
use crate::error::Failure;
use crate::group::{self, GroupError};
use crate::limits::{CLOSING_BITES_MAX, FREE_SHARE_MIN, IDLE_MS, VACUUM_PAGES_MAX};
use crate::options::Options;
use crate::shared::Shared;
use crate::turns::Turns;

/// What one connection knows of free pages.
#[derive(Debug)]
pub(crate) struct Space {
    /// Whether the file was born with what it takes.
    can_shrink: bool,
    page_bytes: u64,
    /// Free pages that stay for what is written next.
    kept: u64,
    stage: Stage,
    bites: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Nothing has become free since it was looked for.
    Rest,
    /// Something may have; it is looked for once nothing has come for a while.
    Settle,
    /// There is something to give back.
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
        Ok(Self {
            can_shrink: connection::can_shrink(connection)?,
            page_bytes,
            kept: options.free_bytes_kept / page_bytes,
            stage: Stage::Settle,
            bites: 0,
        })
    }

    /// Takes note of a commit.
    pub(crate) const fn stir(&mut self) {
        self.stage = Stage::Settle;
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

    /// Looks whether there is something to give back, or gives back some of
    /// it: the pages that were moved, or `None` once there is nothing more to
    /// do for now.
    pub(crate) fn step(
        &mut self,
        connection: &Connection,
        turns: &Turns,
        shared: &Shared,
    ) -> Result<Option<u64>, GroupError> {
        let before = self.look(connection, shared).map_err(GroupError::Begin)?;
        if !self.is_much(before) {
            self.stage = Stage::Rest;
            return Ok(None);
        }
        // Whoever cannot have the turn, or finds no room, tries another time.
        self.stage = Stage::Rest;
        let Ok(_turn) = turns.take() else {
            return Ok(None);
        };
        if shared.assert_in_place().is_err() {
            return Ok(None);
        }
        let pages = before.pages.saturating_sub(self.kept).min(VACUUM_PAGES_MAX);
        match group::vacuum(connection, pages) {
            Ok(()) => {}
            Err(GroupError::Begin(_) | GroupError::Full(_)) => return Ok(None),
            Err(error) => return Err(error),
        }
        self.bites += 1;
        let after = self.look(connection, shared).map_err(GroupError::Begin)?;
        if after.pages < before.pages {
            self.stage = Stage::Give;
        }
        Ok(Some(pages))
    }

    /// Gives back what a store that is being closed has time for.
    pub(crate) fn last_steps(
        &mut self,
        connection: &Connection,
        turns: &Turns,
        shared: &Shared,
    ) -> Result<(), GroupError> {
        for _ in 0..CLOSING_BITES_MAX {
            if self.step(connection, turns, shared)?.is_none() {
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

    const fn is_much(&self, free: Free) -> bool {
        let share = free.pages.saturating_mul(FREE_SHARE_MIN) >= free.of;
        self.can_shrink && free.pages > self.kept && share
    }
}
