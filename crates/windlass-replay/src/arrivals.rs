//! When runs begin: as the requests of a recorded trace arrived.

use std::path::Path;

use crate::error::ReadError;
use crate::times;

/// The times at which the requests of a trace arrived, from the first on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrivals {
    /// Milliseconds after the first one; never decreasing.
    after_ms: Vec<u64>,
}

impl Arrivals {
    /// Reads a trace: a table with a header, whose first column is the time
    /// as `2023-11-16 18:17:03.9799600`. Compressed with Zstandard or not.
    /// Times are divided by `compress`, at least 1. Blocks while it reads.
    ///
    /// # Errors
    ///
    /// [`ReadError`] if the file cannot be read, or a line has no time or an
    /// earlier one than the line before it.
    pub fn read(path: &Path, compress: u64) -> Result<Self, ReadError> {
        let text = crate::files::text(path)?;
        let lines = text.lines().skip(1).filter(|line| !line.trim().is_empty());
        let wrong = |line: usize| ReadError::Arrival {
            path: path.to_owned(),
            line: line + 2,
        };
        let mut arrived = Vec::new();
        for (line, text) in lines.enumerate() {
            let time = text
                .split(',')
                .next()
                .and_then(|time| times::parse(time.trim()));
            let time = time.ok_or_else(|| wrong(line))?;
            if arrived.last().is_some_and(|before| time < *before) {
                return Err(wrong(line));
            }
            arrived.push(time);
        }
        let first = *arrived.first().ok_or_else(|| wrong(0))?;
        let after_ms = arrived
            .iter()
            .map(|time| time.since(first) / compress.max(1));
        let after_ms = after_ms.collect();
        Ok(Self { after_ms })
    }

    /// How long after the first run the one at `place` begins. Where the
    /// trace has ended it begins anew, behind its last arrival.
    #[must_use]
    pub fn after_ms(&self, place: usize) -> u64 {
        let last = self.after_ms[self.after_ms.len() - 1];
        let rounds = u64::try_from(place / self.after_ms.len()).unwrap_or(u64::MAX);
        let within = self.after_ms[place % self.after_ms.len()];
        rounds.saturating_mul(last).saturating_add(within)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn read(text: &str, compress: u64) -> Result<Arrivals, String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("trace.csv");
        fs::write(&path, text).unwrap();
        let read = Arrivals::read(&path, compress);
        read.map_err(|error| {
            error
                .to_string()
                .replace(&path.display().to_string(), "PATH")
        })
    }

    #[test]
    fn arrivals_keep_their_distances_compressed_and_begin_anew() {
        let text = "TIMESTAMP,ContextTokens,GeneratedTokens\r\n\
                    2023-11-16 18:17:03.9799600,4808,10\r\n\
                    2023-11-16 18:17:04.4799600,3180,8\r\n\
                    2023-11-16 18:17:13.9800000,110,27\r\n";
        let arrivals = read(text, 10).unwrap();
        let after: Vec<_> = (0..5).map(|place| arrivals.after_ms(place)).collect();
        assert_eq!(after, [0, 50, 1_000, 1_000, 1_050]);
        assert_eq!(read(text, 1).unwrap().after_ms(2), 10_001);
    }

    #[test]
    fn a_line_without_its_time_is_named() {
        let refused = |line| {
            Err(format!(
                "line {line} of `PATH` has no time, or one before the last"
            ))
        };
        assert_eq!(read("T\nx,1\n", 1), refused(2));
        assert_eq!(read("T\n", 1), refused(2));
        let back = "T\n2023-11-16 18:17:04,1\n2023-11-16 18:17:03,1\n";
        assert_eq!(read(back, 1), refused(3));
    }
}
