//! Rows about large values: what a reader of small ones notices of them.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use windlass_stash::limits::VALUE_BYTES_DEFAULT;
use windlass_stash::{Config, Execution, Key, MemoryStash};

use crate::clock;
use crate::error::BenchError;
use crate::harness::contest::{Durability, Side, contest};
use crate::harness::row::{Bar, Comparison, Figures};
use crate::harness::throughput::{decimal, no_latencies};
use crate::sessions::{Bench, Measured, dropped_note};

use super::{Draw, keys, system};

/// Small entries that are read.
const ENTRIES: usize = 200;

/// The wait of 99 of 100 gets while another thread puts 16 MiB over and over.
///
/// # Errors
///
/// Whatever makes the figures worthless.
pub fn large(bench: &Bench<'_>) -> Result<Measured, BenchError> {
    let mut sides: Vec<Box<dyn Side<Sample = f64>>> =
        vec![Box::new(Reader::new(true)?), Box::new(Reader::new(false)?)];
    let rounds = contest(&mut sides, bench.effort, bench.directory)?;
    let comparison = Comparison {
        what: "stash in memory: p99 of gets of small keys while 16 MiB are put".to_owned(),
        versus: "without the puts",
        unit: "us",
        number: &|wait: &f64| *wait,
        figures: &|waits| Figures::plain(waits.iter().map(|wait| **wait), Durability::Memory),
        ours: 0,
        against: Some(1),
        bar: Bar::RatioAtMost(3.0),
    };
    Ok(Measured {
        rows: vec![comparison.row(&rounds)],
        notes: dropped_note("large", &rounds.dropped).into_iter().collect(),
    })
}

struct Reader {
    stash: MemoryStash,
    keys: Vec<Key>,
    /// What another thread puts meanwhile.
    large: Option<Value>,
}

impl Reader {
    fn new(disturbed: bool) -> Result<Self, BenchError> {
        let stash = MemoryStash::new(system(), Config::default())?;
        let keys = keys(ENTRIES);
        let execution = stash.execution(None);
        for key in &keys {
            execution.put(key, "a small value", None)?;
        }
        let length = usize::try_from(VALUE_BYTES_DEFAULT).unwrap_or(usize::MAX) - 2;
        Ok(Self {
            stash,
            keys,
            large: disturbed.then(|| Value::from("x".repeat(length))),
        })
    }

    /// The wait of 99 of 100 gets, in microseconds.
    fn read(&self, span: Duration) -> Result<f64, BenchError> {
        let execution = self.stash.execution(None);
        let (mut draw, mut waits) = (Draw::new(0, ENTRIES), no_latencies());
        let start = clock::now();
        while start.elapsed() < span {
            let key = &self.keys[draw.place()];
            let before = clock::now();
            black_box(execution.get(key)?);
            let wait = u64::try_from(before.elapsed().as_nanos()).unwrap_or(u64::MAX);
            waits.saturating_record(wait);
        }
        Ok(decimal(waits.value_at_quantile(0.99)) / 1e3)
    }
}

/// Puts `value` until told to stop; how often it did.
fn put_until(execution: &Execution, value: &Value, stop: &AtomicBool) -> Result<u64, BenchError> {
    let key: Key = "large".parse()?;
    let mut puts = 0;
    while !stop.load(Ordering::Relaxed) {
        execution.put(&key, value, None)?;
        puts += 1;
    }
    Ok(puts)
}

impl Side for Reader {
    type Sample = f64;

    fn name(&self) -> &'static str {
        if self.large.is_some() {
            "beside puts"
        } else {
            "alone"
        }
    }

    fn run(&mut self, span: Duration) -> Result<f64, BenchError> {
        let Some(large) = &self.large else {
            return self.read(span);
        };
        let (execution, stop) = (self.stash.execution(None), AtomicBool::new(false));
        thread::scope(|scope| {
            let writer = scope.spawn(|| put_until(&execution, large, &stop));
            let waited = self.read(span);
            stop.store(true, Ordering::Relaxed);
            let puts = writer.join();
            let puts = puts.map_err(|_| BenchError::Process("a thread panicked".to_owned()))??;
            if puts == 0 {
                return Err(BenchError::Unfair("nothing was put meanwhile".to_owned()));
            }
            waited
        })
    }
}
