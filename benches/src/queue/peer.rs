//! Another queue on SQLite, in a process of its own.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use crate::error::BenchError;
use crate::harness::contest::Side;
use crate::harness::throughput::decimal;
use crate::peers;

/// What the program prints.
#[derive(Debug, Deserialize)]
struct Printed {
    jobs: u64,
    seconds: f64,
}

/// apalis-sqlite as its `setup` configures it: `synchronous` OFF, over a pool
/// of one connection.
#[derive(Debug)]
pub(super) struct Apalis {
    program: PathBuf,
    directory: PathBuf,
    workers: usize,
    runs: usize,
}

impl Apalis {
    pub(super) fn new(program: &Path, directory: &Path, workers: usize) -> Self {
        Self {
            program: program.to_owned(),
            directory: directory.to_owned(),
            workers,
            runs: 0,
        }
    }
}

impl Side for Apalis {
    type Sample = f64;

    fn name(&self) -> &'static str {
        "apalis-sqlite"
    }

    /// Each turn has a fresh database.
    fn run(&mut self, span: Duration) -> Result<f64, BenchError> {
        self.runs += 1;
        let name = format!("apalis-{}-{}.db", self.workers, self.runs);
        let path = self.directory.join(name);
        let (workers, seconds) = (self.workers.to_string(), span.as_secs_f64().to_string());
        let printed: Printed = peers::ask(&self.program, &[&"apalis", &path, &workers, &seconds])?;
        Ok(decimal(printed.jobs) / printed.seconds)
    }
}
