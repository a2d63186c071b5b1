//! One random history, played on the queue and on the model.

use std::future::Future;
use std::sync::Arc;

use windlass_core::{Coded, ErrorKind, Millis};
use windlass_queue::check;
use windlass_queue::{
    Ask, Boundary, Claim, Delivery, Failure, Queue, QueueError, Return, Settle, Slot, State, Under,
    Work, WorkId,
};
use windlass_store_testing::{Random, Strict, StrictOptions, audited};

use super::state::{Held, Item, Line};
use crate::support::{DAY, World, caller, job, list, owner, session, under};

const STEPS: usize = 60;
const SESSIONS: usize = 2;
/// How often one thing is asked for: through some gaps between failures that
/// are longer than any operation.
const TRIES_MAX: usize = 50;
const MERGE_KEYS: [Option<&str>; 3] = [None, None, Some("m")];
const SOURCES: [&str; 4] = ["a", "b", "c", "d"];

struct Game {
    seed: u64,
    random: Random,
    world: World,
    /// Somebody who looks, at the store as it is.
    eye: Queue,
    /// Processes that share the store.
    queues: Vec<Queue>,
    lines: Vec<Line>,
    /// Claims that were handed out, held or not.
    claims: Vec<(usize, Claim)>,
    /// All work there ever was.
    known: Vec<(usize, WorkId)>,
    operations: usize,
}

pub(super) async fn play(seed: u64) {
    let world = World::new();
    let process = |_| {
        let failing = Strict::new(Arc::clone(&world.ground), StrictOptions::ALL);
        world.over(Arc::new(failing))
    };
    let mut game = Game {
        seed,
        random: Random::new(seed),
        queues: (0..2).map(process).collect(),
        eye: world.over(Arc::clone(&world.ground) as _),
        world,
        lines: vec![Line::default(); SESSIONS],
        claims: Vec::new(),
        known: Vec::new(),
        operations: 0,
    };
    for _ in 0..STEPS {
        game.step().await;
        game.compare().await;
    }
    let found = audited(game.world.ground.as_ref(), check::auditor).await;
    assert_eq!(found, Vec::<String>::new(), "seed {seed}");
}

/// Asks until the answer is one that a caller can rely on.
async fn insist<T, F: Future<Output = Result<T, QueueError>>>(
    mut ask: impl FnMut() -> F,
) -> Result<T, &'static str> {
    let mut last = None;
    for _ in 0..TRIES_MAX {
        match ask().await {
            Err(error) => match error.kind() {
                ErrorKind::Unavailable | ErrorKind::Indeterminate => last = Some(error),
                _ => return Err(error.code()),
            },
            Ok(answer) => return Ok(answer),
        }
    }
    panic!("no answer, but again and again: {last:?}");
}

impl Game {
    fn now(&self) -> u64 {
        self.world.now().get()
    }

    fn operation(&mut self) -> Under {
        self.operations += 1;
        under(&format!("op-{}", self.operations))
    }

    fn queue(&mut self) -> Queue {
        self.random.pick(&self.queues).clone()
    }

    async fn step(&mut self) {
        match self.random.below(20) {
            0..5 => self.enqueue().await,
            5..9 => self.claim().await,
            9..13 => self.settle().await,
            13 => self.renew().await,
            14 => self.change_one().await,
            15 => self.sweep().await,
            16 => self.world.env.advance_ms(DAY),
            17 => self.world.env.advance_ms(30_000),
            _ => {
                let ms = u64::try_from(self.random.below(3)).expect("small") * 500;
                self.world.env.advance_ms(ms);
            }
        }
    }

    fn work(&mut self) -> Work {
        let random = &mut self.random;
        let early = random.one_in(3);
        let later = random.one_in(5);
        let delay = u64::try_from(random.below(4)).expect("small") * 500;
        Work {
            delivery: if early {
                Delivery::EarliestBoundary
            } else {
                Delivery::AfterTurn
            },
            slot: if random.one_in(6) {
                Slot::Exclusive
            } else {
                Slot::Join
            },
            merge_key: random.pick(&MERGE_KEYS).map(Into::into),
            priority: *random.pick(&[4, 4, 4, 6, 0]),
            available_at: later.then(|| Millis::new(self.world.now().get() + delay)),
            source_key: random.one_in(5).then(|| (*random.pick(&SOURCES)).into()),
            attempts_max: *random.pick(&[1, 2, 5]),
            ..job("x")
        }
    }

