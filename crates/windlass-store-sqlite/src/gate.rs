//! The gate every read transaction of the process passes, so that the writer
//! can hold new ones back for a moment; and who is inside since when.

use std::collections::HashMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::clock;

/// How long a read transaction is going to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stay {
    /// A group of reads: soon over.
    Short,
    /// An export: not worth waiting for.
    Long,
}

#[derive(Debug, Default)]
pub(crate) struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    held: bool,
    next: u64,
    inside: HashMap<u64, (Stay, Instant)>,
}

/// A read transaction that may run; ends when dropped.
#[derive(Debug)]
pub(crate) struct Visit<'a> {
    gate: &'a Gate,
    number: u64,
}

/// New read transactions wait until this is dropped.
#[derive(Debug)]
pub(crate) struct Held<'a> {
    gate: &'a Gate,
}

impl Gate {
    /// Waits while the gate is held, then lets one transaction in.
    pub(crate) fn enter(&self, stay: Stay) -> Visit<'_> {
        let mut state = self.lock();
        while state.held {
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        self.admit(state, stay)
    }

    /// Lets one transaction in, unless the gate is held.
    pub(crate) fn try_enter(&self, stay: Stay) -> Option<Visit<'_>> {
        let state = self.lock();
        (!state.held).then(|| self.admit(state, stay))
    }

    fn admit(&self, mut state: MutexGuard<'_, State>, stay: Stay) -> Visit<'_> {
        let number = state.next;
        state.next += 1;
        state.inside.insert(number, (stay, clock::now()));
        Visit { gate: self, number }
    }

    /// Holds the gate once everybody inside has left; `None` if somebody is
    /// there for long or does not leave within `patience`.
    pub(crate) fn hold(&self, patience: Duration) -> Option<Held<'_>> {
        let mut state = self.lock();
        if state.inside.values().any(|(stay, _)| *stay == Stay::Long) {
            return None;
        }
        state.held = true;
        let held = Held { gate: self };
        let waited = self
            .changed
            .wait_timeout_while(state, patience, |state| !state.inside.is_empty());
        let (state, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        drop(state);
        (!timeout.timed_out()).then_some(held)
    }

    /// For how long the oldest transaction inside has been there.
    pub(crate) fn oldest(&self) -> Option<Duration> {
        let since = self.lock().inside.values().map(|(_, since)| *since).min()?;
        Some(clock::now().saturating_duration_since(since))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        let mut state = self.gate.lock();
        state.inside.remove(&self.number);
        if state.held && state.inside.is_empty() {
            self.gate.changed.notify_all();
        }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.gate.lock().held = false;
        self.gate.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_millis(1);

    #[test]
    fn the_gate_is_held_only_when_nobody_is_inside() {
        let gate = Gate::default();
        let visit = gate.enter(Stay::Short);
        assert!(gate.hold(PATIENCE).is_none(), "held over a visitor");
        assert!(gate.oldest().is_some(), "a visitor has an age");
        drop(visit);
        drop(gate.try_enter(Stay::Short).expect("nobody holds it"));
        let held = gate.hold(PATIENCE).expect("nobody is inside");
        assert!(gate.try_enter(Stay::Short).is_none(), "passed a held gate");
        drop(held);
        assert_eq!(gate.oldest(), None);
    }

    #[test]
    fn a_long_visit_is_not_waited_for() {
        let gate = Gate::default();
        let _visit = gate.enter(Stay::Long);
        // Would wait for ever if it waited.
        assert!(gate.hold(Duration::MAX).is_none(), "held over an export");
        drop(gate.enter(Stay::Short));
    }

    #[test]
    fn new_visitors_wait_until_the_gate_is_let_go() {
        let gate = Gate::default();
        let held = gate.hold(PATIENCE).expect("nobody is inside");
        std::thread::scope(|scope| {
            let visitors: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| drop(gate.enter(Stay::Short))))
                .collect();
            for _ in 0..1_000 {
                assert!(gate.oldest().is_none(), "a visitor passed a held gate");
                std::thread::yield_now();
            }
            assert!(
                visitors.iter().all(|visitor| !visitor.is_finished()),
                "a visitor passed a held gate"
            );
            drop(held);
        });
        assert_eq!(gate.oldest(), None);
    }
}
