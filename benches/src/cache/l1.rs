//! Gets that hit and puts that replace, over keys of which few are wanted
//! often: ours beside the library it stands on, and beside moka.

use std::hash::{BuildHasherDefault, Hasher};
use std::hint::black_box;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use windlass::SystemEnv;
use windlass_cache::{Config, Key, MemoryCache, Namespace, Put};

use crate::clock;
use crate::error::BenchError;
use crate::harness::contest::{Durability, Side, contest};
use crate::harness::row::{Bar, Comparison, Figures};
use crate::harness::throughput::decimal;
use crate::sessions::{Bench, Measured, dropped_note};

/// Keys that are held, and as many where it only has to be shown that all
/// runs.
const KEYS: [usize; 2] = [1_000_000, 20_000];
/// Bytes of each value.
const VALUE_BYTES: usize = 100;
/// Requests that are drawn before, and made over and over.
const DRAWN: usize = 1 << 20;
/// Calls between two looks at the clock.
const CALLS: usize = 256;
/// What ours holds: all of them.
const L1_BYTES: u64 = 2 << 30;

/// What is done over and over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Get,
    Put,
}

/// Gets and puts, on one thread and on two.
///
/// # Errors
///
/// Whatever makes the figures worthless.
pub fn l1(bench: &Bench<'_>) -> Result<Measured, BenchError> {
    let keys = KEYS[usize::from(bench.quick)];
    let drawn = [draw(keys, 1), draw(keys, 2)];
    let held = Held::new(keys)?;
    let mut measured = Measured::default();
    for (act, what) in [(Act::Get, "hit"), (Act::Put, "put that replaces")] {
        for threads in [1, 2] {
            let side = |which| -> Box<dyn Side<Sample = f64> + '_> {
                Box::new(Turn {
                    which,
                    act,
                    held: &held,
                    drawn: &drawn[..threads],
                })
            };
            let mut sides = WHICH.map(side);
            let rounds = contest(&mut sides, bench.effort, bench.directory)?;
            let bars = match act {
                Act::Get => [Bar::RatioAtLeast(0.7), Bar::Absent, Bar::RatioAtLeast(1.5)],
                Act::Put => [Bar::Absent; 3],
            };
            let others = ["quick_cache", "the same, of numbers", "moka, of numbers"];
            for (place, (versus, bar)) in others.into_iter().zip(bars).enumerate() {
                let comparison = Comparison {
                    what: format!(
                        "cache in memory: {what}, zipf over {keys} keys, threads: {threads}"
                    ),
                    versus,
                    unit: "1/s",
                    number: &|rate: &f64| *rate,
                    figures: &|all| Figures::plain(all.iter().map(|it| **it), Durability::Memory),
                    ours: 0,
                    against: Some(place + 1),
                    bar,
                };
                measured.rows.push(comparison.row(&rounds));
            }
            measured.notes.extend(dropped_note("l1", &rounds.dropped));
        }
    }
    Ok(measured)
}

/// Numbers below `count`, the lower the oftener: by Zipf's law with exponent
/// 1, the same ones for each seed.
fn draw(count: usize, seed: u64) -> Vec<usize> {
    let mut sum = 0.0;
    let weights = (1..=count).map(|rank| {
        sum += 1.0 / decimal(u64::try_from(rank).unwrap_or(1));
        sum
    });
    let sums: Vec<f64> = weights.collect();
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut next = || {
        // One step of xorshift (Marsaglia, 2003).
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let part = decimal(state >> 11) / decimal(1 << 53);
        // Ranks are scattered over the keys, as names are.
        let rank = sums.partition_point(|it| *it < part * sum).min(count - 1);
        rank * 7_919 % count
    };
    (0..DRAWN).map(|_| next()).collect()
}

/// Spreads numbers over all bits, as cheaply as it can be done.
#[derive(Clone, Copy, Debug, Default)]
struct Spreading(u64);

impl Hasher for Spreading {
    fn write(&mut self, _: &[u8]) {
        unreachable!("keys are numbers");
    }

