//! The claim on a directory: at most one store has it open.
//!
//! sled locks its log, but only after it has begun to repair the directory;
//! and it lets go of the lock some time after its handle was dropped. So
//! there is a lock file of our own, taken before sled sees anything and let go
//! of after sled has let go of everything.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::error::Failure;
use crate::files::{Files, restrict};

/// The right to use a directory; given up when dropped.
#[derive(Debug)]
pub(crate) struct Claim(File);

impl Claim {
    /// Waits for the directory no longer than `patience`.
    pub(crate) fn take(files: &Files, patience: Duration) -> Result<Self, Failure> {
        let fail = |cause| Failure::system("the lock of the store cannot be taken", cause);
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false);
        restrict(&mut options);
        let file = options.open(files.lock()).map_err(fail)?;
        if lock_within(&file, patience).map_err(fail)? {
            return Ok(Self(file));
        }
        Err(Failure::environment(format!(
            "`{}` is open already; sled allows one store and one process at a time",
            files.display()
        )))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // Explicitly, since a child that is being started may have a copy of
        // the handle. Unlocking a file that is open and locked cannot fail.
        let _ = self.0.unlock();
    }
}

/// Waits until nobody has locked a file; whether that was so within
/// `patience`.
pub(crate) fn free_within(file: &File, patience: Duration) -> io::Result<bool> {
    let free = lock_within(file, patience)?;
    if free {
        // Explicitly, as for a claim.
        file.unlock()?;
    }
    Ok(free)
}

/// Locks a file; whether that succeeded within `patience`.
///
/// The operating system waits for a lock for ever, so a thread does it: one
/// that outlives the patience gives the lock up again when it gets it.
fn lock_within(file: &File, patience: Duration) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => return Ok(true),
        Err(TryLockError::Error(cause)) => return Err(cause),
        Err(TryLockError::WouldBlock) => {}
    }
    let copy = file.try_clone()?;
    let (answer, answered) = mpsc::channel();
    let waiting = move || {
        let locked = copy.lock();
        let got = locked.is_ok();
        if answer.send(locked).is_err() && got {
            let _ = copy.unlock();
        }
    };
    thread::Builder::new()
        .name("sled-lock".into())
        .spawn(waiting)?;
    match answered.recv_timeout(patience) {
        Ok(locked) => locked.map(|()| true),
        Err(_) => Ok(false),
    }
}

#[cfg(test)]
mod tests {
    use windlass_store::StoreErrorKind;

    use super::*;

    const SHORT: Duration = Duration::from_millis(5);
    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn a_directory_is_claimed_once_and_free_again_afterwards() {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let files = Files::within(directory.path().to_owned());
        let claim = Claim::take(&files, SHORT).expect("it is free");
        let refused = Claim::take(&files, SHORT)
            .map(drop)
            .expect_err("it is taken");
        assert_eq!(refused.error("open").kind(), StoreErrorKind::Environment);
        drop(claim);
        // The thread that still waits gets the lock and gives it up.
        drop(Claim::take(&files, LONG).expect("it is free again"));
    }

    #[test]
    fn whoever_waits_gets_the_directory_once_it_is_free() {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let files = Files::within(directory.path().to_owned());
        let claim = Claim::take(&files, SHORT).expect("it is free");
        thread::scope(|scope| {
            let waiting = scope.spawn(|| Claim::take(&files, LONG).map(drop));
            thread::yield_now();
            drop(claim);
            let taken = waiting.join().expect("no panic");
            assert!(taken.is_ok(), "{taken:?}");
        });
    }
}
