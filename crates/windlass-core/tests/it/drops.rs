//! Callers that come and go at random: nobody is stranded, nothing is run
//! twice, nothing withdrawn is run.

use std::collections::{BTreeMap, BTreeSet};
use std::task::Poll;

use windlass_core::Combiner;

use crate::support::{Doubling, Gated, Random, fresh_seed, submit};

/// Futures that are made, and dropped or not, for each seed.
const CALLERS: u64 = 10_000;

/// Seeds that always run, beside one that is new each time.
const SEEDS: &[u64] = &[0, 0x5eed];

/// What is known about the requests that were made.
struct Play<'a> {
    seed: u64,
    combiner: &'a Combiner<Gated>,
    random: Random,
    made: u64,
    callers: BTreeMap<u64, Doubling<'a>>,
    /// Requests in the order of their callers' first polls.
    submitted: Vec<u64>,
    /// Requests whose callers went away before their run began.
    withdrawn: Vec<u64>,
    answered: u64,
}

impl<'a> Play<'a> {
    fn new(seed: u64, combiner: &'a Combiner<Gated>) -> Self {
        Self {
            seed,
            combiner,
            random: Random::new(seed),
            made: 0,
            callers: BTreeMap::new(),
            submitted: Vec::new(),
            withdrawn: Vec::new(),
            answered: 0,
        }
    }

    /// Makes, polls or drops a caller, or lets the run go a step further.
    fn step(&mut self) {
        match self.random.below(10) {
            0..=3 if self.made < CALLERS => {
                let caller = submit(self.combiner, self.made);
                self.callers.insert(self.made, caller);
                self.made += 1;
            }
            0..=6 => self.poll_one(),
            7..=8 => {
                if let Some(request) = self.pick() {
                    self.drop(request);
                }
            }
            _ => self.combiner.drive().open(),
        }
    }

    fn pick(&self) -> Option<u64> {
        let count = self.callers.len();
        (count > 0).then(|| {
            let place = self.random.below(count);
            *self.callers.keys().nth(place).expect("within the count")
        })
    }

    /// Polls a caller at random; mostly one that was woken.
    fn poll_one(&mut self) {
        let Some(request) = self.pick() else { return };
        if self.callers[&request].is_woken() || self.random.one_in(4) {
            self.poll(request);
        }
    }

    fn poll(&mut self, request: u64) {
        let caller = self
            .callers
            .get_mut(&request)
            .expect("a caller that is there");
        if !caller.is_submitted() {
            self.submitted.push(request);
        }
        if let Poll::Ready(answer) = caller.poll() {
            assert_eq!(answer, Ok(request * 2), "seed {:#x}", self.seed);
            self.callers.remove(&request);
            self.answered += 1;
        }
    }

    fn drop(&mut self, request: u64) {
        self.callers.remove(&request);
        if !self.combiner.drive().has_run(request) {
            self.withdrawn.push(request);
        }
    }

    /// Lets everything through and polls only who was woken, as an executor
    /// does, until all are answered or, now and then, gone.
    fn drain(&mut self) {
        while !self.callers.is_empty() {
            let woken = self.callers.iter().find(|(_, caller)| caller.is_woken());
            match woken.map(|(request, _)| *request) {
                Some(request) if self.random.one_in(4) => self.drop(request),
                Some(request) => self.poll(request),
                None => {
                    let (seed, waiting) = (self.seed, self.callers.len());
                    assert!(
                        self.combiner.drive().is_held(),
                        "seed {seed:#x}: {waiting} callers are stranded"
                    );
                    self.combiner.drive().open();
                }
            }
        }
    }
}

/// The requests of `run` that are not among those of `submitted`, in order
/// and once each.
fn out_of_order(run: &[u64], submitted: &[u64]) -> Vec<u64> {
    let mut rest = submitted.iter();
    let strange = run
        .iter()
        .filter(|request| !rest.any(|next| next == *request));
    strange.copied().collect()
}

fn play(seed: u64, stops: usize) {
    let combiner = Combiner::new(Gated::with_stops(stops));
    let mut play = Play::new(seed, &combiner);
    while play.made < CALLERS {
        play.step();
    }
    play.drain();
    let run: Vec<u64> = combiner.drive().runs().into_iter().flatten().collect();
    let strange = out_of_order(&run, &play.submitted);
    assert_eq!(
        strange,
        Vec::<u64>::new(),
        "seed {seed:#x}: run twice or out of order"
    );
    let run: BTreeSet<u64> = run.into_iter().collect();
    let late = play.withdrawn.iter().find(|request| run.contains(request));
    assert_eq!(late, None, "seed {seed:#x}: a withdrawn request was run");
    assert!(
        play.answered > 0 && !play.withdrawn.is_empty(),
        "seed {seed:#x}: {} answered, {} withdrawn",
        play.answered,
        play.withdrawn.len()
    );
    assert_eq!(format!("{combiner:?}"), "Combiner { waiting: 0, .. }");
}

#[test]
fn ten_thousand_random_drops_strand_nobody_and_run_nothing_twice() {
    for seed in SEEDS.iter().copied().chain([fresh_seed()]) {
        for stops in [0, 1, 3] {
            play(seed, stops);
        }
    }
}
