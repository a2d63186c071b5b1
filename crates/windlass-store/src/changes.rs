//! Hints that something changed.
//!
//! A [`ChangeHub`] is what stores keep; a [`Changes`] is one subscriber's end.
//! Hints are merged: however many commits happened since the last look, the
//! subscriber wakes once. Bounded by [`SUBSCRIPTIONS_MAX`].

use std::future::poll_fn;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Poll, Waker};

use crate::Write;
use crate::limits::SUBSCRIPTIONS_MAX;

/// Distributes hints to subscribers; cloning shares it.
#[derive(Clone, Debug, Default)]
pub struct ChangeHub {
    inner: Arc<Hub>,
}

#[derive(Debug, Default)]
struct Hub {
    /// Kept beside the list so that a commit without subscribers costs one
    /// atomic load.
    count: AtomicUsize,
    subscribers: Mutex<Subscribers>,
}

#[derive(Debug, Default)]
struct Subscribers {
    closed: bool,
    list: Vec<Weak<Subscriber>>,
}

#[derive(Debug)]
struct Subscriber {
    prefix: Vec<u8>,
    signal: Mutex<Signal>,
}

#[derive(Debug, Default)]
struct Signal {
    changed: bool,
    closed: bool,
    waker: Option<Waker>,
}

impl ChangeHub {
    /// A hub without subscribers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A subscription to the keys below `prefix`. Beyond
    /// [`SUBSCRIPTIONS_MAX`], and after [`ChangeHub::close`], it is closed
    /// from the start.
    #[must_use]
    pub fn subscribe(&self, prefix: &[u8]) -> Changes {
        let subscriber = Arc::new(Subscriber {
            prefix: prefix.to_vec(),
            signal: Mutex::default(),
        });
        let mut subscribers = lock(&self.inner.subscribers);
        subscribers.list.retain(|weak| weak.strong_count() > 0);
        if subscribers.closed || subscribers.list.len() >= SUBSCRIPTIONS_MAX {
            lock(&subscriber.signal).closed = true;
        } else {
            subscribers.list.push(Arc::downgrade(&subscriber));
        }
        self.inner
            .count
            .store(subscribers.list.len(), Ordering::Release);
        Changes { subscriber }
    }

    /// Wakes everybody whose prefix one of `writes` falls under.
    pub fn publish(&self, writes: &[Write]) {
        if self.inner.count.load(Ordering::Acquire) == 0 {
            return;
        }
        self.wake(|prefix| writes.iter().any(|write| write.key().starts_with(prefix)));
    }

    /// Wakes everybody: anything may have changed.
    pub fn publish_all(&self) {
        self.wake(|_| true);
    }

    /// Ends every subscription, also those to come.
    pub fn close(&self) {
        let mut subscribers = lock(&self.inner.subscribers);
        subscribers.closed = true;
        for subscriber in subscribers.list.drain(..).filter_map(|weak| weak.upgrade()) {
            subscriber.signal(|signal| signal.closed = true);
        }
        self.inner.count.store(0, Ordering::Release);
    }

    fn wake(&self, concerned: impl Fn(&[u8]) -> bool) {
        let subscribers = lock(&self.inner.subscribers);
        for subscriber in subscribers.list.iter().filter_map(Weak::upgrade) {
            if concerned(&subscriber.prefix) {
                subscriber.signal(|signal| signal.changed = true);
            }
        }
    }
}

impl Subscriber {
    fn signal(&self, set: impl FnOnce(&mut Signal)) {
        let mut signal = lock(&self.signal);
        set(&mut signal);
        let waker = signal.waker.take();
        drop(signal);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// One subscriber's end of a store's hints.
#[derive(Debug)]
pub struct Changes {
    subscriber: Arc<Subscriber>,
}

impl Changes {
    /// A subscription that never hints and is not closed: what a store gives
    /// that has no hints to give.
    #[must_use]
    pub fn silent() -> Self {
        let subscriber = Subscriber {
            prefix: Vec::new(),
            signal: Mutex::default(),
        };
        Self {
            subscriber: Arc::new(subscriber),
        }
    }

    /// Waits for the next hint. `false` once the subscription is closed: no
    /// hint will come any more.
    pub async fn changed(&mut self) -> bool {
        poll_fn(|context| {
            let mut signal = lock(&self.subscriber.signal);
            if signal.changed {
                signal.changed = false;
                return Poll::Ready(true);
            }
            if signal.closed {
                return Poll::Ready(false);
            }
            signal.waker = Some(context.waker().clone());
            Poll::Pending
        })
        .await
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
