//! Ten thousand uses whose callers come and go: nobody waits for ever, no use
//! is made twice, and what was answered is on record.

use std::collections::BTreeMap;
use std::future::Future;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use windlass_session::{Receipt, SessionError, Sessions, What};
use windlass_store_testing::Random;

use crate::slow::Slow;
use crate::support::{World, call, session_id, use_tools};

const CALLERS: usize = 10_000;
const SESSIONS: usize = 5;
const SEEDS: &[u64] = &[1, 0xd20b];

#[derive(Debug)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

type Using<'a> = Pin<Box<dyn Future<Output = Result<Receipt, SessionError>> + 'a>>;

/// One caller, polled by hand.
struct Caller<'a> {
    using: Using<'a>,
    flag: Arc<Flag>,
}

/// Everybody who calls, and what they were told.
struct Crowd<'a> {
    seed: u64,
    random: Random,
    sessions: &'a [Sessions],
    made: usize,
    callers: BTreeMap<usize, Caller<'a>>,
    answered: BTreeMap<usize, Receipt>,
    /// Callers that were dropped before they were ever polled.
    unpolled: Vec<usize>,
}

impl<'a> Crowd<'a> {
    fn new(seed: u64, sessions: &'a [Sessions]) -> Self {
        Self {
            seed,
            random: Random::new(seed),
            sessions,
            made: 0,
            callers: BTreeMap::new(),
            answered: BTreeMap::new(),
            unpolled: Vec::new(),
        }
    }

    fn make(&mut self) {
        let number = self.made;
        self.made += 1;
        let sessions = self.random.pick(self.sessions);
        let id = format!("s{}", number % SESSIONS);
        let request = call(&format!("t{number}"));
        let using = Box::pin(async move { use_tools(sessions, &id, request).await });
        if self.random.one_in(20) {
            self.unpolled.push(number);
            return;
        }
        let flag = Arc::new(Flag(AtomicBool::new(true)));
        self.callers.insert(number, Caller { using, flag });
        self.poll(number);
    }

    fn poll(&mut self, number: usize) {
        let caller = self.callers.get_mut(&number).expect("a caller");
        caller.flag.0.store(false, Ordering::SeqCst);
        let waker = Waker::from(Arc::clone(&caller.flag));
        if let Poll::Ready(answer) = caller.using.as_mut().poll(&mut Context::from_waker(&waker)) {
            let seed = self.seed;
            let receipt = answer.unwrap_or_else(|error| panic!("seed {seed:#x}: {error}"));
            self.answered.insert(number, receipt);
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

    /// Polls only who was woken, as an executor does; some of them leave
    /// instead.
    fn drain(&mut self) {
        while !self.callers.is_empty() {
            let awake = |(_, caller): &(&usize, &Caller<'_>)| caller.flag.0.load(Ordering::SeqCst);
            let woken = self.callers.iter().find(awake).map(|(number, _)| *number);
            let seed = self.seed;
            let number = woken.unwrap_or_else(|| {
                panic!(
                    "seed {seed:#x}: {} callers are stranded",
                    self.callers.len()
                )
            });
            if self.random.one_in(10) {
                self.callers.remove(&number);
            } else {
                self.poll(number);
            }
        }
    }
}

/// Who made each call of a session, by the number of the call.
async fn calls(world: &World, name: &str) -> BTreeMap<u64, usize> {
    let history = world.history(name).await;
    let mut calls = BTreeMap::new();
    for event in history {
        let What::Use { call, tool, .. } = event.what else {
            panic!("only uses were made: {event:?}")
        };
        let number = tool.trim_start_matches('t').parse().expect("a number");
        assert_eq!(
            calls.insert(call, number),
            None,
            "call {call} was made twice"
        );
    }
    calls
}

async fn play(seed: u64, processes: usize) {
    let world = World::new();
    for number in 0..SESSIONS {
        world
            .create(|request| {
                request.id = Some(session_id(&format!("s{number}")));
                request.budget.calls = 1_000_000;
            })
            .await;
    }
    let sessions: Vec<Sessions> = (0..)
        .take(processes)
        .map(|number| world.over(Slow::over(&world.ground, seed ^ number)))
        .collect();
    let mut crowd = Crowd::new(seed, &sessions);
    while crowd.made < CALLERS {
        crowd.step();
    }
    crowd.drain();

    let mut users = Vec::new();
    for place in 0..SESSIONS {
        let name = format!("s{place}");
        let calls = calls(&world, &name).await;
        let made = world.get(&name).await.calls_made;
        assert_eq!(
            made,
            u64::try_from(calls.len()).expect("small"),
            "seed {seed:#x}"
        );
        for (number, receipt) in &crowd.answered {
            if number % SESSIONS == place {
                let on_record = calls.get(&receipt.first_call);
                assert_eq!(on_record, Some(number), "seed {seed:#x}: {receipt:?}");
            }
        }
        users.extend(calls.into_values());
    }
    users.sort_unstable();
    let count = users.len();
    users.dedup();
    assert_eq!(users.len(), count, "seed {seed:#x}: a use was made twice");
    let ghost = crowd
        .unpolled
        .iter()
        .find(|number| users.binary_search(number).is_ok());
    assert_eq!(
        ghost, None,
        "seed {seed:#x}: a use that was never asked for"
    );
    assert!(
        crowd.answered.len() > CALLERS / 3,
        "seed {seed:#x}: {}",
        crowd.answered.len()
    );
    assert!(
        count < CALLERS - crowd.unpolled.len(),
        "seed {seed:#x}: nobody left in time"
    );
}

#[tokio::test]
async fn ten_thousand_dropped_uses_strand_nobody_and_are_made_at_most_once() {
    for seed in SEEDS
        .iter()
        .copied()
        .chain([RandomState::new().build_hasher().finish()])
    {
        play(seed, 1).await;
    }
}

#[tokio::test]
async fn dropped_uses_of_two_processes_strand_nobody_and_are_made_at_most_once() {
    play(RandomState::new().build_hasher().finish(), 2).await;
}
