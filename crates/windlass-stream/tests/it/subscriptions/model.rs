//! Random histories over a store whose answers are often lost: what a worker may do follows
//! from a few sentences, whatever happened before.

use proptest::prelude::*;
use tokio::runtime::Builder;
use windlass_core::{Coded, Env, Millis};
use windlass_store_testing::{Strict, StrictOptions};
use windlass_stream::subscription::{
    Ack, Acked, Failure, Hold, SubscriptionError, Subscriptions, Wake,
};
use windlass_stream::{Offset, Settings};

use super::{append, at, create, hook, pull, subscriptions};
use crate::support::World;

const PATHS: [&str; 3] = ["events/a", "events/b", "events/c"];
const TTL_MS: u64 = 1_000;

#[derive(Clone, Debug)]
enum Move {
    Append(usize),
    Look,
    Claim,
    /// By the how manieth hold from the last, of which stream, how far back
    /// from its tail, and whether that is all.
    Ack(usize, usize, u64, bool),
    Release(usize),
    Fail(usize, bool),
    Wait(u64),
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        4 => (0..PATHS.len()).prop_map(Move::Append),
        4 => Just(Move::Look),
        3 => Just(Move::Claim),
        6 => (0..3_usize, 0..PATHS.len(), 0..3_u64, any::<bool>())
            .prop_map(|(hold, path, back, done)| Move::Ack(hold, path, back, done)),
        1 => (0..3_usize).prop_map(Move::Release),
        1 => (0..3_usize, any::<bool>()).prop_map(|(hold, may)| Move::Fail(hold, may)),
        2 => prop_oneof![1..300_u64, 900..1_200_u64, Just(80_000)].prop_map(Move::Wait),
    ];
    prop::collection::vec(one, 1..60)
}

/// What is true of the subscription, as far as it can be told from outside.
struct Model {
    tails: [u64; PATHS.len()],
    acked: [u64; PATHS.len()],
    /// Every hold that was ever given, the last one last.
    holds: Vec<Hold>,
    /// Until when the last one holds, if nobody let go.
    until: Option<Millis>,
}

impl Model {
    fn pending(&self) -> bool {
        self.tails
            .iter()
            .zip(&self.acked)
            .any(|(tail, acked)| tail > acked)
    }

    fn held(&self, now: Millis) -> bool {
        self.until.is_some_and(|until| !until.has_passed(now))
    }

    /// A hold, counted from the last, and whether it is the one that holds.
    fn hold(&self, back: usize, now: Millis) -> Option<(Hold, bool)> {
        let index = self.holds.len().checked_sub(back + 1)?;
        Some((self.holds[index].clone(), back == 0 && self.held(now)))
    }

    fn given(&mut self, wake: &Wake, now: Millis) {
        assert!(!self.held(now), "two hold it");
        let before = self.holds.last().map_or(0, |hold| hold.generation);
        assert!(wake.hold.generation > before, "generations only rise");
        for link in &wake.streams {
            let index = PATHS
                .iter()
                .position(|path| **path == *link.path)
                .expect("one of them");
            let told = (link.acked.number(), link.tail.number());
            assert_eq!(told, (self.acked[index], self.tails[index]), "{link:?}");
        }
        self.holds.push(wake.hold.clone());
        self.until = Some(wake.until);
    }
}

async fn play(new: windlass_stream::subscription::NewSubscription, moves: Vec<Move>) {
    let world = World::over(&Settings::default(), |ground| {
        let options = StrictOptions {
            unavailable_every: 0,
            ..StrictOptions::ALL
        };
        std::sync::Arc::new(Strict::new(ground, options))
    });
    let calm = world.calm();
    for path in PATHS.iter().chain(&["wake/pool"]) {
        create(&calm, path).await;
    }
    let subject = subscriptions(&world);
    subject
        .confirm(&at(), new.clone())
        .await
        .expect("a new name");
    let mut model = Model {
        tails: [0; PATHS.len()],
        acked: [0; PATHS.len()],
        holds: Vec::new(),
        until: None,
    };
    for step in moves {
        play_one(&calm, &subject, &mut model, step).await;
    }
    drain(&calm, &subject, &mut model).await;
}

