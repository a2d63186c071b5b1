//! Random histories of several threads: whatever the schedule, the answers
//! are those of some order of the calls, one after the other, in which nobody
//! who ended before another began comes after it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use shuttle::rand::{Rng as _, thread_rng};
use windlass_core::Env as _;

use super::*;
use crate::request::{Increment, KeyQuery};
use crate::rules::{Call, Change, Index};
use crate::{Metadata, StepError};

const THREADS: usize = 3;
const CALLS: usize = 2;

#[derive(Clone, Debug)]
enum Ask {
    Step(Vec<Operation>),
    /// A read, which takes the lock of one part only.
    Get(Key),
    Keys,
    Usage,
    Reap,
}

/// A call: what was asked and told, and when, by the clock and in the order
/// of beginnings and ends.
#[derive(Clone, Debug)]
struct Deed {
    thread: usize,
    ask: Ask,
    told: String,
    now: Millis,
    start: u64,
    end: u64,
}

/// One thread is in no group, the others are in one.
fn group_of(thread: usize) -> Option<GroupId> {
    (thread > 0).then(|| "a".parse().expect("a group"))
}

fn pick<T: Copy>(choices: &[T]) -> T {
    choices[thread_rng().gen_range(0..choices.len())]
}

fn draw_key() -> Key {
    key(pick(&["a", "b", "c"]))
}

fn draw_operation() -> Operation {
    let (key, ttl_ms) = (draw_key(), pick(&[None, Some(1), Some(2)]));
    match thread_rng().gen_range(0..7) {
        0 => Operation::Get(key),
        1 => Operation::Delete(key),
        2 => Operation::Touch { key, ttl_ms },
        3 => Operation::Increment(Increment { key, by: 1, ttl_ms }),
        _ => {
            let value = Value::of(&thread_rng().gen_range(0..100)).expect("JSON");
            let condition = pick(&[Condition::Any, Condition::Any, Condition::Absent]);
            let put = Put::new(key, value).condition(condition);
            Operation::Put(Put { ttl_ms, ..put })
        }
    }
}

fn draw() -> Ask {
    match thread_rng().gen_range(0..10) {
        0 | 1 => Ask::Get(draw_key()),
        2 => Ask::Keys,
        3 => Ask::Usage,
        4 => Ask::Reap,
        5 | 6 => Ask::Step(vec![draw_operation(), draw_operation()]),
        _ => Ask::Step(vec![draw_operation()]),
    }
}

fn asked(stash: &MemoryStash, execution: &Execution, ask: &Ask) -> String {
    match ask {
        Ask::Step(operations) => format!("{:?}", execution.step(operations)),
        Ask::Get(key) => format!("{:?}", execution.entry(key)),
        Ask::Keys => format!("{:?}", execution.keys(&KeyQuery::default())),
        Ask::Usage => format!("{:?}", stash.usage()),
        Ask::Reap => format!("{:?}", stash.reap_expired(Some(1))),
    }
}

/// What all threads did under one schedule.
fn play() -> (Config, Vec<Deed>) {
    let (env, stash) = stash(2);
    let ticks = Arc::new(AtomicU64::new(0));
    let threads: Vec<_> = (0..THREADS)
        .map(|thread| {
            let (env, stash, ticks) = (env.clone(), stash.clone(), ticks.clone());
            thread::spawn(move || {
                let execution = stash.execution(group_of(thread));
                let mut deeds = Vec::new();
                for _ in 0..CALLS {
                    let ask = draw();
                    let (start, now) = (ticks.fetch_add(1, Ordering::SeqCst), env.now());
                    let told = asked(&stash, &execution, &ask);
                    let end = ticks.fetch_add(1, Ordering::SeqCst);
                    deeds.push(Deed {
                        thread,
                        ask,
                        told,
                        now,
                        start,
                        end,
                    });
                    env.advance_ms(thread_rng().gen_range(0..2));
                }
                deeds
            })
        })
        .collect();
    let joined = threads.into_iter().map(|thread| thread.join());
    let deeds = joined.flat_map(|deeds| deeds.expect("no panic"));
    (Config::clone(&stash.config()), deeds.collect())
}

