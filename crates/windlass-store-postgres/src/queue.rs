//! Batches that wait to be committed.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, OwnedSemaphorePermit, oneshot};
use windlass_store::{Batch, Commit, StoreError};

use crate::limits::{GROUP_BATCHES_MAX, GROUP_KIB_MAX};
use crate::prepared::Prepared;

/// A batch, and who waits for the answer.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) batch: Batch,
    pub(crate) prepared: Prepared,
    pub(crate) answer: oneshot::Sender<Result<Commit, StoreError>>,
    /// What it takes up among all that waits.
    pub(crate) room: OwnedSemaphorePermit,
}

/// Requests in the order they came.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    state: Mutex<State>,
    arrived: Notify,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Request>,
    closed: bool,
}

impl Queue {
    /// Adds a request; gives it back if the queue is closed.
    pub(crate) fn push(&self, request: Request) -> Result<(), Box<Request>> {
        let mut state = self.lock();
        if state.closed {
            return Err(Box::new(request));
        }
        state.waiting.push_back(request);
        drop(state);
        self.arrived.notify_one();
        Ok(())
    }

    /// Puts requests back before all others, in their order. They were
    /// accepted, so this works also once the queue is closed.
    pub(crate) fn put_back(&self, requests: Vec<Request>) {
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

    /// Waits for requests and takes as many as one group may have; `None`
    /// once the queue is closed and empty.
    pub(crate) async fn take(&self) -> Option<Vec<Request>> {
        loop {
            let arrived = self.arrived.notified();
            let (group, closed) = self.take_waiting();
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
    fn take_waiting(&self) -> (Vec<Request>, bool) {
        let mut state = self.lock();
        let group = take_group(&mut state.waiting);
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

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn take_group(waiting: &mut VecDeque<Request>) -> Vec<Request> {
    let (mut count, mut kib) = (0, 0);
    for request in waiting.iter() {
        if count == GROUP_BATCHES_MAX || kib >= GROUP_KIB_MAX {
            break;
        }
        count += 1;
        kib += request.room.num_permits();
    }
    waiting.drain(..count).collect()
}
