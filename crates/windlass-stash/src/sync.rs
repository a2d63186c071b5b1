//! The locks of the form in memory: the standard library's, or, in this
//! crate's own tests, those of the schedule explorer.

#[cfg(not(test))]
pub(crate) use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockWriteGuard};

#[cfg(test)]
pub(crate) use {
    shuttle::sync::{Mutex, MutexGuard, RwLock, RwLockWriteGuard},
    std::sync::PoisonError,
};