async fn play_one(world: &World, subject: &Subscriptions, model: &mut Model, step: Move) {
    let now = || world.env.now();
    match step {
        Move::Append(path) => {
            append(world, PATHS[path]).await;
            model.tails[path] += 1;
        }
        Move::Wait(ms) => world.env.advance_ms(ms),
        Move::Look => {
            let wake = subject.look(&at(), None).await.expect("no refusal");
            if let Some(wake) = wake {
                assert!(model.pending(), "nobody is woken for nothing");
                model.given(&wake, now());
            }
        }
        Move::Claim => match subject.claim(&at(), "w").await {
            Ok(wake) => model.given(&wake, now()),
            Err(SubscriptionError::AlreadyClaimed { .. }) => assert!(model.until.is_some()),
            Err(SubscriptionError::NothingPending) => assert!(!model.pending()),
            Err(SubscriptionError::Invalid { field, .. }) => assert_eq!(field, "type"),
            Err(other) => panic!("{other}"),
        },
        Move::Ack(back, path, short, done) => {
            let offset = model.tails[path].saturating_sub(short);
            acknowledge(world, subject, model, (back, path, offset, done)).await;
        }
        Move::Release(back) => {
            let Some((hold, good)) = model.hold(back, now()) else {
                return;
            };
            let answer = subject.release(&at(), &hold).await;
            if settle(model, good, world.env.now(), answer).is_some() {
                model.until = None;
            }
        }
        Move::Fail(back, may) => {
            let Some((hold, _)) = model.hold(back, now()) else {
                return;
            };
            let failure = if may {
                Failure::Unanswered
            } else {
                Failure::Refused
            };
            match subject.failed(&at(), &hold, failure).await {
                Ok(()) => {
                    assert_eq!(back, 0, "a stale failure counts for nothing");
                    model.until = model.until.filter(|_| may);
                }
                Err(error) => assert_eq!(error.code(), "fenced"),
            }
        }
    }
}

async fn acknowledge(
    world: &World,
    subject: &Subscriptions,
    model: &mut Model,
    (back, path, offset, done): (usize, usize, u64, bool),
) {
    let Some((hold, good)) = model.hold(back, world.env.now()) else {
        return;
    };
    let acks = [Ack {
        stream: PATHS[path].into(),
        offset: Offset::new(offset),
    }];
    let answer = subject.ack(&at(), &hold, &acks, done).await;
    let answer: Option<Acked> = settle(model, good, world.env.now(), answer);
    if let Some(acked) = answer {
        model.acked[path] = model.acked[path].max(offset);
        assert_eq!(acked.is_pending, model.pending());
        model.until = acked.until;
    }
    let view = subject.show(&at()).await.expect("it is there");
    let acked: Vec<u64> = view
        .streams
        .iter()
        .map(|link| link.acked.number())
        .collect();
    assert_eq!(acked, model.acked);
}

/// Whether a call of a worker did something: never one that does not hold it.
/// While the call went on its lease may have run out.
fn settle<T>(
    model: &Model,
    good: bool,
    now: Millis,
    answer: Result<T, SubscriptionError>,
) -> Option<T> {
    match answer {
        Ok(answer) => {
            assert!(good, "a worker that holds nothing changed something");
            Some(answer)
        }
        Err(error) => {
            assert_eq!(error.code(), "fenced");
            assert!(!good || !model.held(now), "the holder was refused");
            None
        }
    }
}

/// Whatever happened, somebody can do all the work that is left.
async fn drain(world: &World, subject: &Subscriptions, model: &mut Model) {
    for _ in 0..10 {
        world.env.advance_ms(TTL_MS + 80_000);
        let wake = subject.look(&at(), None).await.expect("no refusal");
        let wake = match wake {
            Some(wake) => wake,
            None => match subject.claim(&at(), "w").await {
                Ok(wake) => wake,
                Err(_) => break,
            },
        };
        model.given(&wake, world.env.now());
        let acks = wake.all();
        let done = subject.ack(&at(), &wake.hold, &acks, true).await;
        assert!(!done.expect("it holds it").is_pending);
        model.until = None;
        model.acked = model.tails;
    }
    assert!(!model.pending(), "work is left that nobody is given");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn one_worker_at_a_time_and_what_it_acknowledges_stays(
        moves in moves(),
        by_hook in any::<bool>(),
    ) {
        let runtime = Builder::new_current_thread().build().expect("a runtime");
        let new = if by_hook { hook() } else { pull() };
        runtime.block_on(play(new, moves));
    }
}
