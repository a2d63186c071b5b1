//! Holding a claim for as long as the work takes.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use windlass_core::{BoxFuture, Coded, ErrorKind};

use crate::caller::Caller;
use crate::error::QueueError;
use crate::model::{Claim, Under};
use crate::queue::Queue;

/// A hold is renewed when this part of its time is over.
pub(crate) const RENEWALS: u32 = 3;

impl Queue {
    /// A future that renews a claim, at a third of its time each, as long as it
    /// is polled; it ends with the error that ended the hold. Dropping it stops
    /// the renewals, and the claim runs out.
    ///
    /// What cannot be renewed because the store is out of reach is tried again
    /// until the claim has run out.
    #[must_use]
    pub fn keep(&self, caller: &Caller, claim: &Claim) -> BoxFuture<'static, QueueError> {
        let (queue, caller) = (self.clone(), caller.clone());
        let (session, token) = (claim.session.clone(), claim.token);
        let ttl_ms = claim.ttl_ms;
        Box::pin(async move {
            let env = &queue.engine().env;
            let ttl = Duration::from_millis(ttl_ms);
            let mut renewed = env.monotonic();
            let mut next = renewed + ttl / RENEWALS;
            loop {
                env.sleep_until(next).await;
                let asked = env.monotonic();
                let under = Under::NOTHING;
                match queue.renew(&caller, &session, token, ttl_ms, under).await {
                    Ok(_) => {
                        renewed = asked;
                        next = renewed + ttl / RENEWALS;
                    }
                    Err(error) if !may_pass(&error) || asked >= renewed + ttl => return error,
                    Err(_) => next = env.monotonic() + ttl / (4 * RENEWALS),
                }
            }
        })
    }

    /// Does `work` while its claim is renewed, and gives what it gave.
    ///
    /// # Errors
    ///
    /// The error that ended the hold, if that came first; `work` is dropped
    /// then, since it is no longer the caller's to do.
    pub async fn hold<F: Future>(
        &self,
        caller: &Caller,
        claim: &Claim,
        work: F,
    ) -> Result<F::Output, QueueError> {
        let work = pin!(work);
        match select(work, self.keep(caller, claim)).await {
            Either::Left((done, _)) => Ok(done),
            Either::Right((error, _)) => Err(error),
        }
    }
}

/// Whether the same request may succeed a little later.
pub(crate) fn may_pass(error: &QueueError) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Unavailable | ErrorKind::Indeterminate
    )
}