    async fn enqueue(&mut self) {
        let count = 1 + self.random.below(4);
        let place = self.random.below(SESSIONS);
        let mut work = Vec::new();
        for _ in 0..count {
            let one = self.work();
            // The content of a source key is always the same here.
            let keyed = one.source_key.clone().map(|source_key| Work {
                source_key: Some(source_key),
                ..job("keyed")
            });
            work.push(keyed.unwrap_or(one));
        }
        let (queue, id, operation) = (self.queue(), self.id(place), self.operation());
        let caller = caller();
        let pushed = insist(|| queue.enqueue(&caller, &id, work.clone(), operation.clone())).await;
        let pushed = pushed.expect("work that may be enqueued");
        let now = self.now();
        for (work, one) in work.into_iter().zip(pushed) {
            let line = &mut self.lines[place];
            let known = line.known(work.source_key.as_deref(), now);
            assert_eq!(one.known, known.is_some(), "seed {:#x}", self.seed);
            if let Some(known) = known {
                assert_eq!(one.id, known, "seed {:#x}", self.seed);
                continue;
            }
            let merge = work.merge_key.as_deref();
            line.enqueue(Item {
                id: one.id,
                rank: 9 - work.priority,
                time: work.available_at.map_or(now, |at| at.get().max(now)),
                number: 0,
                early: work.delivery == Delivery::EarliestBoundary,
                exclusive: work.slot == Slot::Exclusive,
                merge: MERGE_KEYS.into_iter().find(|key| *key == merge).flatten(),
                source: work.source_key.as_deref().map(ToOwned::to_owned),
                attempts: 0,
                attempts_max: work.attempts_max,
                rest: 0,
            });
            self.known.push((place, one.id));
        }
    }

    fn id(&self, place: usize) -> windlass_core::SessionId {
        session(&format!("s{place}"))
    }

    async fn claim(&mut self) {
        let boundary = *self
            .random
            .pick(&[Boundary::Idle, Boundary::Idle, Boundary::Checkpoint]);
        let ask = Ask {
            boundary,
            max: 1 + self.random.below(5),
            ..Ask::new(owner("w"), 10_000)
        };
        let any = self.random.one_in(2);
        let place = self.random.below(SESSIONS);
        let (queue, id, operation) = (self.queue(), self.id(place), self.operation());
        let caller = caller();
        let claim = if any {
            insist(|| queue.claim_any(&caller, &ask, operation.clone())).await
        } else {
            insist(|| queue.claim(&caller, &id, &ask, operation.clone())).await
        };
        let claim = claim.expect("a claim that may be made");
        let (now, seed) = (self.now(), self.seed);
        let places = match (&claim, any) {
            (None, true) => 0..SESSIONS,
            (None, false) => place..place + 1,
            (Some(claim), _) => {
                let place = (0..SESSIONS).find(|place| self.id(*place) == claim.session);
                let place = place.expect("one of these sessions");
                place..place + 1
            }
        };
        for other in 0..SESSIONS {
            if any && claim.is_some() && !places.contains(&other) {
                self.follow(other).await;
            }
        }
        for place in places {
            // A session that is not asked keeps its claim, ran out or not.
            let mut line = self.lines[place].clone();
            let expected = line.claim(boundary, ask.max, now);
            let ids: Vec<WorkId> = expected.iter().map(|item| item.id).collect();
            let taken = claim.as_ref().map(Claim::ids).unwrap_or_default();
            assert_eq!(taken, ids, "seed {seed:#x}: s{place}, any {any}");
            if claim.is_some() || !any {
                self.lines[place] = line;
            } else {
                self.follow(place).await;
            }
            if let Some(claim) = &claim {
                let attempts = expected.iter().map(|item| item.attempts + 1);
                let shown = claim.work.iter().map(|work| work.attempt);
                assert!(attempts.eq(shown), "seed {seed:#x}: {claim:?}");
                let held = Held {
                    token: claim.token,
                    until: claim.until.get(),
                    ids,
                };
                self.lines[place].claim = Some(held);
                self.claims.push((place, claim.clone()));
            }
        }
    }

    /// A claim of any session may have let go of another session's claim that
    /// ran out, or not: what is stored decides.
    async fn follow(&mut self, place: usize) {
        let claimed = list(&self.eye, self.id(place).as_str(), State::Claimed).await;
        if claimed.is_empty() && self.lines[place].claim.is_some() {
            let now = self.now();
            let none = self.lines[place].claim(Boundary::Checkpoint, 0, now);
            assert_eq!(none, [], "seed {:#x}", self.seed);
        }
    }

