//! The one place where this crate reads a clock.
//!
//! The time limits of a connection and of an export must pass also while
//! nobody polls. Nothing that is stored or decided depends on them.

use std::time::Instant;

/// The present moment on the monotonic clock.
#[expect(
    clippy::disallowed_methods,
    reason = "limits of this process, decided by no caller"
)]
pub(crate) fn now() -> Instant {
    Instant::now()
}
