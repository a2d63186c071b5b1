//! A row about memory: what many small numbers take as values.

use std::io::Write;
use std::process::Command;
use std::time::Duration;

use windlass_stash::{Config, Key, MemoryStash, Value};

use crate::error::BenchError;
use crate::harness::contest::{Durability, Side, contest};
use crate::harness::machine;
use crate::harness::row::{Bar, Comparison, Figures};
use crate::harness::throughput::decimal;
use crate::sessions::{Bench, Measured, dropped_note};

use super::system;

/// Numbers in the value: two digits and a comma each, 16 MiB together.
const NUMBERS: usize = 16 * 1_024 * 1_024 / 3;

/// The memory that 16 MiB of small numbers take, beside their length.
///
/// # Errors
///
/// Whatever makes the figures worthless.
pub fn heap(bench: &Bench<'_>) -> Result<Measured, BenchError> {
    let mut sides: Vec<Box<dyn Side<Sample = f64>>> = vec![Box::new(Held), Box::new(Length)];
    let rounds = contest(&mut sides, bench.effort, bench.directory)?;
    let comparison = Comparison {
        what: "stash in memory: heap of 16 MiB of small numbers".to_owned(),
        versus: "their length as JSON",
        unit: "B",
        number: &|bytes: &f64| *bytes,
        figures: &|all| Figures::plain(all.iter().map(|bytes| **bytes), Durability::Memory),
        ours: 0,
        against: Some(1),
        bar: Bar::RatioAtMost(1.3),
    };
    Ok(Measured {
        rows: vec![comparison.row(&rounds)],
        notes: dropped_note("heap", &rounds.dropped).into_iter().collect(),
    })
}

/// A list of numbers of two digits.
fn numbers() -> Vec<u8> {
    (0..NUMBERS)
        .map(|number| 10 + u8::try_from(number % 90).unwrap_or(0))
        .collect()
}

/// Puts the numbers and tells by how much the process grew: in a process of
/// its own, where nothing else comes and goes.
///
/// # Errors
///
/// Whatever makes the figures worthless.
pub fn hold(output: &mut dyn Write) -> Result<(), BenchError> {
    let stash = MemoryStash::new(system(), Config::default())?;
    let (execution, key): (_, Key) = (stash.execution(None), "numbers".parse()?);
    let numbers = numbers();
    let before = machine::resident_bytes()?;
    execution.put(&key, &numbers, None)?;
    let grown = machine::resident_bytes()?.saturating_sub(before);
    if execution.get(&key)?.is_none() {
        return Err(BenchError::Unfair("the numbers are gone".to_owned()));
    }
    writeln!(output, "{grown}").map_err(BenchError::io("tell the memory"))
}

struct Held;

impl Side for Held {
    type Sample = f64;

    fn name(&self) -> &'static str {
        "held"
    }

    fn run(&mut self, _: Duration) -> Result<f64, BenchError> {
        let program = std::env::current_exe().map_err(BenchError::io("find this program"))?;
        let output = Command::new(program).arg("hold").output();
        let output = output.map_err(BenchError::io("start a process"))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let grown = text.trim().parse::<u64>();
        grown.map(decimal).map_err(|_| {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            BenchError::Process(said)
        })
    }
}

struct Length;

impl Side for Length {
    type Sample = f64;

    fn name(&self) -> &'static str {
        "length"
    }

    fn run(&mut self, _: Duration) -> Result<f64, BenchError> {
        Ok(decimal(Value::of(&numbers())?.size()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_16_mib_of_json() {
        let length = Length.run(Duration::ZERO).unwrap();
        assert!((length / 1_048_576.0 - 16.0).abs() < 0.01, "{length}");
    }
}
