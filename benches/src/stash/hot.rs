//! Rows about small values: puts and gets, on one thread and on two.
//!
//! Both sides are given a value of JSON and keep what a stash promises. Out
//! comes its JSON, which ours shares and the other writes, or a value, which
//! both read from JSON: ours after, the other under its lock.

use std::hint::black_box;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use serde_json::Value;
use windlass_stash::{Config, Execution, Key, MemoryStash};

use crate::clock;
use crate::error::BenchError;
use crate::harness::contest::{Durability, Side, contest};
use crate::harness::row::{Bar, Comparison, Figures};
use crate::harness::throughput::decimal;
use crate::sessions::{Bench, Measured, dropped_note};

use super::plain::Plain;
use super::{Draw, keys, system};

/// Entries that are put and read: as many as fit by default, with some room.
const ENTRIES: usize = 200;
/// Length of each value as JSON.
const VALUE_BYTES: usize = 200;
/// Calls between two looks at the clock.
const CALLS: u64 = 256;

/// What is done over and over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Put,
    GetJson,
    GetValue,
}

/// Puts and gets, on one thread and on two.
///
/// # Errors
///
/// Whatever makes the figures worthless.
pub fn hot(bench: &Bench<'_>) -> Result<Measured, BenchError> {
    let rows = [
        (Act::Put, "put of 200 B", 1.5),
        (Act::GetJson, "get of 200 B, JSON out", 2.0),
        // Both sides parse the JSON, which is more than half of what ours
        // does: the rest cannot make twice the other of it.
        (Act::GetValue, "get of 200 B, value out", 1.5),
    ];
    let mut all = Measured::default();
    for (act, what, bar) in rows {
        for threads in [1, 2] {
            let what = format!("stash in memory: {what}, threads: {threads}");
            let mut sides: Vec<Box<dyn Side<Sample = f64>>> = vec![
                Box::new(Ours::new(act, threads)?),
                Box::new(Other::new(act, threads)),
            ];
            let rounds = contest(&mut sides, bench.effort, bench.directory)?;
            let comparison = Comparison {
                what,
                versus: "Mutex<HashMap>",
                unit: "1/s",
                number: &|rate: &f64| *rate,
                figures: &|rates| {
                    Figures::plain(rates.iter().map(|rate| **rate), Durability::Memory)
                },
                ours: 0,
                against: Some(1),
                bar: Bar::RatioAtLeast(bar),
            };
            all.rows.push(comparison.row(&rounds));
            all.notes.extend(dropped_note("hot", &rounds.dropped));
        }
    }
    Ok(all)
}

/// A text of 200 bytes as JSON: a paragraph of what a tool found.
fn value() -> Value {
    Value::from("found ".repeat(VALUE_BYTES)[..VALUE_BYTES - 2].to_owned())
}

struct Ours {
    act: Act,
    executions: Vec<Execution>,
    /// The same keys for each thread, of its own making: they come out of
    /// what somebody asked.
    keys: Vec<Vec<Key>>,
    value: Value,
}

impl Ours {
    fn new(act: Act, threads: usize) -> Result<Self, BenchError> {
        let stash = MemoryStash::new(system(), Config::default())?;
        let keys: Vec<_> = (0..threads).map(|_| keys(ENTRIES)).collect();
        let value = value();
        let executions: Vec<_> = (0..threads).map(|_| stash.execution(None)).collect();
        for key in &keys[0] {
            executions[0].put(key, &value, None)?;
        }
        Ok(Self {
            act,
            executions,
            keys,
            value,
        })
    }

    fn call(&self, thread: usize, key: &Key) -> bool {
        let execution = &self.executions[thread];
        match self.act {
            Act::Put => execution.put(key, &self.value, None).is_ok(),
            Act::GetJson => execution
                .get(key)
                .is_ok_and(|found| black_box(found).is_some()),
            Act::GetValue => {
                let found = execution.get(key).ok().flatten();
                let value = found.and_then(|found| found.parse::<Value>().ok());
                black_box(value).is_some()
            }
        }
    }
}

impl Side for Ours {
    type Sample = f64;

    fn name(&self) -> &'static str {
        "ours"
    }

    fn run(&mut self, span: Duration) -> Result<f64, BenchError> {
        let this = &*self;
        on_threads(this.executions.len(), span, |thread, place| {
            this.call(thread, &this.keys[thread][place])
        })
    }
}

struct Other {
    act: Act,
    threads: usize,
    plain: Plain,
    names: Vec<String>,
    value: Value,
}

impl Other {
    fn new(act: Act, threads: usize) -> Self {
        let (plain, value) = (Plain::new(system()), value());
        let names: Vec<String> = keys(ENTRIES).into_iter().map(String::from).collect();
        for name in &names {
            plain.put(name, None, &value);
        }
        Self {
            act,
            threads,
            plain,
            names,
            value,
        }
    }

    fn call(&self, name: &str) -> bool {
        match self.act {
            Act::Put => self.plain.put(name, None, &self.value),
            Act::GetJson => black_box(self.plain.get(name, None)).is_some(),
            Act::GetValue => black_box(self.plain.get_value(name, None)).is_some(),
        }
    }
}

impl Side for Other {
    type Sample = f64;

    fn name(&self) -> &'static str {
        "Mutex<HashMap>"
    }

    fn run(&mut self, span: Duration) -> Result<f64, BenchError> {
        let this = &*self;
        on_threads(this.threads, span, |_, place| this.call(&this.names[place]))
    }
}

/// Lets threads call for `span`, and gives the calls in a second of all of
/// them together.
fn on_threads(
    threads: usize,
    span: Duration,
    call: impl Fn(usize, usize) -> bool + Sync,
) -> Result<f64, BenchError> {
    let start = Barrier::new(threads);
    let rates = thread::scope(|scope| {
        let work = |thread| {
            let (start, call) = (&start, &call);
            scope.spawn(move || {
                start.wait();
                rate(span, thread, |place| call(thread, place))
            })
        };
        let handles: Vec<_> = (0..threads).map(work).collect();
        let joined = handles.into_iter().map(thread::ScopedJoinHandle::join);
        joined.collect::<Result<Vec<Option<f64>>, _>>()
    });
    let refused = || BenchError::Unfair("a call was refused".to_owned());
    let rates = rates.map_err(|_| BenchError::Process("a thread panicked".to_owned()))?;
    rates.into_iter().sum::<Option<f64>>().ok_or_else(refused)
}

/// Calls in a second; `None` if one of them failed.
fn rate(span: Duration, seed: usize, call: impl Fn(usize) -> bool) -> Option<f64> {
    let mut draw = Draw::new(seed, ENTRIES);
    let (start, mut calls) = (clock::now(), 0);
    while start.elapsed() < span {
        for _ in 0..CALLS {
            if !call(draw.place()) {
                return None;
            }
        }
        calls += CALLS;
    }
    Some(decimal(calls) / start.elapsed().as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_hold_values_of_the_length_that_is_told() {
        let json = serde_json::to_vec(&value()).unwrap();
        assert_eq!(json.len(), VALUE_BYTES);
    }

    #[test]
    fn every_act_succeeds_on_both_sides() {
        for act in [Act::Put, Act::GetJson, Act::GetValue] {
            let ours = Ours::new(act, 2).unwrap();
            assert!(ours.call(1, &ours.keys[1][0]), "{act:?}");
            let other = Other::new(act, 2);
            assert!(other.call(&other.names[0]), "{act:?}");
        }
    }
}
