//! Random histories, played into both forms at once: the answers are equal,
//! and the rows add up after every step.

use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::{BuildHasher, Hasher, RandomState};

use windlass_core::{Coded, GroupId};
use windlass_stash::durable::Stashes;
use windlass_stash::{
    Answer, Condition, Config, Increment, Key, KeyQuery, MemoryStash, Operation, Put, Quota,
    StepError, Value,
};
use windlass_store_testing::Random;

use super::world::{World, stash};
use crate::support::{group, key, sized};

const STEPS: usize = 160;
const SEEDS: &[u64] = &[1, 2, 3, 0x57a5];
const KEYS: [&str; 7] = ["a", "b", "c", "d:1", "d:2", "e", "n"];

fn limits(config: &mut Config) {
    config.keys_max = 5;
    config.total_bytes_max = 3_000_000;
    config.value_bytes_max = 2_500_000;
    config.ttl_ms_default = 400;
    config.ttl_ms_max = 1_000;
    config.group_quota = Some(Quota {
        keys_max: Some(3),
        bytes_max: Some(1_500_000),
    });
}

/// The same history in both forms.
struct Twins {
    random: Random,
    world: World,
    /// Processes on the same store, of which any may be asked.
    processes: Vec<Stashes>,
    memory: MemoryStash,
    /// The version each key got last, in memory and in the store.
    versions: HashMap<Key, (u64, u64)>,
    names: (Names, Names),
}

impl Twins {
    fn new(seed: u64, processes: usize, hide_foreign: bool) -> Self {
        let world = World::new(|config| {
            limits(config);
            config.hide_foreign = hide_foreign;
        });
        let memory = MemoryStash::new(world.env.clone(), world.options.stash.clone());
        let processes = (0..processes).map(|_| world.reopen()).collect();
        Self {
            random: Random::new(seed),
            processes,
            memory: memory.expect("settings that can stand"),
            versions: HashMap::new(),
            names: Default::default(),
            world,
        }
    }

    fn group(&mut self) -> Option<GroupId> {
        let name = *self.random.pick(&[None, Some("g"), Some("h")]);
        name.map(group)
    }

    fn key(&mut self) -> Key {
        let name: &&str = self.random.pick(&KEYS);
        key(name)
    }

    fn value(&mut self) -> Value {
        match self.random.below(12) {
            0 => sized(1_025),
            1 => sized(1_024),
            2 => sized(300_000),
            3 => sized(2_200_000),
            4 => Value::of(&()).expect("JSON"),
            5..=7 => Value::of(&self.random.below(100)).expect("JSON"),
            _ => sized(20 + self.random.below(600)),
        }
    }

    fn ttl(&mut self) -> Option<u64> {
        *self.random.pick(&[
            None,
            None,
            Some(0),
            Some(1),
            Some(300),
            Some(1_000),
            Some(1_001),
        ])
    }

    /// The same operation for memory and for the store; versions differ.
    fn operation(&mut self) -> (Operation, Operation) {
        let key = self.key();
        let same = |operation: Operation| (operation.clone(), operation);
        match self.random.below(9) {
            0 | 1 => same(Operation::Get(key)),
            2 => same(Operation::Delete(key)),
            3 => same(Operation::Touch {
                key,
                ttl_ms: self.ttl(),
            }),
            4 => same(Operation::Increment(Increment {
                by: i64::try_from(self.random.below(9)).expect("small") - 4,
                ttl_ms: self.ttl(),
                key,
            })),
            _ => self.put(key),
        }
    }

    fn put(&mut self, key: Key) -> (Operation, Operation) {
        let known = self
            .versions
            .get(&key)
            .copied()
            .unwrap_or((u64::MAX, u64::MAX));
        let conditions = match self.random.below(6) {
            0 => (Condition::Absent, Condition::Absent),
            1 => (Condition::Version(known.0), Condition::Version(known.1)),
            _ => (Condition::Any, Condition::Any),
        };
        let mut put = Put::new(key, self.value());
        put.ttl_ms = self.ttl();
        let with = |condition| Operation::Put(put.clone().condition(condition));
        (with(conditions.0), with(conditions.1))
    }

    /// Notes the versions that both forms have given a key.
    fn learn(&mut self, key: &Key, answers: (&Answer, &Answer)) {
        if let (Answer::Stored(memory), Answer::Stored(durable)) = answers {
            let versions = (memory.version, durable.version);
            self.versions.insert(key.clone(), versions);
        }
    }

    fn agree(&mut self, what: &str, memory: &impl Debug, durable: &impl Debug) {
        let shown = (self.names.0.shown(memory), self.names.1.shown(durable));
        assert_eq!(shown.0, shown.1, "{what}");
    }

