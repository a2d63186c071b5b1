//! A disk on which one call fails, or every call from one on.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::ffi;

use crate::disk::{Below, Call, Code, Disk, Done, FileId};
use crate::recording::{Event, Recorder};

/// For how long calls fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spell {
    /// For one call.
    Once,
    /// Until the disk is healed.
    Lasting,
    /// Likewise, but only calls that change something.
    ReadOnly,
    /// Every sync claims to have succeeded and loses what it should save.
    /// No store can cope: this one is there to be noticed.
    Lies,
}

/// What is to go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// The first call that fails, counted from zero.
    pub(crate) call: usize,
    pub(crate) spell: Spell,
    /// Which of the ways in which such a call can fail.
    pub(crate) way: usize,
}

/// The kinds of calls, as far as they fail in ways of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Open,
    Delete,
    Look,
    Read,
    Write,
    Truncate,
    Sync,
    Size,
    Lock,
    MapMemory,
    LockMemory,
}

/// What a call does although it fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    /// Nothing.
    Nothing,
    /// Half of it.
    Half,
    /// All of it.
    Whole,
    /// Loses what was not on the disk before.
    Reverted,
    /// Likewise, but that can still be read while the system runs.
    Forgotten,
}

impl Kind {
    /// The ways in which such a call fails: what SQLite is told, and what
    /// happens nevertheless.
    const fn ways(self) -> &'static [(Code, Effect)] {
        match self {
            Self::Open => &[(ffi::SQLITE_CANTOPEN, Effect::Nothing)],
            Self::Delete => &[
                (ffi::SQLITE_IOERR_DELETE, Effect::Nothing),
                (ffi::SQLITE_IOERR_DELETE, Effect::Whole),
            ],
            Self::Look => &[(ffi::SQLITE_IOERR_ACCESS, Effect::Nothing)],
            Self::Read => &[(ffi::SQLITE_IOERR_READ, Effect::Nothing)],
            Self::Write => &[
                (ffi::SQLITE_IOERR_WRITE, Effect::Nothing),
                (ffi::SQLITE_FULL, Effect::Half),
                (ffi::SQLITE_IOERR_WRITE, Effect::Whole),
            ],
            Self::Truncate => &[
                (ffi::SQLITE_IOERR_TRUNCATE, Effect::Nothing),
                (ffi::SQLITE_IOERR_TRUNCATE, Effect::Whole),
            ],
            Self::Sync => &[
                (ffi::SQLITE_IOERR_FSYNC, Effect::Reverted),
                (ffi::SQLITE_IOERR_FSYNC, Effect::Forgotten),
                (ffi::SQLITE_IOERR_FSYNC, Effect::Whole),
            ],
            Self::Size => &[(ffi::SQLITE_IOERR_FSTAT, Effect::Nothing)],
            Self::Lock => &[(ffi::SQLITE_IOERR_LOCK, Effect::Nothing)],
            Self::MapMemory => &[
                (ffi::SQLITE_IOERR_SHMMAP, Effect::Nothing),
                (ffi::SQLITE_IOERR_SHMSIZE, Effect::Nothing),
            ],
            Self::LockMemory => &[(ffi::SQLITE_IOERR_SHMLOCK, Effect::Nothing)],
        }
    }

    /// In how many ways such a call fails.
    pub(crate) const fn ways_count(self) -> usize {
        self.ways().len()
    }

    const fn changes(self) -> bool {
        matches!(
            self,
            Self::Delete | Self::Write | Self::Truncate | Self::Sync
        )
    }

    const fn of(call: &Call<'_>) -> Self {
        match call {
            Call::Read => Self::Read,
            Call::Write { .. } => Self::Write,
            Call::Truncate { .. } => Self::Truncate,
            Call::Sync => Self::Sync,
            Call::Size => Self::Size,
            Call::Lock => Self::Lock,
            Call::MapMemory => Self::MapMemory,
            Call::LockMemory => Self::LockMemory,
        }
    }
}

/// A recorder whose calls can be made to fail.
#[derive(Debug)]
pub(crate) struct Saboteur {
    recorder: Arc<Recorder>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    trouble: Option<Trouble>,
    calls: Vec<Kind>,
    /// The first call that failed.
    fired: Option<Kind>,
    /// The process that had the files open is gone.
    dead: bool,
}

