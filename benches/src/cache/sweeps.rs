//! What upkeep costs: a sweep by what is over, a sweep by what it may take,
//! and what readers notice of sweeps that never end.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use windlass::SystemEnv;
use windlass_cache::{Config, Key, MemoryCache, Namespace, Position, Put, SweepLimit};
use windlass_core::{Env, ManualEnv, Millis};

use crate::clock;
use crate::error::BenchError;
use crate::harness::contest::{Durability, Side, contest};
use crate::harness::row::{Bar, Comparison, Figures};
use crate::harness::throughput::{Latencies, decimal, no_latencies};
use crate::sessions::{Bench, Measured, dropped_note};

/// Entries that are held, and as many where it only has to be shown that all
/// runs; a hundredth of them beside.
const HELD: [usize; 2] = [1_000_000, 20_000];
/// Entries that expire before each sweep.
const EXPIRED: usize = 1_000;
/// What a sweep is allowed, in milliseconds.
const ALLOWED_MS: u64 = 5;
/// Sweeps of so long that are timed, and as many where it only has to be
/// shown that all runs.
const TIMED: [u64; 2] = [2_000, 50];

/// A cache with so many entries that stay.
struct Held {
    cache: MemoryCache,
    space: Namespace,
    keys: Vec<Key>,
    /// Those that come and go.
    passing: Vec<Key>,
}

impl Held {
    fn new(env: Arc<dyn Env>, count: usize) -> Result<Self, BenchError> {
        let config = Config {
            l1_bytes_max: 4 << 30,
            entry_bytes_guess: 512,
            ..Config::default()
        };
        let names = |kind: &'static str, count| {
            let names = (0..count).map(move |number| format!("{kind}/{number}"));
            names.map(Key::try_from).collect::<Result<Vec<_>, _>>()
        };
        let held = Self {
            cache: MemoryCache::new(env, config)?,
            space: "pages".parse()?,
            keys: names("page", count)?,
            passing: names("passing", EXPIRED)?,
        };
        for key in &held.keys {
            held.cache.put(&held.space, key, Put::new(Bytes::new()))?;
        }
        Ok(held)
    }

    /// Puts those that come and go, for one millisecond.
    fn pass(&self) -> Result<(), BenchError> {
        for key in &self.passing {
            let put = Put::with_ttl_ms(Bytes::new(), 1);
            self.cache.put(&self.space, key, put)?;
        }
        Ok(())
    }
}

/// All rows of upkeep.
///
/// # Errors
///
/// Whatever makes the figures worthless.
pub fn sweeps(bench: &Bench<'_>) -> Result<Measured, BenchError> {
    let held = HELD[usize::from(bench.quick)];
    let mut measured = finding(bench, held)?;
    let noticed = noticing(bench, held)?;
    measured.rows.extend(noticed.rows);
    measured.notes.extend(noticed.notes);
    measured.notes.push(allowance(bench, held)?);
    Ok(measured)
}

/// How long a sweep takes that finds so many among all that are held.
struct Finding {
    env: Arc<ManualEnv>,
    held: Held,
}

impl Finding {
    fn among(count: usize) -> Result<Self, BenchError> {
        let env = Arc::new(ManualEnv::new(1, Millis::new(1_700_000_000_000)));
        let held = Held::new(Arc::clone(&env) as _, count)?;
        Ok(Self { env, held })
    }
}

impl Side for Finding {
    type Sample = f64;

    fn name(&self) -> &'static str {
        "sweeps"
    }

    fn run(&mut self, span: Duration) -> Result<f64, BenchError> {
        let mut waits = no_latencies();
        let began = clock::now();
        while began.elapsed() < span {
            self.held.pass()?;
            self.env.advance_ms(1);
            let before = clock::now();
            let report = self
                .held
                .cache
                .sweep_expired(SweepLimit::Entries(u64::MAX), None);
            record(&mut waits, before.elapsed());
            if report.evicted != decimal_count(EXPIRED) {
                return Err(BenchError::Unfair("a sweep missed some".to_owned()));
            }
        }
        Ok(decimal(waits.value_at_quantile(0.5)) / 1e3)
    }
}

fn decimal_count(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

fn record(waits: &mut Latencies, wait: Duration) {
    waits.saturating_record(u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX));
}

fn finding(bench: &Bench<'_>, held: usize) -> Result<Measured, BenchError> {
    let sides = [held, held / 100].map(Finding::among);
    let mut boxed: Vec<Box<dyn Side<Sample = f64>>> = Vec::new();
    for side in sides {
        boxed.push(Box::new(side?));
    }
    let rounds = contest(&mut boxed, bench.effort, bench.directory)?;
    let comparison = Comparison {
        what: format!("cache in memory: sweep of {EXPIRED} expired among {held}"),
        versus: "among a hundredth",
        unit: "us",
        number: &|wait: &f64| *wait,
        figures: &|waits| Figures::plain(waits.iter().map(|wait| **wait), Durability::Memory),
        ours: 0,
        against: Some(1),
        bar: Bar::RatioAtMost(3.0),
    };
    Ok(Measured {
        rows: vec![comparison.row(&rounds)],
        notes: dropped_note("finding", &rounds.dropped)
            .into_iter()
            .collect(),
    })
}

