//! Fair turns of writers, over two advisory lock files.
//!
//! SQLite's own waiting polls, so of two busy processes one starves. Here a
//! writer first locks `PATH-next`, then `PATH-turn`, lets go of the first,
//! commits, and lets go of the second. Whoever waits for `PATH-turn` is the
//! only one who does, so it is next after at most one commit of the other.
//! Neither lock is held while there is nothing to write.
//!
//! The operating system waits for a lock for ever, and a process can be
//! stopped while it holds one. So the writer itself only tries; where that
//! fails, a thread waits in its place, and the writer waits for the thread
//! for a limited time.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::birth::restrict;
use crate::error::Failure;
use crate::files::Files;
use crate::options::Sharing;

/// The turns of one store's writer.
#[derive(Debug)]
pub(crate) struct Turns {
    /// `None` where the store has the file for itself.
    locks: Option<Arc<Locks>>,
    patience: Duration,
}

/// The right to write; given up when dropped.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    locks: Option<&'a Locks>,
}

#[derive(Debug)]
struct Locks {
    next: File,
    turn: File,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    claim: Claim,
    /// Whether the waiting thread was started.
    waiting_thread: bool,
}

/// What the waiting thread is to do, and what became of it.
#[derive(Debug)]
enum Claim {
    /// Nothing.
    Idle,
    /// It is to get the turn, or is at it.
    Wanted,
    /// It is at it, but the writer has given up.
    Unwanted,
    /// The writer has the turn.
    Held,
    /// The turn could not be had.
    Failed(io::Error),
    /// It is to end.
    Closed,
}

impl Turns {
    /// Opens the lock files, which need not exist. A turn is waited for no
    /// longer than `patience`.
    pub(crate) fn open(
        files: &Files,
        sharing: Sharing,
        patience: Duration,
    ) -> Result<Self, Failure> {
        let state = State {
            claim: Claim::Idle,
            waiting_thread: false,
        };
        let locks = match sharing {
            Sharing::Exclusive => None,
            Sharing::Shared => Some(Arc::new(Locks {
                next: lock_file(files, "-next")?,
                turn: lock_file(files, "-turn")?,
                state: Mutex::new(state),
                changed: Condvar::new(),
            })),
        };
        Ok(Self { locks, patience })
    }

    /// Whether others may write as well.
    pub(crate) const fn are_shared(&self) -> bool {
        self.locks.is_some()
    }

    /// Waits for the turn: for at most one commit of each other process, and
    /// no longer than the patience given.
    pub(crate) fn take(&self) -> Result<Turn<'_>, Failure> {
        let Some(locks) = &self.locks else {
            return Ok(Turn { locks: None });
        };
        if !locks.try_take().map_err(unlockable)? {
            locks.want()?;
            locks.wait(self.patience)?;
        }
        Ok(Turn { locks: Some(locks) })
    }
}

impl Drop for Turns {
    fn drop(&mut self) {
        if let Some(locks) = &self.locks {
            locks.state().claim = Claim::Closed;
            locks.changed.notify_all();
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let Some(locks) = self.locks else { return };
        locks.state().claim = Claim::Idle;
        // Unlocking a file that is open and locked cannot fail.
        let _ = locks.turn.unlock();
    }
}

impl Locks {
    /// Takes the turn if nobody has it. If somebody has, this store may be
    /// left with the right to be next.
    fn try_take(&self) -> io::Result<bool> {
        let mut state = self.state();
        if !matches!(state.claim, Claim::Idle) || !try_lock(&self.next)? || !try_lock(&self.turn)? {
            return Ok(false);
        }
        state.claim = Claim::Held;
        drop(state);
        self.next.unlock()?;
        Ok(true)
    }

    /// Has the waiting thread wait for the turn.
    fn want(self: &Arc<Self>) -> Result<(), Failure> {
        let mut state = self.state();
        if !state.waiting_thread {
            let locks = Arc::clone(self);
            let thread = thread::Builder::new().name("sqlite-turn".into());
            thread.spawn(move || locks.run()).map_err(|cause| {
                // Others must not wait for a right that nobody uses.
                let _ = self.next.unlock();
                Failure::system("no thread can be started", cause)
            })?;
            state.waiting_thread = true;
        }
        state.claim = Claim::Wanted;
        drop(state);
        self.changed.notify_all();
        Ok(())
    }

    fn wait(&self, patience: Duration) -> Result<(), Failure> {
        let wanted = |state: &mut State| matches!(state.claim, Claim::Wanted);
        let waited = self
            .changed
            .wait_timeout_while(self.state(), patience, wanted);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(&mut state.claim, Claim::Idle) {
            Claim::Held => {
                state.claim = Claim::Held;
                Ok(())
            }
            Claim::Failed(cause) => Err(unlockable(cause)),
            _ => {
                state.claim = Claim::Unwanted;
                let context = format!(
                    "another process has kept its turn to write for more than {patience:?}"
                );
                Err(Failure::unavailable(context))
            }
        }
    }

    /// The waiting thread.
    fn run(&self) {
        loop {
            let idle = |state: &mut State| !matches!(state.claim, Claim::Wanted | Claim::Closed);
            let waited = self.changed.wait_while(self.state(), idle);
            let state = waited.unwrap_or_else(PoisonError::into_inner);
            if matches!(state.claim, Claim::Closed) {
                return;
            }
            drop(state);
            let taken = self.take_patiently();
            self.conclude(taken);
        }
    }