impl Saboteur {
    /// A disk on which `trouble` is going to happen, if any.
    pub(crate) fn new(trouble: Option<Trouble>) -> Self {
        let state = State {
            trouble,
            calls: Vec::new(),
            fired: None,
            dead: false,
        };
        Self {
            recorder: Arc::default(),
            state: Mutex::new(state),
        }
    }

    /// Ends the process that uses this disk: nothing it does reaches the
    /// files or the recording any more. Gives the disk its successor sees,
    /// which goes on with the recording and the trouble.
    pub(crate) fn succeed(&self) -> Self {
        let mut state = self.state();
        state.dead = true;
        let next = State {
            trouble: state.trouble,
            calls: std::mem::take(&mut state.calls),
            fired: state.fired,
            dead: false,
        };
        Self {
            recorder: Arc::clone(&self.recorder),
            state: Mutex::new(next),
        }
    }

    /// What happens to the files.
    pub(crate) fn recorder(&self) -> &Recorder {
        &self.recorder
    }

    /// The call that failed first, if it came to that.
    pub(crate) fn fired(&self) -> Option<Kind> {
        self.state().fired
    }

    /// Ends the trouble.
    pub(crate) fn heal(&self) {
        self.state().trouble = None;
    }

    /// Every call so far.
    pub(crate) fn calls(&self) -> Vec<Kind> {
        self.state().calls.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Counts a call and says how it fails, if it does.
    fn count(&mut self, kind: Kind) -> Option<(Code, Effect)> {
        if self.dead {
            return Some((ffi::SQLITE_IOERR, Effect::Nothing));
        }
        let number = self.calls.len();
        self.calls.push(kind);
        let trouble = self.trouble?;
        let fails = match trouble.spell {
            Spell::Once => number == trouble.call,
            Spell::Lasting => number >= trouble.call,
            Spell::ReadOnly => number >= trouble.call && kind.changes(),
            Spell::Lies => number >= trouble.call && kind == Kind::Sync,
        };
        if !fails {
            return None;
        }
        self.fired.get_or_insert(kind);
        if trouble.spell == Spell::Lies {
            return Some((ffi::SQLITE_OK, Effect::Forgotten));
        }
        let ways = kind.ways();
        Some(ways[trouble.way % ways.len()])
    }
}

/// Calls are made one at a time, so none is half done when a process ends.
impl Disk for Saboteur {
    fn open(&self, path: &Path, go: &mut dyn FnMut() -> Done) -> Result<FileId, Code> {
        let mut state = self.state();
        match state.count(Kind::Open) {
            Some((code, _)) => Err(code),
            None => self.recorder.open(path, go),
        }
    }

    fn delete(&self, path: &Path, go: &mut dyn FnMut() -> Done) -> Code {
        let mut state = self.state();
        match state.count(Kind::Delete) {
            Some((code, Effect::Nothing)) => code,
            Some((code, _)) => {
                self.recorder.delete(path, go);
                code
            }
            None => self.recorder.delete(path, go),
        }
    }

    fn look(&self, go: &mut dyn FnMut() -> Done) -> Code {
        let mut state = self.state();
        match state.count(Kind::Look) {
            Some((code, _)) => code,
            None => self.recorder.look(go),
        }
    }

    fn call(&self, file: FileId, call: Call<'_>, below: &mut dyn Below) -> Code {
        let mut state = self.state();
        let Some((code, effect)) = state.count(Kind::of(&call)) else {
            return self.recorder.call(file, call, below);
        };
        match (effect, call) {
            (Effect::Whole, call) => drop(self.recorder.call(file, call, below)),
            (Effect::Half, Call::Write { offset, bytes }) => {
                let half = &bytes[..bytes.len() / 2];
                self.recorder.write_part(file, offset, half, below);
            }
            (Effect::Reverted, _) => self.recorder.fail_sync(Event::SyncReverted { file }, below),
            (Effect::Forgotten, _) => self
                .recorder
                .fail_sync(Event::SyncForgotten { file }, below),
            (Effect::Half | Effect::Nothing, _) => {}
        }
        code
    }
}