/// What 99 of 100 readers wait while another thread puts what expires at once
/// and, on one side, sweeps.
struct Noticing<'a> {
    held: &'a Held,
    sweeps: bool,
}

impl Noticing<'_> {
    fn read(&self, span: Duration) -> f64 {
        let (mut waits, mut place) = (no_latencies(), 0);
        let began = clock::now();
        while began.elapsed() < span {
            place = (place + 7_919) % self.held.keys.len();
            let before = clock::now();
            black_box(
                self.held
                    .cache
                    .get(&self.held.space, &self.held.keys[place]),
            );
            record(&mut waits, before.elapsed());
        }
        decimal(waits.value_at_quantile(0.99)) / 1e3
    }

    fn work(&self, stop: &AtomicBool) -> Result<u64, BenchError> {
        let (mut swept, mut from): (u64, Option<Position>) = (0, None);
        while !stop.load(Ordering::Relaxed) {
            self.held.pass()?;
            if self.sweeps {
                let report = self
                    .held
                    .cache
                    .sweep_expired(SweepLimit::Entries(2_000), from);
                swept += report.evicted;
                from = report.next;
            }
        }
        Ok(swept)
    }
}

impl Side for Noticing<'_> {
    type Sample = f64;

    fn name(&self) -> &'static str {
        if self.sweeps {
            "beside sweeps"
        } else {
            "without"
        }
    }

    fn run(&mut self, span: Duration) -> Result<f64, BenchError> {
        let (this, stop) = (&*self, AtomicBool::new(false));
        let (waited, swept) = thread::scope(|scope| {
            let worker = scope.spawn(|| this.work(&stop));
            let waited = this.read(span);
            stop.store(true, Ordering::Relaxed);
            (waited, worker.join())
        });
        let swept = swept.map_err(|_| BenchError::Process("a thread panicked".to_owned()))??;
        if self.sweeps && swept == 0 {
            return Err(BenchError::Unfair("nothing was swept meanwhile".to_owned()));
        }
        Ok(waited)
    }
}

fn noticing(bench: &Bench<'_>, held: usize) -> Result<Measured, BenchError> {
    let held = Held::new(Arc::new(SystemEnv::new()), held)?;
    let side = |sweeps| -> Box<dyn Side<Sample = f64> + '_> {
        let held = &held;
        Box::new(Noticing { held, sweeps })
    };
    let rounds = contest(
        &mut [side(true), side(false)],
        bench.effort,
        bench.directory,
    )?;
    let comparison = Comparison {
        what: "cache in memory: p99 of gets while sweeps run without pause".to_owned(),
        versus: "without the sweeps",
        unit: "us",
        number: &|wait: &f64| *wait,
        figures: &|waits| Figures::plain(waits.iter().map(|wait| **wait), Durability::Memory),
        ours: 0,
        against: Some(1),
        bar: Bar::RatioAtMost(1.2),
    };
    Ok(Measured {
        rows: vec![comparison.row(&rounds)],
        notes: dropped_note("noticing", &rounds.dropped)
            .into_iter()
            .collect(),
    })
}

/// How far sweeps that are allowed so many milliseconds go over them, while
/// there is always more to do.
fn allowance(bench: &Bench<'_>, count: usize) -> Result<String, BenchError> {
    let wanted = TIMED[usize::from(bench.quick)];
    let env = Arc::new(SystemEnv::new());
    let (mut over, mut fullest) = (no_latencies(), 0);
    let held = Held::new(Arc::clone(&env) as _, 0)?;
    let names = (0..count).map(|number| format!("page/{number}"));
    let keys = names.map(Key::try_from).collect::<Result<Vec<_>, _>>()?;
    let allowed = Duration::from_millis(ALLOWED_MS);
    while over.len() < wanted {
        let at = Some(env.now().plus_ms(1));
        for key in &keys {
            let mut put = Put::new(Bytes::new());
            // It must not be over before the last of them is there.
            put.policy.expires_at = at.map(|at| at.plus_ms(60_000));
            put.policy.idle_ms = Some(1);
            held.cache.put(&held.space, key, put)?;
        }
        clock::sleep(Duration::from_millis(2));
        fullest = fullest.max(held.cache.stats().entries);
        loop {
            let before = clock::now();
            let report = held
                .cache
                .sweep_expired(SweepLimit::Millis(ALLOWED_MS), None);
            let took = before.elapsed();
            if !report.is_truncated() {
                break;
            }
            record(
                &mut over,
                took.saturating_sub(allowed).max(Duration::from_nanos(1)),
            );
        }
    }
    let at = |quantile| decimal(over.value_at_quantile(quantile)) / 1e3;
    Ok(format!(
        "sweeps of {ALLOWED_MS} ms, {fullest} entries at first: over by {:.0} us at the median, \
         {:.0} at p99, {:.0} at p99.9 of {}; the bar is 1,000 at p99.9",
        at(0.5),
        at(0.99),
        at(0.999),
        over.len()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_is_swept_and_what_is_held_stays() -> Result<(), BenchError> {
        let mut side = Finding::among(50)?;
        side.run(Duration::from_millis(1))?;
        assert_eq!(side.held.cache.stats().entries, 50);
        Ok(())
    }
}