    /// Settles some of a claim, perhaps of one that is over.
    async fn settle(&mut self) {
        if self.claims.is_empty() {
            return;
        }
        let last = self.claims.len() - 1;
        let at = if self.random.one_in(4) {
            self.random.below(last + 1)
        } else {
            last
        };
        let (place, claim) = self.claims[at].clone();
        let mut settle = Settle::nothing(claim.token);
        for id in claim.ids() {
            let delay_ms = *self.random.pick(&[0, 500, 1_000]);
            match self.random.below(6) {
                0..3 => settle.complete.push(id),
                3 => settle.fail.push(Failure {
                    delay_ms: Some(delay_ms),
                    fatal: self.random.one_in(3),
                    ..Failure::new(id)
                }),
                4 => settle.abandon.push(Return { id, delay_ms }),
                _ => {}
            }
        }
        let named = settle.complete.len() + settle.fail.len() + settle.abandon.len();
        let (queue, id, operation) = (self.queue(), self.id(place), self.operation());
        let caller = caller();
        let settled =
            insist(|| queue.settle(&caller, &id, settle.clone(), operation.clone())).await;
        let (now, seed) = (self.now(), self.seed);
        let line = &mut self.lines[place];
        if named == 0 {
            assert_eq!(
                settled.map(|it| it.held),
                Err("invalid_request"),
                "{seed:#x}"
            );
        } else if line.is_over(claim.token, now) {
            assert_eq!(settled.map(|it| it.held), Err("claim_expired"), "{seed:#x}");
        } else if !names_held(line, &settle) {
            assert_eq!(
                settled.map(|it| it.held),
                Err("work_not_found"),
                "{seed:#x}"
            );
        } else {
            let settled = settled.expect("what is held");
            assert_eq!(settled.dead, line.settle(&settle, now), "seed {seed:#x}");
            let held = line.claim.as_ref().map_or(0, |held| held.ids.len());
            assert_eq!(settled.held, held, "seed {seed:#x}");
        }
    }

    async fn renew(&mut self) {
        let Some((place, claim)) = self.claims.last().cloned() else {
            return;
        };
        let (queue, id, operation) = (self.queue(), self.id(place), self.operation());
        let caller = caller();
        let ask = || queue.renew(&caller, &id, claim.token, 20_000, operation.clone());
        let renewed = insist(ask).await.map(Millis::get);
        let (now, seed) = (self.now(), self.seed);
        let line = &mut self.lines[place];
        if line.is_over(claim.token, now) {
            assert_eq!(renewed, Err("claim_expired"), "seed {seed:#x}");
        } else if let Some(held) = &mut line.claim {
            held.until = held.until.max(now + 20_000);
            assert_eq!(renewed, Ok(held.until), "seed {seed:#x}");
        }
    }

    /// Cancels, retries or drops something, mostly what exists.
    async fn change_one(&mut self) {
        let dead = self.lines.iter().enumerate();
        let dead: Vec<_> = dead
            .flat_map(|(place, line)| line.dead.iter().map(move |item| (place, item.id)))
            .collect();
        let choices = if dead.is_empty() || self.random.one_in(3) {
            &self.known
        } else {
            &dead
        };
        if choices.is_empty() {
            return;
        }
        let (place, work) = *self.random.pick(choices);
        let verb = self.random.below(3);
        let (queue, id, operation) = (self.queue(), self.id(place), self.operation());
        let caller = caller();
        let changed = match verb {
            0 => insist(|| queue.cancel(&caller, &id, work, operation.clone())).await,
            1 => insist(|| queue.retry(&caller, &id, work, operation.clone())).await,
            _ => insist(|| queue.drop_dead(&caller, &id, work, operation.clone())).await,
        };
        let now = self.now();
        let line = &mut self.lines[place];
        let expected = match verb {
            0 => line.cancel(work, now),
            1 => line.retry(work),
            _ => line.drop_dead(work, now),
        };
        assert_eq!(changed, expected, "seed {:#x}, verb {verb}", self.seed);
    }

    async fn sweep(&mut self) {
        let queue = self.queue();
        let report = insist(|| queue.sweep(1_000)).await.expect("upkeep");
        assert_eq!(report.unreadable, [], "seed {:#x}", self.seed);
    }

    async fn compare(&self) {
        for (place, line) in self.lines.iter().enumerate() {
            let id = format!("s{place}");
            let held = line.claim.as_ref().map(|held| held.ids.clone());
            let held = held.unwrap_or_default();
            let (claimed, pending): (Vec<_>, Vec<_>) =
                line.items.iter().partition(|item| held.contains(&item.id));
            let dead: Vec<_> = line.dead.iter().collect();
            for (state, expected) in [
                (State::Pending, pending),
                (State::Claimed, claimed),
                (State::Dead, dead),
            ] {
                let listed = list(&self.eye, &id, state).await;
                let listed: Vec<_> = listed.iter().map(|it| it.id).collect();
                let expected: Vec<_> = expected.iter().map(|item| item.id).collect();
                assert_eq!(listed, expected, "seed {:#x}: {id}, {state:?}", self.seed);
            }
        }
    }
}

fn names_held(line: &Line, settle: &Settle) -> bool {
    let Some(held) = &line.claim else {
        return false;
    };
    let failed = settle.fail.iter().map(|failure| &failure.id);
    let back = settle.abandon.iter().map(|back| &back.id);
    let mut named = settle.complete.iter().chain(failed).chain(back);
    named.all(|id| held.ids.contains(id))
}
