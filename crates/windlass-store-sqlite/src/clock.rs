//! The one place where this crate reads a clock.
//!
//! Ages shown by [`crate::Health`] and the time limit of an export must pass
//! also while nobody polls, so they cannot come through an `Env` of the
//! caller. Nothing that is stored or decided depends on them.

use std::time::Instant;

/// The present moment on the monotonic clock.
#[expect(
    clippy::disallowed_methods,
    reason = "limits and ages of this process, decided by no caller"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}
