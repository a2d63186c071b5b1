//! The claim on a directory: at most one store has it open.
//!
//! sled locks its log, but only after it has begun to repair the directory;
//! and it lets go of the lock some time after its handle was dropped. So
//! there is a lock file of our own, taken before sled sees anything and let go
//! of after sled has let go of everything.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::thread;
use std::time::Duration;

use crate::error::Failure;
use crate::files::{Files, restrict};
use crate::limits::LOCK_PAUSE;

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
/// The operating system would wait for ever, and a thread that does so could
/// not be called back: so it is asked again and again.
fn lock_within(file: &File, patience: Duration) -> io::Result<bool> {
    let mut waited = Duration::ZERO;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(true),
            Err(TryLockError::Error(cause)) => return Err(cause),
            Err(TryLockError::WouldBlock) if waited >= patience => return Ok(false),
            Err(TryLockError::WouldBlock) => {}
        }
        let pause = LOCK_PAUSE.min(patience - waited);
        rest(pause);
        waited += pause;
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a lock of a file has no condition to wait for, and no environment reaches here"
)]
fn rest(pause: Duration) {
    thread::sleep(pause);
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
        drop(Claim::take(&files, SHORT).expect("it is free again"));
    }

    /// A service may try for hours.
    #[cfg(target_os = "linux")]
    #[test]
    fn whoever_gives_up_leaves_nothing_behind() {
        const ATTEMPTS: usize = 200;
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let files = Files::within(directory.path().to_owned());
        let _claim = Claim::take(&files, SHORT).expect("it is free");
        let count = |what: &str| {
            let names = std::fs::read_dir(format!("/proc/self/{what}"));
            names.expect("the system shows them").count()
        };
        let before = (count("task"), count("fd"));
        for _ in 0..ATTEMPTS {
            let refused = Claim::take(&files, Duration::from_millis(1)).map(drop);
            assert!(refused.is_err(), "{refused:?}");
        }
        // Other tests of this process may have made some.
        let most = ATTEMPTS / 2;
        let after = (count("task"), count("fd"));
        assert!(after.0 < before.0 + most, "threads: {before:?}, {after:?}");
        assert!(after.1 < before.1 + most, "handles: {before:?}, {after:?}");
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
