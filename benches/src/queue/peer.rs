//! Another queue on SQLite, as a process of its own: it brings a second SQLite
//! that cannot be linked beside ours.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde::Deserialize;

use crate::error::BenchError;
use crate::harness::contest::Side;

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
    pub(super) fn new(program: PathBuf, directory: &Path, workers: usize) -> Self {
        let directory = directory.to_owned();
        Self {
            program,
            directory,
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
        let output = Command::new(&self.program)
            .arg("apalis")
            .arg(&path)
            .arg(self.workers.to_string())
            .arg(span.as_secs_f64().to_string())
            .output()
            .map_err(BenchError::io("start the peer"))?;
        if !output.status.success() {
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(BenchError::Process(text));
        }
        let printed: Printed = serde_json::from_slice(&output.stdout)
            .map_err(|cause| BenchError::Process(cause.to_string()))?;
        let jobs = u32::try_from(printed.jobs).unwrap_or(u32::MAX);
        Ok(f64::from(jobs) / printed.seconds)
    }
}
