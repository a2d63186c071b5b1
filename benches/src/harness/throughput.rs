//! Many callers at once, each waiting for its answer before it calls again.

use std::future::Future;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::clock;
use crate::error::BenchError;

use super::machine::{self, CpuTime};

/// Latencies in nanoseconds, to three figures.
pub type Latencies = Histogram<u64>;

/// One of many callers.
pub trait Caller: Send + 'static {
    /// Makes one call and waits for its answer.
    ///
    /// # Errors
    ///
    /// Whatever makes the figures worthless.
    fn call(&mut self) -> impl Future<Output = Result<(), BenchError>> + Send;
}

/// What callers got done in one turn.
#[derive(Clone, Debug)]
pub struct Throughput {
    /// Calls that were answered.
    pub calls: u64,
    /// From the first call to the last answer.
    pub elapsed: Duration,
    /// How long each call waited.
    pub latencies: Latencies,
    /// Processor time of this process meanwhile, in seconds.
    pub cpu_seconds: f64,
    /// Bytes this process had written to disks meanwhile.
    pub written_bytes: u64,
}

impl Throughput {
    /// Calls answered in a second.
    #[must_use]
    pub fn per_second(&self) -> f64 {
        decimal(self.calls) / self.elapsed.as_secs_f64()
    }

    /// Processor time a call, in microseconds.
    #[must_use]
    pub fn cpu_us_per_call(&self) -> f64 {
        self.cpu_seconds * 1e6 / decimal(self.calls).max(1.0)
    }

    /// Bytes written to disks a call.
    #[must_use]
    pub fn bytes_per_call(&self) -> f64 {
        decimal(self.written_bytes) / decimal(self.calls).max(1.0)
    }
}

/// A count as a decimal number; exact for all that a bench can count to.
#[must_use]
pub fn decimal(count: u64) -> f64 {
    let high = u32::try_from(count >> 32).unwrap_or(u32::MAX);
    let low = u32::try_from(count & u64::from(u32::MAX)).unwrap_or(u32::MAX);
    f64::from(high) * 4_294_967_296.0 + f64::from(low)
}

/// An empty record of latencies of up to a minute.
#[must_use]
pub fn no_latencies() -> Latencies {
    Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("bounds in order and three figures")
}

/// Lets all of `callers` call for `span`, and gives them back.
///
/// # Errors
///
/// The first failure of a call.
pub fn drive<C: Caller>(
    runtime: &Runtime,
    callers: Vec<C>,
    span: Duration,
) -> Result<(Throughput, Vec<C>), BenchError> {
    let (cpu, written) = (CpuTime::read()?, machine::written_bytes()?);
    let start = clock::now();
    let done = runtime.block_on(call_all(callers, start + span))?;
    let elapsed = start.elapsed();
    let cpu_seconds = CpuTime::read()?.since(cpu).own;
    let written_bytes = machine::written_bytes()?.saturating_sub(written);
    let mut latencies = no_latencies();
    let mut callers = Vec::with_capacity(done.len());
    for (caller, waits) in done {
        callers.push(caller);
        for wait in waits {
            latencies.saturating_record(wait);
        }
    }
    let throughput = Throughput {
        calls: latencies.len(),
        elapsed,
        latencies,
        cpu_seconds,
        written_bytes,
    };
    Ok((throughput, callers))
}

async fn call_all<C: Caller>(
    callers: Vec<C>,
    deadline: Instant,
) -> Result<Vec<(C, Vec<u64>)>, BenchError> {
    let mut tasks = JoinSet::new();
    for caller in callers {
        tasks.spawn(call_until(caller, deadline));
    }
    let mut done = Vec::with_capacity(tasks.len());
    while let Some(finished) = tasks.join_next().await {
        done.push(finished.map_err(|cause| BenchError::Process(cause.to_string()))??);
    }
    Ok(done)
}

/// Calls until `deadline`; the waits come in nanoseconds. They are only
/// written down here and sorted afterwards: a histogram for each caller would
/// push what is measured out of the processor's caches.
async fn call_until<C: Caller>(
    mut caller: C,
    deadline: Instant,
) -> Result<(C, Vec<u64>), BenchError> {
    let mut waits = Vec::with_capacity(16 * 1_024);
    let mut before = clock::now();
    while before < deadline {
        caller.call().await?;
        let after = clock::now();
        waits.push(u64::try_from((after - before).as_nanos()).unwrap_or(u64::MAX));
        // Where an answer never has to be waited for, others get their turn.
        tokio::task::consume_budget().await;
        before = after;
    }
    Ok((caller, waits))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counter(u64);

    impl Caller for Counter {
        async fn call(&mut self) -> Result<(), BenchError> {
            self.0 += 1;
            tokio::task::yield_now().await;
            Ok(())
        }
    }

    #[test]
    fn every_call_of_every_caller_is_counted_once() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let callers = vec![Counter(0), Counter(0), Counter(0)];
        let (throughput, callers) = drive(&runtime, callers, Duration::from_millis(5)).unwrap();
        let made: u64 = callers.iter().map(|caller| caller.0).sum();
        assert_eq!((throughput.calls, callers.len()), (made, 3));
        assert!(throughput.per_second() > 0.0, "{throughput:?}");
        assert_eq!(throughput.latencies.len(), made);
    }

    #[test]
    fn waits_of_seconds_are_recorded_as_they_were() {
        let mut waits = no_latencies();
        waits.saturating_record(2_000_000_000);
        let found = decimal(waits.max()) / 1e9;
        assert!((found - 2.0).abs() < 0.01, "{found}");
    }

    #[test]
    fn counts_beyond_32_bits_stay_exact_as_decimals() {
        assert_eq!(decimal(7), 7.0);
        assert_eq!(decimal(4_294_967_296 * 3 + 5), 12_884_901_893.0);
    }
}
