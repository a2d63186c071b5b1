//! The operating system's clock and random generator, as an [`Env`].
//!
//! This is the only place in the library that reads either.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;
use windlass_core::{BoxFuture, Env, Millis, RandomError};

/// The latest time of day any environment of this process has given out, in
/// Unix milliseconds. One for the process: records of one store are compared
/// by time, whichever [`SystemEnv`] stamped them.
static LATEST_MS: AtomicU64 = AtomicU64::new(0);

/// Time and randomness of the operating system.
///
/// Readings of [`Env::now`] never decrease within the process: when the
/// system's clock is set back they stand still until it has caught up.
/// Sleeping needs a tokio runtime with its time driver.
#[derive(Clone, Copy, Debug)]
pub struct SystemEnv {
    origin: Instant,
}

impl SystemEnv {
    /// An environment whose monotonic reading starts at zero.
    #[must_use]
    pub fn new() -> Self {
        Self {
            origin: Instant::now(),
        }
    }
}

impl Default for SystemEnv {
    fn default() -> Self {
        Self::new()
    }
}

impl Env for SystemEnv {
    fn now(&self) -> Millis {
        never_earlier(&LATEST_MS, clock_ms())
    }

    fn monotonic(&self) -> Duration {
        self.origin.elapsed()
    }

    fn random(&self, bytes: &mut [u8]) -> Result<(), RandomError> {
        getrandom::fill(bytes).map_err(RandomError::new)
    }

    /// Completes at `deadline`; never, if that is too far away to represent.
    fn sleep_until(&self, deadline: Duration) -> BoxFuture<'static, ()> {
        let deadline = self.origin.checked_add(deadline);
        Box::pin(async move {
            match deadline {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        })
    }
}

/// The system's clock in Unix milliseconds; 0 if it stands before 1970.
fn clock_ms() -> u64 {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where time enters the library"
    )]
    let now = SystemTime::now();
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Raises `latest` to `reading` and gives the later of the two. The order of
/// all changes of one atomic is the same for every thread, so no thread sees
/// it fall. Writes at most once a millisecond: threads that all read the clock
/// would otherwise wait for each other here.
fn never_earlier(latest: &AtomicU64, reading: u64) -> Millis {
    let before = latest.load(Ordering::Relaxed);
    if reading <= before {
        return Millis::new(before);
    }
    let before = latest.fetch_max(reading, Ordering::Relaxed);
    Millis::new(before.max(reading))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_set_back_stands_still_until_it_has_caught_up() {
        let latest = AtomicU64::new(0);
        let readings = [10, 20, 5, 19, 21];
        let given = readings.map(|reading| never_earlier(&latest, reading).get());
        assert_eq!(given, [10, 20, 20, 20, 21]);
    }
}
