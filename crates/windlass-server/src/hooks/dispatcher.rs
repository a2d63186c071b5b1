//! Looks after the subscriptions of a store: at once where it is told of an
//! append, every second where something is due, and at all of them now and
//! then, so that nothing depends on being told.
//!
//! Any number of processes may do so. What each of them is given to deliver is
//! decided by the store; one that ends before it has delivered leaves a lease
//! that runs out.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::iter;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use windlass::core::{Coded, ErrorKind};
use windlass::stream::Caller;
use windlass::stream::subscription::{
    Address, Delivery, Failure, Round, SubscriptionError, Subscriptions, Wake,
};

use super::inbox::Hints;
use super::{Hooks, Outcome};
use crate::app::App;
use crate::connection::Stage;

/// How often is looked at what is due, and at everything.
const DUE: Duration = Duration::from_secs(1);
const ALL: Duration = Duration::from_secs(10);

/// Subscriptions of one part of a round, and how many are looked at together.
const ROUND: usize = 256;
const TOGETHER: usize = 8;

/// Deliveries under way, in all and of one principal.
const DELIVERIES_MAX: usize = 128;
const DELIVERIES_OF_ONE_MAX: usize = 16;

/// Runs until the server stops; then what is under way is finished.
pub(crate) async fn dispatch(app: Arc<App>) {
    let mut stage: watch::Receiver<Stage> = app.stage.clone();
    let mut dispatcher = Dispatcher::new(Arc::clone(&app));
    let inbox = &app.hooks.inbox;
    let mut due = Instant::now();
    let mut all = Instant::now() + jitter(&app, ALL);
    while *stage.borrow() == Stage::Serving {
        let now = Instant::now();
        if now >= due {
            dispatcher.look_at_due().await;
            due = now + DUE;
        }
        if now >= all {
            dispatcher.look_at_all().await;
            all = now + ALL + jitter(&app, ALL);
        }
        let told = tokio::select! {
            () = inbox.wait() => true,
            () = sleep_until(due.min(all)) => false,
            Some(_) = dispatcher.deliveries.join_next() => {
                if std::mem::take(&mut dispatcher.left_out) {
                    all = Instant::now();
                }
                false
            }
            _ = stage.changed() => false,
        };
        if told {
            let hints = inbox.take();
            if hints.dropped {
                app.hooks.figures.dropped();
                all = Instant::now();
            }
            dispatcher.heed(hints).await;
        }
    }
    while dispatcher.deliveries.join_next().await.is_some() {}
}

/// A random part of a tenth, so that several servers do not meet.
fn jitter(app: &App, whole: Duration) -> Duration {
    let mut byte = [0];
    // Without randomness they meet.
    let _ = app.env.random(&mut byte);
    whole * u32::from(byte[0]) / 2_560
}

struct Dispatcher {
    app: Arc<App>,
    subscriptions: Subscriptions,
    deliveries: JoinSet<()>,
    room: Arc<Semaphore>,
    of_one: Arc<Mutex<HashMap<Caller, usize>>>,
    /// Where the next look at what is due begins, if the last was cut short.
    due: Option<Bytes>,
    /// Whether there was no room for somebody since a delivery last ended.
    left_out: bool,
}

/// Room for one delivery, given back when it is over.
struct Place {
    caller: Caller,
    of_one: Arc<Mutex<HashMap<Caller, usize>>>,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut of_one = self.of_one.lock().unwrap_or_else(PoisonError::into_inner);
        let left = of_one.get_mut(&self.caller).map(|count| {
            *count -= 1;
            *count
        });
        if left == Some(0) {
            of_one.remove(&self.caller);
        }
    }
}

impl Dispatcher {
    fn new(app: Arc<App>) -> Self {
        Self {
            subscriptions: app.engine.streams().subscriptions(),
            app,
            deliveries: JoinSet::new(),
            room: Arc::new(Semaphore::new(DELIVERIES_MAX)),
            of_one: Arc::default(),
            due: None,
            left_out: false,
        }
    }

    fn hooks(&self) -> &Hooks {
        &self.app.hooks
    }

    async fn look_at_due(&mut self) {
        let round = self.subscriptions.due(self.due.as_ref(), ROUND).await;
        let round = round.unwrap_or_else(|error| missed(&error));
        self.due = round.next;
        self.look(round.subscriptions, None).await;
    }

