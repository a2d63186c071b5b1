//! A wrapper that stops calls between their steps.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use tokio::sync::oneshot;
use windlass_store::{Batch, Changes, Commit, Export, KeyRange, Page, Scan, Store, StoreError};

use crate::{Moment, Verb};

/// A store whose next call can be held right before or right after it does
/// its work, so that a test can run whatever it likes in the window.
///
/// Races that depend on a window of microseconds are found by luck; a held
/// call makes the window as long as the test needs.
///
/// ```
/// # use std::sync::Arc;
/// # use windlass_store::{Batch, Store};
/// # use windlass_store_testing::{Moment, Pausing, Verb};
/// # async fn example(inner: Arc<dyn Store>) {
/// let store = Arc::new(Pausing::new(inner));
/// let pause = store.pause(Verb::Commit, Moment::Before);
/// let caller = Arc::clone(&store);
/// let call = tokio::spawn(async move { caller.commit(Batch::new().put("acme/a", "1")).await });
/// let held = pause.reached().await;
/// // The commit was called and has not happened: other calls go through here.
/// held.release();
/// # let _ = call.await;
/// # }
/// ```
#[derive(Debug)]
pub struct Pausing<S: ?Sized> {
    traps: Mutex<Vec<Trap>>,
    inner: Arc<S>,
}

#[derive(Debug)]
struct Trap {
    verb: Verb,
    moment: Moment,
    reached: oneshot::Sender<()>,
    released: oneshot::Receiver<()>,
}

/// A pause that no call has reached yet. Dropping it takes it back.
#[derive(Debug)]
#[must_use = "a pause that is dropped holds nobody"]
pub struct Pause {
    reached: oneshot::Receiver<()>,
    release: oneshot::Sender<()>,
}

/// A call that is held. Dropping it lets the call go on.
#[derive(Debug)]
#[must_use = "a call goes on when this is dropped"]
pub struct Paused {
    release: oneshot::Sender<()>,
}

impl<S: Store + ?Sized> Pausing<S> {
    /// Wraps a store; nothing is held until [`Pausing::pause`].
    pub const fn new(inner: Arc<S>) -> Self {
        Self {
            traps: Mutex::new(Vec::new()),
            inner,
        }
    }

    /// Holds the next call of `verb` at `moment`. Calls after it go through,
    /// unless there is a further pause for them: each pause holds one call,
    /// the oldest pause the first.
    pub fn pause(&self, verb: Verb, moment: Moment) -> Pause {
        let (reach, reached) = oneshot::channel();
        let (release, released) = oneshot::channel();
        let trap = Trap {
            verb,
            moment,
            reached: reach,
            released,
        };
        self.traps
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(trap);
        Pause { reached, release }
    }

    async fn step(&self, verb: Verb, moment: Moment) {
        let Some(trap) = self.next_trap(verb, moment) else {
            return;
        };
        // An error on either side means that the test has let go of its end.
        if trap.reached.send(()).is_ok() {
            let _ = trap.released.await;
        }
    }

    fn next_trap(&self, verb: Verb, moment: Moment) -> Option<Trap> {
        let mut traps = self.traps.lock().unwrap_or_else(PoisonError::into_inner);
        traps.retain(|trap| !trap.reached.is_closed());
        let found = traps
            .iter()
            .position(|trap| trap.verb == verb && trap.moment == moment)?;
        Some(traps.remove(found))
    }
}

impl Pause {
    /// Waits until a call is held.
    ///
    /// # Panics
    ///
    /// If the store was dropped, so that no call can come any more.
    pub async fn reached(self) -> Paused {
        self.reached
            .await
            .expect("the store whose call is awaited still exists");
        Paused {
            release: self.release,
        }
    }
}

impl Paused {
    /// Lets the call go on.
    pub fn release(self) {
        // The call may have been dropped while it was held.
        let _ = self.release.send(());
    }
}

#[async_trait]
impl<S: Store + ?Sized> Store for Pausing<S> {
    async fn read(&self, scans: &[Scan]) -> Result<Vec<Page>, StoreError> {
        self.step(Verb::Read, Moment::Before).await;
        let answer = self.inner.read(scans).await;
        self.step(Verb::Read, Moment::After).await;
        answer
    }

    async fn commit(&self, batch: Batch) -> Result<Commit, StoreError> {
        self.step(Verb::Commit, Moment::Before).await;
        let answer = self.inner.commit(batch).await;
        self.step(Verb::Commit, Moment::After).await;
        answer
    }

    async fn export(&self, range: KeyRange) -> Result<Export, StoreError> {
        self.step(Verb::Export, Moment::Before).await;
        let answer = self.inner.export(range).await;
        self.step(Verb::Export, Moment::After).await;
        answer
    }

    fn subscribe(&self, prefix: &[u8]) -> Changes {
        self.inner.subscribe(prefix)
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.step(Verb::Close, Moment::Before).await;
        let answer = self.inner.close().await;
        self.step(Verb::Close, Moment::After).await;
        answer
    }
}
