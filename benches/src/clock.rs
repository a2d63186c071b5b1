//! The one place where the benches read a clock or sleep.

use std::time::{Duration, Instant};

/// The present moment on the monotonic clock.
#[expect(
    clippy::disallowed_methods,
    reason = "a bench measures the machine, not an environment of a test's making"
)]
#[must_use]
pub fn now() -> Instant {
    Instant::now()
}

/// Sleeps for `time`.
#[expect(
    clippy::disallowed_methods,
    reason = "a slow disk is imitated by waiting"
)]
pub fn sleep(time: Duration) {
    std::thread::sleep(time);
}
