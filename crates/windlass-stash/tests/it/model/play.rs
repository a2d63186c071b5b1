//! Plays one history in the stash and in the model.

use std::sync::Arc;

use windlass_core::{Coded, Env, GroupId, ManualEnv, Millis};
use windlass_stash::{
    Condition, Config, Figures, Increment, KeyQuery, MemoryStash, Operation, Put, Quota, Value,
};

use crate::support::{group, key};

use super::naive::Naive;

/// Draws from a seed, and is the clock.
struct Draw(Arc<ManualEnv>);

impl Draw {
    fn below(&self, end: u64) -> u64 {
        let mut bytes = [0; 8];
        self.0.random(&mut bytes).expect("made from a seed");
        u64::from_le_bytes(bytes) % end
    }

    fn is(&self, percent: u64) -> bool {
        self.below(100) < percent
    }

    fn key(&self) -> windlass_stash::Key {
        key(&format!(
            "{}{}",
            ["a", "b:"][usize::from(self.is(50))],
            self.below(6)
        ))
    }

    fn group(&self) -> Option<GroupId> {
        match self.below(3) {
            0 => None,
            1 => Some(group("one")),
            _ => Some(group("two")),
        }
    }

    fn ttl_ms(&self) -> Option<u64> {
        self.is(80).then(|| self.below(66))
    }

    fn value(&self) -> Value {
        if self.is(40) {
            return Value::of(&self.below(1_000)).expect("JSON");
        }
        let length = usize::try_from(self.below(30)).expect("small");
        Value::of(&"v".repeat(length)).expect("JSON")
    }

    fn condition(&self, versions: u64) -> Condition {
        match self.below(5) {
            0 => Condition::Absent,
            1 => Condition::Version(versions.saturating_sub(self.below(6))),
            _ => Condition::Any,
        }
    }

    fn operation(&self, versions: u64) -> Operation {
        let (key, ttl_ms) = (self.key(), self.ttl_ms());
        match self.below(10) {
            0 | 1 => Operation::Get(key),
            2 => Operation::Delete(key),
            3 => Operation::Touch { key, ttl_ms },
            4 => {
                let by = i64::try_from(self.below(200)).expect("small") - 100;
                Operation::Increment(Increment { key, by, ttl_ms })
            }
            _ => Operation::Put(Put {
                key,
                value: self.value(),
                ttl_ms,
                condition: self.condition(versions),
            }),
        }
    }

    fn config(&self) -> Config {
        let quota = Quota {
            keys_max: self.is(70).then_some(3),
            bytes_max: self.is(70).then_some(45),
        };
        Config {
            keys_max: 3 + self.below(7),
            value_bytes_max: 28,
            total_bytes_max: 45 + self.below(80),
            charged_bytes_max: self.is(50).then(|| 1_100 + self.below(2_000)),
            ttl_ms_default: 1 + self.below(80),
            ttl_ms_max: 60,
            group_quota: self.is(50).then_some(quota),
            hide_foreign: self.is(50),
            ..Config::default()
        }
    }
}

/// A stash, its model, and what draws.
struct Game {
    draw: Draw,
    stash: MemoryStash,
    model: Naive,
    seed: u64,
}

pub(super) fn play(seed: u64) {
    let env = Arc::new(ManualEnv::new(seed, Millis::new(1_000_000)));
    let draw = Draw(env.clone());
    let config = draw.config();
    let mut game = Game {
        stash: MemoryStash::new(env.clone(), config.clone()).expect("settings"),
        model: Naive {
            config,
            rows: Vec::new(),
            now: env.now(),
            versions: 0,
        },
        draw,
        seed,
    };
    for _ in 0..80 {
        if game.draw.is(60) {
            env.advance_ms(1 + game.draw.below(20));
        }
        game.model.now = env.now();
        game.turn();
        game.compare_figures();
    }
}

impl Game {
    fn turn(&mut self) {
        match self.draw.below(12) {
            0 => self.list(),
            1 => {
                let limit = self.draw.is(70).then(|| self.draw.below(4));
                let expected = self.model.reap(limit);
                assert_eq!(
                    self.stash.reap_expired(limit),
                    expected,
                    "seed {}",
                    self.seed
                );
            }
            2 => {
                let group = self.draw.group();
                let expected = self.model.clear(group.as_ref());
                assert_eq!(
                    self.stash.clear(group.as_ref()),
                    expected,
                    "seed {}",
                    self.seed
                );
            }
            3 => {
                let config = self.draw.config();
                self.stash.configure(config.clone()).expect("settings");
                self.model.config = config;
            }
            _ => self.step(),
        }
    }

    /// Several operations at once, or one alone, which must be the same.
    fn step(&mut self) {
        let caller = self.draw.group();
        let count = 1 + self.draw.below(3);
        let versions = self.model.versions;
        let operations: Vec<_> = (0..count).map(|_| self.draw.operation(versions)).collect();
        let execution = self.stash.execution(caller.clone());
        let expected = self.model.step(caller.as_ref(), &operations);
        let found = execution.step(&operations);
        let found = found.map_err(|error| (error.position, error.code()));
        assert_eq!(found, expected, "seed {}: {operations:?}", self.seed);
        let seen = execution.get(operations[0].key());
        let get = [Operation::Get(operations[0].key().clone())];
        let expected = self.model.step(caller.as_ref(), &get);
        match (seen, expected) {
            (Ok(value), Ok(answers)) => {
                let windlass_stash::Answer::Entry(entry) = &answers[0] else {
                    panic!("{answers:?}");
                };
                assert_eq!(value, entry.as_ref().map(|entry| entry.value.clone()));
            }
            (Err(error), Err((_, code))) => assert_eq!(error.code(), code),
            (found, expected) => panic!("seed {}: {found:?}, {expected:?}", self.seed),
        }
    }

    fn list(&self) {
        let caller = self.draw.group();
        let query = KeyQuery {
            prefix: ["", "a", "b:"][usize::try_from(self.draw.below(3)).expect("small")].to_owned(),
            after: self.draw.is(50).then(|| self.draw.key()),
            limit: 1 + usize::try_from(self.draw.below(4)).expect("small"),
        };
        let found = self
            .stash
            .execution(caller.clone())
            .keys(&query)
            .expect("readable");
        assert_eq!(
            found,
            self.model.keys(caller.as_ref(), &query),
            "seed {}",
            self.seed
        );
    }

    fn compare_figures(&self) {
        let figures = |figures: Figures| (figures.keys, figures.value_bytes, figures.charged_bytes);
        let usage = self.stash.usage();
        let found = (figures(usage.live), figures(usage.expired));
        let live = Naive::figures(self.model.live());
        let expired = Naive::figures(&self.model.expired());
        assert_eq!(found, (live, expired), "seed {}", self.seed);
    }
}
