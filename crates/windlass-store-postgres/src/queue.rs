//! Requests that wait for one of several tasks.

use std::collections::VecDeque;
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// Requests in the order they came.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    state: Mutex<State<T>>,
    arrived: Notify,
}

#[derive(Debug)]
struct State<T> {
    waiting: VecDeque<T>,
    closed: bool,
}

impl<T> Queue<T> {
    /// A queue in which nothing waits.
    pub(crate) fn new() -> Self {
        let state = State {
            waiting: VecDeque::new(),
            closed: false,
        };
        Self {
            state: Mutex::new(state),
            arrived: Notify::new(),
        }
    }

    /// Adds a request; drops it if the queue is closed, and says so.
    #[must_use]
    pub(crate) fn push(&self, request: T) -> bool {
        let mut state = self.lock();
        if state.closed {
            return false;
        }
        state.waiting.push_back(request);
        drop(state);
        self.arrived.notify_one();
        true
    }

    /// Puts requests back before all others, in their order. They were
    /// accepted, so this works also once the queue is closed.
    pub(crate) fn put_back(&self, requests: Vec<T>) {
        if requests.is_empty() {
            return;
        }
        let mut state = self.lock();
        for request in requests.into_iter().rev() {
            state.waiting.push_front(request);
        }
        drop(state);
        self.arrived.notify_one();
    }

    /// Waits for requests and takes as many as `count` says of those that
    /// wait, at least one; `None` once the queue is closed and empty.
    pub(crate) async fn take(&self, count: impl Fn(&VecDeque<T>) -> usize) -> Option<Vec<T>> {
        loop {
            let arrived = self.arrived.notified();
            let (group, closed) = self.take_waiting(&count);
            if !group.is_empty() {
                return Some(group);
            }
            if closed {
                return None;
            }
            arrived.await;
        }
    }

    /// What one group may have of what waits, and whether nothing further
    /// will come. Wakes the next one who waits if there is more for it.
    fn take_waiting(&self, count: impl Fn(&VecDeque<T>) -> usize) -> (Vec<T>, bool) {
        let mut state = self.lock();
        let count = count(&state.waiting);
        let group = state.waiting.drain(..count).collect();
        let closed = state.closed;
        if closed || !state.waiting.is_empty() {
            self.arrived.notify_one();
        }
        (group, closed)
    }

    /// Takes no further request.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.arrived.notify_one();
    }

    /// Takes no further request, and drops what waits: nobody is left to take
    /// it.
    pub(crate) fn abandon(&self) {
        self.close();
        let waiting = mem::take(&mut self.lock().waiting);
        drop(waiting);
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
