//! Workers and producers of several processes over a slow store, whose clock
//! one of them moves; what they are granted is written down.

use std::cell::{Cell, RefCell};

use futures_util::future::join_all;
use windlass_queue::{Ask, Claim, Failure, Queue, QueueError, Return, Settle, Under, Work, WorkId};
use windlass_store_testing::Random;

use super::checker::{Deed, Event};
use crate::support::{
    World, ask, claim_any, complete, job, owner, renew, settle, slow, try_claim_any, try_push,
};

const SESSIONS: usize = 3;
const WORKERS: usize = 6;
const PRODUCERS: usize = 3;
const DEEDS: usize = 12;

/// What is written down.
struct Notebook<'a> {
    world: &'a World,
    tick: Cell<u64>,
    events: RefCell<Vec<Event>>,
}

impl Notebook<'_> {
    fn tick(&self) -> u64 {
        self.tick.set(self.tick.get() + 1);
        self.tick.get()
    }

    fn note(&self, call: u64, deed: Deed) {
        let answer = self.tick();
        let now = self.world.now().get();
        self.events.borrow_mut().push(Event {
            call,
            answer,
            now,
            deed,
        });
    }
}

/// Ids of one priority rise in the order of the line; here all have the same.
fn numbers(ids: &[WorkId]) -> Vec<u128> {
    let number = |id: &WorkId| {
        let digits: String = id.to_string().split('-').collect();
        u128::from_str_radix(&digits, 16).expect("a UUID")
    };
    ids.iter().map(number).collect()
}

fn place(claim: &Claim) -> usize {
    let digits = claim.session.as_str().trim_start_matches('s');
    digits.parse().expect("a number")
}

/// A history that ends with everything done.
pub(super) async fn play(seed: u64) -> Vec<Event> {
    let world = if seed.is_multiple_of(2) {
        World::new()
    } else {
        World::shared()
    };
    let queues = [1, 2].map(|number| world.over(slow(&world.ground, seed ^ number)));
    let notebook = Notebook {
        world: &world,
        tick: Cell::new(0),
        events: RefCell::new(Vec::new()),
    };
    let producers = (0..PRODUCERS).map(|number| produce(&notebook, &queues, seed, number));
    let workers = (0..WORKERS).map(|number| work(&notebook, &queues, seed, number));
    futures_util::future::join(join_all(producers), join_all(workers)).await;
    drain(&notebook, &queues[0]).await;
    notebook.events.into_inner()
}

fn random_of(seed: u64, role: u64, number: usize) -> Random {
    let number = u64::try_from(number).expect("small");
    Random::new(seed ^ (role << 40) ^ (number << 48))
}

async fn produce(notebook: &Notebook<'_>, queues: &[Queue], seed: u64, number: usize) {
    let mut random = random_of(seed, 1, number);
    for _ in 0..DEEDS {
        let session = random.below(SESSIONS);
        let count = 1 + random.below(4);
        let call = notebook.tick();
        let work = (0..count).map(|_| job("x")).map(|work| Work {
            attempts_max: 1_000,
            ..work
        });
        let id = format!("s{session}");
        let pushed = try_push(random.pick(queues), &id, work.collect(), Under::NOTHING).await;
        let pushed: Vec<WorkId> = match pushed {
            Ok(pushed) => pushed.iter().map(|one| one.id).collect(),
            // Nobody really waits here after a lost race, so one may lose all.
            Err(QueueError::Busy) => continue,
            Err(error) => panic!("seed {seed:#x}: {error}"),
        };
        let work = numbers(&pushed);
        notebook.note(call, Deed::Enqueued { session, work });
    }
}

async fn work(notebook: &Notebook<'_>, queues: &[Queue], seed: u64, number: usize) {
    let mut random = random_of(seed, 2, number);
    for _ in 0..3 * DEEDS {
        let queue = random.pick(queues);
        let ask = Ask {
            max: 1 + random.below(3),
            ..Ask::new(owner(&format!("w{}", number % 2)), 10_000)
        };
        let call = notebook.tick();
        let Ok(Some(claim)) = try_claim_any(queue, &ask).await else {
            notebook.world.env.advance_ms(500);
            continue;
        };
        note_claim(notebook, call, &claim);
        if random.one_in(4) {
            let call = notebook.tick();
            if let Ok(until) = renew(queue, &claim, 20_000).await {
                let (session, token, until) = (place(&claim), claim.token, until.get());
                notebook.note(
                    call,
                    Deed::Renewed {
                        session,
                        token,
                        until,
                    },
                );
            }
        }
        // Some stop for so long that others go on with their work.
        if random.one_in(5) {
            notebook.world.env.advance_ms(9_000);
        }
        if !random.one_in(8) {
            finish(notebook, random.pick(queues), &mut random, &claim).await;
        }
    }
}

fn note_claim(notebook: &Notebook<'_>, call: u64, claim: &Claim) {
    let deed = Deed::Claimed {
        session: place(claim),
        token: claim.token,
        until: claim.until.get(),
        work: numbers(&claim.ids()),
    };
    notebook.note(call, deed);
}

/// Says what became of a claim, which may be over.
async fn finish(notebook: &Notebook<'_>, queue: &Queue, random: &mut Random, claim: &Claim) {
    let (session, token) = (place(claim), claim.token);
    let mut parts = Settle::nothing(token);
    for id in claim.ids() {
        match random.below(6) {
            0 => parts.fail.push(Failure {
                delay_ms: Some(100),
                ..Failure::new(id)
            }),
            1 => parts.abandon.push(Return { id, delay_ms: 0 }),
            _ => parts.complete.push(id),
        }
    }
    let call = notebook.tick();
    let settled = settle(queue, &claim.session, parts.clone()).await;
    let refused = matches!(settled, Err(QueueError::ClaimExpired | QueueError::Busy));
    assert!(settled.is_ok() || refused, "{settled:?}");
    if refused {
        return;
    }
    let work = numbers(&parts.complete);
    let deed = Deed::Completed {
        session,
        token,
        work,
    };
    notebook.note(call, deed);
    let failed = parts.fail.iter().map(|failure| failure.id);
    let back: Vec<WorkId> = failed
        .chain(parts.abandon.iter().map(|back| back.id))
        .collect();
    let work = numbers(&back);
    let deed = Deed::GivenBack {
        session,
        token,
        work,
    };
    notebook.note(call, deed);
}

/// Does all that is left, once every claim has run out.
async fn drain(notebook: &Notebook<'_>, queue: &Queue) {
    notebook.world.env.advance_ms(60_000);
    loop {
        let call = notebook.tick();
        let Some(claim) = claim_any(queue, ask(5).max).await else {
            return;
        };
        note_claim(notebook, call, &claim);
        let call = notebook.tick();
        let done = complete(queue, &claim).await;
        assert_eq!(done.map(|it| it.held).map_err(|it| it.to_string()), Ok(0));
        let deed = Deed::Completed {
            session: place(&claim),
            token: claim.token,
            work: numbers(&claim.ids()),
        };
        notebook.note(call, deed);
    }
}