/// A stash of one caller at a time, without a lock.
#[derive(Default)]
struct Plain {
    index: Index,
    values: HashMap<(Key, u64), Value>,
    at: Millis,
}

impl Plain {
    fn told(&mut self, config: &Config, deed: &Deed) -> String {
        // A read goes by its own clock; decisions never go back in time.
        let now = match deed.ask {
            Ask::Get(_) => deed.now,
            _ => {
                self.at = self.at.max(deed.now);
                self.at
            }
        };
        let group = group_of(deed.thread);
        let call = Call {
            config,
            caller: group.as_ref(),
            now,
        };
        let mut changes = Vec::new();
        let told = match &deed.ask {
            Ask::Step(operations) => {
                format!("{:?}", self.step(&call, operations, &mut changes))
            }
            Ask::Get(key) => {
                let seen = self.step(&call, &[Operation::Get(key.clone())], &mut changes);
                format!("{:?}", seen.map(entry_of).map_err(|refusal| refusal.error))
            }
            Ask::Keys => format!("{:?}", self.index.keys(&call, &KeyQuery::default())),
            Ask::Usage => format!("{:?}", self.index.usage(now)),
            Ask::Reap => {
                let reaped = self.index.reap_expired(now, Some(1), &mut changes);
                format!("{reaped:?}")
            }
        };
        for change in changes {
            if let (Some(after), Some(value)) = (change.after, change.value) {
                self.values.insert((change.key, after.version), value);
            }
        }
        told
    }

    fn step(
        &mut self,
        call: &Call<'_>,
        operations: &[Operation],
        changes: &mut Vec<Change>,
    ) -> Result<Vec<Answer>, StepError> {
        let values = &self.values;
        let read =
            |key: &Key, metadata: &Metadata| values.get(&(key.clone(), metadata.version)).cloned();
        self.index.step(call, operations, &read, changes)
    }
}

fn entry_of(answers: Vec<Answer>) -> Option<crate::Entry> {
    match answers.into_iter().next() {
        Some(Answer::Entry(entry)) => entry,
        other => panic!("a read is answered by an entry, not by {other:?}"),
    }
}

/// Whether the deeds can have happened one after the other, beginning with
/// those of `order`.
fn is_serial(config: &Config, deeds: &[Deed], order: &mut Vec<usize>) -> bool {
    let mut plain = Plain::default();
    let told = order.iter().map(|place| &deeds[*place]);
    if !told
        .into_iter()
        .all(|deed| plain.told(config, deed) == deed.told)
    {
        return false;
    }
    if order.len() == deeds.len() {
        return true;
    }
    let open: Vec<usize> = (0..deeds.len())
        .filter(|place| !order.contains(place))
        .collect();
    let first_end = open.iter().map(|place| deeds[*place].end).min();
    for place in open {
        if Some(deeds[place].start) < first_end {
            order.push(place);
            if is_serial(config, deeds, order) {
                return true;
            }
            order.pop();
        }
    }
    false
}

#[test]
fn whatever_several_threads_are_told_has_a_serial_order() {
    shuttle::check_random(
        || {
            let (config, deeds) = play();
            let serial = is_serial(&config, &deeds, &mut Vec::new());
            assert!(serial, "no order explains {deeds:#?}");
        },
        schedules(),
    );
}

#[test]
fn an_answer_that_no_order_explains_is_seen() {
    let deed = |thread, ask, told: &str, start| Deed {
        thread,
        ask,
        told: told.to_owned(),
        now: Millis::new(1_000),
        start,
        end: start + 1,
    };
    let put = Ask::Step(vec![Operation::Put(put("a", 1))]);
    let config = Config::default();
    let stored = Plain::default().told(&config, &deed(0, put.clone(), "", 0));
    let put = deed(0, put, &stored, 0);
    let missed = |start| deed(1, Ask::Get(key("a")), "Ok(None)", start);
    let is_serial = |deeds: &[Deed]| is_serial(&config, deeds, &mut Vec::new());
    assert!(!is_serial(&[put.clone(), missed(2)]), "the put had ended");
    assert!(is_serial(&[put, missed(0)]), "the read may have come first");
}