    fn take_patiently(&self) -> io::Result<()> {
        lock(&self.next)?;
        let taken = lock(&self.turn);
        self.next.unlock()?;
        taken
    }

    /// Hands the turn to the writer, or gives it up if it does not want it any
    /// more.
    fn conclude(&self, taken: io::Result<()>) {
        let mut state = self.state();
        let wanted = matches!(state.claim, Claim::Wanted);
        match taken {
            Ok(()) if wanted => state.claim = Claim::Held,
            Err(cause) if wanted => state.claim = Claim::Failed(cause),
            taken => {
                if matches!(state.claim, Claim::Unwanted) {
                    state.claim = Claim::Idle;
                }
                // Unlocking a file that is open and locked cannot fail.
                let _ = taken.and_then(|()| self.turn.unlock());
            }
        }
        drop(state);
        self.changed.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unlockable(cause: io::Error) -> Failure {
    Failure::system("a lock file cannot be locked", cause)
}

/// The claim to share the store, or to have it alone; given up when dropped.
#[derive(Debug)]
pub(crate) struct Tenure(File);

impl Drop for Tenure {
    /// Closing the file would do, but for a process that is just being
    /// started: until it runs its program it has a copy of every open file,
    /// and with it the lock.
    fn drop(&mut self) {
        // Unlocking a file that is open and locked cannot fail.
        let _ = self.0.unlock();
    }
}

/// Claims the store for this one alone, or says that others are welcome.
pub(crate) fn claim(files: &Files, sharing: Sharing) -> Result<Tenure, Failure> {
    let file = lock_file(files, "-sharing")?;
    let (locked, context) = match sharing {
        Sharing::Shared => (
            file.try_lock_shared(),
            "another store has the file open for itself alone",
        ),
        Sharing::Exclusive => (file.try_lock(), "another store has the file open"),
    };
    match locked {
        Ok(()) => Ok(Tenure(file)),
        Err(TryLockError::WouldBlock) => Err(Failure::unavailable(format!(
            "`{}`: {context}",
            files.display()
        ))),
        Err(TryLockError::Error(cause)) => Err(unlockable(cause)),
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

fn try_lock(file: &File) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(cause)) => Err(cause),
    }
}

fn lock(file: &File) -> io::Result<()> {
    loop {
        match file.lock() {
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
            locked => return locked,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Two {
        directory: tempfile::TempDir,
    }

    impl Two {
        fn new() -> Self {
            Self {
                directory: tempfile::tempdir().expect("a temporary directory can be made"),
            }
        }

        fn files(&self) -> Files {
            Files::locate(&self.directory.path().join("store.db")).expect("the directory is there")
        }

        fn turns(&self, patience: Duration) -> Turns {
            Turns::open(&self.files(), Sharing::Shared, patience).expect("the lock files open")
        }
    }

    const SHORT: Duration = Duration::from_millis(5);
    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn a_turn_that_somebody_keeps_is_waited_for_no_longer_than_allowed() {
        let two = Two::new();
        let (one, other) = (two.turns(SHORT), two.turns(SHORT));
        let turn = one.take().expect("the turn is free");
        for _ in 0..3 {
            let failure = other
                .take()
                .map(drop)
                .expect_err("the turn is taken")
                .error("commit");
            assert_eq!(failure.kind(), windlass_store::StoreErrorKind::Unavailable);
        }
        drop(turn);
        // The thread that still waits gets the turn and gives it up.
        while other.take().is_err() {}
        while one.take().is_err() {}
    }

    #[test]
    fn a_turn_that_is_given_up_goes_to_whoever_waits() {
        let two = Two::new();
        let (one, other) = (two.turns(LONG), two.turns(LONG));
        let order = Mutex::new(Vec::new());
        let note = |name| order.lock().expect("no panic").push(name);
        let turn = one.take().expect("the turn is free");
        thread::scope(|scope| {
            scope.spawn(|| {
                let _turn = other.take().expect("it gets its turn");
                note("other");
            });
            // Whoever waits for the turn has the right to be next.
            while try_lock(&one.locks.as_ref().expect("it is shared").next)
                .expect("it can be tried")
            {
                one.locks
                    .as_ref()
                    .expect("it is shared")
                    .next
                    .unlock()
                    .expect("it is locked");
                thread::yield_now();
            }
            note("one");
            drop(turn);
            let _turn = one.take().expect("it gets its turn again");
            note("one");
        });
        assert_eq!(*order.lock().expect("no panic"), ["one", "other", "one"]);
    }

    #[test]
    fn a_writer_that_ends_while_it_waits_leaves_no_lock_behind() {
        let two = Two::new();
        let (one, other) = (two.turns(SHORT), two.turns(SHORT));
        let turn = one.take().expect("the turn is free");
        assert!(other.take().is_err(), "the turn is taken");
        drop(other);
        drop(turn);
        let third = two.turns(LONG);
        for turns in [&third, &one, &third] {
            while turns.take().is_err() {}
        }
    }

    #[test]
    fn a_claim_that_was_given_up_is_not_kept_by_a_copy_of_its_file() {
        let two = Two::new();
        let files = two.files();
        let tenure = claim(&files, Sharing::Exclusive).expect("nobody else is there");
        // What a process has of it that was forked and has not yet become
        // another program.
        let copy = tenure.0.try_clone().expect("a file can be copied");
        assert!(claim(&files, Sharing::Shared).is_err(), "it is taken");
        drop(tenure);
        let again = claim(&files, Sharing::Exclusive).map(drop);
        assert!(again.is_ok(), "{again:?}");
        drop(copy);
    }
}
