//! Who has the machine: tests that measure have it for themselves, the others
//! share it. It holds within one process; the settings of the runner that
//! starts one for each test say the same.

use std::cell::RefCell;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

static MACHINE: RwLock<()> = RwLock::new(());

thread_local! {
    /// What the test of this thread has, and how many of its parts want it.
    static SHARED: RefCell<(usize, Option<RwLockReadGuard<'static, ()>>)> =
        const { RefCell::new((0, None)) };
}

/// A share of the machine; a test may take it again while it has it.
pub(crate) struct Share(());

impl Share {
    pub(crate) fn take() -> Self {
        SHARED.with_borrow_mut(|(wanted, guard)| {
            guard.get_or_insert_with(|| MACHINE.read().unwrap_or_else(PoisonError::into_inner));
            *wanted += 1;
        });
        Self(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        SHARED.with_borrow_mut(|(wanted, guard)| {
            *wanted -= 1;
            if *wanted == 0 {
                *guard = None;
            }
        });
    }
}

/// The whole machine.
pub(crate) fn take_alone() -> RwLockWriteGuard<'static, ()> {
    MACHINE.write().unwrap_or_else(PoisonError::into_inner)
}
