//! Clocks for those who wait beside others.

use std::sync::Arc;
use std::time::Duration;

use windlass_core::{BoxFuture, Env, ManualEnv, Millis, RandomError};

/// A clock whose sleeps let others go first.
#[derive(Debug)]
pub(crate) struct Patient(pub(crate) Arc<ManualEnv>);

impl Env for Patient {
    fn now(&self) -> Millis {
        self.0.now()
    }

    fn monotonic(&self) -> Duration {
        self.0.monotonic()
    }

    fn random(&self, bytes: &mut [u8]) -> Result<(), RandomError> {
        self.0.random(bytes)
    }

    fn sleep_until(&self, deadline: Duration) -> BoxFuture<'static, ()> {
        let env = Arc::clone(&self.0);
        Box::pin(async move {
            tokio::task::yield_now().await;
            env.sleep_until(deadline).await;
        })
    }
}

/// A clock on which nobody who sleeps wakes up.
#[derive(Debug)]
pub(crate) struct Frozen(pub(crate) Arc<ManualEnv>);

impl Env for Frozen {
    fn now(&self) -> Millis {
        self.0.now()
    }

    fn monotonic(&self) -> Duration {
        self.0.monotonic()
    }

    fn random(&self, bytes: &mut [u8]) -> Result<(), RandomError> {
        self.0.random(bytes)
    }

    fn sleep_until(&self, _: Duration) -> BoxFuture<'static, ()> {
        Box::pin(std::future::pending())
    }
}
