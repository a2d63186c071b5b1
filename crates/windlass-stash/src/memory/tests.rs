//! The form in memory under schedules that a machine would rarely choose:
//! every lock is a point where the explorer may let another thread go on.

mod histories;

use std::sync::Arc;

use shuttle::thread;
use windlass_core::{GroupId, ManualEnv, Millis};

use crate::{Answer, Condition, Config, Execution, Key, MemoryStash, Operation, Put, Value};

/// Schedules that each test tries.
fn schedules() -> usize {
    #[expect(clippy::disallowed_methods, reason = "the length of a test's loop")]
    let schedules = std::env::var("WINDLASS_SCHEDULES");
    schedules.map_or(300, |count| count.parse().expect("a number of schedules"))
}

fn key(text: &str) -> Key {
    text.parse().expect("a key")
}

fn stash(keys_max: u64) -> (Arc<ManualEnv>, MemoryStash) {
    let env = Arc::new(ManualEnv::new(1, Millis::new(1_000)));
    let config = Config {
        keys_max,
        ..Config::default()
    };
    let stash = MemoryStash::new(env.clone(), config).expect("settings that can stand");
    (env, stash)
}

fn number(execution: &Execution, name: &str) -> Option<i64> {
    let value = execution.get(&key(name)).expect("public");
    value.map(|value| value.parse().expect("a number"))
}

fn put(name: &str, number: i64) -> Put {
    Put::new(key(name), Value::of(&number).expect("JSON"))
}

#[test]
fn concurrent_increments_lose_nothing() {
    shuttle::check_random(
        || {
            let (_, stash) = stash(4);
            let threads: Vec<_> = (0..3)
                .map(|_| {
                    let execution = stash.execution(None);
                    thread::spawn(move || {
                        for _ in 0..2 {
                            execution.increment(&key("n"), 1, None).expect("a number");
                        }
                    })
                })
                .collect();
            for thread in threads {
                thread.join().expect("no panic");
            }
            assert_eq!(number(&stash.execution(None), "n"), Some(6));
            assert_eq!(stash.usage().live.value_bytes, 1);
        },
        schedules(),
    );
}

#[test]
fn whoever_sees_one_change_of_a_step_sees_all() {
    shuttle::check_random(
        || {
            let (_, stash) = stash(64);
            let names: Vec<String> = (0..6).map(|number| format!("k{number}")).collect();
            let writer = {
                let (execution, names) = (stash.execution(None), names.clone());
                thread::spawn(move || {
                    for round in 1..=2 {
                        let puts = names.iter().map(|name| Operation::Put(put(name, round)));
                        let step: Vec<_> = puts.collect();
                        execution.step(&step).expect("there is room");
                    }
                })
            };
            let execution = stash.execution(None);
            let mut latest = 0;
            for name in names.iter().chain(names.iter().rev()) {
                let seen = number(&execution, name).unwrap_or(0);
                assert!(
                    seen >= latest,
                    "{name} is of step {seen}, another of {latest}"
                );
                latest = seen;
            }
            writer.join().expect("no panic");
        },
        schedules(),
    );
}

#[test]
fn no_interleaving_passes_a_limit_or_swaps_twice() {
    shuttle::check_random(
        || {
            let (_, stash) = stash(2);
            stash
                .execution(None)
                .store(put("swapped", 0))
                .expect("there is room");
            let threads: Vec<_> = (1..=3)
                .map(|number| {
                    let execution = stash.execution(None);
                    thread::spawn(move || {
                        let swap = put("swapped", number).condition(Condition::Version(1));
                        let swapped = execution.store(swap).is_ok();
                        let new = put(&format!("new{number}"), number);
                        (swapped, execution.store(new).is_ok())
                    })
                })
                .collect();
            let done: Vec<_> = threads
                .into_iter()
                .map(|thread| thread.join().expect("no panic"))
                .collect();
            let swaps = done.iter().filter(|(swapped, _)| *swapped).count();
            let news = done.iter().filter(|(_, stored)| *stored).count();
            assert_eq!((swaps, news, stash.usage().live.keys), (1, 1, 2));
        },
        schedules(),
    );
}

#[test]
fn readers_and_reapers_beside_writers_leave_exact_figures() {
    shuttle::check_random(
        || {
            let (env, stash) = stash(3);
            let group: GroupId = "a".parse().expect("a group");
            let writer = {
                let execution = stash.execution(Some(group.clone()));
                thread::spawn(move || {
                    for number in 0..3 {
                        let put = put(&format!("k{number}"), number).ttl_ms(2);
                        execution.store(put).expect("room is made");
                        env.advance_ms(1);
                    }
                })
            };
            let reaper = {
                let stash = stash.clone();
                thread::spawn(move || stash.reap_expired(Some(1)).removed)
            };
            let reader = stash.execution(Some(group));
            let step = [Operation::Get(key("k0")), Operation::Delete(key("k1"))];
            let answers = reader.step(&step).expect("granted");
            assert_eq!(answers.len(), 2);
            writer.join().expect("no panic");
            let reaped = reaper.join().expect("no panic");
            let deleted = u64::from(answers[1] == Answer::Deleted(true));
            let usage = stash.usage();
            assert_eq!(usage.live.keys + usage.expired.keys, 3 - reaped - deleted);
            let found = (0..3).filter(|number| {
                reader
                    .get(&key(&format!("k{number}")))
                    .expect("mine")
                    .is_some()
            });
            assert_eq!(u64::try_from(found.count()).expect("few"), usage.live.keys);
        },
        schedules(),
    );
}