    fn write_usize(&mut self, number: usize) {
        let number = u64::try_from(number).unwrap_or(0);
        let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ (mixed >> 32);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

type Spread = BuildHasherDefault<Spreading>;

/// The three caches, which hold the same.
struct Held {
    ours: MemoryCache,
    space: Namespace,
    keys: Vec<Key>,
    /// The library alone, asked for the same names.
    named: quick_cache::sync::Cache<Arc<str>, Bytes>,
    /// The library alone at its best: no name to fetch, hash or compare.
    quick: quick_cache::sync::Cache<usize, Bytes, quick_cache::UnitWeighter, Spread>,
    moka: moka::sync::Cache<usize, Bytes, Spread>,
    value: Bytes,
}

impl Held {
    fn new(count: usize) -> Result<Self, BenchError> {
        let config = Config {
            l1_bytes_max: L1_BYTES,
            entry_bytes_guess: 512,
            ..Config::default()
        };
        let room = u64::try_from(2 * count).unwrap_or(u64::MAX);
        let names = (0..count).map(|number| format!("page/{number}"));
        let held = Self {
            ours: MemoryCache::new(Arc::new(SystemEnv::new()), config)?,
            space: "pages".parse()?,
            keys: names.map(Key::try_from).collect::<Result<_, _>>()?,
            named: quick_cache::sync::Cache::new(2 * count),
            quick: quick_cache::sync::Cache::with(
                2 * count,
                room,
                quick_cache::UnitWeighter,
                Spread::default(),
                quick_cache::sync::DefaultLifecycle::default(),
            ),
            moka: moka::sync::Cache::builder()
                .max_capacity(room)
                .build_with_hasher(Spread::default()),
            value: Bytes::from(vec![b'x'; VALUE_BYTES]),
        };
        for number in 0..count {
            for which in WHICH {
                held.call(which, Act::Put, number);
            }
        }
        Ok(held)
    }

    fn call(&self, which: Which, act: Act, number: usize) -> bool {
        let value = || Bytes::copy_from_slice(&self.value);
        match (which, act) {
            (Which::Ours, Act::Get) => {
                let found = self.ours.get(&self.space, &self.keys[number]);
                black_box(found).is_some()
            }
            (Which::Ours, Act::Put) => {
                let put = Put::new(value());
                self.ours.put(&self.space, &self.keys[number], put).is_ok()
            }
            (Which::Named, Act::Get) => {
                black_box(self.named.get(self.keys[number].as_str())).is_some()
            }
            (Which::Named, Act::Put) => {
                self.named
                    .insert(self.keys[number].as_str().into(), value());
                true
            }
            (Which::Quick, Act::Get) => black_box(self.quick.get(&number)).is_some(),
            (Which::Quick, Act::Put) => {
                self.quick.insert(number, value());
                true
            }
            (Which::Moka, Act::Get) => black_box(self.moka.get(&number)).is_some(),
            (Which::Moka, Act::Put) => {
                self.moka.insert(number, value());
                true
            }
        }
    }
}

const WHICH: [Which; 4] = [Which::Ours, Which::Named, Which::Quick, Which::Moka];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    Ours,
    Named,
    Quick,
    Moka,
}

/// One side: what one of the caches does, on as many threads as there are
/// lists of requests.
struct Turn<'a> {
    which: Which,
    act: Act,
    held: &'a Held,
    drawn: &'a [Vec<usize>],
}

impl Side for Turn<'_> {
    type Sample = f64;

    fn name(&self) -> &'static str {
        match self.which {
            Which::Ours => "ours",
            Which::Named => "quick_cache",
            Which::Quick => "quick_cache of numbers",
            Which::Moka => "moka",
        }
    }

    fn run(&mut self, span: Duration) -> Result<f64, BenchError> {
        let start = Barrier::new(self.drawn.len());
        let this = &*self;
        let rates = thread::scope(|scope| {
            let handles: Vec<_> = this
                .drawn
                .iter()
                .map(|drawn| {
                    let start = &start;
                    scope.spawn(move || {
                        start.wait();
                        this.rate(span, drawn)
                    })
                })
                .collect();
            let joined = handles.into_iter().map(thread::ScopedJoinHandle::join);
            joined.collect::<Result<Vec<Option<f64>>, _>>()
        });
        let rates = rates.map_err(|_| BenchError::Process("a thread panicked".to_owned()))?;
        let missed = || BenchError::Unfair("a get missed".to_owned());
        rates.into_iter().sum::<Option<f64>>().ok_or_else(missed)
    }
}

impl Turn<'_> {
    /// Calls in a second; `None` if one of them failed.
    fn rate(&self, span: Duration, drawn: &[usize]) -> Option<f64> {
        let (start, mut calls) = (clock::now(), 0_usize);
        for chunk in drawn.chunks(CALLS).cycle() {
            for number in chunk {
                if !self.held.call(self.which, self.act, *number) {
                    return None;
                }
            }
            calls += chunk.len();
            if start.elapsed() >= span {
                break;
            }
        }
        let calls = decimal(u64::try_from(calls).unwrap_or(u64::MAX));
        Some(calls / start.elapsed().as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn low_ranks_are_drawn_often_and_all_are_in_range() {
        let drawn = draw(1_000, 1);
        let count = |wanted| drawn.iter().filter(|number| **number == wanted).count();
        let (first, tenth) = (count(0), count(9 * 7_919 % 1_000));
        assert!(first > 8 * tenth && tenth > 0, "{first} and {tenth}");
        assert!(drawn.iter().all(|number| *number < 1_000));
    }

    #[test]
    fn every_act_succeeds_on_every_side() -> Result<(), BenchError> {
        let held = Held::new(100)?;
        for which in WHICH {
            for act in [Act::Get, Act::Put] {
                assert!(held.call(which, act, 99), "{which:?} {act:?}");
            }
        }
        Ok(())
    }
}
