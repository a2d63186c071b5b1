//! Another hybrid cache, in a process of its own.

use std::fs;
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
    reads: u64,
    seconds: f64,
}

/// foyer's hybrid cache, of which each get is answered from the disk: its block
/// engine over a directory, with that engine's defaults. Its files go through
/// the system's cache of pages, as ours do.
#[derive(Debug)]
pub(super) struct Foyer {
    program: PathBuf,
    directory: PathBuf,
    bytes: usize,
    count: usize,
}

impl Foyer {
    pub(super) fn new(program: &Path, directory: &Path, (bytes, count): (usize, usize)) -> Self {
        Self {
            program: program.to_owned(),
            directory: directory.join(format!("foyer-{bytes}")),
            bytes,
            count,
        }
    }
}

impl Side for Foyer {
    type Sample = f64;

    fn name(&self) -> &'static str {
        "foyer"
    }

    /// Microseconds a read. Each turn has a cache of its own.
    fn run(&mut self, span: Duration) -> Result<f64, BenchError> {
        let (bytes, count) = (self.bytes.to_string(), self.count.to_string());
        let seconds = span.as_secs_f64().to_string();
        let arguments: [&dyn AsRef<_>; 5] = [&"foyer", &self.directory, &bytes, &count, &seconds];
        let printed: Printed = peers::ask(&self.program, &arguments)?;
        fs::remove_dir_all(&self.directory).map_err(BenchError::io("remove a cache"))?;
        Ok(printed.seconds * 1e6 / decimal(printed.reads))
    }
}
