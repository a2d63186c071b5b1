//! What waits for a thread of the store, and how the thread is woken.
//!
//! One lock, held for a few instructions. A sleeping thread is woken once,
//! not once for each arrival: a wake costs more than the rest of a push.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A queue that callers push to and threads of the store take from.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    state: Mutex<State<T>>,
    arrived: Condvar,
}

#[derive(Debug)]
struct State<T> {
    waiting: VecDeque<T>,
    open: bool,
    /// Threads in [`Queue::wait`].
    asleep: usize,
    /// Those of them that were woken and have not looked yet.
    woken: usize,
}

/// Why a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Woken {
    /// Something waits.
    Arrived,
    /// Nothing waits and nothing will: the queue is closed.
    Closed,
    /// Nothing came in the time given.
    Idle,
}

impl<T> Queue<T> {
    pub(crate) fn new() -> Self {
        let state = State {
            waiting: VecDeque::new(),
            open: true,
            asleep: 0,
            woken: 0,
        };
        Self {
            state: Mutex::new(state),
            arrived: Condvar::new(),
        }
    }

    /// Adds `item`; gives it back if the queue is closed.
    pub(crate) fn push(&self, item: T) -> Result<(), T> {
        let mut state = self.lock();
        if !state.open {
            return Err(item);
        }
        state.waiting.push_back(item);
        let wake = state.asleep > 0 && state.woken == 0;
        state.woken += usize::from(wake);
        drop(state);
        if wake {
            self.arrived.notify_one();
        }
        Ok(())
    }

    /// Waits until something can be taken, the queue is closed and empty, or
    /// `patience` is over.
    pub(crate) fn wait(&self, patience: Option<Duration>) -> Woken {
        let mut state = self.lock();
        loop {
            if !state.waiting.is_empty() {
                return Woken::Arrived;
            }
            if !state.open {
                return Woken::Closed;
            }
            let (woken, idle) = self.sleep(state, patience);
            state = woken;
            if idle && state.waiting.is_empty() && state.open {
                return Woken::Idle;
            }
        }
    }

    fn sleep<'a>(
        &self,
        mut state: MutexGuard<'a, State<T>>,
        patience: Option<Duration>,
    ) -> (MutexGuard<'a, State<T>>, bool) {
        state.asleep += 1;
        let (mut state, idle) = match patience {
            None => (
                self.arrived
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner),
                false,
            ),
            Some(patience) => {
                let woken = self.arrived.wait_timeout(state, patience);
                let (state, timeout) = woken.unwrap_or_else(PoisonError::into_inner);
                (state, timeout.timed_out())
            }
        };
        state.asleep -= 1;
        state.woken = state.woken.saturating_sub(1);
        (state, idle)
    }

    /// Takes from the front while `admit` says so.
    pub(crate) fn take_while(&self, into: &mut impl Extend<T>, mut admit: impl FnMut(&T) -> bool) {
        let mut state = self.lock();
        while state.waiting.front().is_some_and(&mut admit) {
            into.extend(state.waiting.pop_front());
        }
        // What is left is for another thread, if one is asleep.
        let wake = !state.waiting.is_empty() && state.asleep > state.woken;
        state.woken += usize::from(wake);
        drop(state);
        if wake {
            self.arrived.notify_one();
        }
    }

    /// Lets nothing more in. What waits can still be taken.
    pub(crate) fn close(&self) {
        self.lock().open = false;
        self.arrived.notify_all();
    }

    /// Lets nothing more in and drops what waits.
    pub(crate) fn abandon(&self) {
        let mut state = self.lock();
        state.open = false;
        let abandoned = std::mem::take(&mut state.waiting);
        drop(state);
        self.arrived.notify_all();
        drop(abandoned);
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

    fn take(queue: &Queue<u32>, most: usize) -> Vec<u32> {
        let (mut taken, mut count) = (Vec::new(), 0);
        queue.take_while(&mut taken, |_| {
            count += 1;
            count <= most
        });
        taken
    }

    #[test]
    fn what_was_pushed_is_taken_in_order_and_within_limits() {
        let queue = Queue::new();
        for item in 0..5 {
            assert_eq!(queue.push(item), Ok(()));
        }
        assert_eq!(queue.wait(None), Woken::Arrived);
        assert_eq!(take(&queue, 3), [0, 1, 2]);
        assert_eq!(take(&queue, 3), [3, 4]);
        assert_eq!(queue.wait(Some(Duration::from_millis(1))), Woken::Idle);
    }

    #[test]
    fn a_closed_queue_gives_what_it_has_and_takes_nothing() {
        let queue = Queue::new();
        assert_eq!(queue.push(1), Ok(()));
        queue.close();
        assert_eq!(queue.push(2), Err(2));
        assert_eq!(queue.wait(None), Woken::Arrived);
        assert_eq!(take(&queue, 9), [1]);
        assert_eq!(queue.wait(None), Woken::Closed);
    }

    #[test]
    fn an_abandoned_queue_has_nothing() {
        let queue = Queue::new();
        assert_eq!(queue.push(1), Ok(()));
        queue.abandon();
        assert_eq!((queue.push(2), queue.wait(None)), (Err(2), Woken::Closed));
    }

    #[test]
    fn every_item_reaches_one_of_several_threads() {
        let queue = Arc::new(Queue::new());
        let takers: Vec<_> = (0..3)
            .map(|_| {
                let queue = Arc::clone(&queue);
                thread::spawn(move || {
                    let mut taken = Vec::new();
                    while queue.wait(None) != Woken::Closed {
                        taken.extend(take(&queue, 2));
                    }
                    taken
                })
            })
            .collect();
        for item in 0..10_000 {
            assert_eq!(queue.push(item), Ok(()));
        }
        queue.close();
        let mut all: Vec<_> = takers
            .into_iter()
            .flat_map(|taker| taker.join().expect("a taker ends"))
            .collect();
        all.sort_unstable();
        assert_eq!(all, (0..10_000).collect::<Vec<_>>());
    }
}
