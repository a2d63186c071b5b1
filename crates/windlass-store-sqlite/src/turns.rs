//! Fair turns of writers, over two advisory lock files.
//!
//! SQLite's own waiting polls, so of two busy processes one starves. Here a
//! writer first locks `PATH-next`, then `PATH-turn`, lets go of the first,
//! commits, and lets go of the second. Whoever waits for `PATH-turn` is the
//! only one who does, so it is next after at most one commit of the other.
//! Neither lock is held while there is nothing to write.

use std::fs::{File, OpenOptions};
use std::io;

use crate::birth::restrict;
use crate::error::Failure;
use crate::files::Files;
use crate::options::Sharing;

/// The lock files of one store's writer; `None` where it is alone.
#[derive(Debug)]
pub(crate) struct Turns {
    files: Option<(File, File)>,
}

/// The right to write; given up when dropped.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    turn: Option<&'a File>,
}

impl Turns {
    /// Opens the lock files, which need not exist.
    pub(crate) fn open(files: &Files, sharing: Sharing) -> Result<Self, Failure> {
        let files = match sharing {
            Sharing::Exclusive => None,
            Sharing::Shared => Some((lock_file(files, "-next")?, lock_file(files, "-turn")?)),
        };
        Ok(Self { files })
    }

    /// Waits for the turn: for at most one commit of each other process.
    pub(crate) fn take(&self) -> Result<Turn<'_>, Failure> {
        let Some((next, turn)) = &self.files else {
            return Ok(Turn { turn: None });
        };
        let fail = |cause| Failure::system("a lock file cannot be locked", cause);
        lock(next).map_err(fail)?;
        let locked = lock(turn);
        let unlocked = next.unlock();
        locked.map_err(fail)?;
        let taken = Turn { turn: Some(turn) };
        unlocked.map_err(fail)?;
        Ok(taken)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        // Unlocking a file that is open and locked cannot fail.
        let _ = self.turn.map(File::unlock);
    }
}

/// Claims the store for this one alone, or says that others are welcome. The
/// claim lasts as long as the file is open.
pub(crate) fn claim(files: &Files, sharing: Sharing) -> Result<File, Failure> {
    let file = lock_file(files, "-sharing")?;
    let (locked, context) = match sharing {
        Sharing::Shared => (
            file.try_lock_shared(),
            "another store has the file open for itself alone",
        ),
        Sharing::Exclusive => (file.try_lock(), "another store has the file open"),
    };
    match locked {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(Failure::unavailable(format!(
            "`{}`: {context}",
            files.display()
        ))),
        Err(std::fs::TryLockError::Error(cause)) => {
            Err(Failure::system("a lock file cannot be locked", cause))
        }
    }
}

fn lock_file(files: &Files, suffix: &str) -> Result<File, Failure> {
    let path = files.beside(suffix);
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    restrict(&mut options);
    options
        .open(&path)
        .map_err(|cause| Failure::system(format!("`{}` cannot be opened", path.display()), cause))
}

fn lock(file: &File) -> io::Result<()> {
    loop {
        match file.lock() {
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
            locked => return locked,
        }
    }
}
