//! Where time and randomness come from.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use crate::Millis;

/// A boxed future that can move between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Time and randomness, handed in by whoever owns them.
///
/// The facade brings one over the operating system's clock and generator;
/// tests and simulations bring their own, such as [`crate::ManualEnv`].
pub trait Env: fmt::Debug + Send + Sync + 'static {
    /// The time of day. Never decreases within a process, even when the
    /// system's clock is set back.
    fn now(&self) -> Millis;

    /// A reading that only ever grows, for measuring durations. Its origin is
    /// arbitrary and differs between processes.
    fn monotonic(&self) -> Duration;

    /// Fills `bytes` from a generator fit for secrets.
    ///
    /// # Errors
    ///
    /// [`RandomError`] if the generator failed. There is no weaker fallback:
    /// the operation that wanted the bytes fails.
    fn random(&self, bytes: &mut [u8]) -> Result<(), RandomError>;

    /// Completes once [`Env::monotonic`] has reached `deadline`.
    fn sleep_until(&self, deadline: Duration) -> BoxFuture<'static, ()>;
}

/// The operating system's random generator failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("random generator failed: {0}")]
pub struct RandomError(String);

impl RandomError {
    /// An error that says `cause`.
    #[must_use]
    pub fn new(cause: impl fmt::Display) -> Self {
        Self(cause.to_string())
    }
}

/// Whether other processes may change the store while it is open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sharing {
    /// They may: what is held in memory is confirmed by a read before it is
    /// given out.
    #[default]
    Shared,
    /// They may not, and the store's own lock keeps them out: what this
    /// process committed last is what there is.
    Exclusive,
}
