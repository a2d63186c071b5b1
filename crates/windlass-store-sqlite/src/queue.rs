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
