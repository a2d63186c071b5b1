//! What waits for a thread of the store.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// A queue that callers push to and threads of the store take from.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

#[derive(Debug)]
struct State<T> {
    waiting: VecDeque<T>,
    open: bool,
}

impl<T> Queue<T> {
    pub(crate) fn new() -> Self {
        Self {
            state: Mutex::new(State {
                waiting: VecDeque::new(),
                open: true,
            }),
            changed: Condvar::new(),
        }
    }

    /// Adds `item`; gives it back if the queue is closed.
    pub(crate) fn push(&self, item: T) -> Result<(), T> {
        let mut state = self.lock();
        if !state.open {
            return Err(item);
        }
        state.waiting.push_back(item);
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    /// Waits for something and takes it; `None` once the queue is closed and
    /// empty.
    pub(crate) fn take(&self) -> Option<T> {
        let idle = |state: &mut State<T>| state.waiting.is_empty() && state.open;
        let waited = self.changed.wait_while(self.lock(), idle);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        state.waiting.pop_front()
    }

    /// Takes from the front, without waiting, while `admit` says so.
    pub(crate) fn take_while(&self, into: &mut impl Extend<T>, mut admit: impl FnMut(&T) -> bool) {
        let mut state = self.lock();
        while state.waiting.front().is_some_and(&mut admit) {
            into.extend(state.waiting.pop_front());
        }
    }

    /// Lets nothing more in. What waits can still be taken.
    pub(crate) fn close(&self) {
        self.lock().open = false;
        self.changed.notify_all();
    }

    /// Lets nothing more in and gives back what waits.
    pub(crate) fn abandon(&self) -> VecDeque<T> {
        let mut state = self.lock();
        state.open = false;
        let abandoned = std::mem::take(&mut state.waiting);
        drop(state);
        self.changed.notify_all();
        abandoned
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;

    use super::*;

    #[test]
    fn what_was_pushed_is_taken_in_order_and_within_limits() {
        let queue = Queue::new();
        for item in 0..5 {
            assert_eq!(queue.push(item), Ok(()));
        }
        assert_eq!(queue.take(), Some(0));
        let mut taken = Vec::new();
        queue.take_while(&mut taken, |item| *item < 3);
        assert_eq!(taken, [1, 2]);
        assert_eq!(queue.take(), Some(3));
    }

    #[test]
    fn a_closed_queue_gives_what_it_has_and_takes_nothing() {
        let queue = Queue::new();
        assert_eq!(queue.push(1), Ok(()));
        queue.close();
        assert_eq!(queue.push(2), Err(2));
        assert_eq!((queue.take(), queue.take()), (Some(1), None));
    }

    #[test]
    fn an_abandoned_queue_has_nothing() {
        let queue = Queue::new();
        assert_eq!(queue.push(1), Ok(()));
        assert_eq!(queue.abandon(), [1]);
        assert_eq!((queue.push(2), queue.take()), (Err(2), None));
    }

    #[test]
    fn every_item_reaches_one_of_several_threads() {
        let queue = Arc::new(Queue::new());
        let taker = || {
            let queue = Arc::clone(&queue);
            thread::spawn(move || std::iter::from_fn(|| queue.take()).collect::<Vec<_>>())
        };
        let takers: Vec<_> = (0..3).map(|_| taker()).collect();
        for item in 0..10_000 {
            assert_eq!(queue.push(item), Ok(()));
        }
        queue.close();
        let taken = takers
            .into_iter()
            .map(|taker| taker.join().expect("it ends"));
        let mut all: Vec<_> = taken.flatten().collect();
        all.sort_unstable();
        assert_eq!(all, (0..10_000).collect::<Vec<_>>());
    }
}