    async fn look_at_all(&mut self) {
        let mut after = None;
        loop {
            let round = self.subscriptions.resting(after.as_ref(), ROUND).await;
            let round = round.unwrap_or_else(|error| missed(&error));
            self.look(round.subscriptions, None).await;
            if round.next.is_none() || self.app.is_draining() {
                return;
            }
            after = round.next;
        }
    }

    /// Looks where it was told to.
    async fn heed(&mut self, hints: Hints) {
        self.look(hints.subscriptions.into_iter().collect(), None)
            .await;
        for (caller, paths) in hints.paths {
            let names = match self.subscriptions.list(&caller).await {
                Ok(names) => names,
                Err(error) => {
                    tell(&error);
                    continue;
                }
            };
            if names.is_empty() {
                self.hooks().inbox.is_quiet(&caller);
                continue;
            }
            let address = |id| Address {
                caller: caller.clone(),
                id,
            };
            let addresses = names.into_iter().map(address).collect();
            let paths: Vec<Arc<str>> = paths.into_iter().collect();
            self.look(addresses, Some(&paths)).await;
        }
    }

    /// Looks at subscriptions, and sends off what it is given to deliver. One
    /// for whose delivery there is no room is left for later.
    async fn look(&mut self, addresses: Vec<Address>, paths: Option<&[Arc<str>]>) {
        let left_out = AtomicBool::new(false);
        let looks = iter(addresses).map(|at| {
            let place = self.place(&at.caller);
            let (subscriptions, left_out) = (&self.subscriptions, &left_out);
            async move {
                let Some(place) = place else {
                    left_out.store(true, Ordering::Relaxed);
                    return None;
                };
                let looked = subscriptions.look(&at, paths).await;
                let wake = looked.map_err(|error| tell(&error)).ok()??;
                Some((at, wake, place))
            }
        });
        let wakes: Vec<_> = looks.buffer_unordered(TOGETHER).collect().await;
        self.left_out |= left_out.into_inner();
        for (at, wake, place) in wakes.into_iter().flatten() {
            let app = Arc::clone(&self.app);
            let subscriptions = self.subscriptions.clone();
            self.deliveries.spawn(async move {
                deliver(&app, &subscriptions, &at, &wake).await;
                drop(place);
            });
        }
    }

    fn place(&self, caller: &Caller) -> Option<Place> {
        let permit = Arc::clone(&self.room).try_acquire_owned().ok()?;
        let mut of_one = self.of_one.lock().unwrap_or_else(PoisonError::into_inner);
        let count = of_one.entry(caller.clone()).or_default();
        if *count >= DELIVERIES_OF_ONE_MAX {
            return None;
        }
        *count += 1;
        Some(Place {
            caller: caller.clone(),
            of_one: Arc::clone(&self.of_one),
            _permit: permit,
        })
    }
}

/// Delivers one wake, and notes what became of it.
async fn deliver(app: &App, subscriptions: &Subscriptions, at: &Address, wake: &Wake) {
    let Delivery::Webhook(url) = &wake.delivery else {
        return;
    };
    let hooks = &app.hooks;
    let body = hooks.letter(&app.seal, at, wake);
    let signature = hooks.signer.sign(app.env.now().get() / 1_000, &body);
    let outcome = hooks.courier.deliver(url, signature, body).await;
    hooks.figures.delivered(outcome);
    let noted = match outcome {
        Outcome::Done => {
            let acked = subscriptions.ack(at, &wake.hold, &wake.all(), true).await;
            acked.map(drop)
        }
        Outcome::Taken => subscriptions.arrived(at, &wake.hold).await,
        Outcome::Refused => subscriptions.failed(at, &wake.hold, Failure::Refused).await,
        Outcome::Unanswered => {
            let failure = Failure::Unanswered;
            subscriptions.failed(at, &wake.hold, failure).await
        }
    };
    match noted {
        Ok(()) if outcome == Outcome::Done => hooks.nudge(at),
        Ok(()) => {}
        // A worker was faster, or the lease ran out meanwhile.
        Err(error) => tell(&error),
    }
}

/// A round that failed; the next one comes soon.
fn missed(error: &SubscriptionError) -> Round {
    tell(error);
    Round::default()
}

/// What is not as it should be is for the log; what others changed is not.
fn tell(error: &SubscriptionError) {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::Conflict => {
            tracing::debug!(code = error.code(), "a wake is over");
        }
        _ => tracing::warn!(%error, code = error.code(), "a subscription could not be looked at"),
    }
}
