//! Callers that come and go.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use crate::Random;

type Asking<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// What a crowd of callers was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard<T> {
    /// The answers, by the number of the caller.
    pub answered: BTreeMap<usize, T>,
    /// Callers that went away before they were ever polled, in their order.
    pub unpolled: Vec<usize>,
}

/// Lets callers of `ask` come one after the other, be polled in random order,
/// and go: some before they are polled, some in the middle, the rest when
/// they are answered. In the end only those are polled who were woken, as an
/// executor does, until nobody is left.
///
/// `ask` gets the number of the caller, from 0.
///
/// # Panics
///
/// If somebody waits whom nobody has woken: the callers that went away have
/// left them stranded. The message names the seed.
pub fn come_and_go<'a, T, F: Future<Output = T> + 'a>(
    seed: u64,
    callers: usize,
    ask: impl FnMut(usize) -> F,
) -> Heard<T> {
    let mut crowd = Crowd {
        seed,
        random: Random::new(seed),
        ask,
        made: 0,
        callers: BTreeMap::new(),
        heard: Heard {
            answered: BTreeMap::new(),
            unpolled: Vec::new(),
        },
    };
    while crowd.made < callers {
        crowd.step();
    }
    crowd.drain();
    crowd.heard
}

#[derive(Debug)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// One caller, polled by hand.
struct Caller<'a, T> {
    asking: Asking<'a, T>,
    flag: Arc<Flag>,
}

/// Everybody who calls, and what they were told.
struct Crowd<'a, T, A> {
    seed: u64,
    random: Random,
    ask: A,
    made: usize,
    callers: BTreeMap<usize, Caller<'a, T>>,
    heard: Heard<T>,
}

impl<T, A> fmt::Debug for Crowd<'_, T, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Crowd")
            .field("seed", &self.seed)
            .field("made", &self.made)
            .field("waiting", &self.callers.len())
            .finish_non_exhaustive()
    }
}

impl<'a, T, F: Future<Output = T> + 'a, A: FnMut(usize) -> F> Crowd<'a, T, A> {
    fn make(&mut self) {
        let number = self.made;
        self.made += 1;
        let asking = Box::pin((self.ask)(number));
        if self.random.one_in(20) {
            self.heard.unpolled.push(number);
            return;
        }
        let flag = Arc::new(Flag(AtomicBool::new(true)));
        self.callers.insert(number, Caller { asking, flag });
        self.poll(number);
    }

    fn poll(&mut self, number: usize) {
        let caller = self.callers.get_mut(&number).expect("it was picked");
        caller.flag.0.store(false, Ordering::SeqCst);
        let waker = Waker::from(Arc::clone(&caller.flag));
        let poll = caller
            .asking
            .as_mut()
            .poll(&mut Context::from_waker(&waker));
        if let Poll::Ready(answer) = poll {
            self.heard.answered.insert(number, answer);
            self.callers.remove(&number);
        }
    }

    fn pick(&mut self) -> Option<usize> {
        let place = self.random.below(self.callers.len());
        self.callers.keys().nth(place).copied()
    }

    fn step(&mut self) {
        match self.random.below(8) {
            0..=2 => self.make(),
            3..=6 => {
                if let Some(number) = self.pick() {
                    self.poll(number);
                }
            }
            _ => {
                if let Some(number) = self.pick() {
                    self.callers.remove(&number);
                }
            }
        }
    }

    /// Polls only who was woken; some of them leave instead.
    fn drain(&mut self) {
        while !self.callers.is_empty() {
            let awake =
                |(_, caller): &(&usize, &Caller<'_, T>)| caller.flag.0.load(Ordering::SeqCst);
            let woken = self.callers.iter().find(awake).map(|(number, _)| *number);
            let Some(number) = woken else {
                panic!("nobody wakes those who wait: {self:?}");
            };
            if self.random.one_in(10) {
                self.callers.remove(&number);
            } else {
                self.poll(number);
            }
        }
    }
}