    async fn play(&mut self, seed: u64) {
        for number in 0..STEPS {
            let what = format!("seed {seed:#x}, step {number}");
            self.turn(&what).await;
            let held = self.memory.usage();
            let rows = self.world.recount().await;
            let found = (rows.rows, rows.value_bytes, rows.charged_bytes);
            let sum = |figure: fn(&windlass_stash::Figures) -> u64| {
                figure(&held.live) + figure(&held.expired)
            };
            let expected = (
                sum(|held| held.keys),
                sum(|held| held.value_bytes),
                sum(|held| held.charged_bytes),
            );
            assert_eq!(found, expected, "{what}");
        }
    }

    async fn turn(&mut self, what: &str) {
        let place = self.random.below(self.processes.len());
        if self.random.one_in(12) {
            self.processes[place] = self.world.reopen();
        }
        if self.random.one_in(4) {
            let ms = u64::try_from(self.random.below(300)).expect("small");
            self.world.env.advance_ms(ms);
        }
        let durable = stash(&self.processes[place]);
        let caller = self.group();
        let (here, there) = (
            self.memory.execution(caller.clone()),
            durable.execution(caller),
        );
        match self.random.below(12) {
            0 => {
                let query = KeyQuery {
                    prefix: self.random.pick(&["", "d:", "x"]).to_string(),
                    after: None,
                    limit: 1 + self.random.below(4),
                };
                let answers = (here.keys(&query), there.keys(&query).await);
                self.agree(what, &answers.0, &answers.1);
            }
            1 => {
                let answers = (self.memory.usage(), durable.usage().await);
                self.agree(what, &answers.0, &answers.1.expect("readable"));
            }
            2 if self.random.one_in(2) => {
                let answers = (here.clear(), there.clear().await);
                self.agree(what, &answers.0, &answers.1);
            }
            3 if self.random.one_in(2) => {
                let limit = Some(self.random.next() % 3);
                let reaped = durable.reap_expired(limit).await;
                let answers = (self.memory.reap_expired(limit), reaped.expect("a store"));
                self.agree(what, &answers.0, &answers.1);
            }
            4 => {
                let key = self.key();
                let answers = (here.entry(&key), there.entry(&key).await);
                self.agree(what, &answers.0, &answers.1);
            }
            _ => {
                let count = 1 + self.random.below(4) * self.random.below(2);
                let operations = (0..count).map(|_| self.operation());
                let (ours, theirs): (Vec<_>, Vec<_>) = operations.collect();
                let answers = (here.step(&ours), there.step(&theirs).await);
                // A refusal may name a version that was given and taken back.
                let refused = |refusal: StepError| (refusal.position, refusal.code());
                let answers = (answers.0.map_err(refused), answers.1.map_err(refused));
                self.agree(what, &answers.0, &answers.1);
                if let (Ok(here), Ok(there)) = &answers {
                    for (operation, pair) in theirs.iter().zip(here.iter().zip(there)) {
                        self.learn(operation.key(), pair);
                    }
                }
            }
        }
    }
}

/// Names versions in the order in which they turn up: the two forms number
/// them from different beginnings.
#[derive(Default)]
struct Names(Vec<String>);

impl Names {
    fn shown(&mut self, answer: &impl Debug) -> String {
        let text = format!("{answer:?}");
        let mut shown = String::new();
        let mut rest = text.as_str();
        while let Some((before, after)) = ["version: ", "expected: Some(", "actual: Some("]
            .iter()
            .filter_map(|mark| Some((mark, rest.find(mark)?)))
            .min_by_key(|(_, at)| *at)
            .map(|(mark, at)| rest.split_at(at + mark.len()))
        {
            let end = after.find(|digit: char| !digit.is_ascii_digit());
            let (number, after) = after.split_at(end.expect("a number has an end"));
            shown.push_str(before);
            shown.push_str(&self.name(number));
            rest = after;
        }
        shown + rest
    }

    fn name(&mut self, number: &str) -> String {
        let known = self.0.iter().position(|known| known == number);
        let place = known.unwrap_or_else(|| {
            self.0.push(number.to_owned());
            self.0.len() - 1
        });
        format!("#{place}")
    }
}

async fn play(seed: u64, processes: usize) {
    Twins::new(seed, processes, seed % 2 == 1).play(seed).await;
}

#[tokio::test]
async fn both_forms_give_the_same_answers_to_random_histories() {
    let fresh = RandomState::new().build_hasher().finish();
    for seed in SEEDS.iter().copied().chain([fresh]) {
        play(seed, 1).await;
    }
}

#[tokio::test]
async fn processes_that_take_turns_answer_like_one_stash_in_memory() {
    let fresh = RandomState::new().build_hasher().finish();
    for seed in SEEDS.iter().copied().chain([fresh]) {
        play(seed, 3).await;
    }
}
